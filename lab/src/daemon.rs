//! The engine's configuration: everything in one `daemon.json`, so that a reader finds it in one place.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::layout::HostDir;

/// Port of Docker's API over TLS, registered with IANA as `docker-s`.
pub(crate) const TLS_PORT: u16 = 2376;

/// Where an engine is reached from the machine.
pub(crate) fn endpoint(address: Ipv4Addr) -> String {
    format!("tcp://{address}:{TLS_PORT}")
}

/// The configuration of a host's engine.
///
/// - Two endpoints: TLS with client verification on the LAN, and a unix socket.
/// - Address pools far from the LAN's 10.77.0.0/16.
/// - Containers' cgroups below the host's, so that `down` finds them.
/// - The storage driver is named: if it does not work here the engine says so, instead of taking a slow one.
pub(crate) fn config(dir: &HostDir, address: Ipv4Addr, cgroup_parent: &str) -> Value {
    let server = dir.server_tls();
    json!({
        "hosts": [format!("unix://{}", dir.socket().display()), endpoint(address)],
        "tlsverify": true,
        "tlscacert": server.join("ca.pem"),
        "tlscert": server.join("cert.pem"),
        "tlskey": server.join("key.pem"),
        "data-root": dir.data(),
        "storage-driver": "overlay2",
        "bip": "172.17.0.1/24",
        "default-address-pools": [{ "base": "172.18.0.0/15", "size": 24 }],
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "cgroup-parent": cgroup_parent,
        "iptables": true,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::layout::LabDir;

    #[test]
    fn the_engine_verifies_its_clients_and_stays_in_its_place() {
        let lab = LabDir::new(&"dev".parse().unwrap(), Some(Path::new("/lab"))).unwrap();
        let dir = lab.host("host1".parse().unwrap());
        let config = config(&dir, Ipv4Addr::new(10, 77, 0, 1), "/shoal-lab/dev/host1");
        assert_eq!(config["hosts"], json!(["unix:///lab/hosts/host1/docker.sock", "tcp://10.77.0.1:2376"]));
        assert_eq!(config["tlsverify"], json!(true));
        assert_eq!(config["tlskey"], json!("/lab/hosts/host1/server/key.pem"));
        assert_eq!(config["data-root"], json!("/lab/hosts/host1/data"));
        assert_eq!(config["cgroup-parent"], json!("/shoal-lab/dev/host1"));
    }
}
