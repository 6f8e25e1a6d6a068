//! The measure of `bench create`: bare containers that sleep, created and started with nothing around the calls.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt, future::try_join_all, stream};
use shoal_docker::{
    ContainerNetwork, ContainerSpec, Created, Endpoint, Engine, LabelFilter, NetworkSpec, Timeouts, connect,
};
use shoal_lab::Host;

/// Calls in flight per engine: more gained nothing (measured on two cores, engines 20.10 and 28.5).
const IN_FLIGHT: usize = 4;
/// Label of all that is made here.
const LABEL: &str = "shoal.bench";
/// Network, one on every host; far from the lab's LAN and from what clusters are given.
const SUBNET: &str = "10.250.0.0/16";

/// The engines of a lab.
pub(super) struct Base {
    engines: Vec<Arc<dyn Engine>>,
    image: String,
}

impl Base {
    /// Connects to the hosts' engines.
    pub(super) async fn connect(hosts: &[Host], image: &str) -> anyhow::Result<Self> {
        let engine = |host: &Host| {
            let endpoint = Endpoint::Unix(host.socket.clone());
            async move { connect(&endpoint, None, Timeouts::default()).await }
        };
        let engines = try_join_all(hosts.iter().map(engine)).await?;
        Ok(Self { engines, image: image.to_owned() })
    }

    /// Creates and starts `count` containers, in turn on the hosts; how long that took. Leaves nothing.
    pub(super) async fn round(&self, count: usize) -> anyhow::Result<Duration> {
        let networks = try_join_all(self.engines.iter().map(network)).await?;
        let began = Instant::now();
        let started =
            try_join_all(self.engines.iter().zip(&networks).enumerate().map(|(turn, (engine, network))| {
                let share = (turn..count).step_by(self.engines.len());
                stream::iter(share.map(|number| self.start(engine, network, number)))
                    .buffer_unordered(IN_FLIGHT)
                    .try_collect::<Vec<()>>()
            }))
            .await;
        let took = began.elapsed();
        try_join_all(self.engines.iter().map(clear)).await?;
        started?;
        Ok(took)
    }

    async fn start(&self, engine: &Arc<dyn Engine>, network: &str, number: usize) -> anyhow::Result<()> {
        let spec = ContainerSpec {
            name: format!("shoal-bench-{number}"),
            image: self.image.clone(),
            labels: labels(),
            cmd: Some(vec!["sleep".into(), "infinity".into()]),
            network: ContainerNetwork::Bridge { network: network.into(), address: None, mac: None },
            ..ContainerSpec::default()
        };
        match engine.create_container(&spec).await? {
            Created::New { id } => Ok(engine.start(&id).await?),
            Created::Exists(detail) => bail!("{} is there already", detail.name),
        }
    }
}

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([(LABEL.to_owned(), "base".to_owned())])
}

async fn network(engine: &Arc<dyn Engine>) -> anyhow::Result<String> {
    clear(engine).await?;
    let subnet: ipnet::Ipv4Net = SUBNET.parse()?;
    let gateway = subnet.hosts().next().context("a subnet without addresses")?;
    let spec = NetworkSpec {
        name: "shoal-bench".into(),
        labels: labels(),
        subnet,
        gateway,
        ip_range: subnet,
        mtu: 1500,
        bridge: "shoal-bench".into(),
    };
    Ok(engine.create_network(&spec).await?)
}

/// Removes what is there of this and of an earlier run.
async fn clear(engine: &Arc<dyn Engine>) -> anyhow::Result<()> {
    let ours = LabelFilter::all().with(LABEL, "base");
    let containers = engine.list_containers(&ours).await?;
    stream::iter(containers.iter().map(|container| engine.remove_container(&container.id)))
        .buffer_unordered(IN_FLIGHT)
        .try_collect::<Vec<_>>()
        .await?;
    for network in engine.list_networks(&ours).await? {
        engine.remove_network(&network.id).await?;
    }
    Ok(())
}
