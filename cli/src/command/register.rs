//! `shoal register`: one Docker host more.

use clap::Args;
use shoal_proto::v1::{Host, RegisterHostRequest};
use shoal_types::HostName;

use super::host_options::HostOptions;
use crate::{
    args::Global,
    connect::Session,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    output::{HostJson, host_line},
    parse::word,
};

/// Arguments of `register`.
#[derive(Debug, Args)]
pub(crate) struct Register {
    /// Name for the host
    #[arg(value_parser = word::<HostName>)]
    name: HostName,
    /// Endpoint of its engine: unix:///path or tcp://address:2376
    #[arg(long, value_name = "ENDPOINT")]
    docker: String,
    #[command(flatten)]
    options: HostOptions,
}

impl Register {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        if let Some(change) = self.options.labels.iter().find(|change| change.value.is_none()) {
            return Err(CliError::usage(format!("label `{}` has no value", change.key), None));
        }
        let fields = self.options.fields()?;
        let request = RegisterHostRequest {
            name: self.name.to_string(),
            endpoint: self.docker,
            tls: fields.tls,
            labels: fields.labels,
            cpu_milli: fields.cpu_milli,
            memory_bytes: fields.memory_bytes,
            overcommit_cpu_milli: fields.overcommit_cpu_milli,
            overcommit_memory_milli: fields.overcommit_memory_milli,
            underlay: fields.underlay,
        };
        let host =
            Session::within(global, interrupt, async |session| register(session, request).await).await?;
        let line = host_line("registered", &host);
        global.screen().named(&HostJson::from(host), [self.name.to_string()], |_, _| line)?;
        Ok(Exit::Ok)
    }
}

/// Registers a host and returns what is known of it.
///
/// # Errors
/// [`CliError::Status`]: the coordinator refuses; it says why.
pub(super) async fn register(session: &Session, request: RegisterHostRequest) -> Result<Host, CliError> {
    let answer = session.hosts().register_host(request).await?.into_inner();
    answer.host.ok_or(CliError::Answer { missing: "the host" })
}
