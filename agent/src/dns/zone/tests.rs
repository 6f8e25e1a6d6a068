//! Every row of the zone's table, and that no name makes it panic.

use proptest::prelude::*;

use super::*;
use crate::network::tests::message;

fn zone() -> Zone {
    let mut message = message();
    message.services.push(shoal_proto::v1::Service {
        name: "_slurmctld._tcp".into(),
        target: "worker-0".into(),
        port: 6818,
    });
    Zone::new(&message.try_into().unwrap()).unwrap()
}

fn ask(name: &str, wanted: RecordType) -> Answer {
    zone().lookup(&Name::from_ascii(name).unwrap().to_lowercase(), wanted)
}

fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(ToString::to_string).collect()
}

fn records(name: &str, wanted: RecordType) -> Vec<String> {
    let answer = ask(name, wanted);
    let Answer::Records { answers, additionals } = answer else { panic!("{name}: {answer:?}") };
    texts(&[answers, additionals].concat())
}

fn owner(soa: Option<Record>) -> String {
    soa.map(|r| r.name.to_string()).unwrap_or_default()
}

#[test]
fn a_node_has_three_names_whatever_host_it_is_on() {
    let fqdn = "worker-0.dev.default.shoal.internal.";
    for name in ["worker-0.", "worker-0.dev.", fqdn, "WORKER-0.dev.Default.shoal.internal."] {
        let expected = format!("{} 5 IN A 10.96.4.3", name.to_lowercase());
        assert_eq!(records(name, RecordType::A), [expected]);
    }
    assert!(matches!(ask("controller.", RecordType::A), Answer::Records { .. }));
}

#[test]
fn a_name_without_the_type_is_no_data() {
    for (name, zone) in [
        ("worker-0.dev.default.shoal.internal.", "dev.default.shoal.internal."),
        ("worker-0.", ""),
        ("_slurmctld._tcp.dev.default.shoal.internal.", "dev.default.shoal.internal."),
        ("_tcp.dev.default.shoal.internal.", "dev.default.shoal.internal."),
        ("dev.default.shoal.internal.", "dev.default.shoal.internal."),
        ("default.shoal.internal.", "shoal.internal."),
        ("shoal.internal.", "shoal.internal."),
        ("3.4.96.10.in-addr.arpa.", "4.96.10.in-addr.arpa."),
        ("4.96.10.in-addr.arpa.", "4.96.10.in-addr.arpa."),
    ] {
        let answer = ask(name, RecordType::AAAA);
        let Answer::NoData(soa) = answer else { panic!("{name}: {answer:?}") };
        assert_eq!(owner(soa), zone, "{name}");
    }
}

#[test]
fn names_nobody_has_are_denied_and_never_leave_the_host() {
    for (name, zone) in [
        ("worker-9.", ""),
        ("worker-9.dev.default.shoal.internal.", "dev.default.shoal.internal."),
        ("x.worker-0.dev.default.shoal.internal.", "dev.default.shoal.internal."),
        ("_slurmctld._udp.dev.default.shoal.internal.", "dev.default.shoal.internal."),
        ("worker-0.prod.default.shoal.internal.", "shoal.internal."),
        ("worker-0.dev.other.shoal.internal.", "shoal.internal."),
        ("www.example.org.dev.default.shoal.internal.", "dev.default.shoal.internal."),
        ("9.4.96.10.in-addr.arpa.", "4.96.10.in-addr.arpa."),
    ] {
        let answer = ask(name, RecordType::A);
        let Answer::NoName(soa) = answer else { panic!("{name}: {answer:?}") };
        assert_eq!(owner(soa), zone, "{name}");
    }
}

#[test]
fn everything_else_is_elsewhere() {
    for name in [
        ".",
        "example.org.",
        "web.dev.",
        "internal.dev.",
        "worker-0.dev.default.",
        "worker-0.dev.default.shoal.internal.example.org.",
        "3.5.96.10.in-addr.arpa.",
        "03.4.96.10.in-addr.arpa.",
        "96.10.in-addr.arpa.",
        "in-addr.arpa.",
        "1.3.4.96.10.in-addr.arpa.",
    ] {
        assert_eq!(ask(name, RecordType::A), Answer::Elsewhere, "{name}");
    }
}

#[test]
fn an_address_points_to_the_full_name() {
    assert_eq!(
        records("3.4.96.10.in-addr.arpa.", RecordType::PTR),
        ["3.4.96.10.in-addr.arpa. 5 IN PTR worker-0.dev.default.shoal.internal."]
    );
}

#[test]
fn services_keep_their_order_and_bring_addresses() {
    let name = "_slurmctld._tcp.dev.default.shoal.internal.";
    assert_eq!(
        records(name, RecordType::SRV),
        [
            format!("{name} 5 IN SRV 0 0 6817 controller.dev.default.shoal.internal."),
            format!("{name} 5 IN SRV 1 0 6818 worker-0.dev.default.shoal.internal."),
            "controller.dev.default.shoal.internal. 5 IN A 10.96.4.2".into(),
            "worker-0.dev.default.shoal.internal. 5 IN A 10.96.4.3".into(),
        ]
    );
    assert_eq!(records("_slurmctld._tcp.", RecordType::SRV).len(), 4);
}

#[test]
fn a_wide_subnet_has_a_reverse_zone_per_24_bits() {
    let mut message = message();
    message.subnet = "10.96.0.0/19".into();
    let zone = Zone::new(&message.try_into().unwrap()).unwrap();
    let ask = |name: &str| zone.lookup(&Name::from_ascii(name).unwrap(), RecordType::PTR);
    assert!(matches!(ask("3.4.96.10.in-addr.arpa."), Answer::Records { .. }));
    assert!(matches!(ask("31.96.10.in-addr.arpa."), Answer::NoData(_)));
    assert_eq!(ask("32.96.10.in-addr.arpa."), Answer::Elsewhere);
    assert_eq!(ask("96.10.in-addr.arpa."), Answer::Elsewhere);
}

proptest! {
    #[test]
    fn no_name_makes_it_panic(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..12), 0..8), tail in 0..4usize, wanted in any::<u16>()) {
        let tails: [&[&[u8]]; 4] = [&[], &[b"in-addr", b"arpa"], &[b"shoal", b"internal"], &[b"dev", b"default", b"shoal", b"internal"]];
        let all = labels.iter().map(Vec::as_slice).chain(tails[tail].iter().copied());
        if let Ok(name) = Name::from_labels(all) {
            let answer = zone().lookup(&name, RecordType::from(wanted));
            let inside = tail > 1;
            prop_assert!(!(inside && answer == Answer::Elsewhere), "{name} leaves the host");
        }
    }
}
