//! The published schema and reference of the configuration: rendered from the types that read it, and tested against
//! documents that these types accept and refuse.

use std::{borrow::Cow, fmt::Write};

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value};
use shoal_types::{
    ClusterMtu, Feature, Gres, HealingPolicy, LabelKey, Pin, Role, RoleCount, SchedulerName, Strategy,
};

use super::{
    Document, Source,
    healing::{Copies, HealAfter},
    node::Node,
    placing::{Fallback, Limit},
    slurm::{Fragments, GresSetting, GroupSlurm, Text, Words},
    ttl::Ttl,
    value::{Constraint, Count, Cpus, Mtu, Size, SshKey, Word},
};
use crate::generated::assert_published;

/// Gives a type that reads itself a schema in place: no definition of its own.
macro_rules! schema {
    ($type:ty, $name:literal, $schema:expr) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let schema: fn(&mut SchemaGenerator) -> Schema = $schema;
                schema(generator)
            }
        }
    };
}

schema!(Size, "Size", |_| json_schema!({
    "title": "size: `512m`, `64MiB`, `2g`, or bytes",
    "type": ["string", "integer"],
    "pattern": "^[0-9]{1,18}([bB]|[kKmMgGtT]([iI]?[bB]?))?$",
    "minimum": 1,
}));
schema!(Cpus, "Cpus", |_| json_schema!({
    "title": "CPUs: `2`, `0.5`, `500m`",
    "type": ["string", "number"],
    "pattern": "^[0-9]{1,12}(m|\\.[0-9]{1,3})?$",
    "exclusiveMinimum": 0,
}));
schema!(Mtu, "Mtu", |_| {
    let (least, most) = (ClusterMtu::LEAST.get(), ClusterMtu::MOST.get());
    json_schema!({
        "title": format!("whole number from {least} to {most}"),
        "type": ["integer", "string"],
        "pattern": "^[0-9]{3,5}$",
        "minimum": least,
        "maximum": most,
    })
});
schema!(Constraint, "Constraint", |_| json_schema!({
    "title": "label expression: `rack=b`, `rack in (a,b)`, `gpu`, `!old`",
    "type": "string",
}));
schema!(SshKey, "SshKey", |_| json_schema!({
    "title": "public key in OpenSSH's form: `ssh-ed25519 AAAA... ann@desk`",
    "type": "string",
}));
schema!(Count, "Count", |_| json_schema!({
    "title": "whole number from 1",
    "type": "integer",
    "minimum": 1,
    "maximum": u32::MAX,
}));
schema!(Fragments, "Fragments", |_| json_schema!({
    "title": "text, or a map of names to text",
    "anyOf": [
        { "type": "string", "pattern": "\\S" },
        { "type": "object", "additionalProperties": { "type": "string", "pattern": "\\S" } },
    ],
}));

schema!(GresSetting, "GresSetting", |_| json_schema!({
    "title": "`gpu:2`, `gpu:a100:2`, a list of such, or text (or a map of names to text) for gres.conf",
    "anyOf": [
        { "type": "string", "pattern": "\\S" },
        { "type": "array", "items": { "type": "string", "pattern": GRES } },
        { "type": "object", "additionalProperties": { "type": "string", "pattern": "\\S" }, "minProperties": 1 },
    ],
}));
schema!(Text, "Text", |_| json_schema!({
    "title": "text, or a path that begins with `/`, `./` or `../`",
    "type": "string",
    "pattern": "\\S",
}));
schema!(Words<Gres>, "Gres", |_| words("`gpu:2`, `gpu:a100:2`, or a list of such", GRES));
schema!(Words<Feature>, "Features", |_| words("a word, or a list of words", WORD));

/// A generic resource of a node.
const GRES: &str = "^[A-Za-z][A-Za-z0-9_.-]*(:[A-Za-z][A-Za-z0-9_.-]*)?(:[0-9]{1,4})?$";
/// A time: a number with a unit; the reader checks the rest.
const TIME: &str = r"^\+?[0-9]+([.,][0-9]+)?\s*(:|[a-zµ])";
/// A feature of a node.
const WORD: &str = "^[A-Za-z][A-Za-z0-9_.-]*$";

/// Words divided by commas, or a list.
fn words(title: &str, pattern: &str) -> Schema {
    json_schema!({
        "title": title,
        "anyOf": [{ "type": "string", "pattern": "\\S" }, { "type": "array", "items": { "type": "string", "pattern": pattern } }],
    })
}

/// What one word stands for.
trait Named {
    fn schema() -> Schema;
}

impl<T: Named> JsonSchema for Word<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        T::schema()
    }
}

impl Named for Role {
    fn schema() -> Schema {
        let roles: Vec<_> = Self::ALL.iter().map(ToString::to_string).collect();
        json_schema!({ "title": roles.join(", "), "enum": roles })
    }
}

impl Named for LabelKey {
    fn schema() -> Schema {
        json_schema!({ "title": "key of a label: `rack`", "type": "string", "minLength": 1 })
    }
}

impl Named for Pin {
    fn schema() -> Schema {
        json_schema!({ "title": "NODES=HOST: `worker-[0-3]=host2`", "type": "string", "pattern": "^[^=]+=[^=]+$" })
    }
}

impl Named for Limit {
    fn schema() -> Schema {
        json_schema!({ "title": "a time from 1ms to 5m: `2s`", "type": "string", "pattern": TIME })
    }
}

impl Named for HealAfter {
    fn schema() -> Schema {
        json_schema!({ "title": "a time from 0s to 7d: `2m`", "type": "string", "pattern": TIME })
    }
}

impl Named for Ttl {
    fn schema() -> Schema {
        json_schema!({ "title": "a time from 1m to 365d: `4h`", "type": "string", "pattern": TIME })
    }
}

impl Named for Copies {
    fn schema() -> Schema {
        json_schema!({
            "title": "a time from 10s to 1h, or none: `60s`",
            "anyOf": [{ "const": "none" }, { "type": "string", "pattern": TIME }],
        })
    }
}

impl Named for HealingPolicy {
    fn schema() -> Schema {
        let words = Self::ALL.map(Self::as_str);
        json_schema!({ "title": words.join(", "), "enum": words })
    }
}

impl Named for Fallback {
    fn schema() -> Schema {
        let names: Vec<_> =
            ["fail".to_owned()].into_iter().chain(Strategy::ALL.iter().map(ToString::to_string)).collect();
        json_schema!({ "title": names.join(", "), "enum": names })
    }
}

impl Named for SchedulerName {
    fn schema() -> Schema {
        let names: Vec<_> = Strategy::ALL.iter().map(ToString::to_string).collect();
        json_schema!({
            "title": format!("{}, or the address of a program: `grpc://127.0.0.1:7000`", names.join(", ")),
            "anyOf": [{ "enum": names }, { "type": "string", "pattern": "^grpc[a-z+]*://" }],
        })
    }
}

impl JsonSchema for Node {
    fn schema_name() -> Cow<'static, str> {
        "Node".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let of = |what: &str, mut schema: Schema| {
            schema.insert("description".into(), what.into());
            schema.to_value()
        };
        let (count, cpus, size) = (
            Count::json_schema(generator),
            <Option<Cpus>>::json_schema(generator),
            <Option<Size>>::json_schema(generator),
        );
        let constraints = <Option<Vec<Constraint>>>::json_schema(generator);
        let slurm = generator.subschema_for::<Option<GroupSlurm>>();
        let role = <Role as Named>::schema();
        let count_of = |role: Role| match role.count() {
            RoleCount::Many => count.clone().to_value(),
            RoleCount::One | RoleCount::AtMostOne => serde_json::json!({ "const": 1 }),
        };
        let counts: Map<_, _> =
            Role::ALL.map(|role| (role.to_string(), count_of(role))).into_iter().collect();
        json_schema!({
            "description": "A role (`controller`), a role and how many (`worker: 3`), or everything by name.",
            "anyOf": [
                role,
                { "type": "object", "properties": counts,
                  "additionalProperties": false, "minProperties": 1, "maxProperties": 1 },
                { "type": "object",
                  "properties": {
                      "role": of("What they do.", role.clone()),
                      "count": of("How many; only workers have a count. 1 if left out.", count.clone()),
                      "cpus": of("CPUs of each: reserved on its host, and its limit.", cpus),
                      "memory": of("Memory of each: reserved on its host, and its limit.", size.clone()),
                      "tmpSize": of("Size of `/tmp` of each.", size.clone()),
                      "shmSize": of("Size of `/dev/shm` of each; half of its memory if left out.", size),
                      "constraints": of("Conditions on their hosts, besides the cluster's.", constraints),
                      "slurm": of("What Slurm is told of each; only for workers.", slurm),
                  },
                  "required": ["role"], "additionalProperties": false },
            ],
        })
    }
}

fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Document>();
    schema.insert("title".into(), "A cluster of Shoal".into());
    schema.to_value()
}

/// A table of keys for each section of the configuration.
fn reference(schema: &Value) -> String {
    let mut text = HEAD.to_owned();
    let node = &schema["$defs"]["Node"]["anyOf"][2];
    let sections = [
        ("The cluster", schema),
        ("`defaults`", &schema["$defs"]["Defaults"]),
        ("An entry of `nodes`", node),
        ("`placing`", &schema["$defs"]["PlacingSection"]),
        ("`healing`", &schema["$defs"]["HealingSection"]),
        ("`slurm`", &schema["$defs"]["Slurm"]),
        ("`slurm` of an entry of `nodes`", &schema["$defs"]["GroupSlurm"]),
    ];
    for (title, section) in sections {
        write!(text, "\n## {title}\n\n| key | is | takes |\n|---|---|---|\n").unwrap();
        for (key, value) in section["properties"].as_object().unwrap() {
            let is = value["description"].as_str().unwrap_or_default().replace('\n', " ");
            writeln!(text, "| `{key}` | {is} | {} |", takes(value).replace('|', "\\|")).unwrap();
        }
    }
    text
}

/// What may stand there, in words.
fn takes(schema: &Value) -> String {
    if let Some(title) = schema["title"].as_str() {
        return title.to_owned();
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return match name {
            "Node" => "[an entry of `nodes`](#an-entry-of-nodes)".to_owned(),
            "PlacingSection" => "[a section](#placing)".to_owned(),
            "HealingSection" => "[a section](#healing)".to_owned(),
            "GroupSlurm" => "[a section](#slurm-of-an-entry-of-nodes)".to_owned(),
            section => format!("[a section](#{})", section.to_lowercase()),
        };
    }
    if let Some(list) = schema["items"].as_object() {
        return format!("list: {}", takes(&Value::Object(list.clone())));
    }
    let choices = schema["anyOf"].as_array().into_iter().flatten();
    let words: Vec<_> = choices.filter(|choice| choice["type"] != "null").map(takes).collect();
    let names = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let names: Vec<_> = names.chain(schema["const"].as_str()).map(|name| format!("`{name}`")).collect();
    match (words.as_slice(), names.as_slice()) {
        ([], []) => "text".to_owned(),
        ([], names) => names.join(", "),
        (words, _) => words.join(", or "),
    }
}

const HEAD: &str = "\
# Configuration

`shoal create cluster --config FILE` reads YAML. Flags override the file, the file overrides defaults. Unknown keys are refused, with their line and the nearest known key.
`shoal validate FILE` checks a file without store, host or network.
[What each key of slurm.conf is](slurm-keys.md) says which of them are followed, replaced or refused.
[A JSON Schema](schema/cluster.json) lets an editor check it: `# yaml-language-server: $schema=.../cluster.json` as its first line.
";

#[test]
fn what_is_published_is_what_is_read() {
    let schema = schema();
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    assert_published("schema", ".json", &[("cluster.json".to_owned(), text)].into());
    assert_published("", "configuration.md", &[("configuration.md".to_owned(), reference(&schema))].into());
}

#[test]
fn every_key_of_slurm_conf_is_as_the_table_has_it() {
    let page = shoal_slurm::reference();
    assert_published("", "slurm-keys.md", &[("slurm-keys.md".to_owned(), page)].into());
}

#[test]
fn the_schema_and_the_reader_agree() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (text, fine) in [
        ("", true),
        ("name: dev\nrealm: lab\nscheduler: metadata\nconstraints: ['rack in (a,b)']", true),
        ("defaults: { image: 'own:1', cpus: 0.5, memory: 128m, tmpSize: 16777216 }", true),
        ("nodes: [controller, {worker: 3}, {role: worker, count: 2, cpus: 500m, memory: 1GiB}]", true),
        ("nodes: [{role: worker, tmpSize: 64Mi, constraints: [gpu, '!old']}]\ndefaults:", true),
        ("slurm: { cpus: 128, memory: 512g, main: { limits: 'MaxJobCount=10' } }", true),
        ("slurm: { main: 'MaxJobCount=10' }", true),
        ("mtu: 1400", true),
        ("mtu: 575", false),
        ("mtu: 65486", false),
        ("mtu: auto", false),
        ("mtu: 1400.5", false),
        (
            "placing: { apart: [controller], maxPerHost: 4, spreadOver: rack, pins: ['controller=host1'] }",
            true,
        ),
        ("placing: { preferApart: [worker], schedulerTimeout: 2s, schedulerFallback: spread }", true),
        ("placing: { schedulerTimeout: 1.5 s }", true),
        ("placing: { schedulerTimeout: '0:01:30' }", true),
        ("healing: { policy: none }", true),
        ("healing: { policy: reschedule, after: 90s }", true),
        ("healing:", true),
        ("healing: none", false),
        ("healing: { policy: often }", false),
        ("healing: { after: 120 }", false),
        ("healing: { copies: none }", true),
        ("healing: { copies: 5m }", true),
        ("healing: { copies: 60 }", false),
        ("healing: { when: 2m }", false),
        ("ttl: 4h", true),
        ("ttl: 4", false),
        ("ttl: never", false),
        ("scheduler: grpc://127.0.0.1:7000", true),
        ("scheduler: best", false),
        ("placing: { maxPerHost: 0 }", false),
        ("placing: { apart: [king] }", false),
        ("placing: { pins: [host1] }", false),
        ("placing: { schedulerTimeout: 2 }", false),
        ("placing: { schedulerTimeout: '2' }", false),
        ("placing: { schedulerFallback: best }", false),
        ("colour: red", false),
        ("defaults: { memory: 12parsecs }", false),
        ("defaults: { cpus: many }", false),
        ("nodes: [king]", false),
        ("nodes: [{worker: 0}]", false),
        ("nodes: [{worker: 3, count: 2}]", false),
        ("nodes: [{controller: 2}]", false),
        ("nodes: [{count: 2}]", false),
        ("nodes: [{role: worker, speed: 2}]", false),
        ("slurm: { main: ' ' }", false),
        ("slurm: { gres: 'gpu:a100:2', cgroup: 'ConstrainCores=no', files: { a.conf: 'x' } }", true),
        ("slurm: { gres: [gpu:2, fpga:1], topology: { a: 'SwitchName=s Nodes=worker-0' } }", true),
        ("slurm: { gres: 'Name=gpu File=/dev/nvidia0', plugstack: 'optional x.so' }", true),
        (
            "nodes: [controller, { role: worker, slurm: { cpus: 2, memory: 1g, gres: gpu, features: [a, b], weight: 3 } }]",
            true,
        ),
        ("nodes: [{ role: worker, slurm: { speed: 3 } }]", false),
        ("nodes: [{ role: worker, slurm: { weight: 0 } }]", false),
        ("slurm: { gres: ['2'] }", false),
        ("slurm: { gres: {} }", false),
        ("slurm: { files: { a.conf: ' ' } }", false),
        ("slurm: { cpus: 0 }", false),
    ] {
        let text = &format!("kind: Cluster\n{text}");
        let value: Value = serde_saphyr::from_str(text).unwrap();
        assert_eq!(Document::parse(&Source::File("dev.yaml".into()), text).is_ok(), fine, "reader: {text}");
        let faults: Vec<_> = validator.iter_errors(&value).map(|fault| fault.to_string()).collect();
        assert_eq!(faults.is_empty(), fine, "schema: {text}: {faults:?}");
    }
}
