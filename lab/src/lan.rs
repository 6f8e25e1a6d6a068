//! The lab's network: a bridge in a namespace of its own, a cable to each host, one to the machine.
//!
//! ```text
//!  root namespace        shoal-lab.<lab>.lan                shoal-lab.<lab>.hostN
//!  sl-<lab> .254 ------- uplink | lan0 | hostN ------------ eth0 .N
//! ```
//! Nothing routes from here to anywhere else: hosts have no default route.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use ipnet::Ipv4Net;
use nix::sys::statfs::{NSFS_MAGIC, statfs};
use serde::Deserialize;

use crate::command::{run, run_json};
use crate::error::{Error, file};
use crate::name::{HostName, LabName};
use crate::subnet::{PREFIX, Subnet};

/// The bridge, in the LAN's namespace.
const BRIDGE: &str = "lan0";
/// The machine's end of the LAN, in the LAN's namespace.
const UPLINK_PORT: &str = "uplink";
/// A host's interface, in the host's namespace.
pub(crate) const HOST_DEVICE: &str = "eth0";
/// Where `ip netns` keeps its namespaces.
const NETNS_DIR: &str = "/run/netns";

/// The state of a host's cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cable {
    /// There is none: the host's namespace does not exist.
    Absent,
    /// Frames pass.
    Plugged,
    /// Cut by `partition`.
    Pulled,
}

#[derive(Deserialize)]
struct Link {
    ifname: String,
    flags: Vec<String>,
}

#[derive(Deserialize)]
struct Route {
    dst: String,
}

/// The LAN of one lab.
#[derive(Debug, Clone)]
pub(crate) struct Lan<'a> {
    lab: &'a LabName,
    subnet: Subnet,
}

impl<'a> Lan<'a> {
    pub(crate) fn new(lab: &'a LabName, subnet: Subnet) -> Self {
        Self { lab, subnet }
    }

    /// Makes what is missing of the bridge and of the machine's cable to it.
    ///
    /// # Errors
    /// [`Error::Command`], [`Error::File`].
    pub(crate) fn ensure(&self) -> Result<(), Error> {
        let namespace = self.lab.lan_namespace();
        ensure_namespace(&namespace)?;
        let links = links(&namespace)?;
        if !links.iter().any(|link| link.ifname == BRIDGE) {
            ip_in(&namespace, &["link", "add", BRIDGE, "type", "bridge", "mcast_snooping", "0"])?;
        }
        ip_in(&namespace, &["link", "set", BRIDGE, "up"])?;
        let device = self.lab.uplink();
        if !links.iter().any(|link| link.ifname == UPLINK_PORT) {
            ip(&["link", "add", &device, "type", "veth", "peer", "name", UPLINK_PORT, "netns", &namespace])?;
        }
        ip_in(&namespace, &["link", "set", UPLINK_PORT, "master", BRIDGE, "up"])?;
        ip(&["addr", "replace", &format!("{}/{PREFIX}", self.subnet.uplink()), "dev", &device])?;
        ip(&["link", "set", &device, "up"])
    }

    /// Makes what is missing of a host's namespace and cable, and plugs the cable in.
    ///
    /// # Errors
    /// [`Error::Command`], [`Error::File`].
    pub(crate) fn ensure_host(&self, host: HostName) -> Result<(), Error> {
        let (lan, namespace) = (self.lab.lan_namespace(), self.lab.host_namespace(host));
        let port = host.to_string();
        ensure_namespace(&namespace)?;
        if !links(&namespace)?.iter().any(|link| link.ifname == HOST_DEVICE) {
            // A real host keeps its MAC when it boots; with a new one its neighbours would miss it for 40 s.
            let mac = self.subnet.host_mac(host);
            let cable = ["link", "add", &port, "type", "veth"];
            let peer = ["peer", "name", HOST_DEVICE, "address", &mac, "netns", &namespace];
            ip_in(&lan, &[cable.as_slice(), &peer].concat())?;
        }
        ip_in(&lan, &["link", "set", &port, "master", BRIDGE, "up"])?;
        let address = format!("{}/{PREFIX}", self.subnet.host(host));
        ip_in(&namespace, &["link", "set", "lo", "up"])?;
        ip_in(&namespace, &["addr", "replace", &address, "dev", HOST_DEVICE])?;
        ip_in(&namespace, &["link", "set", HOST_DEVICE, "up"])
    }

    /// Plugs a host's cable in or pulls it out of the bridge.
    ///
    /// # Errors
    /// [`Error::Off`], [`Error::Command`].
    pub(crate) fn set_cable(&self, host: HostName, plugged: bool) -> Result<(), Error> {
        if self.cable(host)? == Cable::Absent {
            return Err(Error::Off(host));
        }
        let state = if plugged { "up" } else { "down" };
        ip_in(&self.lab.lan_namespace(), &["link", "set", &host.to_string(), state])
    }

    /// Looks at a host's cable.
    ///
    /// # Errors
    /// [`Error::Command`].
    pub(crate) fn cable(&self, host: HostName) -> Result<Cable, Error> {
        if !is_namespace(&namespace_path(&self.lab.lan_namespace())) {
            return Ok(Cable::Absent);
        }
        let port = host.to_string();
        Ok(match links(&self.lab.lan_namespace())?.iter().find(|link| link.ifname == port) {
            None => Cable::Absent,
            Some(link) if link.flags.iter().any(|flag| flag == "UP") => Cable::Plugged,
            Some(_) => Cable::Pulled,
        })
    }
}

/// Where a network namespace is found.
pub(crate) fn namespace_path(namespace: &str) -> PathBuf {
    Path::new(NETNS_DIR).join(namespace)
}

/// Is there a namespace at this path, and not the empty file that a crash may leave?
pub(crate) fn is_namespace(path: &Path) -> bool {
    statfs(path).is_ok_and(|fs| fs.filesystem_type() == NSFS_MAGIC)
}

/// The namespaces of a lab, of its hosts and its LAN, whether it has a record or not.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn namespaces(lab: &LabName) -> Result<Vec<String>, Error> {
    let dir = Path::new(NETNS_DIR);
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(other) => return Err(file("read", dir)(other)),
    };
    let prefix = lab.namespace_prefix();
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut ours: Vec<String> = names.filter(|name| name.starts_with(&prefix)).collect();
    ours.sort_unstable();
    Ok(ours)
}

/// Removes a network namespace, its links and its name; one that is gone already is fine.
///
/// # Errors
/// [`Error::Command`].
pub(crate) fn remove_namespace(namespace: &str) -> Result<(), Error> {
    let path = namespace_path(namespace);
    match run("ip", &["netns", "del", namespace]) {
        Err(_) if !path.exists() => Ok(()),
        // The empty file that a crash leaves is no namespace to `ip`.
        Err(_) if !is_namespace(&path) => std::fs::remove_file(&path).map_err(file("remove", &path)),
        done => Ok(done.map(drop)?),
    }
}

/// Removes a host's cable and namespace; what is gone already is fine.
///
/// # Errors
/// [`Error::Command`], [`Error::File`].
pub(crate) fn remove_host(lab: &LabName, host: HostName) -> Result<(), Error> {
    let (lan, port) = (lab.lan_namespace(), host.to_string());
    // A namespace dies a while after its name: without its cable the host can be made again at once.
    if is_namespace(&namespace_path(&lan)) && links(&lan)?.iter().any(|link| link.ifname == port) {
        ip_in(&lan, &["link", "del", &port])?;
    }
    remove_namespace(&lab.host_namespace(host))
}

/// Removes the machine's end of a lab's LAN; one that is gone already is fine.
///
/// # Errors
/// [`Error::Command`].
pub(crate) fn remove_uplink(lab: &LabName) -> Result<(), Error> {
    let device = lab.uplink();
    match ip(&["link", "del", &device]) {
        Err(_) if !Path::new("/sys/class/net").join(&device).exists() => Ok(()),
        done => done,
    }
}

/// The networks that the machine has routes to.
///
/// # Errors
/// [`Error::Command`].
pub(crate) fn routes() -> Result<Vec<Ipv4Net>, Error> {
    let routes: Vec<Route> = run_json("ip", &["-4", "-j", "route", "show", "table", "all"])?;
    Ok(routes.iter().filter_map(|route| parse_destination(&route.dst)).collect())
}

/// Picks a LAN: not one of `recorded`, and no route of the machine into it.
///
/// # Errors
/// [`Error::NoSubnet`], [`Error::Command`].
pub(crate) fn pick_subnet(recorded: &BTreeSet<Subnet>) -> Result<Subnet, Error> {
    Subnet::first_free(recorded, &routes()?).ok_or(Error::NoSubnet)
}

/// A destination as `ip -j route` prints it: an address, a network, or a word (`default`).
fn parse_destination(text: &str) -> Option<Ipv4Net> {
    text.parse().ok().or_else(|| text.parse::<Ipv4Addr>().ok().map(Ipv4Net::from))
}

fn ensure_namespace(namespace: &str) -> Result<(), Error> {
    let path = namespace_path(namespace);
    if is_namespace(&path) {
        return Ok(());
    }
    crate::file::gone_is_fine(std::fs::remove_file(&path)).map_err(file("remove", &path))?;
    Ok(run("ip", &["netns", "add", namespace]).map(drop)?)
}

fn links(namespace: &str) -> Result<Vec<Link>, Error> {
    Ok(run_json("ip", &["-n", namespace, "-j", "link", "show"])?)
}

fn ip(args: &[&str]) -> Result<(), Error> {
    Ok(run("ip", args).map(drop)?)
}

fn ip_in(namespace: &str, args: &[&str]) -> Result<(), Error> {
    ip(&[&["-n", namespace], args].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_networks_addresses_or_words() {
        assert_eq!(parse_destination("10.77.3.0/24"), "10.77.3.0/24".parse().ok());
        assert_eq!(parse_destination("10.77.3.9"), "10.77.3.9/32".parse().ok());
        assert_eq!(parse_destination("default"), None);
    }

    #[test]
    fn a_plain_file_is_no_namespace() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("left");
        std::fs::write(&path, "").unwrap();
        assert!(!is_namespace(&path) && !is_namespace(&dir.path().join("none")));
        assert!(is_namespace(Path::new("/proc/self/ns/net")));
    }
}
