//! Every fate, and why; the limit; the order.

use std::collections::{BTreeMap, BTreeSet};

use shoal_docker::{ContainerState, ContainerSummary, ImageSummary, NetworkInfo, VolumeInfo};
use shoal_storage::{NewRemnant, Remnant};
use shoal_types::{Bytes, InstallationId, NetworkId, RealmName, Role};

use crate::drive::sweep::known::{KnownCluster, Place};

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const GRACE: Duration = Duration::from_secs(300);
const BUILD_HERE: &str = "abc";

pub(crate) fn naming() -> Naming {
    Naming::new(InstallationId::new([0x3f, 0xa9, 0xc1]))
}

pub(crate) fn host(n: u8) -> HostId {
    HostId::new(1, [n; 10])
}

pub(crate) fn cluster(n: u8) -> ClusterId {
    ClusterId::new(1, [n; 10])
}

pub(crate) fn node(n: u8) -> NodeId {
    NodeId::new(1, [n; 10])
}

fn network(n: u8) -> NetworkId {
    NetworkId::new(1, [n; 10])
}

pub(crate) fn vni(n: u32) -> Vni {
    Vni::try_from(u64::from(n)).unwrap()
}

fn long_ago() -> Option<Timestamp> {
    Some(Timestamp(NOW.0 - 3_600_000))
}

pub(crate) fn listing(n: u8, things: Vec<Thing>) -> Listing {
    let name = format!("host{n}").parse().unwrap();
    Listing { host: host(n), name, build: Some(BUILD_HERE.into()), things, agent_asked: true, at: NOW }
}

fn labelled(name: &str, labels: BTreeMap<String, String>) -> Thing {
    Thing::Container(ContainerSummary {
        id: format!("id of {name}"),
        name: name.into(),
        labels,
        state: ContainerState::Running,
        image_id: "sha256:node".into(),
        created: long_ago(),
        attachments: vec![],
    })
}

pub(crate) fn container(of: u8, n: u8, generation: u64) -> Thing {
    let labels = naming().node_labels(
        cluster(of),
        &RealmName::default(),
        node(n),
        Role::Worker,
        Generation(generation),
    );
    labelled(&format!("worker-{n}"), labels)
}

fn of_role(role: &str) -> Thing {
    let mut labels = naming().agent_labels(BUILD_HERE);
    labels.insert(ROLE.into(), role.into());
    labelled(role, labels)
}

pub(crate) fn docker_network(of: u8) -> Thing {
    Thing::Network(NetworkInfo {
        id: format!("network of {of}"),
        name: format!("c{of}"),
        labels: naming().cluster_labels(cluster(of), &RealmName::default()),
        driver: "bridge".into(),
        subnets: vec![],
        gateway: None,
        mtu: None,
        bridge: None,
        created: long_ago(),
    })
}

fn volume_with(labels: BTreeMap<String, String>) -> Thing {
    Thing::Volume(VolumeInfo { name: "state".into(), labels, created: long_ago() })
}

pub(crate) fn volume(of: u8) -> Thing {
    volume_with(naming().cluster_labels(cluster(of), &RealmName::default()))
}

pub(crate) fn mesh(n: u8) -> Thing {
    let (device, bridge) = (naming().device(vni(n.into())), naming().bridge(vni(n.into())));
    Thing::Mesh { network: network(n), device, bridge }
}

pub(crate) fn device(n: u32) -> Thing {
    Thing::Device { name: naming().device(vni(n)) }
}

fn image(build: &str) -> Thing {
    let labels = naming().agent_labels(build);
    let repo_tags = vec![format!("shoal-agent:{build}")];
    Thing::Image(ImageSummary { id: format!("sha256:{build}"), labels, repo_tags, size: Bytes::mib(30) })
}

fn at(thing: Thing, created: Option<Timestamp>) -> Thing {
    match thing {
        Thing::Container(c) => Thing::Container(ContainerSummary { created, ..c }),
        Thing::Network(n) => Thing::Network(NetworkInfo { created, ..n }),
        Thing::Volume(v) => Thing::Volume(VolumeInfo { created, ..v }),
        other @ (Thing::Mesh { .. } | Thing::Device { .. } | Thing::Image(_)) => other,
    }
}

/// Cluster 1 with node 1 of generation 2 on host 1 and node 2 of generation 1 on host 2, network and VNI 1; cluster 9 was
/// deleted.
pub(crate) fn known() -> StoreView {
    let place =
        |h, generation| Place { cluster: cluster(1), host: host(h), generation: Generation(generation) };
    StoreView {
        clusters: [(cluster(1), KnownCluster { hosts: [host(1), host(2)].into(), busy: None })].into(),
        nodes: [(node(1), place(1, 2)), (node(2), place(2, 1))].into(),
        networks: [(network(1), cluster(1))].into(),
        vnis: [(vni(1), cluster(1))].into(),
        deleted: BTreeSet::from([cluster(9)]),
        remnants: vec![],
    }
}

pub(crate) fn remnant(of: u8, node: Option<NodeId>, n: u32) -> Remnant {
    let what = NewRemnant {
        host: host(1),
        cluster: cluster(of),
        realm: RealmName::default(),
        name: "dev".parse().unwrap(),
        node,
        vni: vni(n),
        subnet: "10.96.4.0/24".parse().unwrap(),
        reason: "host1 did not answer".into(),
        since: NOW,
    };
    Remnant { id: 1, what }
}

/// The fate of a thing on host `n` beside an agent's container, and why; `None` if a row explains it.
fn judged(known: &StoreView, n: u8, thing: Thing) -> Option<(Fate, String)> {
    let terms = Terms { naming: &naming(), known, now: NOW, grace: GRACE };
    let listing = listing(n, vec![of_role("agent"), thing]);
    let mut items = terms.plan(std::slice::from_ref(&listing)).items;
    assert!(items.len() <= 1, "{items:?}");
    items.pop().map(|item| (item.fate, item.why))
}

#[track_caller]
fn goes(known: &StoreView, n: u8, thing: Thing, under: Option<ClusterId>, reason: &str) {
    let (fate, why) = judged(known, n, thing).expect("explained");
    assert_eq!(fate, Fate::Go { under }, "{why}");
    assert!(why.contains(reason), "{why}");
}

#[track_caller]
fn stays(known: &StoreView, n: u8, thing: Thing, reason: &str) {
    let (fate, why) = judged(known, n, thing).expect("explained");
    assert_eq!(fate, Fate::Stay, "{why}");
    assert!(why.contains(reason), "{why}");
}

#[test]
fn what_rows_explain_is_not_spoken_of() {
    let known = known();
    for (n, thing) in [
        (1, container(1, 1, 2)),
        (2, container(1, 2, 1)),
        (1, docker_network(1)),
        (2, mesh(1)),
        (1, device(1)),
        (2, volume(1)),
        // Wherever its controller is now: its row lives.
        (3, volume(1)),
        (3, volume_with(naming().agent_labels("older"))),
        (3, image(BUILD_HERE)),
        // However young.
        (1, at(container(1, 1, 2), Some(NOW))),
    ] {
        assert_eq!(judged(&known, n, thing.clone()), None, "{thing:?}");
    }
}

#[test]
fn what_is_of_an_unknown_cluster_goes() {
    let known = known();
    for of in [7, 9] {
        goes(&known, 1, container(of, 1, 2), None, "its cluster is not in the store");
        goes(&known, 1, docker_network(of), None, "its cluster is not in the store");
    }
    goes(&known, 1, mesh(7), None, "its network is not in the store");
    goes(&known, 1, device(7), None, "no network in the store has its VNI");
    let mut labels = naming().cluster_labels(cluster(1), &RealmName::default());
    labels.insert(CLUSTER.into(), "nonsense".into());
    goes(&known, 1, labelled("x", labels), None, "its cluster is not in the store");
    goes(&known, 1, of_role("probe"), None, "probe");
}

#[test]
fn what_is_of_a_live_cluster_but_not_as_its_rows_say_goes_under_its_lease() {
    let (known, ours) = (known(), Some(cluster(1)));
    goes(&known, 2, container(1, 1, 2), ours, "placed on another host");
    goes(&known, 1, container(1, 1, 1), ours, "of generation 2 now");
    goes(&known, 1, container(1, 1, 3), ours, "of generation 2 now");
    goes(&known, 1, container(1, 5, 1), ours, "its node is not in the store");
    for thing in [docker_network(1), mesh(1), device(1)] {
        goes(&known, 3, thing, ours, "no node of its cluster is placed here");
    }
    let mut foreign = known.clone();
    foreign.nodes.insert(node(1), Place { cluster: cluster(2), host: host(1), generation: Generation(2) });
    goes(&foreign, 1, container(1, 1, 2), ours, "its node is not in the store");
}

#[test]
fn a_volume_goes_only_when_a_row_says_deleted() {
    let known = known();
    goes(&known, 1, volume(9), None, "its cluster was deleted");
    stays(&known, 1, volume(7), "no row says that its cluster was deleted");
    stays(&known, 1, volume_with(BTreeMap::new()), "no row says that its cluster was deleted");
    // Deleted and yet there: the row that is there counts.
    let mut both = known.clone();
    both.deleted.insert(cluster(1));
    assert_eq!(judged(&both, 1, volume(1)), None);
}

#[test]
fn what_is_young_or_of_unknown_age_stays() {
    let known = known();
    let almost = Timestamp(NOW.0 - 299_999);
    let old = Timestamp(NOW.0 - 300_000);
    for thing in [container(7, 1, 1), docker_network(7), volume(9), of_role("probe")] {
        stays(&known, 1, at(thing.clone(), Some(almost)), "younger than 300 s");
        stays(&known, 1, at(thing.clone(), Some(Timestamp(NOW.0 + 60_000))), "younger than 300 s");
        stays(&known, 1, at(thing.clone(), None), "its age is unknown");
        let (fate, _) = judged(&known, 1, at(thing, Some(old))).unwrap();
        assert_eq!(fate, Fate::Go { under: None });
    }
}

#[test]
fn a_cluster_somebody_works_on_is_left_alone() {
    let mut known = known();
    let busy = Some("is being worked on by process 7 (abc)".to_owned());
    known.clusters.get_mut(&cluster(1)).unwrap().busy = busy;
    for (n, thing) in [(1, container(1, 1, 1)), (3, docker_network(1)), (3, mesh(1)), (3, device(1))] {
        stays(&known, n, thing, "its cluster is being worked on by process 7 (abc)");
    }
    // Others' are none of its.
    goes(&known, 1, container(7, 1, 1), None, "its cluster is not in the store");
}

#[test]
fn what_carries_no_cluster_or_no_vni_stays() {
    let known = known();
    stays(&known, 1, labelled("x", BTreeMap::new()), "no cluster's id");
    stays(&known, 1, of_role("relay"), "no cluster's id");
    stays(&known, 1, Thing::Device { name: "sv3fa9c1zz".into() }, "no VNI");
}

#[test]
fn an_old_agents_image_goes_unless_it_is_used_or_nobody_knows_which_is_ours() {
    let known = known();
    goes(&known, 1, image("old"), None, "another build");
    let terms = Terms { naming: &naming(), known: &known, now: NOW, grace: GRACE };
    let mut agent = of_role("agent");
    if let Thing::Container(c) = &mut agent {
        c.image_id = "sha256:old".into();
    }
    assert_eq!(terms.plan(&[listing(1, vec![agent, image("old")])]).items, []);
    let unknown = Listing { build: None, ..listing(1, vec![image("old")]) };
    let items = terms.plan(&[unknown]).items;
    assert_eq!(items[0].fate, Fate::Stay);
}

#[test]
fn what_a_remnant_remembers_goes_by_the_remnants_rules() {
    let of = |remnant: Remnant| StoreView { remnants: vec![remnant], ..known() };
    let whole = of(remnant(7, None, 7));
    for thing in [container(7, 1, 1), mesh(7), device(7), docker_network(7)] {
        assert_eq!(judged(&whole, 1, thing.clone()).unwrap().0, Fate::Remnant, "{thing:?}");
        assert_ne!(judged(&whole, 2, thing).unwrap().0, Fate::Remnant, "on another host");
    }
    let (fate, why) = judged(&of(remnant(9, None, 9)), 1, volume(9)).unwrap();
    assert_eq!((fate, why.as_str()), (Fate::Remnant, "left behind: host1 did not answer"));
    let one = of(remnant(1, Some(node(2)), 1));
    assert_eq!(judged(&one, 1, container(1, 2, 1)).unwrap().0, Fate::Remnant);
    assert_eq!(judged(&one, 1, container(1, 5, 1)).unwrap().0, Fate::Go { under: Some(cluster(1)) });
    assert_eq!(judged(&one, 1, mesh(1)), None, "of a node only its container");
    assert_eq!(judged(&one, 1, container(1, 1, 2)), None, "what a row explains is no remnant");
}

#[test]
fn too_much_at_once_is_more_than_three_and_more_than_thirty_per_cent() {
    let known = known();
    let terms = Terms { naming: &naming(), known: &known, now: NOW, grace: GRACE };
    let limit = |orphans: usize, others: usize| {
        let orphans = (0..orphans).map(|_| container(7, 1, 1));
        let others = (0..others).map(|_| volume(1));
        // Images count on neither side.
        let images = (0..50).map(|_| image("old"));
        let all = orphans.chain(others).chain(images).collect();
        terms.plan(&[listing(1, all)]).too_much()
    };
    assert_eq!(limit(3, 0), None, "three of three are few");
    assert_eq!(limit(4, 0), Some(TooMuch { going: 4, total: 4 }));
    assert_eq!(limit(6, 14), None, "exactly 30 %");
    assert_eq!(limit(7, 16), Some(TooMuch { going: 7, total: 23 }));
    // What stays or is remembered is not going.
    let young = (0..9).map(|_| at(container(7, 1, 1), Some(NOW))).collect();
    assert_eq!(terms.plan(&[listing(1, young)]).too_much(), None);
    let known = StoreView { remnants: vec![remnant(7, None, 7)], ..known.clone() };
    let terms = Terms { known: &known, ..terms };
    let left = (0..9).map(|_| container(7, 1, 1)).collect();
    assert_eq!(terms.plan(&[listing(1, left)]).too_much(), None);
}

#[test]
fn things_go_in_the_order_in_which_they_can() {
    let things = vec![
        image("old"),
        volume(9),
        docker_network(7),
        device(8),
        mesh(7),
        container(7, 2, 1),
        container(7, 1, 1),
    ];
    let known = known();
    let terms = Terms { naming: &naming(), known: &known, now: NOW, grace: GRACE };
    let plan = terms.plan(&[listing(2, things.clone()), listing(1, things)]);
    let order: Vec<_> =
        plan.going().map(|i| (i.name.to_string(), i.thing.kind().as_str(), i.thing.name())).collect();
    let one = [
        ("container", "worker-1"),
        ("container", "worker-2"),
        ("mesh", "sv3fa9c1000007"),
        ("device", "sv3fa9c1000008"),
        ("network", "c7"),
        ("volume", "state"),
        ("image", "shoal-agent:old"),
    ];
    let of = |host: &str| one.iter().map(|(k, n)| (host.to_owned(), *k, *n)).collect::<Vec<_>>();
    assert_eq!(order, [of("host2"), of("host1")].concat());
}
