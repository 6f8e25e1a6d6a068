//! What a lab looks like right now: asked of the kernel and the engines, not remembered.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::engine::EngineKind;
use crate::lan::Cable;
use crate::name::{HostName, LabName};

/// A host of a lab, as a client of its engine needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// `host1`, `host2`, ...
    pub name: HostName,
    /// Which engine it runs.
    pub engine: EngineKind,
    /// What its engine called itself when it last came up, for example `20.10.24`.
    pub engine_version: Option<String>,
    /// Its address in the LAN.
    pub address: Ipv4Addr,
    /// Its engine over TLS: `tcp://<address>:2376`, reachable from the root namespace and from every host.
    pub endpoint: String,
    /// Directory of `ca.pem`, `cert.pem` and `key.pem` for clients.
    pub tls_dir: PathBuf,
    /// Its engine's unix socket, as a path on this machine.
    pub socket: PathBuf,
    /// Name of its network namespace, as `ip netns` lists it.
    pub netns: String,
}

/// The state of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostState {
    /// On, in the LAN, its engine answers.
    Up,
    /// On and in the LAN, but its engine does not answer. Containers may live.
    EngineDown,
    /// On, but cut off from the LAN.
    Partitioned,
    /// Without power.
    Off,
}

/// A host and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    /// The host.
    #[serde(flatten)]
    pub host: Host,
    /// How it is.
    pub state: HostState,
    /// Its first process, while it is on: `nsenter --target PID --all` gives a shell on the host.
    pub pid: Option<i32>,
}

/// A lab and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The lab.
    pub name: LabName,
    /// Its directory.
    pub dir: PathBuf,
    /// Its LAN.
    pub subnet: ipnet::Ipv4Net,
    /// Its hosts, in the order of their numbers.
    pub hosts: Vec<HostStatus>,
}

impl HostState {
    /// The state that these observations mean.
    pub(crate) fn of(powered: bool, cable: Cable, engine_answers: bool) -> Self {
        match cable {
            Cable::Absent => Self::Off,
            Cable::Plugged | Cable::Pulled if !powered => Self::Off,
            Cable::Pulled => Self::Partitioned,
            Cable::Plugged if engine_answers => Self::Up,
            Cable::Plugged => Self::EngineDown,
        }
    }
}

impl fmt::Display for HostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::EngineDown => "engine-down",
            Self::Partitioned => "partitioned",
            Self::Off => "off",
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "lab {} in {}, LAN {}", self.name, self.dir.display(), self.subnet)?;
        writeln!(f, "{:<8} {:<12} {:<16} {:<24} TLS DIR", "HOST", "STATE", "ENGINE", "ENDPOINT")?;
        for HostStatus { host, state, pid: _ } in &self.hosts {
            let engine = host.engine_version.as_deref().unwrap_or("?");
            let tls = host.tls_dir.display();
            writeln!(f, "{:<8} {state:<12} {engine:<16} {:<24} {tls}", host.name.to_string(), host.endpoint)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        let host = Host {
            name: "host1".parse().unwrap(),
            engine: EngineKind::System,
            engine_version: Some("20.10.24".to_owned()),
            address: Ipv4Addr::new(10, 77, 0, 1),
            endpoint: "tcp://10.77.0.1:2376".to_owned(),
            tls_dir: PathBuf::from("/lab/hosts/host1/tls"),
            socket: PathBuf::from("/lab/hosts/host1/docker.sock"),
            netns: "shoal-lab.dev.host1".to_owned(),
        };
        Status {
            name: "dev".parse().unwrap(),
            dir: PathBuf::from("/lab"),
            subnet: "10.77.0.0/24".parse().unwrap(),
            hosts: vec![HostStatus { host, state: HostState::EngineDown, pid: Some(42) }],
        }
    }

    #[test]
    fn json_is_flat_and_comes_back() {
        let json = serde_json::to_value(status()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "name": "dev",
                "dir": "/lab",
                "subnet": "10.77.0.0/24",
                "hosts": [{
                    "name": "host1",
                    "engine": "system",
                    "engine_version": "20.10.24",
                    "address": "10.77.0.1",
                    "endpoint": "tcp://10.77.0.1:2376",
                    "tls_dir": "/lab/hosts/host1/tls",
                    "socket": "/lab/hosts/host1/docker.sock",
                    "netns": "shoal-lab.dev.host1",
                    "state": "engine-down",
                    "pid": 42,
                }],
            })
        );
        assert_eq!(serde_json::from_value::<Status>(json).unwrap(), status());
    }

    #[test]
    fn text_is_a_table() {
        assert_eq!(
            status().to_string(),
            "lab dev in /lab, LAN 10.77.0.0/24\n\
             HOST     STATE        ENGINE           ENDPOINT                 TLS DIR\n\
             host1    engine-down  20.10.24         tcp://10.77.0.1:2376     /lab/hosts/host1/tls\n"
        );
    }

    #[test]
    fn states_follow_from_what_is_seen() {
        use HostState::{EngineDown, Off, Partitioned, Up};
        for (powered, cable, answers, expected) in [
            (true, Cable::Plugged, true, Up),
            (true, Cable::Plugged, false, EngineDown),
            (true, Cable::Pulled, true, Partitioned),
            (false, Cable::Plugged, false, Off),
            (false, Cable::Pulled, false, Off),
            (true, Cable::Absent, true, Off),
        ] {
            assert_eq!(HostState::of(powered, cable, answers), expected, "{powered} {cable:?} {answers}");
        }
    }
}
