//! One host as this process reaches it: its engine, its agent, and how much may be in flight there.

use std::sync::Arc;

use shoal_docker::Engine;
use shoal_types::{HostId, HostName};
use tokio::sync::{OnceCell, Semaphore};

use crate::{
    fleet::agent::{Agent, Seat, Which},
    words::fault::AgentError,
};

/// Fewest starts in flight on a host, however few its cores: one works while another waits for the disk.
const MIN_IN_FLIGHT: usize = 2;

/// A host as reached.
#[derive(Debug)]
pub(crate) struct HostLink {
    pub(crate) id: HostId,
    pub(crate) name: HostName,
    pub(crate) engine: Arc<dyn Engine>,
    /// One permit per container being created or started: beyond the cores only latency grows.
    pub(crate) in_flight: Semaphore,
    seat: Arc<Seat>,
    agent: OnceCell<Agent>,
    present: OnceCell<Agent>,
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
    pub(crate) async fn agent(&self) -> Result<Agent, AgentError> {
        self.agent.get_or_try_init(|| self.seat.clone().client(Which::OfThisBuild)).await.cloned()
    }

    /// The agent that is there, of whatever build; none is brought.
    pub(crate) async fn present_agent(&self) -> Result<Agent, AgentError> {
        if let Some(agent) = self.agent.get() {
            return Ok(agent.clone());
        }
        self.present.get_or_try_init(|| self.seat.clone().client(Which::Present)).await.cloned()
    }

    /// Whether the agent that is there is of this build.
    pub(crate) async fn agent_is_current(&self) -> Result<bool, AgentError> {
        self.seat.is_current().await
    }

    /// The build of the agent, as shown.
    pub(crate) async fn agent_build(&self) -> Result<String, AgentError> {
        self.seat.build().await
    }
}
