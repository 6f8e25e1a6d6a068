//! What `register` and `set host` say of a host.

use std::{net::Ipv4Addr, path::PathBuf};

use clap::Args;
use shoal_api::HostSettings;
use shoal_types::{Bytes, MilliCpu, MtuSetting, PrivilegedNodes};

use crate::{
    error::CliError,
    parse::{LabelChange, OvercommitArg, label, overcommit, underlay, word},
    pem, ssh_key,
};

/// A host's TLS credentials, labels and capacity.
#[derive(Debug, Args)]
pub(super) struct HostOptions {
    /// Directory with ca.pem, cert.pem and key.pem, as for DOCKER_CERT_PATH
    #[arg(long, value_name = "DIR", conflicts_with_all = ["tls_ca", "tls_cert", "tls_key"])]
    tls_dir: Option<PathBuf>,
    /// Certificate of the authority that signed the engine's certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert", requires = "tls_key")]
    tls_ca: Option<PathBuf>,
    /// Client certificate
    #[arg(long, value_name = "FILE", requires = "tls_ca", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Key of the client certificate
    #[arg(long, value_name = "FILE", requires = "tls_ca", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Private key without passphrase for an ssh:// endpoint, instead of your own SSH configuration and agent
    ///
    /// It is sealed in the store, with the keys by which the host is known to you now; no other host key is taken afterwards.
    #[arg(long, value_name = "FILE")]
    ssh_key: Option<PathBuf>,
    /// File that knows the host for --ssh-key [default: ~/.ssh/known_hosts]
    #[arg(long, value_name = "FILE", requires = "ssh_key")]
    ssh_known_hosts: Option<PathBuf>,
    /// Label for constraints; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub(super) labels: Vec<LabelChange>,
    /// CPUs of the host, instead of the engine's report
    #[arg(long, value_name = "N", value_parser = word::<MilliCpu>)]
    cpus: Option<MilliCpu>,
    /// Memory of the host, instead of the engine's report
    #[arg(long, value_name = "SIZE", value_parser = word::<Bytes>)]
    memory: Option<Bytes>,
    /// Factors by which nodes may reserve more than the host has, such as cpu=4,memory=1.5
    #[arg(long, value_name = "FACTORS", value_parser = overcommit)]
    overcommit: Option<OvercommitArg>,
    /// IPv4 address for tunnel packets from other hosts
    #[arg(long, value_name = "ADDRESS", value_parser = underlay)]
    underlay: Option<Ipv4Addr>,
    /// MTU of the path to other hosts in bytes, instead of the interface's; `auto`: the interface's again
    ///
    /// It is the largest IP packet that reaches other hosts, which is less than the interface says where a VPN, a provider or
    /// another overlay is on the way. Nodes get 50 bytes less, for the headers of the tunnels. Clusters that are there keep
    /// their MTU. `shoal doctor` measures what the paths carry.
    #[arg(long, value_name = "BYTES", value_parser = word::<MtuSetting>)]
    mtu: Option<MtuSetting>,
    /// Whether nodes are placed on the host although they are root on it: allow or deny
    ///
    /// An engine older than 28, or on cgroup v1, gives nodes SYS_ADMIN: root in such a node is root on its host, and so on
    /// every host of this kind that shares a cluster with it. With `deny` no node is placed there; nodes that are there stay.
    /// Other engines are not concerned.
    #[arg(long, value_name = "WORD", value_parser = word::<PrivilegedNodes>)]
    privileged_nodes: Option<PrivilegedNodes>,
}

impl HostOptions {
    /// The flag that cannot be meant for several hosts, if it is there.
    pub(super) fn of_one_host(&self) -> Option<&'static str> {
        self.underlay.map(|_| "--underlay").or_else(|| self.ssh_key.as_ref().map(|_| "--ssh-key"))
    }

    /// Reads the files that are named, for a host at `endpoint`.
    ///
    /// # Errors
    /// [`CliError::Pem`], [`CliError::File`], [`CliError::Usage`]: one of them is no credential, or not for this endpoint.
    pub(super) fn settings(&self, endpoint: Option<&str>) -> Result<HostSettings, CliError> {
        let tls = match (&self.tls_dir, &self.tls_ca, &self.tls_cert, &self.tls_key) {
            (Some(dir), ..) => Some(pem::read_dir(dir)?),
            (None, Some(ca), Some(cert), Some(key)) => Some(pem::read(ca, cert, key)?),
            (None, ..) => None,
        };
        let ssh = match &self.ssh_key {
            None => None,
            Some(key) => {
                let known_hosts = self.ssh_known_hosts.as_deref();
                Some(ssh_key::credentials(endpoint.unwrap_or_default(), key, known_hosts)?)
            }
        };
        let value = |change: &LabelChange| change.value.as_ref().map(ToString::to_string).unwrap_or_default();
        let overcommit = self.overcommit.unwrap_or_default();
        Ok(HostSettings {
            tls,
            ssh,
            labels: self.labels.iter().map(|change| (change.key.to_string(), value(change))).collect(),
            cpus: self.cpus,
            memory: self.memory,
            overcommit_cpu_milli: overcommit.cpu_milli,
            overcommit_memory_milli: overcommit.memory_milli,
            underlay: self.underlay,
            mtu: self.mtu,
            privileged_nodes: self.privileged_nodes,
        })
    }
}
