//! One host as this process reaches it: its engine, its agent, and how much may be in flight there.

use std::{future::Future, sync::Arc, time::Duration};

use shoal_docker::Engine;
use shoal_proto::v1::agent_client::AgentClient;
use shoal_types::{HostId, HostName};
use tokio::sync::{OnceCell, Semaphore};
use tonic::{Code, Response, Status, transport::Channel};

use crate::{
    fleet::agent::{Seat, Which},
    words::fault::AgentError,
};

/// Fewest starts in flight on a host, however few its cores: one works while another waits for the disk.
const MIN_IN_FLIGHT: usize = 2;
/// How long the agent may take for one call: applying 10,000 entries one by one takes 1.3 s (measured 2026-11-21).
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A host as reached.
#[derive(Debug)]
pub(crate) struct HostLink {
    pub(crate) id: HostId,
    pub(crate) name: HostName,
    pub(crate) engine: Arc<dyn Engine>,
    /// One permit per container being created or started: beyond the cores only latency grows.
    pub(crate) in_flight: Semaphore,
    seat: Arc<Seat>,
    agent: OnceCell<AgentClient<Channel>>,
    present: OnceCell<AgentClient<Channel>>,
}

impl HostLink {
    pub(crate) fn new(id: HostId, cpus: u32, seat: Seat) -> Self {
        Self {
            id,
            name: seat.host.clone(),
            engine: seat.engine.clone(),
            in_flight: Semaphore::new((cpus as usize).max(MIN_IN_FLIGHT)),
            seat: Arc::new(seat),
            agent: OnceCell::new(),
            present: OnceCell::new(),
        }
    }

    /// The agent, brought there first if need be.
    pub(crate) async fn agent(&self) -> Result<AgentClient<Channel>, AgentError> {
        self.agent.get_or_try_init(|| self.seat.clone().client(Which::OfThisBuild)).await.cloned()
    }

    /// The agent that is there, of whatever build; none is brought.
    pub(crate) async fn present_agent(&self) -> Result<AgentClient<Channel>, AgentError> {
        if let Some(agent) = self.agent.get() {
            return Ok(agent.clone());
        }
        self.present.get_or_try_init(|| self.seat.clone().client(Which::Present)).await.cloned()
    }

    /// The build of the agent, as shown.
    pub(crate) async fn agent_build(&self) -> Result<String, AgentError> {
        self.seat.build().await
    }

    /// Asks the agent something, within the limit of a call.
    pub(crate) async fn ask<T, F>(
        &self,
        call: &'static str,
        ask: impl FnOnce(AgentClient<Channel>) -> F,
    ) -> Result<T, AgentError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.ask_of(self.agent().await?, call, ask).await
    }

    /// Asks this client of the agent something, within the limit of a call.
    pub(crate) async fn ask_of<T, F>(
        &self,
        agent: AgentClient<Channel>,
        call: &'static str,
        ask: impl FnOnce(AgentClient<Channel>) -> F,
    ) -> Result<T, AgentError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let refused = |message: String, transient| AgentError::Call {
            host: self.name.clone(),
            call,
            message,
            transient,
        };
        match tokio::time::timeout(CALL_TIMEOUT, ask(agent)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            // An agent of an older build says so without a message.
            Ok(Err(status)) if status.code() == Code::Unimplemented => {
                Err(refused("it is of another build, which cannot do that".into(), false))
            }
            Ok(Err(status)) => Err(refused(status.message().to_owned(), is_transient(status.code()))),
            Err(_) => Err(refused(format!("no answer within {} s", CALL_TIMEOUT.as_secs()), true)),
        }
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
