//! Sends packets on all ways at once, and hears which of them come.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
    stream::{self, StreamExt},
};
use shoal_types::{Vni, chain};
use tokio::time::{Instant, timeout};

use super::{
    End,
    way::{Packet, Trouble, Way, mark, packet_of},
};
use crate::{
    fleet::{agent::Arrivals, coordinator::Coordinator},
    words::{
        agent::{ProbeDevice, ProbePacket, ProbePackets, ProbeTarget, ProbesSent},
        entropy::draw,
    },
};

/// Hosts between which every way is tried.
const MOST: usize = 32;
/// Groups of hosts at work at once: each host takes some 30 KiB here while it is (measured 2026-11-27).
const GROUPS: usize = 4;
/// How long a packet may take: what comes later is of no use to a job.
const LATE: Duration = Duration::from_millis(500);

/// Why not every way was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("each host was tried with some {tried} of {of} others: more than {MOST} hosts are tried in groups")]
pub(crate) struct Sampled {
    tried: usize,
    of: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Probed {
    /// Whether each end could open the port, or why not, in the order of the ends.
    pub(crate) ports: Vec<Result<(), String>>,
    pub(crate) ways: Vec<Way>,
    pub(crate) sampled: Option<Sampled>,
}

/// The ways that are sent on: their numbers, and which of their packets is the first.
type Load = Vec<(usize, usize)>;

/// Tries the ways between these hosts. A host that does not answer within `patience` is left out from then on.
pub(crate) async fn probe(
    coordinator: &Coordinator,
    ends: &[End],
    udp_port: u16,
    patience: Duration,
) -> Probed {
    let Some(vni) = free_vni(coordinator, ends) else { return Probed::default() };
    let device = coordinator.naming.device(vni);
    let groups = groups(ends.len());
    let checks: Vec<BoxFuture<'_, _>> = groups
        .iter()
        .map(|group| {
            let ends = group.iter().map(|at| &ends[*at]).collect();
            let check = Check { ends, vni, device: device.clone(), udp_port, patience };
            async move { check.run().await }.boxed()
        })
        .collect();
    let mut checks = stream::iter(checks).buffered(GROUPS).zip(stream::iter(&groups));
    let mut probed = Probed { ports: vec![Ok(()); ends.len()], ..Probed::default() };
    while let Some(((ports, ways), group)) = checks.next().await {
        for (port, at) in ports.into_iter().zip(group) {
            probed.ports[*at] = port;
        }
        probed.ways.extend(ways.into_iter().map(|way| way.between(group)));
    }
    let (tried, of) = (groups.iter().map(|group| group.len() - 1).min(), ends.len().saturating_sub(1));
    probed.sampled = tried.filter(|tried| *tried < of).map(|tried| Sampled { tried, of });
    probed
}

/// Groups of hosts, by their places, between which every way is tried: neighbours are in different ones, as far apart as can be.
fn groups(hosts: usize) -> Vec<Vec<usize>> {
    let count = hosts.div_ceil(MOST);
    (0..count).map(|first| (first..hosts).step_by(count).collect()).collect()
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

/// One trial of all ways between the hosts of a group.
#[derive(Debug)]
struct Check<'a> {
    ends: Vec<&'a End>,
    vni: Vni,
    device: String,
    udp_port: u16,
    patience: Duration,
}

impl Check<'_> {
    /// Whether each end could open the port, and what was learned of each way.
    async fn run(&self) -> (Vec<Result<(), String>>, Vec<Way>) {
        let opens: Vec<_> = self.ends.iter().map(|end| self.open_on(end).boxed()).collect();
        let mut receivers = join_all(opens).await;
        let ports = receivers.iter().map(|opened| opened.as_ref().map(drop).map_err(Clone::clone)).collect();
        let mut ways = self.ways();
        for way in &mut ways {
            way.trouble = receivers[way.to].as_ref().err().cloned().map(Trouble::Deaf);
        }
        self.round(&mut receivers, &mut ways, Way::first).await;
        self.round(&mut receivers, &mut ways, Way::again).await;
        // The streams end, and the devices with them.
        (ports, ways)
    }

    /// From each end to every other, those to the next ends first.
    fn ways(&self) -> Vec<Way> {
        let count = self.ends.len();
        let way = |from: usize, distance: usize| {
            let to = (from + distance) % count;
            Way::new(from, to, self.ends[from].mtu.min(self.ends[to].mtu))
        };
        (1..count).flat_map(|distance| (0..count).map(move |from| way(from, distance))).collect()
    }

    async fn open_on(&self, end: &End) -> Result<Arrivals, String> {
        let device = ProbeDevice {
            name: self.device.clone(),
            vni: self.vni,
            local: end.address,
            udp_port: self.udp_port,
        };
        let opened = async {
            let arrivals = async { end.link.agent().await?.receive_probes(device).await }.await;
            let mut arrivals = arrivals.map_err(|error| chain(&error))?;
            arrivals.next().await.map(|_| arrivals)
        };
        self.patiently(opened).await
    }

    /// What is asked, within the limit of time.
    async fn patiently<T>(&self, ask: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let silence = |_| format!("no answer within {} s", self.patience.as_secs());
        timeout(self.patience, ask).await.map_err(silence)?
    }

    /// Sends packets of these sizes on every way, and hears which of them come.
    async fn round(
        &self,
        receivers: &mut [Result<Arrivals, String>],
        ways: &mut [Way],
        sizes: fn(&Way) -> Vec<u32>,
    ) {
        let mut loads: BTreeMap<usize, Load> = BTreeMap::new();
        for (number, way) in ways.iter_mut().enumerate() {
            let (first, sizes) = (way.packets.len(), sizes(way));
            if !sizes.is_empty() {
                way.packets.extend(sizes.into_iter().map(|size| Packet { size, came: false }));
                loads.entry(way.from).or_default().push((number, first));
            }
        }
        let sends = loads.iter().map(|(from, load)| self.send(self.ends[*from], load, ways).boxed());
        let sent = join_all(sends.collect::<Vec<_>>()).await;
        let late = Instant::now() + LATE;
        for (load, sent) in loads.values().zip(sent) {
            note_sent(load, sent, ways);
        }
        let mut expected: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
        for (number, first) in loads.into_values().flatten() {
            let marks = (first..ways[number].packets.len()).map(|at| mark(number, at));
            expected.entry(ways[number].to).or_default().extend(marks);
        }
        let hears = receivers.iter_mut().zip(0..).filter_map(|(receiver, to)| {
            let (arrivals, expected) = (receiver.as_mut().ok()?, expected.remove(&to)?);
            Some(async move { (to, self.hear(arrivals, expected, late).await) }.boxed())
        });
        let heard = join_all(hears.collect::<Vec<_>>()).await;
        for (to, (came, ended)) in heard {
            for (way, at) in came.into_iter().map(packet_of) {
                ways[way].packets[at].came = true;
            }
            if let Err(why) = ended {
                let lacking = ways.iter_mut().filter(|way| way.to == to && way.lacks());
                lacking.for_each(|way| way.trouble = Some(Trouble::Deaf(why.clone())));
                receivers[to] = Err(why);
            }
        }
    }

    async fn send(&self, from: &End, load: &Load, ways: &[Way]) -> Result<Vec<ProbesSent>, String> {
        let target = |&(number, first): &(usize, usize)| {
            let way = &ways[number];
            let packets = way.packets.iter().enumerate().skip(first);
            let packet =
                |(at, packet): (usize, &Packet)| ProbePacket { mark: mark(number, at), size: packet.size };
            ProbeTarget { remote: self.ends[way.to].address, packets: packets.map(packet).collect() }
        };
        let packets = ProbePackets {
            local: from.address,
            udp_port: self.udp_port,
            vni: self.vni,
            targets: load.iter().map(target).collect(),
        };
        let sent = async { from.link.agent().await?.send_probes(packets).await };
        self.patiently(sent.map(|sent| sent.map_err(|error| chain(&error)))).await
    }

    /// Hears until all of these have come, or should have. Those that came, and why no more can be heard, if so.
    async fn hear(
        &self,
        arrivals: &mut Arrivals,
        expected: BTreeSet<u32>,
        late: Instant,
    ) -> (BTreeSet<u32>, Result<(), String>) {
        let mut came = BTreeSet::new();
        while came.len() < expected.len() {
            match self.patiently(arrivals.next()).await {
                Ok(marks) => came.extend(marks.into_iter().filter(|mark| expected.contains(mark))),
                Err(why) => return (came, Err(why)),
            }
            if Instant::now() >= late {
                break;
            }
        }
        (came, Ok(()))
    }
}

/// Takes over what a sender said of its packets: those that did not leave are nowhere lost.
fn note_sent(load: &Load, sent: Result<Vec<ProbesSent>, String>, ways: &mut [Way]) {
    match sent {
        Ok(targets) => {
            for ((number, first), ProbesSent { sent, error }) in load.iter().zip(targets) {
                let way = &mut ways[*number];
                if let Some(error) = error {
                    way.packets.truncate(first.saturating_add(sent));
                    way.trouble = Some(Trouble::Unsent(error));
                }
            }
        }
        Err(why) => {
            for (number, first) in load {
                let way = &mut ways[*number];
                way.packets.truncate(*first);
                way.trouble = Some(Trouble::Mute(why.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::way::SMALL, *};

    #[test]
    fn every_host_is_in_one_group_and_neighbours_are_not_together() {
        assert_eq!(groups(0), Vec::<Vec<usize>>::new());
        assert_eq!(groups(3), [[0, 1, 2]]);
        assert_eq!(groups(MOST).len(), 1);
        for hosts in [33, 64, 65, 1000] {
            let groups = groups(hosts);
            let mut all = groups.concat();
            all.sort_unstable();
            assert_eq!(all, (0..hosts).collect::<Vec<_>>());
            let sizes = groups.iter().map(Vec::len);
            let (least, most) = (sizes.clone().min().unwrap(), sizes.max().unwrap());
            assert!(most <= MOST && most - least <= 1 && least > MOST / 2 - 1, "{hosts}: {least} to {most}");
            assert!(groups.iter().all(|group| group.windows(2).all(|w| w[1] - w[0] == groups.len())));
        }
    }

    #[test]
    fn what_did_not_leave_is_not_lost_on_the_way() {
        let packets = [SMALL, SMALL, 1500].map(|size| Packet { size, came: false });
        let mut ways = [Way { packets: packets.into(), ..Way::new(0, 1, 1500) }, Way::new(0, 2, 1500)];
        ways[1].packets.extend(packets);
        let too_long = ProbesSent { sent: 2, error: Some("too long".into()) };
        let load = vec![(0, 0), (1, 0)];
        note_sent(&load, Ok(vec![too_long, ProbesSent { sent: 3, error: None }]), &mut ways);
        assert_eq!((ways[0].packets.len(), ways[1].packets.len()), (2, 3));
        assert_eq!(ways[0].trouble, Some(Trouble::Unsent("too long".into())));
        assert_eq!(ways[1].trouble, None);
        note_sent(&load, Err("silent".into()), &mut ways);
        assert_eq!((ways[1].packets.len(), ways[1].silent_end()), (0, Some(0)));
    }
}
