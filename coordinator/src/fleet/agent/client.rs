//! A client of one host's agent. Each method is a call: types in, types out, within one limit of time. What an agent says that
//! cannot be read is an error of that host, as if the agent had refused.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, future::ready, stream::once};
use shoal_api::ProxyOutput;
use shoal_proto::{
    FieldError,
    v1::{self, agent_client::AgentClient},
};
use shoal_slurm::Stage;
use shoal_types::{HostName, InstallationId};
use tonic::{Code, Response, Status, Streaming, transport::Channel};

use crate::{
    fleet::agent::message,
    words::{
        agent::{
            AgentFacts, HostHealth, KeptNetworks, NetworkRemoval, NetworkState, NodeProbes, ProbeDevice,
            ProbePackets, ProbesSent,
        },
        fault::AgentError,
    },
};

/// How long the agent may take for one call: applying 10,000 entries one by one takes 1.3 s (measured 2026-11-21).
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A client of an agent; it is cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    host: HostName,
    client: AgentClient<Channel>,
}

/// Every method asks once. An error is an [`AgentError::Call`], or an [`AgentError::Answer`] if what was said cannot be read.
impl Agent {
    pub(super) fn new(host: HostName, channel: Channel) -> Self {
        Self { host, client: AgentClient::new(channel) }
    }

    /// What the machine offers and what is in use there.
    pub(crate) async fn facts(&self) -> Result<AgentFacts, AgentError> {
        let call = "GetHostFacts";
        let mut client = self.client.clone();
        let said = self.ask(call, client.get_host_facts(v1::GetHostFactsRequest {})).await?;
        self.read(call, said.try_into())
    }

    /// What a check needs to know beyond the facts.
    pub(crate) async fn health(&self) -> Result<HostHealth, AgentError> {
        let call = "GetHostHealth";
        let mut client = self.client.clone();
        let said = self.ask(call, client.get_host_health(v1::GetHostHealthRequest {})).await?;
        self.read(call, said.try_into())
    }

    /// Makes the host's part of a network what it says.
    pub(crate) async fn apply_network(&self, state: NetworkState) -> Result<(), AgentError> {
        let request = v1::ApplyNetworkRequest { state: Some(state.into()) };
        self.ask("ApplyNetwork", self.client.clone().apply_network(request)).await.map(drop)
    }

    /// Removes the host's part of a network; whether something was there.
    pub(crate) async fn remove_network(&self, removal: NetworkRemoval) -> Result<bool, AgentError> {
        let request = v1::RemoveNetworkRequest::from(removal);
        let said = self.ask("RemoveNetwork", self.client.clone().remove_network(request)).await?;
        Ok(said.removed)
    }

    /// The networks it keeps of an installation.
    pub(crate) async fn list_networks(
        &self,
        installation: &InstallationId,
    ) -> Result<KeptNetworks, AgentError> {
        let call = "ListNetworks";
        let request = v1::ListNetworksRequest { installation: installation.to_string() };
        let said = self.ask(call, self.client.clone().list_networks(request)).await?;
        self.read(call, said.try_into())
    }

    /// The TCP ports that processes of a node listen on, ascending; `None`: its first process, which is named, is gone.
    pub(crate) async fn probe_ports(&self, pid: u32) -> Result<Option<Vec<u16>>, AgentError> {
        let call = "ProbePorts";
        let request = v1::ProbePortsRequest { pids: vec![pid] };
        let said = self.ask(call, self.client.clone().probe_ports(request)).await?;
        self.read(call, message::ports(said))
    }

    /// What runs in these containers.
    pub(crate) async fn probe_nodes(&self, containers: Vec<String>) -> Result<NodeProbes, AgentError> {
        let call = "ProbeNodes";
        let request = v1::ProbeNodesRequest {
            containers: containers.clone(),
            units: Stage::units().map(str::to_owned).collect(),
        };
        let said = self.ask(call, self.client.clone().probe_nodes(request)).await?;
        self.read(call, message::probes(said, &containers))
    }

    /// Makes a device and tells what reaches it; it goes when the arrivals are dropped.
    pub(crate) async fn receive_probes(&self, device: ProbeDevice) -> Result<Arrivals, AgentError> {
        let request = v1::ReceiveProbesRequest::from(device);
        self.ask("ReceiveProbes", self.client.clone().receive_probes(request)).await.map(Arrivals)
    }

    /// Sends packets to other hosts' devices; what became of them, target by target.
    pub(crate) async fn send_probes(&self, packets: ProbePackets) -> Result<Vec<ProbesSent>, AgentError> {
        let (call, asked) = ("SendProbes", packets.targets.len());
        let request = v1::SendProbesRequest::from(packets);
        let said = self.ask(call, self.client.clone().send_probes(request)).await?;
        self.read(call, message::sent(said, asked))
    }

    /// A byte stream to a TCP port of a node of the host: what comes from there. Without a limit of time, and with the agent's
    /// own status, which is told to whoever wants in.
    pub(crate) async fn tunnel(
        &self,
        (address, port): (std::net::Ipv4Addr, u32),
        data: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<impl Stream<Item = Result<ProxyOutput, Status>> + Send + 'static, Status> {
        let frames = once(ready(message::tunnel_open(address, port))).chain(data.map(message::tunnel_data));
        let answer = self.client.clone().tunnel(frames).await?.into_inner();
        Ok(answer.map(|message| {
            message::tunnel_output(message?).map_err(|unread| Status::internal(unread.to_string()))
        }))
    }

    async fn ask<T>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, AgentError> {
        let refused = |message: String, transient| AgentError::Call {
            host: self.host.clone(),
            call,
            message,
            transient,
        };
        match tokio::time::timeout(CALL_TIMEOUT, answer).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            // An agent of an older build says so without a message.
            Ok(Err(status)) if status.code() == Code::Unimplemented => {
                Err(refused("it is of another build, which cannot do that".into(), false))
            }
            Ok(Err(status)) => Err(refused(status.message().to_owned(), is_transient(status.code()))),
            Err(_) => Err(refused(format!("no answer within {} s", CALL_TIMEOUT.as_secs()), true)),
        }
    }

    fn read<T>(&self, call: &'static str, said: Result<T, FieldError>) -> Result<T, AgentError> {
        said.map_err(|source| AgentError::Answer { host: self.host.clone(), call, source })
    }
}

/// Packets that reach a device, as they come.
#[derive(Debug)]
pub(crate) struct Arrivals(Streaming<v1::ReceiveProbesResponse>);

impl Arrivals {
    /// Marks of those that have come since the last time. The first answer says that the device is there; then there is one
    /// several times a second, whatever comes.
    ///
    /// # Errors
    /// What the agent said as it gave up.
    pub(crate) async fn next(&mut self) -> Result<Vec<u32>, String> {
        let said = self.0.message().await.map_err(|status| status.message().to_owned())?;
        said.map(|came| came.marks).ok_or_else(|| "the agent ended the check".into())
    }
}

/// A broken channel says Unavailable, Internal or Unknown; it reconnects by itself on the next call.
fn is_transient(code: Code) -> bool {
    match code {
        Code::Unavailable
        | Code::Internal
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::Cancelled => true,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}
