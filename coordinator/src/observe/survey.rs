//! Looks at hosts: what their engines and agents say now, recorded in the store. All at once, each within a limit, and one
//! silent host costs only its own limit.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::join_all};
use shoal_docker::Endpoint;
use shoal_storage::{Host, HostAgent, LastError, StoreError};
use shoal_types::{AgentState, EngineFacts, HostFacts, HostState, chain};

use crate::{
    fleet::{HostLink, coordinator::Coordinator, liveness::limited},
    words::{
        agent::AgentFacts,
        fault::{Fault, HostFault},
    },
};

/// How long a look at an engine may take.
const LOOK: Duration = Duration::from_secs(8);
/// How long bringing an agent to a host may take: its image, some 30 MB, is loaded first.
const BRING: Duration = Duration::from_secs(180);

/// How closely hosts are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Their engines.
    Engine,
    /// Their engines and agents; an agent is brought where there is none.
    Agent,
}

/// A host as just seen.
#[derive(Debug)]
pub(crate) struct HostObservation {
    /// Its row, as updated.
    pub(crate) host: Host,
    /// The way to it, or why there is none.
    pub(crate) link: Result<Arc<HostLink>, Fault>,
}

/// Looks at every host.
pub(crate) async fn survey(coordinator: &Coordinator, depth: Depth) -> Result<Vec<HostObservation>, Fault> {
    let hosts = coordinator.store.read().await?.hosts().list().await?;
    survey_of(coordinator, hosts, depth).await
}

/// Looks at these hosts, in their order.
pub(crate) async fn survey_of(
    coordinator: &Coordinator,
    hosts: Vec<Host>,
    depth: Depth,
) -> Result<Vec<HostObservation>, Fault> {
    let looks = join_all(hosts.into_iter().map(|host| look(coordinator, host, depth).boxed())).await;
    looks.into_iter().collect()
}

async fn look(coordinator: &Coordinator, mut host: Host, depth: Depth) -> Result<HostObservation, Fault> {
    let looked = limited(&host.name, LOOK, look_at_engine(coordinator, &host)).await;
    let link = match looked {
        Ok((_, engine)) if engine.id != host.engine.id => {
            let fault = Fault::Host(HostFault::OtherEngine {
                host: host.name.clone(),
                endpoint: host.settings.endpoint.clone(),
            });
            note_failure(coordinator, &mut host, &fault).await?;
            return Ok(HostObservation { host, link: Err(fault) });
        }
        Ok((link, engine)) => match note_engine(coordinator, &mut host, engine).await {
            Ok(()) => link,
            // Unregistered while it was looked at.
            Err(gone @ StoreError::Missing { .. }) => {
                return Ok(HostObservation { host, link: Err(gone.into()) });
            }
            Err(error) => return Err(error.into()),
        },
        Err(fault) => {
            note_failure(coordinator, &mut host, &fault).await?;
            return Ok(HostObservation { host, link: Err(fault) });
        }
    };
    if depth == Depth::Agent {
        match limited(&host.name, BRING, look_at_agent(&link)).await {
            Ok((build, said)) => match note_agent(coordinator, &mut host, &build, said).await {
                Ok(()) => {}
                // It is another host's agent: this one cannot be used, the others can.
                Err(taken @ StoreError::Conflict(_)) => {
                    return Ok(HostObservation { host, link: Err(taken.into()) });
                }
                Err(error) => return Err(error.into()),
            },
            Err(fault) => {
                note_failure(coordinator, &mut host, &fault).await?;
                return Ok(HostObservation { host, link: Err(fault) });
            }
        }
    }
    Ok(HostObservation { host, link: Ok(link) })
}

async fn look_at_engine(
    coordinator: &Coordinator,
    host: &Host,
) -> Result<(Arc<HostLink>, EngineFacts), Fault> {
    let link = coordinator.fleet.link(&coordinator.store, host).await?;
    let facts = link.engine.facts().await;
    let facts = facts.map_err(Fault::engine(&host.name))?;
    Ok((link, facts))
}

async fn note_engine(
    coordinator: &Coordinator,
    host: &mut Host,
    engine: EngineFacts,
) -> Result<(), StoreError> {
    let now = coordinator.now();
    let mut tx = coordinator.store.begin().await?;
    tx.hosts().seen(host.id, &engine, now).await?;
    tx.commit().await?;
    host.engine = engine;
    host.health.state = HostState::Ready;
    host.health.failures = 0;
    host.health.last_seen = Some(now);
    Ok(())
}

/// Records a failure of a host, unless it is somebody else's: then it is out of use for this command only.
pub(crate) async fn note_failure(
    coordinator: &Coordinator,
    host: &mut Host,
    fault: &Fault,
) -> Result<(), StoreError> {
    host.health.state = HostState::Unreachable;
    if !fault.class().blames {
        return Ok(());
    }
    let mut tx = coordinator.store.begin().await?;
    let error = LastError { message: chain(fault), at: coordinator.now() };
    tx.hosts().failed(host.id, HostState::Unreachable, &error).await?;
    tx.commit().await?;
    host.health.failures += 1;
    host.health.last_error = Some(error);
    Ok(())
}

async fn note_agent(
    coordinator: &Coordinator,
    host: &mut Host,
    build: &str,
    said: AgentFacts,
) -> Result<(), StoreError> {
    host.agent = HostAgent { state: AgentState::Ready, version: Some(format!("{}+{build}", said.version)) };
    let facts = host_facts(host, said);
    let mut tx = coordinator.store.begin().await?;
    tx.hosts().agent(host.id, &host.agent, Some(&facts)).await?;
    tx.commit().await?;
    host.facts = Some(facts);
    Ok(())
}

async fn look_at_agent(link: &HostLink) -> Result<(String, AgentFacts), Fault> {
    let build = link.agent_build().await?;
    Ok((build, link.agent().await?.facts().await?))
}

/// The agent's words as facts; the MTU is that of the interface that has the underlay address.
fn host_facts(host: &Host, said: AgentFacts) -> HostFacts {
    let underlay = underlay_with(host, said.default_address);
    let has = |addresses: &[Ipv4Addr]| underlay.is_some_and(|underlay| addresses.contains(&underlay));
    HostFacts {
        agent_id: said.agent_id,
        default_address: said.default_address,
        underlay_mtu: said.interfaces.iter().find(|i| has(&i.addresses)).map_or(0, |i| i.mtu),
        inotify_instances: said.inotify_instances,
        neighbour_limit: said.neighbour_limit,
        routes: said.routes,
        diversions: said.diversions,
        vnis: said.vnis,
        filter_fault: said.filter_fault,
    }
}

/// Where other hosts send this one's tunnel packets: as set, else the address its engine is reached at, else that of its
/// default route.
pub(crate) fn underlay(host: &Host) -> Option<Ipv4Addr> {
    underlay_with(host, host.facts.as_ref().and_then(|facts| facts.default_address))
}

/// The same for a host whose facts are being read.
fn underlay_with(host: &Host, default_address: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
    let address = |host: String| host.parse::<Ipv4Addr>().ok().filter(|a| !a.is_loopback());
    let of_endpoint = || match host.settings.endpoint.parse() {
        Ok(Endpoint::Tcp { host, .. }) => address(host),
        Ok(Endpoint::Ssh(to)) => address(to.host),
        Ok(Endpoint::Unix(_)) | Err(_) => None,
    };
    host.settings.underlay.or_else(of_endpoint).or(default_address)
}

/// MTU of a host's path to other hosts: as set, else that of the interface with its underlay address; `None` if no interface
/// has that.
pub(crate) fn underlay_mtu(host: &Host) -> Option<u32> {
    let measured = host.facts.as_ref().map(|facts| facts.underlay_mtu).filter(|mtu| *mtu > 0)?;
    Some(host.settings.mtu.map_or(measured, |mtu| mtu.get().into()))
}

#[cfg(test)]
mod tests {
    use shoal_types::{Capacity, HostId, Labels, Overcommit, Resources, Timestamp, Vni};

    use super::*;
    use crate::words::agent::Interface;

    fn host(endpoint: &str, underlay: Option<&str>) -> Host {
        let settings = shoal_storage::HostSettings {
            endpoint: endpoint.into(),
            credential: None,
            underlay: underlay.map(|u| u.parse().unwrap()),
            mtu: None,
            labels: Labels::default(),
            capacity: Capacity::default(),
            overcommit: Overcommit::default(),
            reserve: Resources::default(),
            privileged_nodes: shoal_types::PrivilegedNodes::Allow,
            scheduling: shoal_types::Scheduling::Schedulable,
        };
        let engine = EngineFacts::sample();
        let id = HostId::new(1, [1; 10]);
        Host::registered(id, "host1".parse().unwrap(), settings, engine, Timestamp(1))
    }

    #[test]
    fn the_underlay_is_what_was_set_then_the_endpoint_then_the_default_route() {
        let default = Some(Ipv4Addr::new(192, 0, 2, 9));
        let of = |endpoint, set| underlay_with(&host(endpoint, set), default).unwrap().to_string();
        assert_eq!(of("tcp://10.77.0.1:2376", Some("10.9.9.9")), "10.9.9.9");
        assert_eq!(of("tcp://10.77.0.1:2376", None), "10.77.0.1");
        assert_eq!(of("tcp://127.0.0.1:2376", None), "192.0.2.9");
        assert_eq!(of("tcp://node.example:2376", None), "192.0.2.9");
        assert_eq!(of("unix:///var/run/docker.sock", None), "192.0.2.9");
    }

    #[test]
    fn the_mtu_is_that_of_the_interface_with_the_underlay_address() {
        let interface = |address: &str, mtu| Interface { addresses: vec![address.parse().unwrap()], mtu };
        let said = AgentFacts {
            interfaces: vec![interface("127.0.0.1", 65536), interface("10.77.0.1", 9000)],
            vnis: vec![Vni::try_from(7).unwrap()],
            routes: vec!["10.77.0.0/24".parse().unwrap()],
            ..AgentFacts::default()
        };
        let facts = host_facts(&host("tcp://10.77.0.1:2376", None), said.clone());
        assert_eq!((facts.underlay_mtu, facts.vnis.len(), facts.routes.len()), (9000, 1, 1));
        // An address no interface has: no tunnel can start there, and admission says so.
        assert_eq!(host_facts(&host("tcp://10.77.0.9:2376", None), said).underlay_mtu, 0);
    }
}
