//! A large installation in one process: what a simulation of a thousand hosts costs before anything else does.

use std::{net::Ipv4Addr, time::Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use shoal_docker::LabelFilter;
use shoal_docker_fake::{FakeEngine, HostSpec, Release};

use crate::bed::{Bed, create, image, network, node, on};

const HOSTS: usize = 1000;
const NODES: u32 = 100;
/// Three times what all of it takes (measured 2026-11-21). Time is printed and not bounded: it is the machine's.
const RESIDENT_MIB_MAX: u64 = 1000;

/// A tar of one file.
fn archive() -> Bytes {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4000);
    header.set_mode(0o600);
    tar.append_data(&mut header, "etc/slurm/slurm.conf", &[b'#'; 4000][..]).unwrap();
    tar.into_inner().unwrap().into()
}

async fn bring_up(host: FakeEngine, tar: Bytes) {
    let docker = host.client("test");
    let net = docker.create_network(&network(host.name(), 4)).await.unwrap();
    for number in 0..NODES {
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 96, 4, 2).to_bits() + number);
        let id = create(&*docker, &on(node(&format!("{}-n{number}", host.name())), &net, address)).await;
        docker.put_archive(&id, "/", tar.clone()).await.unwrap();
        docker.start(&id).await.unwrap();
    }
    let there = docker.list_containers(&LabelFilter::all().with_key("shoal.node")).await.unwrap();
    assert_eq!(there.len(), NODES as usize);
}

async fn take_down(host: FakeEngine) {
    let docker = host.client("test");
    for there in docker.list_containers(&LabelFilter::all().with_key("shoal.node")).await.unwrap() {
        docker.remove_container(&there.id).await.unwrap();
    }
    for net in docker.list_networks(&LabelFilter::all().with_key("shoal.cluster")).await.unwrap() {
        docker.remove_network(&net.id).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_hosts_of_a_hundred_nodes() {
    let began = Instant::now();
    let bed = Bed::new(1);
    bed.clock.enter();
    let image = image();
    let hosts: Vec<FakeEngine> = (0..HOSTS)
        .map(|number| {
            let release = if number % 2 == 0 { Release::V20_10 } else { Release::V28_5 };
            let host = bed.fleet.add(&HostSpec::new(&format!("h{number}"), release));
            host.add_image(&image);
            host
        })
        .collect();
    let tar = archive();
    let all = || stream::iter(hosts.iter().cloned());
    all().for_each_concurrent(None, |host| bring_up(host, tar.clone())).await;
    let up = began.elapsed();
    let running: usize = hosts.iter().map(|host| host.truth().containers.len()).sum();
    assert_eq!(running, HOSTS * NODES as usize);
    assert_eq!(bed.fleet.violations(), []);
    let resident = resident_mib();
    all().for_each_concurrent(None, take_down).await;
    assert!(hosts.iter().all(|host| host.truth().is_free_of("shoal.node")));
    assert!(hosts.iter().all(|host| host.truth().is_free_of("shoal.cluster")));
    let (calls, took) = (bed.fleet.calls(), began.elapsed());
    println!(
        "{HOSTS} hosts x {NODES} nodes: up in {:.1} s, gone after {:.1} s, {calls} calls, {resident} MiB resident",
        up.as_secs_f64(),
        took.as_secs_f64()
    );
    assert!(resident < RESIDENT_MIB_MAX, "{resident} MiB");
}

/// Memory of this process (proc_pid_status(5), VmRSS).
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}
