//! Tunnel packets between every two hosts, both ways, small ones and of full size with "don't fragment".
//!
//! ```text
//! round 1:  h1 -> h2   h2 -> h3   h3 -> h1        every host counts what comes in, so only one may send to it at a time
//! round 2:  h1 -> h3   h2 -> h1   h3 -> h2
//! ```
//! Every host counts on a VXLAN device of a VNI drawn for this check (the agent's `path_probe.rs` says why). With more than
//! [`MOST`] hosts not every pair is tried: as many rounds as that many hosts would take, spread over all distances.

use std::time::Duration;

use futures_util::future::join_all;
use shoal_api::{Pair, Verdict};
use shoal_types::{HostMtu, HostName, Vni, chain};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    drive::doctor::{End, Ports},
    edit::network::UDP_PORT,
    fleet::{agent::Counts, coordinator::Coordinator},
    words::{
        agent::{ProbeDevice, ProbePackets},
        entropy::draw,
    },
};

/// Hosts between which every pair is checked.
const MOST: usize = 32;
/// How long a packet may take: what comes later is of no use to a job.
const LATE: Duration = Duration::from_millis(500);
/// How long the whole may take.
const TOTAL: Duration = Duration::from_secs(90);
/// A packet that every path carries.
const SMALL: u32 = 200;
/// How many of each size.
const REPEAT: usize = 3;
/// MTUs that paths have, largest first: of tunnels, lines, VPNs and overlays in use.
const LADDER: [u32; 14] =
    [9000, 8950, 1500, 1492, 1480, 1472, 1450, 1430, 1420, 1400, 1370, 1350, 1320, 1280];

/// Why not every pair was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Note {
    #[error(
        "{rounds} of {of} other hosts were tried from each host: with more than {MOST} not every pair is"
    )]
    Sampled { rounds: usize, of: usize },
    #[error("{rounds} of {of} other hosts were tried from each host: then {} s were over", TOTAL.as_secs())]
    OutOfTime { rounds: usize, of: usize },
}

/// What was measured one way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Measured {
    /// Why the receiver cannot count.
    deaf: Option<String>,
    /// Why the sender did not send.
    mute: Option<String>,
    small: u64,
    full: u64,
    /// The largest size that passed, where full size did not.
    largest: Option<u32>,
}

/// Frames counted on one host so far, or why it does not count.
type Counter = Result<watch::Receiver<Result<u64, String>>, String>;

/// Checks every pair, and with it the port on every host.
pub(crate) async fn check_pairs(coordinator: &Coordinator, ends: &[End]) -> (Vec<Pair>, Option<Note>, Ports) {
    let Some(vni) = free_vni(coordinator, ends) else { return (vec![], None, Ports::new()) };
    let device = coordinator.naming.device(vni);
    let mut readers = JoinSet::new();
    let counting = join_all(ends.iter().map(|end| open(end, vni, &device))).await;
    let counters: Vec<Counter> = counting
        .into_iter()
        .map(|opened| {
            let (mut counts, first) = opened?;
            let (told, counter) = watch::channel(Ok(first));
            readers.spawn(async move {
                loop {
                    let next = counts.next().await;
                    let next = next.and_then(|frames| frames.ok_or_else(|| "the count ended".to_owned()));
                    let ended = next.is_err();
                    if told.send(next).is_err() || ended {
                        return;
                    }
                }
            });
            Ok(counter)
        })
        .collect();
    let ports = ends
        .iter()
        .zip(&counters)
        .map(|(end, counter)| (end.id, counter.as_ref().map(drop).map_err(Clone::clone)));
    let ports = ports.collect();
    let distances = distances(ends.len());
    let began = Instant::now();
    let (mut pairs, mut rounds) = (Vec::new(), 0);
    for distance in &distances {
        if began.elapsed() > TOTAL {
            break;
        }
        let round = ends.iter().enumerate().map(|(at, from)| {
            let to = (at + distance) % ends.len();
            let counter = counters[to].clone();
            async move {
                let to = &ends[to];
                let measured = measure(from, to, vni, counter).await;
                verdict(from, to, &measured)
            }
        });
        pairs.extend(join_all(round).await);
        rounds += 1;
    }
    let of = ends.len().saturating_sub(1);
    let note = match rounds {
        rounds if rounds < distances.len() => Some(Note::OutOfTime { rounds, of }),
        rounds if rounds < of => Some(Note::Sampled { rounds, of }),
        _ => None,
    };
    // The streams end, and the devices with them.
    readers.shutdown().await;
    (pairs, note, ports)
}

/// A VNI that no host has.
fn free_vni(coordinator: &Coordinator, ends: &[End]) -> Option<Vni> {
    let mut rng = coordinator.rng();
    let draws = std::iter::repeat_with(|| {
        let [a, b, c] = draw::<3>(&mut *rng);
        Vni::try_from(u64::from(u32::from_be_bytes([0, a, b, c]))).ok()
    });
    draws.take(100).flatten().find(|vni| !ends.iter().any(|end| end.vnis.contains(vni)))
}

/// Which host each host sends to, round by round, as the distance between their places.
fn distances(hosts: usize) -> Vec<usize> {
    let all = hosts.saturating_sub(1);
    if hosts <= MOST {
        return (1..=all).collect();
    }
    (0..MOST - 1).map(|round| 1 + round * (all - 1) / (MOST - 2)).collect()
}

async fn open(end: &End, vni: Vni, device: &str) -> Result<(Counts, u64), String> {
    let device = ProbeDevice { name: device.into(), vni, local: end.address, udp_port: UDP_PORT };
    let counting = async { end.link.agent().await?.count_probes(device).await };
    let mut counts = counting.await.map_err(|error| chain(&error))?;
    match timeout(super::LIMIT, counts.next()).await {
        Ok(Ok(Some(first))) => Ok((counts, first)),
        Ok(Ok(None)) => Err("the count ended at once".into()),
        Ok(Err(why)) => Err(why),
        Err(_) => Err(format!("no count within {} s", super::LIMIT.as_secs())),
    }
}

async fn measure(from: &End, to: &End, vni: Vni, counter: Counter) -> Measured {
    let mut counter = match counter {
        Ok(counter) => counter,
        Err(deaf) => return Measured { deaf: Some(deaf), ..Measured::default() },
    };
    let mut measured = Measured::default();
    let probe = async {
        measured.small = arrived(from, to, vni, &[SMALL; REPEAT], &mut counter).await?;
        if measured.small > 0 {
            let full = full_size(from, to);
            measured.full = arrived(from, to, vni, &[full; REPEAT], &mut counter).await?;
            if measured.full == 0 {
                let steps: Vec<u32> = LADDER.into_iter().filter(|size| *size < full).collect();
                let passed = arrived(from, to, vni, &steps, &mut counter).await?;
                let passed = usize::try_from(passed).unwrap_or(usize::MAX);
                // Whatever carries a size carries every smaller one.
                measured.largest = steps.len().checked_sub(passed).and_then(|at| steps.get(at)).copied();
            }
        }
        Ok::<_, Trouble>(())
    };
    match probe.await {
        Ok(()) => {}
        Err(Trouble::Mute(why)) => measured.mute = Some(why),
        Err(Trouble::Deaf(why)) => measured.deaf = Some(why),
    }
    measured
}

enum Trouble {
    Mute(String),
    Deaf(String),
}

/// Size of the IP packets that carry a full frame of a node between these hosts.
fn full_size(from: &End, to: &End) -> u32 {
    from.mtu.min(to.mtu)
}

/// Sends these and waits until all have come, or the last one should have.
async fn arrived(
    from: &End,
    to: &End,
    vni: Vni,
    sizes: &[u32],
    counter: &mut watch::Receiver<Result<u64, String>>,
) -> Result<u64, Trouble> {
    let before = counter.borrow_and_update().clone().map_err(Trouble::Deaf)?;
    let packets = ProbePackets {
        local: from.address,
        remote: to.address,
        udp_port: UDP_PORT,
        vni,
        sizes: sizes.to_vec(),
    };
    let sent = async { from.link.agent().await?.send_probes(packets).await }.await;
    if let Some(unsent) = sent.map_err(|error| Trouble::Mute(chain(&error)))? {
        return Err(Trouble::Mute(unsent));
    }
    let all = before + sizes.len() as u64;
    let came = async {
        // Ended: the last count says why.
        drop(counter.wait_for(|count| count.as_ref().map_or(true, |frames| *frames >= all)).await);
    };
    // Late ones are counted as lost.
    drop(timeout(LATE, came).await);
    let last = counter.borrow().clone();
    Ok(last.map_err(Trouble::Deaf)?.saturating_sub(before))
}

/// What was measured, and what it means.
fn verdict(from: &End, to: &End, measured: &Measured) -> Pair {
    let full = full_size(from, to);
    judge(measured, full, (&from.name, &to.name), to.address)
}

fn judge(
    measured: &Measured,
    full: u32,
    (from, to): (&HostName, &HostName),
    address: std::net::Ipv4Addr,
) -> Pair {
    let repeat = REPEAT as u64;
    let Measured { deaf, mute, small, full: arrived, largest } = measured;
    let told = |verdict, message: String, fix: Option<String>, largest_bytes| Pair {
        from: from.to_string(),
        to: to.to_string(),
        verdict,
        message,
        fix,
        largest_bytes,
    };
    let fail = |message, fix, largest| told(Verdict::Fail, message, Some(fix), largest);
    if let Some(why) = deaf {
        return fail(format!("{to} cannot receive: {why}"), format!("see the finding `udp` of {to}"), 0);
    }
    if let Some(why) = mute {
        let fix = format!(
            "see that the firewall of {from} lets UDP to port {UDP_PORT} out, and its interface's MTU"
        );
        return fail(format!("{from} cannot send: {why}"), fix, if *small > 0 { SMALL } else { 0 });
    }
    match (*small, *arrived) {
        (0, _) => {
            let fix =
                format!("let UDP port {UDP_PORT} from {from} to {address} through every firewall on the way");
            fail(format!("no packet to UDP port {UDP_PORT} arrives"), fix, 0)
        }
        (_, 0) => {
            let largest = largest.unwrap_or(SMALL);
            let fix = match HostMtu::try_from(u64::from(largest)) {
                Ok(mtu) => format!(
                    "raise the MTU on the way to {full}; or `shoal set host {from} --mtu {mtu}`, `shoal set host {to} --mtu {mtu}`, and create clusters anew"
                ),
                Err(_) => format!("raise the MTU on the way to {full}"),
            };
            fail(format!("packets of {full} bytes do not arrive, those of {largest} do"), fix, largest)
        }
        (small, arrived) if small < repeat || arrived < repeat => {
            let lost = 2 * repeat - small.min(repeat) - arrived.min(repeat);
            let fix = "see what else loads the way; Slurm and MPI suffer from loss".to_owned();
            let message = format!("{lost} of {} packets were lost", 2 * repeat);
            told(Verdict::Warn, message, Some(fix), full)
        }
        _ => told(Verdict::Pass, format!("packets of {full} bytes arrive"), None, full),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_in_one_round_and_many_hosts_are_sampled() {
        assert_eq!(distances(0), Vec::<usize>::new());
        assert_eq!(distances(1), Vec::<usize>::new());
        assert_eq!(distances(3), [1, 2]);
        assert_eq!(distances(MOST).len(), MOST - 1);
        for hosts in [33, 64, 1000] {
            let chosen = distances(hosts);
            assert_eq!(
                (chosen.len(), chosen[0], *chosen.last().unwrap()),
                (MOST - 1, 1, hosts - 1),
                "{hosts}"
            );
            assert!(chosen.windows(2).all(|w| w[0] < w[1]), "{chosen:?}");
        }
    }

    #[test]
    fn what_was_measured_means() {
        let (a, b): (HostName, HostName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let all = Measured { small: 3, full: 3, ..Measured::default() };
        for (measured, verdict, says, largest) in [
            (all.clone(), Verdict::Pass, "1500 bytes arrive", 1500),
            (Measured { small: 2, ..all.clone() }, Verdict::Warn, "1 of 6", 1500),
            (Measured { full: 1, ..all.clone() }, Verdict::Warn, "2 of 6", 1500),
            (
                Measured { full: 0, largest: Some(1400), ..all.clone() },
                Verdict::Fail,
                "those of 1400 do",
                1400,
            ),
            (Measured { full: 0, ..all.clone() }, Verdict::Fail, "those of 200 do", 200),
            (Measured::default(), Verdict::Fail, "UDP port 4799", 0),
            (
                Measured { deaf: Some("in use".into()), ..all.clone() },
                Verdict::Fail,
                "b cannot receive: in use",
                0,
            ),
            (
                Measured { mute: Some("not permitted".into()), ..Measured::default() },
                Verdict::Fail,
                "a cannot send",
                0,
            ),
        ] {
            let pair = judge(&measured, 1500, (&a, &b), [10, 77, 0, 2].into());
            assert_eq!((pair.verdict, pair.largest_bytes), (verdict, largest), "{says}: {pair:?}");
            assert!(pair.message.contains(says), "{says}: {pair:?}");
            assert_eq!(pair.fix.is_none(), verdict == Verdict::Pass, "{pair:?}");
        }
        let way_out = |largest| {
            let measured = Measured { small: 3, largest, ..Measured::default() };
            judge(&measured, 1500, (&a, &b), [10, 77, 0, 2].into()).fix.unwrap()
        };
        let both = "`shoal set host a --mtu 1400`, `shoal set host b --mtu 1400`, and create clusters anew";
        assert!(way_out(Some(1400)).ends_with(both), "{}", way_out(Some(1400)));
        assert_eq!(way_out(None), "raise the MTU on the way to 1500");
    }
}
