//! What must never be is seen the moment it is, on whatever hosts.

use futures_util::future::join_all;
use shoal_docker_fake::{Release, Violation};

use crate::bed::{Bed, create, network, node, on};

#[tokio::test(start_paused = true)]
async fn one_address_on_two_hosts() {
    let bed = Bed::new(1);
    bed.clock.enter();
    let (address, other) = ("10.96.4.2".parse().unwrap(), "10.96.4.3".parse().unwrap());
    for (name, address) in [("h1", address), ("h2", other), ("h3", address)] {
        let host = bed.host(name, Release::V28_5);
        let docker = host.client("test");
        let net = docker.create_network(&network("net", 4)).await.unwrap();
        create(&*docker, &on(node("n1"), &net, address)).await;
        docker.start("n1").await.unwrap();
        if name == "h1" {
            // Its host is dead to everybody, and the node lives on.
            host.kill();
        }
    }
    let [Violation::AddressTwice { network, address: twice, holders, .. }] = &bed.fleet.violations()[..]
    else {
        panic!("{:?}", bed.fleet.violations())
    };
    assert_eq!((network.as_str(), *twice), ("net", address));
    assert_eq!(holders[..], ["h1/n1", "h3/n1"]);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_was_given_back_is_not_held_twice() {
    let bed = Bed::new(1);
    bed.clock.enter();
    for name in ["h1", "h2", "h3"] {
        let host = bed.host(name, Release::V28_5);
        let docker = host.client("test");
        let net = docker.create_network(&network("net", 4)).await.unwrap();
        create(&*docker, &on(node("n1"), &net, "10.96.4.2".parse().unwrap())).await;
        docker.start("n1").await.unwrap();
        match name {
            "h1" => drop(docker.remove_container("n1").await.unwrap()),
            _ => host.power_off(),
        }
    }
    assert_eq!(bed.fleet.violations(), []);
}

#[tokio::test(start_paused = true)]
async fn more_starts_in_flight_than_allowed() {
    let bed = Bed::new(1);
    bed.clock.enter();
    bed.fleet.set_starts_max(4);
    let host = bed.host("h1", Release::V28_5);
    let docker = host.client("test");
    let names: Vec<String> = (0..9).map(|n| format!("n{n}")).collect();
    for name in &names {
        create(&*docker, &node(name)).await;
    }
    join_all(names[..4].iter().map(|name| docker.start(name))).await;
    assert_eq!((host.truth().starts_in_flight_max, bed.fleet.violations()), (4, vec![]));
    join_all(names[4..].iter().map(|name| docker.start(name))).await;
    assert_eq!(host.truth().starts_in_flight_max, 5);
    assert_eq!(bed.fleet.violations(), [Violation::Starts { engine: "h1".into(), in_flight: 5 }]);
}
