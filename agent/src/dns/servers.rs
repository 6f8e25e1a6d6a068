//! The servers of all networks of this host; owned by the reconciler.

use std::{collections::HashMap, sync::Arc};

use shoal_types::NetworkId;

use super::{
    forward::Forwarder,
    server::{DnsError, Running},
};
use crate::network::Network;

/// Servers by network. They share the way out.
#[derive(Debug)]
pub(crate) struct Servers {
    forwarder: Arc<Forwarder>,
    running: HashMap<NetworkId, Running>,
}

impl Servers {
    /// None yet; names of others go to the resolvers the host has now.
    pub(crate) fn new() -> Self {
        Self { forwarder: Arc::new(Forwarder::of_host()), running: HashMap::new() }
    }

    /// Makes a server run with the names of `network`; true if something had to be done. One that has died, or whose address is
    /// another now, is started anew; otherwise the names are replaced below the open sockets.
    ///
    /// # Errors
    /// [`DnsError`].
    pub(crate) async fn keep(&mut self, network: &Arc<Network>) -> Result<bool, DnsError> {
        if let Some(running) = self.running.get_mut(&network.id).filter(|r| r.fits(network)) {
            return running.update(network);
        }
        self.stop(network.id).await;
        let running = Running::start(network, self.forwarder.clone())?;
        self.running.insert(network.id, running);
        Ok(true)
    }

    /// Stops the server of a network, if there is one.
    pub(crate) async fn stop(&mut self, network: NetworkId) {
        if let Some(running) = self.running.remove(&network) {
            running.stop().await;
        }
    }

    /// Stops all.
    pub(crate) async fn stop_all(&mut self) {
        for (_, running) in self.running.drain() {
            running.stop().await;
        }
    }
}
