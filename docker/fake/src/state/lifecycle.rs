//! The life of a container, from its start to its removal.
//!
//! ```text
//! Created --start--> Running --its process ends--> Exited --remove--> Removing --a while--> gone
//!                       ^                            |                    |
//!                       '------ policy `always` <----'                    '--engine ends--> Dead
//!                               (Restarting)
//! ```

use std::{sync::Arc, time::Duration};

use rand::Rng as _;
use shoal_docker::{
    ContainerAction, ContainerNetwork, ContainerState, NetworkAction, RestartPolicy, Subject,
};
use shoal_types::Timestamp;
use tokio::sync::watch;

use super::{State, containers::Port};
use crate::{End, Refusal};

/// What SIGKILL leaves: 128 + 9.
const KILLED: i64 = 137;
/// The pause before a container is started again by its policy (moby, `restartmanager`: 100 ms at first).
const RESTART_PAUSE: Duration = Duration::from_millis(100);

impl State {
    pub(crate) fn start(&mut self, reference: &str, now: Timestamp) -> Result<(), Refusal> {
        let number = self.seek(reference)?;
        match self.containers.get(&number).map(|container| container.state) {
            Some(ContainerState::Running | ContainerState::Restarting) => Ok(()),
            Some(ContainerState::Paused) => {
                Err(Refusal::Conflict("cannot start a paused container, try unpause instead".into()))
            }
            Some(ContainerState::Removing | ContainerState::Dead) => Err(Refusal::RemovalInProgress),
            Some(ContainerState::Created | ContainerState::Exited) => self.begin(number, now),
            None => Err(Refusal::NotFound(None)),
        }
    }

    /// Starts a stopped container. A failure is kept as the container's error.
    fn begin(&mut self, number: u64, now: Timestamp) -> Result<(), Refusal> {
        let begun = self.plug(number).and_then(|port| self.boot(number, port, now));
        if let (Err(refusal), Some(container)) = (&begun, self.containers.get_mut(&number)) {
            container.error = format!("{refusal:?}");
            // moby, `daemon/start.go`: 128 unless the runtime had a status of its own.
            container.exit_code = if matches!(refusal, Refusal::BadRequest(_)) { 127 } else { 128 };
        }
        begun
    }

    /// Puts a container's end into its network.
    fn plug(&mut self, number: u64) -> Result<Option<Port>, Refusal> {
        let Some(container) = self.containers.get(&number) else { return Err(Refusal::NotFound(None)) };
        let spec = Arc::clone(&container.spec);
        let ContainerNetwork::Bridge { network, address, mac } = &spec.network else { return Ok(None) };
        // Before its first start a network that was there is called by its name, later by its id.
        let seen = container.network.as_ref().filter(|_| container.run == 0);
        let known = seen.map(|(name, _)| Refusal::missing(Subject::Network(name.clone())));
        let network = self.seek_network(network).map_err(|missing| known.unwrap_or(missing))?;
        let address = self.take_address(network, *address, number)?;
        // 20.10 ignores the MAC it is given.
        let own = mac.filter(|_| self.release == crate::Release::V28_5);
        let mac = own.unwrap_or_else(|| self.draw_mac(address));
        Ok(Some(Port { network, address, mac }))
    }

    fn boot(&mut self, number: u64, port: Option<Port>, now: Timestamp) -> Result<(), Refusal> {
        let (pid, engine) = (self.pid(), Arc::clone(&self.name));
        let network = port.as_ref().and_then(|port| self.networks.get(&port.network));
        let network = network.map(|network| (network.info.name.clone(), network.info.id.clone()));
        let programs = self.shared.programs();
        let Some(container) = self.containers.get_mut(&number) else { return Err(Refusal::NotFound(None)) };
        let address = port.as_ref().map(|port| port.address);
        container.port = port;
        container.pid = Some(pid);
        container.run += 1;
        let main = programs.main(&container.view(&engine));
        if let End::CannotRun(words) = main.end {
            (container.port, container.pid) = (None, None);
            container.run -= 1;
            self.release_addresses(number);
            return Err(Refusal::BadRequest(words));
        }
        container.log.extend_from_slice(&main.output);
        container.state = ContainerState::Running;
        container.started = Some(now);
        container.error.clear();
        container.ended_by_hand = false;
        container.tmpfs = crate::files::Files::default();
        container.running = Some(watch::Sender::new(()));
        if let Some(network) = network {
            container.network = Some(network);
        }
        let (run, end) = (container.run, main.end.clone());
        container.main = main;
        if let Some(address) = address {
            self.shared.address_taken(&engine, container, address, now);
        }
        self.happened(number, ContainerAction::Start, now);
        if let End::After(after, code) = end {
            self.later(now.after(after), Box::new(move |state, at| state.die(number, run, code, at)));
        }
        Ok(())
    }

    /// Somebody takes a container off its network; it runs on.
    pub(crate) fn disconnect(&mut self, number: u64, now: Timestamp) {
        let engine = Arc::clone(&self.name);
        let Some(container) = self.containers.get_mut(&number) else { return };
        let port = container.port.take();
        if let Some(port) = &port {
            self.shared.address_free(&engine, container, port.address);
        }
        container.disconnected = true;
        self.release_addresses(number);
        if let Some(port) = port {
            self.happened_to_network(port.network, NetworkAction::Disconnect, now);
        }
    }

    /// The first process of this run ended.
    pub(crate) fn die(&mut self, number: u64, run: u64, code: i64, now: Timestamp) {
        let engine = Arc::clone(&self.name);
        let Some(container) = self.containers.get_mut(&number).filter(|c| c.run == run && c.is_running())
        else {
            return;
        };
        let port = container.port.take();
        if let Some(port) = &port {
            self.shared.address_free(&engine, container, port.address);
        }
        (container.state, container.exit_code, container.pid) = (ContainerState::Exited, code, None);
        container.ended = Some(now);
        container.running = None;
        let again = container.spec.restart == RestartPolicy::Always && !container.ended_by_hand;
        self.release_addresses(number);
        self.happened(number, ContainerAction::Die { exit_code: Some(code) }, now);
        if let Some(port) = port {
            self.happened_to_network(port.network, NetworkAction::Disconnect, now);
        }
        if again {
            if let Some(container) = self.containers.get_mut(&number) {
                container.state = ContainerState::Restarting;
            }
            self.later(
                now.after(RESTART_PAUSE),
                Box::new(move |state, at| state.begin_again(number, run, at)),
            );
        }
    }

    fn begin_again(&mut self, number: u64, run: u64, now: Timestamp) {
        let Some(container) = self.containers.get_mut(&number) else { return };
        if container.state == ContainerState::Restarting && container.run == run {
            container.state = ContainerState::Exited;
            // What hinders it is its error, for whoever looks.
            drop(self.begin(number, now));
        }
    }

    /// Tells a container to end; when it will have, at the latest.
    pub(crate) fn stop(
        &mut self,
        reference: &str,
        grace: Duration,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Refusal> {
        let number = self.seek(reference)?;
        let takes = self.shared.latency().stop;
        let takes = Duration::from_millis(self.rng.random_range(takes));
        let Some(container) = self.containers.get_mut(&number) else { return Ok(None) };
        if container.state == ContainerState::Restarting {
            (container.state, container.ended_by_hand) = (ContainerState::Exited, true);
        }
        if !container.is_running() {
            return Ok(None);
        }
        container.ended_by_hand = true;
        let run = container.run;
        let (ends, code, words) = match &container.main.end {
            End::Told(code, words) if takes <= grace => (now.after(takes), *code, words.clone()),
            End::Told(..) | End::Never | End::After(..) | End::CannotRun(_) => {
                (now.after(grace), KILLED, bytes::Bytes::new())
            }
        };
        let end = move |state: &mut Self, at| {
            if let Some(container) = state.container(number).filter(|c| c.run == run && c.is_running()) {
                container.log.extend_from_slice(&words);
            }
            state.die(number, run, code, at);
        };
        self.later(ends, Box::new(end));
        Ok(Some(ends))
    }

    pub(crate) fn kill(&mut self, reference: &str, now: Timestamp) -> Result<(), Refusal> {
        let number = self.seek(reference)?;
        let Some(container) = self.containers.get_mut(&number) else { return Ok(()) };
        container.ended_by_hand = true;
        if container.state == ContainerState::Restarting {
            container.state = ContainerState::Exited;
        }
        let run = container.run;
        self.die(number, run, KILLED, now);
        Ok(())
    }

    /// Begins to remove a container; when it will be gone.
    pub(crate) fn remove(&mut self, reference: &str, now: Timestamp) -> Result<Timestamp, Refusal> {
        let number = self.seek(reference)?;
        if self.containers.get(&number).is_some_and(|c| c.state == ContainerState::Removing) {
            return Err(Refusal::RemovalInProgress);
        }
        self.kill(reference, now)?;
        if let Some(container) = self.containers.get_mut(&number) {
            container.state = ContainerState::Removing;
        }
        let takes = self.shared.latency().removal;
        let gone = now.after(Duration::from_millis(self.rng.random_range(takes)));
        self.later(gone, Box::new(move |state, at| state.vanish(number, at)));
        Ok(gone)
    }

    fn vanish(&mut self, number: u64, now: Timestamp) {
        if self.containers.get(&number).is_none_or(|c| c.state != ContainerState::Removing) {
            return;
        }
        self.happened(number, ContainerAction::Destroy, now);
        if let Some(container) = self.containers.remove(&number) {
            self.by_name.remove(&container.spec.name);
            self.by_id.remove(&container.id);
        }
    }

    /// What the end of the engine makes of a container: nothing of it runs, a removal stays half done (moby,
    /// `daemon.restore`: "in the middle of a removal" becomes dead).
    pub(crate) fn leave_behind(&mut self, number: u64) {
        let engine = Arc::clone(&self.name);
        let Some(container) = self.containers.get_mut(&number) else { return };
        match container.state {
            ContainerState::Removing => container.state = ContainerState::Dead,
            ContainerState::Running | ContainerState::Paused | ContainerState::Restarting => {
                if let Some(port) = container.port.take() {
                    self.shared.address_free(&engine, container, port.address);
                }
                container.state = ContainerState::Exited;
                (container.exit_code, container.pid, container.running) = (KILLED, None, None);
                container.ended = None;
                self.release_addresses(number);
            }
            ContainerState::Created | ContainerState::Exited | ContainerState::Dead => {}
        }
    }

    /// At the start of the engine: policy `always` counts, even for what was stopped by hand, but not for what never ran.
    pub(crate) fn restart_if_always(&mut self, number: u64, now: Timestamp) {
        let Some(container) = self.containers.get(&number) else { return };
        if container.state == ContainerState::Exited && container.spec.restart == RestartPolicy::Always {
            // What hinders it is its error, for whoever looks.
            drop(self.begin(number, now));
        }
    }
}
