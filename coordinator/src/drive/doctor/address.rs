//! Addresses that collide: of hosts with each other, of clusters' subnets with what a host does with addresses. Pure.

use shoal_api::{Check, Finding};
use shoal_storage::Host;
use shoal_types::{Diversion, Pools, SubnetPlan};

use crate::{
    drive::doctor::Subnet,
    edit::addressing::{InUse, choose_subnet, overlaps},
    observe::survey::underlay,
};

/// Length of the subnet of a small cluster.
const SMALL: u8 = 24;

/// The first collision of a host, if there is one. `all` are all registered hosts, itself included.
pub(super) fn judge(host: &Host, all: &[Host], subnets: &[Subnet], pools: &Pools) -> Finding {
    let fail = |message: String, fix: String| Finding::fail(Check::Addresses, message, fix);
    let Some(facts) = &host.facts else {
        return fail("the agent has told no addresses".into(), "run this again".into());
    };
    let set = format!("name another with `shoal set host {} --underlay ADDRESS`", host.name);
    let Some(address) = underlay(host) else {
        return fail("no address that other hosts could send tunnel packets to".into(), set);
    };
    if facts.underlay_mtu == 0 {
        return fail(format!("no interface of the host has its underlay address {address}"), set);
    }
    let others = || all.iter().filter(|other| other.id != host.id);
    if let Some(other) = others().find(|other| underlay(other) == Some(address)) {
        return fail(format!("host {} has the same underlay address {address}", other.name), set);
    }
    let twin = |other: &&Host| {
        let agent = other.facts.as_ref().map(|f| f.agent_id.as_str()).filter(|id| !id.is_empty());
        other.engine.id == host.engine.id || agent == Some(facts.agent_id.as_str())
    };
    if let Some(other) = others().find(twin) {
        return fail(
            format!("host {} is the same machine, or one cloned from it", other.name),
            format!(
                "unregister one of them, or remove /var/lib/docker/engine-id on {} and restart its engine",
                host.name
            ),
        );
    }
    let mut in_use = InUse::default();
    in_use.add(host);
    // A wider route loses against that of the bridge; one inside the subnet, or a table that is asked before, leads its addresses
    // away.
    for Subnet { cluster, subnet, .. } in subnets.iter().filter(|s| s.members.contains(&host.id)) {
        let inside = |route: &&ipnet::Ipv4Net| subnet.contains(*route) && *route != subnet;
        if let Some(route) = facts.routes.iter().find(inside) {
            return fail(
                format!("the host's route to {route} leads addresses of cluster {cluster} ({subnet}) away"),
                format!("remove it: `ip route del {route}`"),
            );
        }
        let diverts = |d: &&Diversion| overlaps(&d.subnet, subnet) && !is_own(d, subnet);
        if let Some(Diversion { subnet: part, by }) = facts.diversions.iter().find(diverts) {
            return fail(
                format!("{by} leads addresses of cluster {cluster} ({subnet}) away: {part}"),
                "remove what set it up, or delete the cluster and name another range with `shoal set installation --pool CIDR`".into(),
            );
        }
    }
    in_use.taken.retain(|taken| !subnets.iter().any(|s| s.subnet.contains(&taken.subnet)));
    match choose_subnet(SMALL, pools, &in_use) {
        Ok((_, None)) => told(host, address, facts.underlay_mtu),
        Ok((_, Some(wide))) => Finding::warn(
            Check::Addresses,
            format!("clusters' addresses would be within {}: they mean the clusters' nodes there", wide.by),
            "name another range with `shoal set installation --pool CIDR`, if those addresses are in use",
        ),
        Err(error) => fail(error.to_string(), "remove what covers it".into()),
    }
}

/// What is told of an address that collides with nothing; `measured` is the MTU of its interface.
fn told(host: &Host, address: std::net::Ipv4Addr, measured: u32) -> Finding {
    let pass = |mtu: String| {
        Finding::pass(Check::Addresses, format!("underlay {address}, MTU {mtu}; no address collides"))
    };
    match host.settings.mtu.map(|set| u32::from(set.get())) {
        None => pass(measured.to_string()),
        Some(set) if set <= measured => pass(format!("{set} as set, {measured} on the interface")),
        Some(set) => Finding::warn(
            Check::Addresses,
            format!(
                "MTU {set} is set, and the interface with {address} has {measured}: it cannot send larger packets whole"
            ),
            format!("raise the interface's, or count on it: `shoal set host {} --mtu auto`", host.name),
        ),
    }
}

/// The bridge of a cluster has an address in its subnet.
fn is_own(diversion: &Diversion, subnet: &ipnet::Ipv4Net) -> bool {
    diversion.subnet == SubnetPlan { subnet: *subnet }.gateway().into()
}

#[cfg(test)]
mod tests {
    use shoal_api::Verdict;
    use shoal_types::{Capacity, EngineFacts, HostFacts, HostId, Labels, Overcommit, Resources, Timestamp};

    use super::*;

    fn host(number: u8, address: &str) -> Host {
        let settings = shoal_storage::HostSettings {
            endpoint: "unix:///x".into(),
            credential: None,
            underlay: address.parse().ok(),
            mtu: None,
            labels: Labels::default(),
            capacity: Capacity::default(),
            overcommit: Overcommit::default(),
            reserve: Resources::default(),
            privileged_nodes: shoal_types::PrivilegedNodes::Allow,
            scheduling: shoal_types::Scheduling::Schedulable,
        };
        let engine = EngineFacts { id: format!("E{number}"), ..EngineFacts::sample() };
        let name = format!("host{number}").parse().unwrap();
        let mut host = Host::registered(HostId::new(1, [number; 10]), name, settings, engine, Timestamp(1));
        host.facts =
            Some(HostFacts { agent_id: format!("A{number}"), underlay_mtu: 1500, ..HostFacts::default() });
        host
    }

    fn with(mut host: Host, change: impl FnOnce(&mut Host, &mut HostFacts)) -> Host {
        let mut facts = host.facts.take().unwrap();
        change(&mut host, &mut facts);
        host.facts = Some(facts);
        host
    }

    fn routes(host: Host, routes: &[&str]) -> Host {
        with(host, |_, facts| facts.routes = routes.iter().map(|r| r.parse().unwrap()).collect())
    }

    #[test]
    fn collisions_are_told_by_what_collides() {
        let own = || host(1, "10.77.0.1");
        let other = host(2, "10.77.0.2");
        let dev = Subnet {
            cluster: "dev".into(),
            subnet: "10.96.0.0/24".parse().unwrap(),
            members: vec![own().id],
        };
        for (judged, other, says) in [
            (own(), other.clone(), ""),
            (own(), host(2, "10.77.0.1"), "same underlay address"),
            (host(1, ""), other.clone(), "no address"),
            (with(own(), |_, f| f.underlay_mtu = 0), other.clone(), "no interface"),
            (with(own(), |h, _| h.engine.id = "E2".into()), other.clone(), "same machine"),
            (with(own(), |_, f| f.agent_id = "A2".into()), other.clone(), "same machine"),
            (routes(own(), &["10.96.0.0/24", "0.0.0.0/0"]), other.clone(), ""),
            (
                routes(own(), &["10.96.0.128/25"]),
                other.clone(),
                "10.96.0.128/25 leads addresses of cluster dev",
            ),
            (routes(own(), &["0.0.0.0/1", "128.0.0.0/1"]), other.clone(), ""),
            (
                with(own(), |_, f| {
                    let subnet = "10.0.0.0/8".parse().unwrap();
                    f.diversions = vec![Diversion { subnet, by: "routing table 52 (rule 5270)".into() }];
                }),
                other.clone(),
                "routing table 52 (rule 5270) leads addresses of cluster dev (10.96.0.0/24) away",
            ),
            (
                with(own(), |_, f| {
                    let one = |text: &str| Diversion {
                        subnet: text.parse().unwrap(),
                        by: "its own address".into(),
                    };
                    f.diversions = vec![one("10.96.0.1/32"), one("10.96.0.7/32")];
                }),
                other.clone(),
                "10.96.0.7/32",
            ),
            (
                with(own(), |h, _| h.engine.subnets = vec!["10.96.0.0/12".parse().unwrap()]),
                other.clone(),
                "no free /24",
            ),
        ] {
            let found =
                judge(&judged, &[judged.clone(), other], std::slice::from_ref(&dev), &Pools::default());
            let expected = if says.is_empty() { Verdict::Pass } else { Verdict::Fail };
            assert_eq!(found.verdict, expected, "{says}: {found:?}");
            assert!(found.message.contains(says), "{says}: {found:?}");
        }
        let wide = judge(&routes(own(), &["10.0.0.0/8"]), &[], &[], &Pools::default());
        assert_eq!(wide.verdict, Verdict::Warn, "{wide:?}");
        assert!(wide.message.contains("route 10.0.0.0/8 on host1"), "{wide:?}");
        for (mtu, verdict, says) in [
            (None, Verdict::Pass, "underlay 10.77.0.1, MTU 1500; no address collides"),
            (Some(1400), Verdict::Pass, "underlay 10.77.0.1, MTU 1400 as set, 1500 on the interface; no"),
            (Some(9000), Verdict::Warn, "MTU 9000 is set, and the interface with 10.77.0.1 has 1500"),
        ] {
            let mut host = own();
            host.settings.mtu = mtu.map(|mtu: u64| mtu.try_into().unwrap());
            let found = judge(&host, &[], &[], &Pools::default());
            assert_eq!(found.verdict, verdict, "{found:?}");
            assert!(found.message.starts_with(says), "{found:?}");
        }
        let silent = Host { facts: None, ..own() };
        assert_eq!(judge(&silent, &[], &[], &Pools::default()).verdict, Verdict::Fail);
    }
}
