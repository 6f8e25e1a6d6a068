//! Messages of agents from and to the types of `words/agent.rs`. A part that is missing and a text that is not what its field
//! says are a [`FieldError`].

use std::{collections::HashMap, net::Ipv4Addr, str::FromStr, time::Duration};

use bytes::Bytes as Data;
use shoal_api::ProxyOutput;
use shoal_proto::{
    FieldError,
    v1::{self, tunnel_request, tunnel_response},
};
use shoal_types::{Bytes, Diversion, Timestamp, Vni};

use crate::words::agent::{
    AgentFacts, Bridge, HostHealth, Interface, KeptNetwork, KeptNetworks, Member, NetworkRemoval,
    NetworkState, NodeProbe, NodeProbes, Place, ProbeDevice, ProbePacket, ProbePackets, ProbeTarget,
    ProbesSent, Service,
};

/// A text, if there is one.
pub(super) fn known(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A value, or nothing where there is none.
fn text<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn parse<T: FromStr<Err: std::fmt::Display>>(field: &'static str, text: &str) -> Result<T, FieldError> {
    text.parse().map_err(|reason| FieldError::new(field, format_args!("{text:?}: {reason}")))
}

fn parse_all<T, C>(field: &'static str, texts: &[String]) -> Result<C, FieldError>
where
    T: FromStr<Err: std::fmt::Display>,
    C: FromIterator<T>,
{
    texts.iter().map(|text| parse(field, text)).collect()
}

impl From<NetworkState> for v1::NetworkState {
    fn from(state: NetworkState) -> Self {
        Self {
            installation: state.installation.to_string(),
            network: state.network.to_string(),
            revision: state.revision.0,
            vni: state.vni.get(),
            bridge: state.bridge,
            device: state.device,
            local: text(state.local),
            udp_port: state.udp_port.into(),
            mtu: state.mtu.into(),
            subnet: state.subnet.to_string(),
            gateway: state.gateway.to_string(),
            members: state.members.into_iter().map(Into::into).collect(),
            domain: state.domain,
            services: state.services.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Member> for v1::Member {
    fn from(Member { name, address, mac, place }: Member) -> Self {
        let (remote, container) = match place {
            Place::Here { container } => (String::new(), container),
            Place::There { underlay } => (text(underlay), String::new()),
        };
        Self { name: name.to_string(), address: address.to_string(), mac: mac.to_string(), remote, container }
    }
}

impl From<Service> for v1::Service {
    fn from(Service { name, target, port }: Service) -> Self {
        Self { name, target: target.to_string(), port: port.into() }
    }
}

impl From<NetworkRemoval> for v1::RemoveNetworkRequest {
    fn from(removal: NetworkRemoval) -> Self {
        let NetworkRemoval { installation, network, device, bridge, revision } = removal;
        Self {
            installation: installation.to_string(),
            network: text(network),
            device,
            bridge,
            revision: revision.map_or(0, |revision| revision.0),
        }
    }
}

impl TryFrom<v1::GetHostFactsResponse> for AgentFacts {
    type Error = FieldError;

    fn try_from(said: v1::GetHostFactsResponse) -> Result<Self, FieldError> {
        let default_address = known(said.default_address);
        // A device that has no VNI of its own (`external` in ip-link(8)) says 0.
        let vnis = said.vnis.iter().filter(|vni| **vni != 0).map(|vni| {
            Vni::try_from(u64::from(*vni)).map_err(|reason| FieldError::new("facts.vnis", reason))
        });
        let interfaces = said.interfaces.iter().map(|i| {
            let addresses = parse_all("facts.interfaces.addresses", &i.addresses)?;
            Ok(Interface { addresses, mtu: i.mtu })
        });
        let diversions = said.diversions.iter().map(|d| {
            Ok(Diversion { subnet: parse("facts.diversions.subnet", &d.subnet)?, by: d.by.clone() })
        });
        Ok(Self {
            default_address: default_address
                .map(|address| parse("facts.default_address", &address))
                .transpose()?,
            interfaces: interfaces.collect::<Result<_, FieldError>>()?,
            inotify_instances: said.inotify_instances,
            neighbour_limit: said.neighbour_limit,
            routes: parse_all("facts.routes", &said.routes)?,
            diversions: diversions.collect::<Result<_, FieldError>>()?,
            vnis: vnis.collect::<Result<_, FieldError>>()?,
            version: said.version,
            agent_id: said.agent_id,
            filter_fault: said.filter_fault,
        })
    }
}

impl TryFrom<v1::GetHostHealthResponse> for HostHealth {
    type Error = FieldError;

    fn try_from(said: v1::GetHostHealthResponse) -> Result<Self, FieldError> {
        Ok(Self {
            clock: Timestamp(said.clock_ms),
            disk_total: Bytes(said.disk_total_bytes),
            disk_free: Bytes(said.disk_free_bytes),
            pid_limit: said.pid_limit,
            name_listeners: parse_all("health.name_listeners", &said.name_listeners)?,
            bridge: known(said.bridge).map(|name| Bridge { name, ports: said.bridge_ports }),
        })
    }
}

impl TryFrom<v1::ListNetworksResponse> for KeptNetworks {
    type Error = FieldError;

    fn try_from(said: v1::ListNetworksResponse) -> Result<Self, FieldError> {
        let kept = |kept: v1::KeptNetwork| {
            let network = parse("networks.network", &kept.network)?;
            Ok(KeptNetwork {
                network,
                trouble: known(kept.trouble),
                device: kept.device,
                bridge: kept.bridge,
                underlays: kept.underlays,
            })
        };
        let networks = said.networks.into_iter().map(kept).collect::<Result<_, FieldError>>()?;
        Ok(Self { networks, stray_devices: said.stray_devices })
    }
}

impl From<v1::NodeProbe> for NodeProbe {
    fn from(probe: v1::NodeProbe) -> Self {
        Self {
            alive: probe.alive,
            manager: probe.manager,
            units: probe.units.into_iter().collect(),
            munge: probe.munge,
            sshd: probe.sshd,
            up: Duration::from_millis(probe.up_ms),
        }
    }
}

/// The probes of all containers that were asked for.
pub(super) fn probes(said: v1::ProbeNodesResponse, asked: &[String]) -> Result<NodeProbes, FieldError> {
    let read = |mut probe: v1::NodeProbe| (std::mem::take(&mut probe.container), probe.into());
    let probes: HashMap<String, NodeProbe> = said.probes.into_iter().map(read).collect();
    match asked.iter().find(|container| !probes.contains_key(*container)) {
        None => Ok(NodeProbes { version: said.version, probes }),
        Some(container) => Err(FieldError::new("probes", format_args!("that of {container} is missing"))),
    }
}

/// The ports of the one process that was asked for; `None`: it is gone.
pub(super) fn ports(said: v1::ProbePortsResponse) -> Result<Option<Vec<u16>>, FieldError> {
    let probe = said.probes.into_iter().next().ok_or_else(|| FieldError::new("probes", "is missing"))?;
    let port = |port: u32| {
        u16::try_from(port).map_err(|_| FieldError::new("probes.ports", format_args!("{port} is no port")))
    };
    let ports = probe.ports.into_iter().map(port).collect::<Result<_, _>>()?;
    Ok(probe.alive.then_some(ports))
}

impl From<ProbeDevice> for v1::ReceiveProbesRequest {
    fn from(ProbeDevice { name, vni, local, udp_port }: ProbeDevice) -> Self {
        Self { device: name, vni: vni.get(), local: local.to_string(), udp_port: udp_port.into() }
    }
}

impl From<ProbePackets> for v1::SendProbesRequest {
    fn from(ProbePackets { local, udp_port, vni, targets }: ProbePackets) -> Self {
        let packet = |ProbePacket { mark, size }| v1::ProbePacket { mark, size };
        let target = |ProbeTarget { remote, packets }: ProbeTarget| v1::ProbeTarget {
            remote: remote.to_string(),
            packets: packets.into_iter().map(packet).collect(),
        };
        Self {
            local: local.to_string(),
            udp_port: udp_port.into(),
            vni: vni.get(),
            targets: targets.into_iter().map(target).collect(),
        }
    }
}

/// What became of the packets to each of so many targets.
pub(super) fn sent(said: v1::SendProbesResponse, asked: usize) -> Result<Vec<ProbesSent>, FieldError> {
    if said.targets.len() != asked {
        let count = format_args!("{} where {asked} were asked for", said.targets.len());
        return Err(FieldError::new("targets", count));
    }
    let of = |v1::ProbesSent { sent, error }| ProbesSent {
        sent: usize::try_from(sent).unwrap_or(usize::MAX),
        error: known(error),
    };
    Ok(said.targets.into_iter().map(of).collect())
}

/// The first frame of a tunnel.
pub(super) fn tunnel_open(address: Ipv4Addr, port: u32) -> v1::TunnelRequest {
    let open = v1::TunnelOpen { address: address.to_string(), port };
    v1::TunnelRequest { frame: Some(tunnel_request::Frame::Open(open)) }
}

/// A later frame of a tunnel.
pub(super) fn tunnel_data(data: Data) -> v1::TunnelRequest {
    v1::TunnelRequest { frame: Some(tunnel_request::Frame::Data(data)) }
}

/// What comes out of a tunnel: to a client it is the same.
pub(super) fn tunnel_output(said: v1::TunnelResponse) -> Result<ProxyOutput, FieldError> {
    match said.frame {
        Some(tunnel_response::Frame::Opened(v1::TunnelOpened {})) => Ok(ProxyOutput::Opened),
        Some(tunnel_response::Frame::Data(data)) => Ok(ProxyOutput::Data(data)),
        Some(tunnel_response::Frame::End(v1::TunnelEnd {})) => Ok(ProxyOutput::End),
        None => Err(FieldError::new("frame", "is missing")),
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{InstallationId, MacAddr, NetworkId, Revision};

    use super::*;

    #[test]
    fn facts_are_read_and_what_cannot_be_is_refused_by_field() {
        let facts = || v1::GetHostFactsResponse {
            version: "0.1.0".into(),
            default_address: "10.77.0.1".into(),
            interfaces: vec![v1::Interface {
                name: "eth0".into(),
                addresses: vec!["10.77.0.1".into()],
                mtu: 9000,
            }],
            routes: vec!["10.77.0.0/24".into()],
            // One of a device without a VNI of its own.
            vnis: vec![7, 0],
            ..v1::GetHostFactsResponse::default()
        };
        let read = AgentFacts::try_from(facts()).unwrap();
        assert_eq!((read.vnis.len(), read.routes.len(), read.interfaces[0].mtu), (1, 1, 9000));
        assert_eq!(read.default_address, Some(Ipv4Addr::new(10, 77, 0, 1)));
        let without = v1::GetHostFactsResponse { default_address: String::new(), ..facts() };
        assert_eq!(AgentFacts::try_from(without).unwrap().default_address, None);
        for (field, change) in [
            ("facts.routes", (|f| f.routes.push("nonsense".into())) as fn(&mut v1::GetHostFactsResponse)),
            ("facts.vnis", |f| f.vnis.push(1 << 24)),
            ("facts.default_address", |f| f.default_address = "host1".into()),
            ("facts.interfaces.addresses", |f| f.interfaces[0].addresses.push("fe80::1".into())),
        ] {
            let mut wire = facts();
            change(&mut wire);
            assert_eq!(AgentFacts::try_from(wire).unwrap_err().field, field);
        }
    }

    #[test]
    fn a_host_without_bridges_has_none_and_a_listener_has_an_address() {
        let health = |bridge: &str, listener: &str| v1::GetHostHealthResponse {
            bridge: bridge.into(),
            bridge_ports: 3,
            name_listeners: vec![listener.into()],
            ..v1::GetHostHealthResponse::default()
        };
        assert_eq!(HostHealth::try_from(health("", "::")).unwrap().bridge, None);
        let bridge = HostHealth::try_from(health("sb1", "0.0.0.0")).unwrap().bridge.unwrap();
        assert_eq!((bridge.name.as_str(), bridge.ports), ("sb1", 3));
        assert_eq!(
            HostHealth::try_from(health("", "everywhere")).unwrap_err().field,
            "health.name_listeners"
        );
    }

    #[test]
    fn every_container_that_was_asked_for_has_its_probe() {
        let said = || v1::ProbeNodesResponse {
            probes: vec![v1::NodeProbe {
                container: "a".into(),
                alive: true,
                units: vec!["munge.service".into()],
                up_ms: 1500,
                ..v1::NodeProbe::default()
            }],
            version: "0.1.0".into(),
        };
        let read = probes(said(), &["a".into()]).unwrap();
        let probe = &read.probes["a"];
        assert!(probe.alive && !probe.manager && probe.units.contains("munge.service"));
        assert_eq!(probe.up, Duration::from_millis(1500));
        assert_eq!(probes(said(), &["a".into(), "b".into()]).unwrap_err().field, "probes");
    }

    #[test]
    fn a_process_that_is_gone_has_no_ports() {
        let said = |alive, listening| {
            let probe = v1::PortProbe { pid: 7, alive, ports: listening };
            ports(v1::ProbePortsResponse { probes: vec![probe] })
        };
        assert_eq!(said(true, vec![22, 6817]), Ok(Some(vec![22, 6817])));
        assert_eq!(said(false, vec![]), Ok(None));
        assert_eq!(said(true, vec![70_000]).unwrap_err().field, "probes.ports");
        assert_eq!(ports(v1::ProbePortsResponse::default()).unwrap_err().field, "probes");
    }

    #[test]
    fn every_target_is_told_of() {
        let said = |targets| v1::SendProbesResponse { targets };
        let one = v1::ProbesSent { sent: 2, error: "not permitted".into() };
        let read =
            sent(said(vec![one.clone(), v1::ProbesSent { sent: 3, error: String::new() }]), 2).unwrap();
        assert_eq!(read[0], ProbesSent { sent: 2, error: Some("not permitted".into()) });
        assert_eq!(read[1], ProbesSent { sent: 3, error: None });
        assert_eq!(sent(said(vec![one]), 2).unwrap_err().field, "targets");
    }

    #[test]
    fn a_kept_network_has_an_id() {
        let id = NetworkId::new(1, [1; 10]);
        let said = |network: String| {
            let kept = v1::KeptNetwork { network, revision: 2, device: "sv1".into(), ..Default::default() };
            KeptNetworks::try_from(v1::ListNetworksResponse { networks: vec![kept], stray_devices: vec![] })
        };
        let kept = said(id.to_string()).unwrap().networks.remove(0);
        assert_eq!((kept.network, kept.trouble, kept.device.as_str()), (id, None, "sv1"));
        assert_eq!(said("dev".into()).unwrap_err().field, "networks.network");
    }

    #[test]
    fn a_frame_that_says_nothing_known_is_refused() {
        assert_eq!(tunnel_output(v1::TunnelResponse { frame: None }).unwrap_err().field, "frame");
        let end = v1::TunnelResponse { frame: Some(tunnel_response::Frame::End(v1::TunnelEnd {})) };
        assert_eq!(tunnel_output(end), Ok(ProxyOutput::End));
    }

    #[test]
    fn an_agent_is_told_which_nodes_are_its_own() {
        let member = |place| {
            let address = Ipv4Addr::new(10, 96, 4, 3);
            let member =
                Member { name: "worker-0".parse().unwrap(), address, mac: MacAddr::of(address), place };
            let v1::Member { remote, container, .. } = member.into();
            (remote, container)
        };
        assert_eq!(
            member(Place::Here { container: "worker-0.dev".into() }),
            (String::new(), "worker-0.dev".into())
        );
        let underlay = Some(Ipv4Addr::new(10, 77, 0, 2));
        assert_eq!(member(Place::There { underlay }), ("10.77.0.2".into(), String::new()));
    }

    #[test]
    fn a_removal_without_a_network_is_that_of_a_device() {
        let removal = NetworkRemoval {
            installation: InstallationId::new([1, 2, 3]),
            network: None,
            device: "sv1".into(),
            bridge: "sb1".into(),
            revision: None,
        };
        let wire = v1::RemoveNetworkRequest::from(removal.clone());
        assert_eq!((wire.network.as_str(), wire.revision, wire.device.as_str()), ("", 0, "sv1"));
        let id = NetworkId::new(1, [1; 10]);
        let known = NetworkRemoval { network: Some(id), revision: Some(Revision(4)), ..removal };
        let wire = v1::RemoveNetworkRequest::from(known);
        assert_eq!((wire.network, wire.revision), (id.to_string(), 4));
    }
}
