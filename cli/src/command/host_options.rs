//! What `register` and `set host` say of a host.

use std::{collections::HashMap, net::Ipv4Addr, path::PathBuf};

use clap::Args;
use shoal_proto::v1::TlsCredentials;
use shoal_types::{Bytes, MilliCpu};

use crate::{
    parse::{LabelChange, OvercommitArg, label, overcommit, underlay, word},
    pem::{self, PemError},
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
}

/// The same, as the protocol has it.
#[derive(Debug)]
pub(super) struct HostFields {
    pub(super) tls: Option<TlsCredentials>,
    pub(super) labels: HashMap<String, String>,
    pub(super) cpu_milli: Option<u64>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) overcommit_cpu_milli: Option<u32>,
    pub(super) overcommit_memory_milli: Option<u32>,
    pub(super) underlay: Option<String>,
}

impl HostOptions {
    /// Reads the files that are named.
    ///
    /// # Errors
    /// [`PemError`]: one of them is no credential.
    pub(super) fn fields(&self) -> Result<HostFields, PemError> {
        let tls = match (&self.tls_dir, &self.tls_ca, &self.tls_cert, &self.tls_key) {
            (Some(dir), ..) => {
                Some(pem::read(&dir.join("ca.pem"), &dir.join("cert.pem"), &dir.join("key.pem"))?)
            }
            (None, Some(ca), Some(cert), Some(key)) => Some(pem::read(ca, cert, key)?),
            (None, ..) => None,
        };
        let value = |change: &LabelChange| change.value.as_ref().map(ToString::to_string).unwrap_or_default();
        let overcommit = self.overcommit.unwrap_or_default();
        Ok(HostFields {
            tls,
            labels: self.labels.iter().map(|change| (change.key.to_string(), value(change))).collect(),
            cpu_milli: self.cpus.map(|cpus| cpus.0),
            memory_bytes: self.memory.map(|memory| memory.0),
            overcommit_cpu_milli: overcommit.cpu_milli,
            overcommit_memory_milli: overcommit.memory_milli,
            underlay: self.underlay.map(|address| address.to_string()),
        })
    }
}
