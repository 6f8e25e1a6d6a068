//! What a message must be to become a [`Network`].

use proptest::prelude::*;

use shoal_proto::v1;

use super::*;

/// A correct message: two nodes here, two on another host.
pub(crate) fn message() -> v1::NetworkState {
    let member = |name: &str, last: u8, remote: &str| v1::Member {
        name: name.into(),
        address: format!("10.96.4.{last}"),
        mac: format!("02:42:0a:60:04:{last:02x}"),
        remote: remote.into(),
        container: if remote.is_empty() { format!("{name}.dev.default.3fa9c1") } else { String::new() },
    };
    v1::NetworkState {
        installation: "3fa9c1".into(),
        network: NetworkId::new(1, [1; 10]).to_string(),
        revision: 3,
        vni: 10,
        bridge: "sb3fa9c100000a".into(),
        device: "sv3fa9c100000a".into(),
        local: "10.77.0.1".into(),
        udp_port: 4799,
        mtu: 1450,
        subnet: "10.96.4.0/24".into(),
        gateway: "10.96.4.1".into(),
        members: vec![
            member("controller", 2, ""),
            member("worker-0", 3, "10.77.0.2"),
            member("worker-1", 4, ""),
            member("worker-2", 5, "10.77.0.3"),
        ],
        domain: "dev.default.shoal.internal".into(),
        services: vec![v1::Service {
            name: "_slurmctld._tcp".into(),
            target: "controller".into(),
            port: 6817,
        }],
    }
}

/// The message, checked.
pub(crate) fn network() -> Network {
    message().try_into().unwrap()
}

#[test]
fn a_correct_message_is_taken_and_survives_the_disk() {
    let network = network();
    assert_eq!(
        network.local_addresses().collect::<Vec<_>>(),
        [Ipv4Addr::new(10, 96, 4, 2), Ipv4Addr::new(10, 96, 4, 4)]
    );
    let text = serde_json::to_string(&network).unwrap();
    assert_eq!(serde_json::from_str::<Network>(&text).unwrap(), network);
}

#[test]
fn every_refusal_names_its_field() {
    type Change = fn(&mut v1::NetworkState);
    let changes: [(&str, Change); 18] = [
        ("state.installation", |s| s.installation = "x".into()),
        ("state.network", |s| s.network = "clu_1".into()),
        ("state.revision", |s| s.revision = 0),
        ("state.vni", |s| s.vni = 1 << 24),
        ("state.bridge", |s| s.bridge = "../sys".into()),
        ("state.device", |s| s.device = "sv0000000000a".into()),
        ("state.device", |s| s.bridge = s.device.clone()),
        ("state.local", |s| s.local = String::new()),
        ("state.udp_port", |s| s.udp_port = 65_536),
        ("state.mtu", |s| s.mtu = 0),
        ("state.subnet", |s| s.subnet = "10.96.4.7/24".into()),
        ("state.gateway", |s| s.gateway = "10.96.5.1".into()),
        ("state.domain", |s| s.domain = "dev.default.example.org".into()),
        ("state.members", |s| s.members[1].address = s.members[0].address.clone()),
        ("state.members.address", |s| s.members[1].address = "10.96.4.1".into()),
        ("state.members.mac", |s| s.members[1].mac = "01:42:0a:60:04:03".into()),
        ("state.members.remote", |s| s.members[1].remote = s.local.clone()),
        ("state.services.target", |s| s.services[0].target = "nobody".into()),
    ];
    for (field, change) in changes {
        let mut message = message();
        change(&mut message);
        assert_eq!(Network::try_from(message).unwrap_err().field, field);
    }
}

proptest! {
    /// Nothing a stranger sends makes a parser panic, and what is accepted prints as it was written.
    #[test]
    fn texts_round_trip_or_are_refused(text in "\\PC{0,40}|[a-z_.-]{0,40}|_[a-z]{1,9}\\._(tcp|udp)|[a-z]{1,9}\\.[a-z]{1,9}\\.shoal\\.internal") {
        if let Ok(name) = text.parse::<LinkName>() {
            prop_assert_eq!(name.to_string(), text.clone());
        }
        if let Ok(domain) = text.parse::<Domain>() {
            prop_assert_eq!(domain.to_string(), text.clone());
        }
        if let Ok(service) = text.parse::<ServiceName>() {
            prop_assert_eq!(service.labels().join("."), text);
        }
    }
}
