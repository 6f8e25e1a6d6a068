//! The message as a [`Network`]: every field converted, then what must hold between them.

use std::{
    collections::HashSet,
    fmt,
    num::{NonZeroU16, NonZeroU64},
    str::FromStr,
};

use shoal_proto::{FieldError, v1};
use shoal_types::{Revision, Vni};

use super::{Member, Network, Place, Service};

/// Smallest MTU of an IPv4 link that hosts must handle (RFC 791 section 3.1), and the largest an Ethernet frame of Linux has.
const MTU: std::ops::RangeInclusive<u32> = 576..=65_535;

impl TryFrom<v1::NetworkState> for Network {
    type Error = FieldError;

    /// Converts every field, then checks what must hold between them.
    fn try_from(state: v1::NetworkState) -> Result<Self, FieldError> {
        let network = Self {
            installation: parse("state.installation", &state.installation)?,
            id: parse("state.network", &state.network)?,
            revision: NonZeroU64::new(state.revision)
                .map(|r| Revision(r.get()))
                .ok_or_else(|| FieldError::new("state.revision", "must not be zero"))?,
            vni: Vni::try_from(u64::from(state.vni)).map_err(|e| FieldError::new("state.vni", e))?,
            bridge: parse("state.bridge", &state.bridge)?,
            device: parse("state.device", &state.device)?,
            local: parse("state.local", &state.local)?,
            udp_port: port("state.udp_port", state.udp_port)?,
            mtu: state.mtu,
            subnet: parse("state.subnet", &state.subnet)?,
            gateway: parse("state.gateway", &state.gateway)?,
            members: state.members.into_iter().map(Member::try_from).collect::<Result<_, _>>()?,
            domain: parse("state.domain", &state.domain)?,
            services: state.services.into_iter().map(Service::try_from).collect::<Result<_, _>>()?,
        };
        network.check()?;
        Ok(network)
    }
}

impl Network {
    fn check(&self) -> Result<(), FieldError> {
        let refuse = |field, reason: String| Err(FieldError::new(field, reason));
        for (field, name) in [("state.device", &self.device), ("state.bridge", &self.bridge)] {
            if !name.carries(&self.installation) {
                return refuse(field, format!("`{name}` does not carry installation {}", self.installation));
            }
        }
        if self.device == self.bridge {
            return refuse("state.device", format!("`{}` is the bridge", self.device));
        }
        if !MTU.contains(&self.mtu) {
            return refuse("state.mtu", format!("{} is not {} to {}", self.mtu, MTU.start(), MTU.end()));
        }
        if !(8..=30).contains(&self.subnet.prefix_len()) || self.subnet.network() != self.subnet.addr() {
            return refuse("state.subnet", format!("`{}` is not a subnet of /8 to /30", self.subnet));
        }
        if !self.subnet.contains(&self.gateway) {
            return refuse("state.gateway", format!("{} is not in {}", self.gateway, self.subnet));
        }
        let (mut names, mut addresses, mut macs) = (HashSet::new(), HashSet::new(), HashSet::new());
        for Member { name, address, mac, place } in &self.members {
            if !self.subnet.contains(address) || *address == self.gateway {
                return refuse(
                    "state.members.address",
                    format!("{address} of `{name}` is not a node's in {}", self.subnet),
                );
            }
            if mac.0[0] & 1 == 1 {
                return refuse("state.members.mac", format!("{mac} of `{name}` is a group address"));
            }
            if *place == Place::Remote(self.local) {
                return refuse("state.members.remote", format!("`{name}` is on this host, {}", self.local));
            }
            if !names.insert(name) || !addresses.insert(address) || !macs.insert(mac) {
                return refuse("state.members", format!("`{name}`, {address} or {mac} belongs to two nodes"));
            }
        }
        match self.services.iter().find(|s| !names.contains(&s.target)) {
            Some(s) => refuse("state.services.target", format!("`{}` of {} is not a node", s.target, s.name)),
            None => Ok(()),
        }
    }
}

impl TryFrom<v1::Member> for Member {
    type Error = FieldError;

    fn try_from(member: v1::Member) -> Result<Self, FieldError> {
        Ok(Self {
            name: parse("state.members.name", &member.name)?,
            address: parse("state.members.address", &member.address)?,
            mac: parse("state.members.mac", &member.mac)?,
            place: match member.remote.as_str() {
                "" => Place::Local(member.container),
                remote => Place::Remote(parse("state.members.remote", remote)?),
            },
        })
    }
}

impl TryFrom<v1::Service> for Service {
    type Error = FieldError;

    fn try_from(service: v1::Service) -> Result<Self, FieldError> {
        Ok(Self {
            name: parse("state.services.name", &service.name)?,
            target: parse("state.services.target", &service.target)?,
            port: port("state.services.port", service.port)?,
        })
    }
}

/// Parses a field; the error names it.
pub(crate) fn parse<T: FromStr<Err: fmt::Display>>(field: &'static str, text: &str) -> Result<T, FieldError> {
    text.parse().map_err(|reason| FieldError::new(field, reason))
}

/// A port that is not zero.
pub(crate) fn port(field: &'static str, number: u32) -> Result<NonZeroU16, FieldError> {
    u16::try_from(number)
        .ok()
        .and_then(NonZeroU16::new)
        .ok_or_else(|| FieldError::new(field, format!("{number} is not a port")))
}
