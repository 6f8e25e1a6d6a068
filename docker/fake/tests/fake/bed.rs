//! A fleet with its clock and an image, and what tests ask of it again and again.

use std::{net::Ipv4Addr, sync::Arc};

use ipnet::Ipv4Net;
use shoal_docker::{
    ContainerNetwork, ContainerSpec, Created, Engine, FileContent, ImageArchive, ImageFile, Layer,
    NetworkSpec,
};
use shoal_docker_fake::{FakeEngine, Fleet, HostSpec, Image, Release, VirtualClock};
use shoal_types::{MacAddr, SubnetPlan, Timestamp};

/// A fleet at a time.
pub(crate) struct Bed {
    pub(crate) clock: VirtualClock,
    pub(crate) fleet: Fleet,
}

impl Bed {
    /// Its clock stands until it is entered.
    pub(crate) fn new(seed: u64) -> Self {
        let clock = VirtualClock::new(Timestamp(1_000_000));
        Self { fleet: Fleet::new(seed, Arc::new(clock.clone())), clock }
    }

    pub(crate) fn host(&self, name: &str, release: Release) -> FakeEngine {
        let host = self.fleet.add(&HostSpec::new(name, release));
        host.add_image(&image());
        host
    }
}

/// One host of 28.5 and a client of it, in the current runtime.
pub(crate) fn one() -> (Bed, FakeEngine, Arc<dyn Engine>) {
    let bed = Bed::new(1);
    bed.clock.enter();
    let host = bed.host("h1", Release::V28_5);
    let docker = host.client("test");
    (bed, host, docker)
}

/// `node:1`, with a passwd file.
pub(crate) fn image() -> Arc<Image> {
    let passwd = FileContent::Bytes("root:x:0:0::/root:/bin/sh\n".into());
    let archive = ImageArchive {
        reference: "node:1".into(),
        architecture: "amd64".into(),
        entrypoint: vec!["/sbin/init".into()],
        cmd: vec![],
        env: [].into(),
        labels: [].into(),
        stop_signal: None,
        layer: Layer::Files(vec![ImageFile { path: "etc/passwd".into(), mode: 0o644, content: passwd }]),
    };
    Image::packed(&archive.pack().unwrap()).unwrap()
}

pub(crate) fn node(name: &str) -> ContainerSpec {
    ContainerSpec {
        name: name.into(),
        image: "node:1".into(),
        labels: [("shoal.node".to_owned(), name.to_owned())].into(),
        ..ContainerSpec::default()
    }
}

pub(crate) fn network(name: &str, third: u8) -> NetworkSpec {
    let subnet = Ipv4Net::new(Ipv4Addr::new(10, 96, third, 0), 24).unwrap();
    let plan = SubnetPlan { subnet };
    NetworkSpec {
        name: name.into(),
        labels: [("shoal.cluster".to_owned(), name.to_owned())].into(),
        subnet,
        gateway: plan.gateway(),
        ip_range: plan.docker_range(),
        mtu: 1450,
        bridge: format!("br{third}"),
    }
}

pub(crate) fn on(spec: ContainerSpec, network: &str, address: Ipv4Addr) -> ContainerSpec {
    let network = ContainerNetwork::Bridge {
        network: network.into(),
        address: Some(address),
        mac: Some(MacAddr::of(address)),
    };
    ContainerSpec { network, ..spec }
}

pub(crate) async fn create(docker: &dyn Engine, spec: &ContainerSpec) -> String {
    match docker.create_container(spec).await.unwrap() {
        Created::New { id } => id,
        Created::Exists(there) => panic!("{} is there", there.name),
    }
}

/// Runs in a runtime of its own, which is dropped with everything in it.
pub(crate) fn in_a_runtime<T>(bed: &Bed, work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let done = runtime.block_on(async {
        bed.clock.enter();
        let done = work.await;
        bed.clock.leave();
        done
    });
    drop(runtime);
    done
}
