//! Networks: made as asked, addresses and MACs ours.

use std::net::Ipv4Addr;

use futures_util::StreamExt as _;
use ipnet::Ipv4Net;
use shoal_docker::{
    ContainerNetwork, ContainerSpec, ContainerState, ContainerSummary, EngineError, EngineEvent, LabelFilter,
    NetworkAction, NetworkSpec, Removal, Subject,
};
use shoal_types::{MacAddr, SubnetPlan};

use crate::{
    bench::{Bench, probe},
    containers::PATIENCE,
};

/// A network of a subnet nobody else uses: 10.<200 + process>.<number>.0/24.
fn spec(bench: &Bench, word: &str) -> NetworkSpec {
    let process = u8::try_from(std::process::id() % 50).unwrap();
    let number = u8::try_from(bench.number() % 256).unwrap();
    let subnet = Ipv4Net::new(Ipv4Addr::new(10, 200 + process, number, 0), 24).unwrap();
    let plan = SubnetPlan { subnet };
    NetworkSpec {
        name: bench.name(word),
        labels: bench.labels(),
        subnet,
        gateway: plan.gateway(),
        ip_range: plan.docker_range(),
        mtu: 1450,
        bridge: format!("dt{}-{number}", std::process::id() % 1_000_000),
    }
}

fn on(bench: &Bench, word: &str, network: &str, address: Option<Ipv4Addr>) -> ContainerSpec {
    let network =
        ContainerNetwork::Bridge { network: network.into(), address, mac: address.map(MacAddr::of) };
    ContainerSpec { network, ..bench.sleeper(word) }
}

pub(crate) async fn a_network_is_made_as_asked(bench: &Bench) {
    let spec = spec(bench, "net");
    let id = bench.engine.create_network(&spec).await.unwrap();
    let listed = bench.engine.list_networks(&bench.ours()).await.unwrap();
    let found = listed.iter().find(|network| network.id == id).unwrap();
    assert_eq!((&found.name, &found.labels), (&spec.name, &spec.labels));
    assert_eq!((found.driver.as_str(), &found.subnets[..]), ("bridge", &[spec.subnet][..]));
    assert_eq!((found.gateway, found.mtu), (Some(spec.gateway), Some(spec.mtu)));
    assert_eq!(found.bridge.as_ref(), Some(&spec.bridge));
    assert!(found.created.is_some(), "its age is known");
    assert!(bench.engine.facts().await.unwrap().subnets.contains(&spec.subnet));
    assert_eq!(bench.engine.remove_network(&id).await.unwrap(), Removal::Removed);
    assert_eq!(bench.engine.remove_network(&id).await.unwrap(), Removal::AlreadyGone);
}

/// Of networks an engine tells no labels: who they belong to is in their names.
pub(crate) async fn events_tell_who_left_a_network_and_that_it_is_gone(bench: &Bench) {
    let engine = &bench.engine;
    let spec = spec(bench, "left");
    let network = engine.create_network(&spec).await.unwrap();
    let id = bench.create(&on(bench, "leaves", &network, None)).await;
    engine.start(&id).await.unwrap();
    let mut events = engine.events(&LabelFilter::all().with("nobody", "has")).await.unwrap();
    engine.remove_container(&id).await.unwrap();
    engine.remove_network(&network).await.unwrap();
    for expected in [NetworkAction::Disconnect, NetworkAction::Destroy] {
        let next = async {
            loop {
                // Others are at work on this engine, too.
                match events.next().await.unwrap().unwrap() {
                    EngineEvent::Network(event) if event.id == network => return event,
                    EngineEvent::Network(_) => {}
                    EngineEvent::Container(event) => panic!("{event:?} does not carry the label"),
                }
            }
        };
        let event = tokio::time::timeout(PATIENCE, next).await.unwrap();
        assert_eq!((event.action, &event.name), (expected, &spec.name));
    }
}

/// A container as the list has it.
async fn listed(bench: &Bench, id: &str) -> ContainerSummary {
    let all = bench.engine.list_containers(&bench.ours()).await.unwrap();
    all.into_iter().find(|container| container.id == id).unwrap()
}

pub(crate) async fn address_and_mac_are_ours(bench: &Bench) {
    let engine = &bench.engine;
    let spec = spec(bench, "addr");
    let network = engine.create_network(&spec).await.unwrap();
    let address = SubnetPlan { subnet: spec.subnet }.node(5).unwrap();
    let id = bench.create(&on(bench, "addr", &network, Some(address))).await;
    engine.start(&id).await.unwrap();
    let check = async || {
        let detail = engine.inspect_container(&id).await.unwrap().unwrap();
        let attachment = detail.attachment(&network).unwrap();
        assert_eq!((attachment.address, attachment.mac), (Some(address), Some(MacAddr::of(address))));
        assert_eq!(listed(bench, &id).await.attachments, detail.attachments);
        let shown = engine.exec(&id, &probe(&["show", "/sys/class/net/eth0/address"]), 100).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&shown.stdout).trim(), MacAddr::of(address).to_string());
    };
    check().await;
    engine.kill(&id).await.unwrap();
    let ended = engine.inspect_container(&id).await.unwrap().unwrap();
    assert_eq!(
        ended.attachments[0].address,
        Some(address),
        "the fixed address is told while it does not run"
    );
    engine.start(&id).await.unwrap();
    check().await;

    let anybody = bench.create(&on(bench, "anybody", &network, None)).await;
    engine.start(&anybody).await.unwrap();
    let detail = engine.inspect_container(&anybody).await.unwrap().unwrap();
    assert!(spec.ip_range.contains(&detail.attachment(&network).unwrap().address.unwrap()), "{detail:?}");
}

pub(crate) async fn an_address_is_given_once(bench: &Bench) {
    let network = bench.engine.create_network(&spec(bench, "once")).await.unwrap();
    let listed = bench.engine.list_networks(&bench.ours()).await.unwrap();
    let subnet = listed.iter().find(|n| n.id == network).unwrap().subnets[0];
    let address = SubnetPlan { subnet }.node(0);
    let first = bench.create(&on(bench, "first", &network, address)).await;
    bench.engine.start(&first).await.unwrap();
    let second = bench.create(&on(bench, "second", &network, address)).await;
    let taken = bench.engine.start(&second).await.unwrap_err();
    assert!(matches!(taken, EngineError::AddressInUse { .. }), "{taken:?}");
}

pub(crate) async fn subnets_do_not_overlap(bench: &Bench) {
    let first = spec(bench, "pool");
    bench.engine.create_network(&first).await.unwrap();
    let second = NetworkSpec {
        subnet: first.subnet,
        gateway: first.gateway,
        ip_range: first.ip_range,
        ..spec(bench, "pool")
    };
    let overlap = bench.engine.create_network(&second).await.unwrap_err();
    assert!(matches!(overlap, EngineError::PoolOverlap { .. }), "{overlap:?}");
    let same_bridge = NetworkSpec { bridge: first.bridge, ..spec(bench, "bridge") };
    let conflict = bench.engine.create_network(&same_bridge).await.unwrap_err();
    assert!(matches!(conflict, EngineError::Conflict { .. }), "{conflict:?}");
}

pub(crate) async fn a_network_in_use_stays(bench: &Bench) {
    let network = bench.engine.create_network(&spec(bench, "busy")).await.unwrap();
    let id = bench.create(&on(bench, "busy", &network, None)).await;
    bench.engine.start(&id).await.unwrap();
    let busy = bench.engine.remove_network(&network).await.unwrap_err();
    assert!(matches!(busy, EngineError::Conflict { .. }), "{busy:?}");
    bench.engine.remove_container(&id).await.unwrap();
    assert_eq!(bench.engine.remove_network(&network).await.unwrap(), Removal::Removed);
}

pub(crate) async fn a_network_is_found_by_its_labels(bench: &Bench) {
    let mut wanted = spec(bench, "labels");
    wanted.labels.insert("shoal.cluster".into(), wanted.name.clone());
    let id = bench.engine.create_network(&wanted).await.unwrap();
    let other = bench.engine.create_network(&spec(bench, "other")).await.unwrap();
    let listed = bench.engine.list_networks(&bench.ours().with("shoal.cluster", &wanted.name)).await.unwrap();
    assert_eq!(listed.iter().map(|network| &network.id).collect::<Vec<_>>(), [&id]);
    let all = bench.engine.list_networks(&LabelFilter::all()).await.unwrap();
    for name in ["bridge", "host", "none"] {
        assert!(all.iter().any(|network| network.name == name), "every engine has {name}");
    }
    assert!(all.iter().any(|network| network.id == other));
}

pub(crate) async fn twins_are_made_by_old_engines_alone(bench: &Bench) {
    let engine = &bench.engine;
    let first = spec(bench, "twin");
    let one = engine.create_network(&first).await.unwrap();
    let second = NetworkSpec { name: first.name.clone(), ..spec(bench, "twin") };
    let twins = engine.facts().await.unwrap().version.starts_with("20.10");
    let two = engine.create_network(&second).await;
    let listed = engine.list_networks(&bench.ours()).await.unwrap();
    let named = listed.iter().filter(|network| network.name == first.name).count();
    if !twins {
        let refused = two.unwrap_err();
        assert!(matches!(refused, EngineError::NameInUse { .. }), "{refused:?}");
        assert_eq!(named, 1);
        return;
    }
    assert_ne!(two.unwrap(), one);
    assert_eq!(named, 2);
    let ambiguous = engine.remove_network(&first.name).await.unwrap_err();
    assert!(matches!(ambiguous, EngineError::BadRequest { .. }), "{ambiguous:?}");
}

pub(crate) async fn a_network_without_running_containers_goes(bench: &Bench) {
    let engine = &bench.engine;
    let made = spec(bench, "left");
    let network = engine.create_network(&made).await.unwrap();
    let never = bench.create(&on(bench, "never", &network, None)).await;
    let ended = bench.create(&on(bench, "ended", &network, None)).await;
    engine.start(&ended).await.unwrap();
    engine.kill(&ended).await.unwrap();
    assert_eq!(engine.remove_network(&network).await.unwrap(), Removal::Removed);
    // What a container was made for is called by its name, what it was on by its id.
    for (id, called) in [(never, &made.name), (ended, &network)] {
        let missing = engine.start(&id).await.unwrap_err();
        let EngineError::NotFound { subject: Subject::Network(named), .. } = &missing else {
            panic!("{missing:?}")
        };
        assert_eq!(named, called);
    }
}

pub(crate) async fn an_address_is_free_while_its_container_does_not_run(bench: &Bench) {
    let engine = &bench.engine;
    let made = spec(bench, "free");
    let network = engine.create_network(&made).await.unwrap();
    let address = SubnetPlan { subnet: made.subnet }.node(3);
    let first = bench.create(&on(bench, "first", &network, address)).await;
    engine.start(&first).await.unwrap();
    engine.kill(&first).await.unwrap();
    let second = bench.create(&on(bench, "second", &network, address)).await;
    engine.start(&second).await.unwrap();
    let taken = engine.start(&first).await.unwrap_err();
    assert!(matches!(taken, EngineError::AddressInUse { .. }), "{taken:?}");
    let left = engine.inspect_container(&first).await.unwrap().unwrap();
    assert_eq!((left.state, left.pid), (ContainerState::Exited, None));
    assert!(!left.error.is_empty(), "{left:?}");
    engine.remove_container(&second).await.unwrap();
    engine.start(&first).await.unwrap();
}

pub(crate) async fn a_gateways_address_is_taken(bench: &Bench) {
    let made = spec(bench, "gateway");
    let network = bench.engine.create_network(&made).await.unwrap();
    let id = bench.create(&on(bench, "gateway", &network, Some(made.gateway))).await;
    let taken = bench.engine.start(&id).await.unwrap_err();
    assert!(matches!(taken, EngineError::AddressInUse { .. }), "{taken:?}");
}

pub(crate) async fn a_fixed_address_is_told_before_the_first_start(bench: &Bench) {
    let made = spec(bench, "told");
    let network = bench.engine.create_network(&made).await.unwrap();
    let address = SubnetPlan { subnet: made.subnet }.node(1);
    let id = bench.create(&on(bench, "told", &network, address)).await;
    let told = async || {
        let detail = bench.engine.inspect_container(&id).await.unwrap().unwrap();
        assert_eq!(detail.attachments.len(), 1, "{detail:?}");
        let attachment = detail.attachments[0].clone();
        assert_eq!((&attachment.network, attachment.address), (&made.name, address), "{attachment:?}");
        let listed = listed(bench, &id).await.attachments.remove(0);
        assert_eq!((&listed.network_id, listed.address), (&attachment.network_id, address), "{listed:?}");
        attachment
    };
    let before = told().await;
    assert_eq!((before.mac, before.network_id.as_str()), (address.map(MacAddr::of), ""));
    bench.engine.start(&id).await.unwrap();
    let running = told().await;
    assert_eq!((running.mac, &running.network_id), (address.map(MacAddr::of), &network));
    bench.engine.kill(&id).await.unwrap();
    let ended = told().await;
    assert_eq!((ended.mac, &ended.network_id), (None, &network));
}
