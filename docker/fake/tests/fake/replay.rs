//! The same seed, the same run: to the millisecond, to the id.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::join_all;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use shoal_docker::{Engine, LabelFilter};
use shoal_docker_fake::{Action, Refusal, Release, Rule};
use shoal_types::Clock as _;
use tokio::time::{sleep, timeout};

use crate::bed::{Bed, in_a_runtime, network, node};

/// One client's random work, without regard to failures.
async fn work(docker: Arc<dyn Engine>, seed: u64) {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    for _ in 0..40 {
        let name = format!("n{}", rng.random_range(0..6));
        let patience = Duration::from_millis(rng.random_range(20..2000));
        let step = async {
            match rng.random_range(0..8) {
                0..3 => drop(docker.create_container(&node(&name)).await),
                3 | 4 => drop(docker.start(&name).await),
                5 => drop(docker.stop(&name, Duration::from_secs(1)).await),
                6 => drop(docker.create_network(&network(&name, rng.random_range(0..4))).await),
                _ => drop(docker.remove_container(&name).await),
            }
        };
        drop(timeout(patience, step).await);
    }
}

/// Everything that happened in a run: each moment of each call, and what is there in the end.
fn trace(seed: u64) -> Vec<String> {
    let bed = Bed::new(seed);
    let hosts = [("h1", Release::V20_10), ("h2", Release::V28_5), ("h3", Release::V28_5)];
    let hosts = hosts.map(|(name, release)| bed.host(name, release));
    for action in [Action::DropBefore, Action::DropAfter, Action::Late(Duration::from_secs(2)), Action::Hang]
    {
        bed.fleet.rule(Rule::any(action).per_mille(20));
    }
    bed.fleet.rule(Rule::any(Action::Answer(Refusal::DiskFull)).per_mille(20));
    let lines = Arc::new(Mutex::new(Vec::new()));
    let (written, clock) = (Arc::clone(&lines), bed.clock.clone());
    bed.fleet.observe(move |moment| {
        let line = format!("{} {:?} {}", clock.now(), moment.phase, moment.call);
        written.lock().unwrap().push(line);
        None
    });
    // Two runtimes, as of a coordinator that crashes in the middle.
    for half in 0..2 {
        in_a_runtime(&bed, async {
            let clients = hosts.iter().enumerate().flat_map(|(n, host)| {
                let seed = seed * 100 + half * 10 + n as u64;
                [work(host.client("a"), seed), work(host.client("b"), seed + 5)]
            });
            let all = async { drop(join_all(clients).await) };
            let levers = async {
                sleep(Duration::from_secs(3)).await;
                hosts[0].restart();
                hosts[1].part("a");
                sleep(Duration::from_secs(3)).await;
                hosts[1].join("a");
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = all => {}
                () = levers => {}
                () = sleep(Duration::from_secs(25)) => {}
            }
        });
    }
    bed.fleet.observe_nothing();
    let mut lines = lines.lock().unwrap().clone();
    for host in &hosts {
        let truth = host.truth();
        for there in truth.containers {
            lines.push(format!("{} {} {:?} {}", host.name(), there.id, there.state, there.runs));
        }
        lines.extend(truth.networks.into_iter().map(|network| network.id));
        lines.push(format!("{:?} {} {}", truth.calls, truth.starts_in_flight_max, truth.pending));
        let listed =
            in_a_runtime(&bed, async { host.client("b").list_containers(&LabelFilter::all()).await });
        lines.push(format!("{listed:?}"));
    }
    lines
}

#[test]
fn one_seed_gives_one_run() {
    for seed in 1..=3 {
        let (one, two) = (trace(seed), trace(seed));
        assert!(one.len() > 300, "{}", one.len());
        for (number, (a, b)) in one.iter().zip(&two).enumerate() {
            assert_eq!(a, b, "line {number}");
        }
        assert_eq!(one.len(), two.len());
    }
    assert_ne!(trace(1), trace(2));
}
