//! What is accepted, and the words for everything that is not.

use proptest::prelude::*;
use shoal_types::{
    Bytes, ClusterMtu, ClusterSpec, HealAfter, Healing, HealingChange, HealingPolicy, MilliCpu, RealmName,
    Role, Strategy, chain,
};

use super::{ConfigError, Document, Overrides, PlacingOverrides, Source, cluster_spec};
use crate::escape;

fn parse(text: &str) -> Result<Document, ConfigError> {
    Document::parse(&Source::File("dev.yaml".into()), text)
}

fn spec_with(text: &str, overrides: Overrides) -> Result<ClusterSpec, ConfigError> {
    cluster_spec("dev.yaml", parse(text)?, overrides, RealmName::default(), "default-image")
}

fn spec(text: &str) -> ClusterSpec {
    spec_with(text, Overrides::default()).unwrap()
}

/// Each text, and the message and hint it is refused with, as a person sees them.
fn refusals(texts: &[&str]) -> String {
    let refusal = |text: &&str| {
        let error = spec_with(text, Overrides::default()).expect_err(text);
        let hint = format!("\n    hint: {}", error.hint());
        let shown = escape::line(&text.chars().take(100).collect::<String>());
        format!("{shown}\n    {}{hint}\n", chain(&error))
    };
    texts.iter().map(refusal).collect()
}

fn groups(spec: &ClusterSpec) -> Vec<(Role, u32)> {
    spec.groups.iter().map(|g| (g.role, g.count)).collect()
}

#[test]
fn the_least_is_one_controller_and_one_worker() {
    for text in
        ["kind: Cluster", "kind: Cluster\nnodes: []\n", "kind: Cluster\nnodes:\ndefaults:\nslurm:\nname:\n"]
    {
        let spec = spec(text);
        assert_eq!(groups(&spec), [(Role::Controller, 1), (Role::Worker, 1)], "{text}");
        assert_eq!((spec.name.as_str(), spec.image.as_str()), ("default", "default-image"));
        assert_eq!((spec.scheduler, spec.mtu), (Strategy::Spread.into(), None));
        assert_eq!(spec.healing, Healing::default());
    }
}

#[test]
fn the_three_forms_of_nodes() {
    let spec = spec(
        "kind: Cluster\nnodes:\n- controller\n- role: submitter\n- worker: 3\n- worker\n- {role: worker, count: 2}\n",
    );
    let expected = [
        (Role::Controller, 1),
        (Role::Submitter, 1),
        (Role::Worker, 3),
        (Role::Worker, 1),
        (Role::Worker, 2),
    ];
    assert_eq!(groups(&spec), expected);
}

#[test]
fn everything_at_once() {
    let text = "
kind: Cluster
name: dev
realm: lab
mtu: 1400
healing: { policy: restart, after: 90s }
defaults: { image: 'own:1', cpus: 0.5, memory: 128m, tmpSize: 16777216, shmSize: 64m }
scheduler: metadata
constraints: ['rack in (a,b)']
nodes:
  - controller
  - role: worker
    count: 2
    cpus: 1500m
    memory: 1g
    tmpSize: 64Mi
    shmSize: 1g
    constraints: [gpu, '!old']
slurm:
  cpus: 128
  memory: 512g
  main: { limits: 'MaxJobCount=10', other: \"A=1\\n\" }
";
    let document = parse(text).unwrap();
    assert_eq!(document.realm.as_ref().map(RealmName::as_str), Some("lab"));
    let spec = spec(text);
    assert_eq!((spec.name.as_str(), spec.image.as_str()), ("dev", "own:1"));
    assert_eq!(spec.scheduler, Strategy::Metadata.into());
    assert_eq!(spec.mtu, ClusterMtu::try_from(1400).ok());
    assert_eq!((spec.healing.policy, spec.healing.after_ms.as_millis()), (HealingPolicy::Restart, 90_000));
    let [controller, worker] = &spec.groups[..] else { unreachable!("two groups") };
    assert_eq!((controller.cpu_limit, controller.memory_limit), (Some(MilliCpu(500)), Bytes::mib(128)));
    assert_eq!(controller.tmp_size, Bytes::mib(16));
    assert_eq!((worker.cpu_limit, worker.memory_limit), (Some(MilliCpu(1500)), Bytes::mib(1024)));
    assert_eq!((worker.reserve.memory, worker.tmp_size), (Bytes::mib(1024), Bytes::mib(64)));
    assert_eq!((controller.shm_size, worker.shm_size), (Some(Bytes::mib(64)), Some(Bytes::mib(1024))));
    let constraints: Vec<_> = worker.constraints.iter().map(ToString::to_string).collect();
    assert_eq!(constraints, ["gpu", "!old"]);
    assert_eq!((spec.slurm.cpus, spec.slurm.memory), (Some(128), Some(Bytes::mib(512 << 10))));
    assert_eq!(spec.slurm.main.keys().collect::<Vec<_>>(), ["limits", "other"]);
}

#[test]
fn slurm_text_without_a_name() {
    let spec = spec("kind: Cluster\nslurm:\n  main: |\n    MaxJobCount=10\n");
    assert_eq!(spec.slurm.main.get("main").map(String::as_str), Some("MaxJobCount=10\n"));
}

#[test]
fn aliases_are_fine_while_they_are_few() {
    let spec =
        spec("kind: Cluster\ndefaults: {memory: &m 1g}\nnodes: [controller, {role: worker, memory: *m}]\n");
    assert_eq!(spec.groups[1].memory_limit, Bytes::mib(1024));
}

#[test]
fn flags_come_first() {
    let text = "kind: Cluster\nname: dev\nmtu: 9000\nttl: 4h\nhealing: {policy: none, after: 1h, copies: 5m}\ndefaults: {memory: 128m, image: own}\nscheduler: metadata\n\
                constraints: [a]\nplacing: {maxPerHost: 9, pins: [controller=h1]}\n\
                nodes: [controller, {role: worker, count: 2, memory: 1g}]\n";
    let overrides = Overrides {
        name: Some("other".parse().unwrap()),
        workers: std::num::NonZeroU32::new(7),
        cpus: Some(MilliCpu(2000)),
        memory: Some(Bytes::mib(256)),
        image: Some("flag".into()),
        scheduler: Some(Strategy::RoundRobin.into()),
        placing: PlacingOverrides {
            pins: vec!["worker-[0-1]=h2".parse().unwrap()],
            scheduler_fallback: None,
            max_per_host: std::num::NonZeroU32::new(3),
            ..PlacingOverrides::default()
        },
        constraints: vec!["b".parse().unwrap()],
        ssh_keys: vec![],
        mtu: Some(ClusterMtu::LEAST),
        ttl: Some("8h".parse().unwrap()),
        healing: HealingChange {
            policy: Some(HealingPolicy::Restart),
            after_ms: HealAfter::try_from(90_000).ok(),
            copies_ms: None,
        },
    };
    let spec = spec_with(text, overrides).unwrap();
    assert_eq!((spec.healing.policy, spec.healing.after_ms.as_millis()), (HealingPolicy::Restart, 90_000));
    assert_eq!(spec.healing.copies_ms.as_millis(), 300_000);
    assert_eq!((spec.name.as_str(), spec.image.as_str()), ("other", "flag"));
    assert_eq!(groups(&spec), [(Role::Controller, 1), (Role::Worker, 7)]);
    assert_eq!(spec.scheduler, Strategy::RoundRobin.into());
    assert_eq!(spec.placing.max_per_host, std::num::NonZeroU32::new(3));
    assert_eq!(spec.mtu, Some(ClusterMtu::LEAST));
    assert_eq!(spec.ttl.map(shoal_types::Ttl::as_millis), Some(8 * 3_600_000));
    let pins: Vec<_> = spec.placing.pins.iter().map(ToString::to_string).collect();
    assert_eq!(pins, ["controller=h1", "worker-[0-1]=h2"]);
    let constraints: Vec<_> = spec.constraints.iter().map(ToString::to_string).collect();
    assert_eq!(constraints, ["a", "b"]);
    let sizes: Vec<_> = spec.groups.iter().map(|group| (group.cpu_limit, group.memory_limit)).collect();
    assert_eq!(
        sizes,
        [(None, Bytes::mib(128)), (Some(MilliCpu(2000)), Bytes::mib(256))],
        "sizes of the command line are for workers"
    );
}

#[test]
fn a_controllers_size_follows_the_workers_of_all_groups() {
    let spec = spec("kind: Cluster\nnodes: [controller, {worker: 100}, {worker: 64}]\n");
    let controller = &spec.groups[0];
    assert_eq!(controller.reserve.cpu, MilliCpu(150));
    assert_eq!(controller.memory_limit, Bytes::mib(512 + 50));
}

#[test]
fn workers_must_mean_one_group() {
    let workers = || Overrides { workers: std::num::NonZeroU32::new(2), ..Overrides::default() };
    let error = spec_with("kind: Cluster\nnodes: [controller, worker, worker: 2]\n", workers()).unwrap_err();
    assert_eq!(chain(&error), "--workers needs exactly one group of workers, and dev.yaml has 2");
    let error = spec_with("kind: Cluster\nnodes: [controller]\n", workers()).unwrap_err();
    assert_eq!(chain(&error), "--workers needs exactly one group of workers, and dev.yaml has 0");
}

#[test]
fn refusals_of_keys() {
    let shown = refusals(&[
        "kind: Cluster\nworker: 3\n",
        "kind: Cluster\nnode:\n- controller\n",
        "kind: Cluster\ndefaults:\n  memroy: 1g\n",
        "kind: Cluster\nslurm:\n  Main: x\n",
        "kind: Cluster\nnodes:\n- role: worker\n  cuont: 3\n",
        "kind: Cluster\nzzz: 1\n",
        "kind: Cluster\n\"a\\e[31m\": 1\n",
        "kind: Cluster\nstorage:\n  dataStorage: {type: volume}\n",
        "kind: Cluster\ndefaults: {capAdd: [SYS_ADMIN]}\n",
        "kind: Cluster\nnodes: [controller, {role: worker, image: x}]\n",
        "kind: Cluster\nnodes: [controller, {role: worker, managed: false}]\n",
        "kind: Cluster\nname: a\nname: b\n",
        "kind: Cluster\nslurm: {main: {a: x, a: y}}\n",
    ]);
    insta::assert_snapshot!(shown, @r#"
    kind: Cluster\nworker: 3\n
        dev.yaml:2:1: unknown key `worker`
        hint: known here: kind, name, realm, mtu, defaults, nodes, slurm, scheduler, placing, healing, ttl, constraints, sshKeys
    kind: Cluster\nnode:\n- controller\n
        dev.yaml:2:1: unknown key `node`
        hint: did you mean `nodes`?
    kind: Cluster\ndefaults:\n  memroy: 1g\n
        dev.yaml:3:3: unknown key `memroy`
        hint: did you mean `memory`?
    kind: Cluster\nslurm:\n  Main: x\n
        dev.yaml:3:3: unknown key `Main`
        hint: did you mean `main`?
    kind: Cluster\nnodes:\n- role: worker\n  cuont: 3\n
        dev.yaml:4:3: unknown key `cuont`
        hint: did you mean `count`?
    kind: Cluster\nzzz: 1\n
        dev.yaml:2:1: unknown key `zzz`
        hint: known here: kind, name, realm, mtu, defaults, nodes, slurm, scheduler, placing, healing, ttl, constraints, sshKeys
    kind: Cluster\n"a\e[31m": 1\n
        dev.yaml:2:1: unknown key `a\u{1b}[31m`
        hint: known here: kind, name, realm, mtu, defaults, nodes, slurm, scheduler, placing, healing, ttl, constraints, sshKeys
    kind: Cluster\nstorage:\n  dataStorage: {type: volume}\n
        dev.yaml:2:1: `storage` is known but not supported yet
        hint: remove it
    kind: Cluster\ndefaults: {capAdd: [SYS_ADMIN]}\n
        dev.yaml:2:12: `capAdd` is known but not supported yet
        hint: remove it
    kind: Cluster\nnodes: [controller, {role: worker, image: x}]\n
        dev.yaml:2:36: `image` is known but not supported yet
        hint: remove it
    kind: Cluster\nnodes: [controller, {role: worker, managed: false}]\n
        dev.yaml:2:36: `managed` is known but not supported yet
        hint: remove it
    kind: Cluster\nname: a\nname: b\n
        dev.yaml:3:1: `name` is there twice
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nslurm: {main: {a: x, a: y}}\n
        dev.yaml:2:22: `a` is there twice
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    "#);
}

#[test]
fn refusals_of_values() {
    let shown = refusals(&[
        "",
        "# nothing\n\n",
        "name: dev\n",
        "kind: Pod\n",
        "- kind: Cluster\n",
        "just text\n",
        "kind: Cluster\nname: Dev\n",
        "kind: Cluster\nname: [a]\n",
        "kind: Cluster\nrealm: ../etc\n",
        "kind: Cluster\nscheduler: best\n",
        "kind: Cluster\nconstraints: rack=b\n",
        "kind: Cluster\nconstraints: ['a b']\n",
        "kind: Cluster\nconstraints: ['=b']\n",
        "kind: Cluster\ndefaults: {cpus: 0}\n",
        "kind: Cluster\ndefaults: {cpus: -1}\n",
        "kind: Cluster\ndefaults: {cpus: true}\n",
        "kind: Cluster\ndefaults: {memory: 1.5g}\n",
        "kind: Cluster\ndefaults: {memory: 99999999t}\n",
        "kind: Cluster\ndefaults: {memory: 1k}\n",
        "kind: Cluster\ndefaults: {memory: .inf}\n",
        "kind: Cluster\ndefaults: {image: 'a b'}\n",
        "kind: Cluster\ndefaults: [1]\n",
        "kind: Cluster\nnodes: worker\n",
        "kind: Cluster\nnodes: [controller, worker: 0]\n",
        "kind: Cluster\nnodes: [controller, worker: -3]\n",
        "kind: Cluster\nnodes: [controller, worker: 99999999999]\n",
        "kind: Cluster\nnodes: [controller, worker: 2.5]\n",
        "kind: Cluster\nnodes: [controller, worker: many]\n",
        "kind: Cluster\nnodes: [controller, worker: ]\n",
        "kind: Cluster\nnodes: [controller, worker: 20000]\n",
        "kind: Cluster\nnodes: [controller, {worker: 2, memory: 1g}]\n",
        "kind: Cluster\nnodes: [controller: 2, worker]\n",
        "kind: Cluster\nnodes: [{role: controller, count: 1}, worker]\n",
        "kind: Cluster\nnodes: [{count: 3}]\n",
        "kind: Cluster\nnodes: [boss]\n",
        "kind: Cluster\nnodes: [{role: boss}]\n",
        "kind: Cluster\nnodes: [3]\n",
        "kind: Cluster\nnodes: [worker]\n",
        "kind: Cluster\nnodes: [controller]\n",
        "kind: Cluster\nnodes: [controller, controller, worker]\n",
        "kind: Cluster\nnodes: [controller, submitter, submitter, worker]\n",
        "kind: Cluster\nslurm: {main: ''}\n",
        "kind: Cluster\nslurm: {main: {a: ' '}}\n",
        "kind: Cluster\nslurm: {main: {'../x': y}}\n",
        "kind: Cluster\nslurm: {main: [x]}\n",
        "kind: Cluster\nslurm: {cpus: 0}\n",
        "kind: Cluster\nmtu: 575\n",
        "kind: Cluster\nmtu: [1400]\n",
        "kind: Cluster\nhealing: restart\n",
        "kind: Cluster\nhealing:\n  policy: always\n",
        "kind: Cluster\nhealing:\n  after: 8d\n",
        "kind: Cluster\nhealing:\n  after: 120\n",
        "kind: Cluster\nhealing: {afterwards: 2m}\n",
    ]);
    insta::assert_snapshot!(shown, @r#"
        dev.yaml: the configuration is empty
        hint: the least there can be is `kind: Cluster`
    # nothing\n\n
        dev.yaml: the configuration is empty
        hint: the least there can be is `kind: Cluster`
    name: dev\n
        dev.yaml:1:1: `kind` is missing
        hint: start with `kind: Cluster`
    kind: Pod\n
        dev.yaml:1:7: `Pod` is not Cluster
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    - kind: Cluster\n
        dev.yaml:1:1: expected keys with values
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    just text\n
        dev.yaml:1:1: expected keys with values
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nname: Dev\n
        dev.yaml:2:7: cluster name `Dev` is not usable: lower-case letters, digits and inner dashes only, starting with a letter
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nname: [a]\n
        dev.yaml:2:7: expected text
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nrealm: ../etc\n
        dev.yaml:2:8: realm name `../etc` is not usable: lower-case letters, digits and inner dashes only, starting with a letter
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nscheduler: best\n
        dev.yaml:2:12: `best` is not a scheduler: spread, round-robin, metadata, binpack, random, grpc://ADDRESS:PORT or grpc+unix:///PATH
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nconstraints: rack=b\n
        dev.yaml:2:14: expected a list
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nconstraints: ['a b']\n
        dev.yaml:2:15: `a b` is not a label expression: use k=v, k!=v, k in (a,b), k or !k
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nconstraints: ['=b']\n
        dev.yaml:2:15: in label expression `=b`: label key `` is not usable: 1 to 63 letters, digits, `.`, `_`, `-` or `/`, starting with a letter or digit
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\ndefaults: {cpus: 0}\n
        dev.yaml:2:18: `0` is out of range: more than 0, at most 1000000 CPUs
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\ndefaults: {cpus: -1}\n
        dev.yaml:2:18: `-1` is not a number of CPUs such as 2, 0.5 or 500m
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\ndefaults: {cpus: true}\n
        dev.yaml:2:12: expected a number of CPUs such as 2, 0.5 or 500m, found boolean `true`
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\ndefaults: {memory: 1.5g}\n
        dev.yaml:2:20: `1.5g` is not a size such as 512m, 64MiB or 2g
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\ndefaults: {memory: 99999999t}\n
        dev.yaml:2:20: `99999999t` is out of range: more than 0, at most 1024 TiB
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\ndefaults: {memory: 1k}\n
        dev.yaml: 1 KiB is too little memory for a controller: at least 64 MiB
        hint: change that in the configuration or on the command line
    kind: Cluster\ndefaults: {memory: .inf}\n
        dev.yaml:2:20: value `.inf` is not a finite number
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\ndefaults: {image: 'a b'}\n
        dev.yaml: `a b` is not an image reference
        hint: change that in the configuration or on the command line
    kind: Cluster\ndefaults: [1]\n
        dev.yaml:2:11: expected keys with values
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nnodes: worker\n
        dev.yaml:2:8: expected a list
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nnodes: [controller, worker: 0]\n
        dev.yaml:2:29: 0 is not a whole number from 1 to 4294967295
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nnodes: [controller, worker: -3]\n
        dev.yaml:2:29: -3 is not a whole number from 1 to 4294967295
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nnodes: [controller, worker: 99999999999]\n
        dev.yaml:2:29: 99999999999 is not a whole number from 1 to 4294967295
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nnodes: [controller, worker: 2.5]\n
        dev.yaml:2:21: expected a whole number from 1, found floating point `2.5`
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nnodes: [controller, worker: many]\n
        dev.yaml:2:21: expected a whole number from 1, found string "many"
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nnodes: [controller, worker: ]\n
        dev.yaml:2:21: expected a whole number from 1, found nothing
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nnodes: [controller, worker: 20000]\n
        dev.yaml: 20001 nodes are too many for one cluster: at most 10000
        hint: change that in the configuration or on the command line
    kind: Cluster\nnodes: [controller, {worker: 2, memory: 1g}]\n
        dev.yaml:2:21: `memory` cannot stand beside `worker: 2`: write role and count by name
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nnodes: [controller: 2, worker]\n
        dev.yaml:2:9: only workers have a count, a cluster has one controller
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nnodes: [{role: controller, count: 1}, worker]\n
        dev.yaml:2:9: only workers have a count, a cluster has one controller
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nnodes: [{count: 3}]\n
        dev.yaml:2:10: `role` is missing
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nnodes: [boss]\n
        dev.yaml:2:9: `boss` is not a role: controller, submitter, api or worker
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nnodes: [{role: boss}]\n
        dev.yaml:2:16: `boss` is not controller or submitter or api or worker
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nnodes: [3]\n
        dev.yaml:2:9: expected `controller`, `worker: 3` or `{ role: worker, count: 3 }`, found integer `3`
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nnodes: [worker]\n
        dev.yaml: a cluster has exactly one controller, not 0
        hint: change that in the configuration or on the command line
    kind: Cluster\nnodes: [controller]\n
        dev.yaml: a cluster needs at least one worker
        hint: change that in the configuration or on the command line
    kind: Cluster\nnodes: [controller, controller, worker]\n
        dev.yaml: a cluster has exactly one controller, not 2
        hint: change that in the configuration or on the command line
    kind: Cluster\nnodes: [controller, submitter, submitter, worker]\n
        dev.yaml: a cluster has at most one submitter, not 2
        hint: change that in the configuration or on the command line
    kind: Cluster\nslurm: {main: ''}\n
        dev.yaml:2:15: the text is empty
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nslurm: {main: {a: ' '}}\n
        dev.yaml:2:19: the text is empty
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nslurm: {main: {'../x': y}}\n
        dev.yaml: slurm.main fragment `../x` is not usable: a plain name and at most 1 MiB of text without NUL
        hint: change that in the configuration or on the command line
    kind: Cluster\nslurm: {main: [x]}\n
        dev.yaml:2:15: expected text, or a map of names to text, found sequence
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nslurm: {cpus: 0}\n
        dev.yaml:2:15: 0 is not a whole number from 1 to 4294967295
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nmtu: 575\n
        dev.yaml:2:6: `575` is not an MTU for nodes: 576 to 65485 bytes
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nmtu: [1400]\n
        dev.yaml:2:1: expected a number of bytes such as 1400, found sequence
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nhealing: restart\n
        dev.yaml:2:10: expected keys with values
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nhealing:\n  policy: always\n
        dev.yaml:3:11: `always` is not a healing policy: default, none, restart or reschedule
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nhealing:\n  after: 8d\n
        dev.yaml:3:10: not a time from 0s to 7d, such as 90s, 2m or 1h
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nhealing:\n  after: 120\n
        dev.yaml:3:10: not a time from 0s to 7d, such as 90s, 2m or 1h
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nhealing: {afterwards: 2m}\n
        dev.yaml:2:11: unknown key `afterwards`
        hint: did you mean `after`?
    "#);
}

#[test]
fn refusals_of_yaml() {
    let bomb = "kind: Cluster\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nname: *b\n";
    let laughs = format!("kind: Cluster\nconstraints: [&a gpu, {}]\n", "*a, ".repeat(20_000));
    let shown = refusals(&[
        "kind: Cluster\n\tname: x\n",
        "kind: [Cluster\n",
        "kind: Cluster\nname: *nowhere\n",
        "kind: Cluster\n---\nkind: Cluster\n",
        "kind: Cluster\nnodes: [controller, {role: worker, count: &c 0, cpus: *c}]\n",
        &format!("kind: Cluster\nslurm: {{main: {}{}}}\n", "[".repeat(5000), "]".repeat(5000)),
        &format!("kind: Cluster\nslurm:\n  main: {}1\n", "{a: ".repeat(40)),
        bomb,
        &laughs,
    ]);
    insta::assert_snapshot!(shown, @r"
    kind: Cluster\n\tname: x\n
        dev.yaml:1:7: while scanning a plain scalar, found a tab
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: [Cluster\n
        dev.yaml:1:7: expected a word
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nname: *nowhere\n
        dev.yaml:2:7: reference to unknown value
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\n---\nkind: Cluster\n
        dev.yaml:3:1: only one document is expected
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nnodes: [controller, {role: worker, count: &c 0, cpus: *c}]\n
        dev.yaml:2:46: 0 is not a whole number from 1 to 4294967295
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nslurm: {main: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[
        dev.yaml:2:30: recursion limit exceeded
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nslurm:\n  main: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a:
        dev.yaml:3:13: expected text
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nname: *b\n
        dev.yaml:2:1: unknown key `a`
        hint: known here: kind, name, realm, mtu, defaults, nodes, slurm, scheduler, placing, healing, ttl, constraints, sshKeys
    kind: Cluster\nconstraints: [&a gpu, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, 
        dev.yaml:2:18: aliases stand for too much
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    ");
}

/// Configurations as people write them (`good-*`) and as nobody should (`bad-*`), each read or refused in one line.
#[test]
fn the_corpus_is_told_apart() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/config");
    let mut files = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let outcome = spec_with(&std::fs::read_to_string(&path).unwrap(), Overrides::default());
        assert_eq!(outcome.is_ok(), name.starts_with("good-"), "{name}: {outcome:?}");
        if let Err(error) = outcome {
            assert!(!chain(&error).contains('\n'), "{name}");
        }
        files += 1;
    }
    assert!(files >= 10, "{dir} has only {files} files");
}

proptest! {
    #[test]
    fn near_configurations_too(at in any::<prop::sample::Index>(), gone in 0..8_usize, new in "[a-z:{}\\[\\]&*!|>'\"#,0-9 \n\t-]{0,8}") {
        let mut text = include_str!("../../corpus/config/good-everything.yaml").to_owned();
        let at = at.index(text.len());
        text.replace_range(at..(at + gone).min(text.len()), &new);
        if let Err(error) = spec_with(&text, Overrides::default()) {
            prop_assert!(!chain(&error).contains('\n'));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(kind: Cluster\n)?[a-z:{}\\[\\]&*!|>'\"#,0-9 \n\t-]{0,200}") {
        if let Err(error) = spec_with(&text, Overrides::default()) {
            prop_assert!(!chain(&error).contains('\n'));
        }
    }

    #[test]
    fn any_bytes_as_a_value(value in "\\PC{0,80}") {
        let _ = spec_with(&format!("kind: Cluster\nname: {value}\n"), Overrides::default());
    }
}

#[test]
fn rules_of_placing() {
    let spec = spec(
        "kind: Cluster\nscheduler: grpc://localhost:7070\nplacing:\n  apart: [controller]\n  preferApart: [worker]\n  \
         maxPerHost: 2\n  spreadOver: rack\n  pins: ['controller=h1', 'worker-0=h2']\n  schedulerTimeout: 2s\n  \
         schedulerFallback: binpack\n",
    );
    let placing = &spec.placing;
    assert_eq!(spec.scheduler.to_string(), "grpc://127.0.0.1:7070");
    assert_eq!((&placing.apart, &placing.prefer_apart), (&[Role::Controller].into(), &[Role::Worker].into()));
    assert_eq!(placing.spread_over.as_ref().map(ToString::to_string).as_deref(), Some("rack"));
    assert_eq!((placing.pins.len(), placing.scheduler_timeout_ms), (2, Some(2000)));
    assert_eq!(placing.scheduler_fallback, Some(Strategy::Binpack));
}

#[test]
fn rules_of_placing_that_cannot_be_are_told_with_their_line() {
    let refused = |section: &str| {
        let text = format!("kind: Cluster\nplacing:\n  {section}\n");
        spec_with(&text, Overrides::default()).map(drop).unwrap_err()
    };
    for (section, message) in [
        ("apart: [boss]", "`boss` is not a role"),
        ("maxPerHost: 0", "is not a whole number from 1"),
        ("spreadOver: 'a b'", "label"),
        ("pins: [controller]", "a pin is NODES=HOST"),
        ("pins: ['worker-[0=h']", "brackets"),
        ("schedulerTimeout: 1h", "not a time from 1ms to 5m"),
        ("schedulerFallback: best", "not fail"),
        ("maxPerHots: 2", "unknown key `maxPerHots`"),
    ] {
        let shown = refused(section);
        let text = shown.to_string();
        assert!(text.contains(":3:") && text.contains(message), "{section}: {text}");
    }
    for (section, message) in [
        ("pins: ['worker-7=h1']", "the cluster has no such node"),
        ("schedulerFallback: spread", "for a scheduler of your own"),
    ] {
        let text = chain(&refused(section));
        assert!(text.contains(message), "{section}: {text}");
    }
}

const SIND: &str = "kind: Cluster
nodes:
  - controller
  - role: worker
    count: 2
    slurm: { gres: 'gpu:a100:2,fpga', features: [big, fast], weight: 10, cpus: 16, memory: 64g }
  - worker: 1
slurm:
  gres: gpu:1
  main: |

    # theirs
    MaxJobCount=10
    SlurmdTimeout=30
  cgroup: \"ConstrainCores=no\\n\"
  topology:
    b: SwitchName=s1 Nodes=worker-1
    a: |
      SwitchName=s0 Nodes=worker-0
  plugstack: optional none.so
  files:
    prolog.sh: |
      #!/bin/sh
      true
";

#[test]
fn what_slurm_is_told_of_nodes_and_files() {
    let spec = spec(SIND);
    let told = |group: usize| &spec.groups[group].slurm;
    let shown = |group: usize| told(group).gres.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(told(0).is_empty(), "a controller runs no jobs");
    assert_eq!((shown(1), shown(2)), (vec!["gpu:a100:2".into(), "fpga:1".into()], vec!["gpu:1".to_owned()]));
    assert_eq!(told(1).features.iter().map(ToString::to_string).collect::<Vec<_>>(), ["big", "fast"]);
    assert_eq!((told(1).weight, told(1).cpus, told(1).memory), (Some(10), Some(16), Some(Bytes::mib(65536))));
    let files = &spec.slurm.files;
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        ["cgroup.conf", "plugstack.conf", "prolog.sh", "topology.conf"]
    );
    assert_eq!(
        files["topology.conf"],
        "# a\nSwitchName=s0 Nodes=worker-0\n# b\nSwitchName=s1 Nodes=worker-1\n"
    );
    let line = |text: &str, line: usize| spec.slurm.places[text].line_of(line);
    assert_eq!((line("slurm.main", 1), line("slurm.main", 4)), (11, 14), "blank lines count");
    assert_eq!((line("slurm.files.cgroup.conf", 1), line("slurm.files.prolog.sh", 2)), (15, 24));
}

#[test]
fn a_file_is_given_by_its_path_too() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("site.conf"), "MaxJobCount=10\nSlurmUser=me\n").unwrap();
    let yaml = dir.path().join("dev.yaml");
    let read = |text: &str| {
        std::fs::write(&yaml, text).unwrap();
        let source = Source::File(yaml.clone());
        let document = Document::load(&source)?;
        cluster_spec(&source.name(), document, Overrides::default(), RealmName::default(), "image")
    };
    let text = "kind: Cluster\nslurm: { main: Include site.conf, files: { site.conf: ./site.conf } }\n";
    let told = read(text).unwrap_err().to_string().replace(&dir.path().display().to_string(), "DIR");
    assert!(told.starts_with("DIR/./site.conf:2: `SlurmUser` is Shoal's"), "{told}");
    for name in ["submit.lua", "scripts/submit"] {
        let text = format!("kind: Cluster\nslurm:\n  files:\n    job_submit.lua: {name}\n");
        let told = read(&text).unwrap_err().to_string();
        assert!(told.contains(&format!("dev.yaml:4:21: `{name}` is text here")), "{told}");
        assert!(told.contains(&format!("write `./{name}`")), "{told}");
    }
    let missing = "kind: Cluster\nslurm:\n  files:\n    x: ../nowhere/x\n";
    let told = read(missing).unwrap_err().to_string();
    assert!(told.contains("dev.yaml:4:8: cannot read") && told.contains("No such file"), "{told}");
}

#[test]
fn refusals_of_what_slurm_is_told() {
    let shown = refusals(&[
        "kind: Cluster\nslurm:\n  main: |\n    MaxJobCount=1\n    SlurmctldHost=a\n    NodeName=worker-0 Feature=big Weight=10\n",
        "kind: Cluster\nslurm: {main: \"A=1\\nAccountingStorageType=accounting_storage/slurmdbd\"}\n",
        "kind: Cluster\nslurm: {main: {x: JobSubmitPlugins=lua}}\n",
        "kind: Cluster\nslurm: {cgroup: A=1, files: {cgroup.conf: B=1}}\n",
        "kind: Cluster\nslurm: {gres: 'gpu:many'}\n",
        "kind: Cluster\nslurm: {files: {'../x': y}}\n",
        "kind: Cluster\nnodes: [{role: controller, slurm: {weight: 2}}, worker]\n",
        "kind: Cluster\nnodes: [controller, {role: worker, slurm: {features: ['a b']}}]\n",
    ]);
    insta::assert_snapshot!(shown, @r#"
    kind: Cluster\nslurm:\n  main: |\n    MaxJobCount=1\n    SlurmctldHost=a\n    NodeName=worker-0 Feature=b
        dev.yaml:5: `SlurmctldHost` is Shoal's: the controller is a node of the cluster, and its address is given out when the cluster is admitted; remove the line
      dev.yaml:6: `NodeName` is Shoal's: a line for every worker is written, and Slurm takes one for each; write of a group of nodes `- {role: worker, slurm: {features: [big], weight: 10}}`
        hint: docs/slurm-keys.md says what each key is; `shoal validate FILE` checks a file and creates nothing
    kind: Cluster\nslurm: {main: "A=1\nAccountingStorageType=accounting_storage/slurmdbd"}\n
        dev.yaml:2: `AccountingStorageType` is Shoal's: no role keeps Slurm's accounts: there is no database; write `AccountingStorageType=accounting_storage/none`, or nothing (`JobCompType=jobcomp/filetxt` keeps a list of jobs)
        hint: docs/slurm-keys.md says what each key is; `shoal validate FILE` checks a file and creates nothing
    kind: Cluster\nslurm: {main: {x: JobSubmitPlugins=lua}}\n
        dev.yaml:2: `JobSubmitPlugins=lua` reads job_submit.lua, which is not given; write its text or path under `slurm.files`: `job_submit.lua: ./job_submit.lua`
        hint: docs/slurm-keys.md says what each key is; `shoal validate FILE` checks a file and creates nothing
    kind: Cluster\nslurm: {cgroup: A=1, files: {cgroup.conf: B=1}}\n
        dev.yaml:2:1: cgroup.conf is there twice: here and in `files`
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nslurm: {gres: 'gpu:many'}\n
        dev.yaml:2:15: `gpu:many` is no resource of a node: `NAME:COUNT` or `NAME:TYPE:COUNT` such as `gpu:2` or `gpu:a100:2`, with a count from 1 to 1024
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    kind: Cluster\nslurm: {files: {'../x': y}}\n
        dev.yaml: slurm.files `../x` is not usable: a name such as `job_submit.lua` or `scripts/prolog`, and at most 1 MiB of text without NUL
        hint: change that in the configuration or on the command line
    kind: Cluster\nnodes: [{role: controller, slurm: {weight: 2}}, worker]\n
        dev.yaml: a controller runs no jobs: `slurm` is for workers
        hint: change that in the configuration or on the command line
    kind: Cluster\nnodes: [controller, {role: worker, slurm: {features: ['a b']}}]\n
        dev.yaml:2:54: `a b` is no feature: a word of letters, digits, `_`, `-` and `.`, at most 32
        hint: correct that line; `shoal validate FILE` checks it and creates nothing
    "#);
}
