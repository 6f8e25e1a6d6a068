//! Fleets and requests of all kinds, for the properties.

use std::{collections::BTreeSet, num::NonZeroU32};

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    strategy::Strategy as Generator,
};
use shoal_scheduler::{HostView, ImageState, NodeRequest, Request, Rules};
use shoal_types::{
    Bytes, Capacity, ClusterMtu, HostName, HostState, LabelExpr, Labels, MilliCpu, Overcommit, Profile,
    Resources, Role, Scheduling, Strategy,
};

use crate::fleet::{host, host_id};

const LABELS: [&[&str]; 4] = [&[], &["rack=a"], &["rack=b"], &["rack=a", "gpu=yes"]];
const EXPRS: [&str; 5] = ["rack=a", "rack!=a", "rack in (a,b)", "gpu", "!gpu"];

/// Small numbers, so that hosts fill up, and now and then an absurd one.
fn amount(most: u64) -> impl Generator<Value = u64> {
    prop_oneof![20 => 0..=most, 1 => Just(u64::MAX), 1 => any::<u64>()]
}

fn exprs() -> impl Generator<Value = Vec<LabelExpr>> {
    vec(select(&EXPRS[..]).prop_map(|text| text.parse().unwrap()), 0..=2)
}

prop_compose! {
    pub(crate) fn any_host()(
        ready in 0..8_u8,
        labels in select(&LABELS[..]),
        total in (amount(2000), amount(2000), prop_oneof![9 => 0..12_u32, 1 => any::<u32>()]),
        overcommit in (select(&[0, 500, 1000, 4000, u32::MAX][..]), select(&[1000, 1500][..])),
        keep_back in (amount(100), amount(100)),
        reserved in (amount(500), amount(500), 0..4_u32),
        cluster_nodes in prop_oneof![9 => 0..4_u32, 1 => any::<u32>()],
        kind in 0..20_u8,
        others in vec((select(&Role::ALL[..]), 0..3_u32), 0..=2),
        claimed in prop_oneof![9 => Just(None), 1 => select(&Role::ALL[..]).prop_map(Some)],
    ) -> HostView {
        HostView {
            state: match ready {
                0 => HostState::Unreachable,
                1 => HostState::EngineDown,
                _ => HostState::Ready,
            },
            scheduling: match kind {
                6 => Scheduling::Cordoned,
                7 => Scheduling::Draining,
                8 => Scheduling::Drained,
                _ => Scheduling::Schedulable,
            },
            privilege_denied: kind == 5,
            labels: Labels::from_pairs(labels.iter().copied()).unwrap(),
            total: Capacity { cpu: MilliCpu(total.0), memory: Bytes(total.1), node_slots: total.2 },
            overcommit: Overcommit { cpu_milli: overcommit.0, memory_milli: overcommit.1 },
            keep_back: Resources { cpu: MilliCpu(keep_back.0), memory: Bytes(keep_back.1) },
            reserved: Capacity {
                cpu: MilliCpu(reserved.0),
                memory: Bytes(reserved.1),
                node_slots: reserved.2,
            },
            cluster_nodes,
            others: others.into_iter().collect(),
            claimed: claimed.into_iter().collect(),
            architecture: if kind == 0 { "aarch64".into() } else { "x86_64".into() },
            profiles: if kind == 1 { vec![] } else { vec![Profile::System] },
            mtu: if kind == 6 { 1350 } else { 1450 },
            image: match kind {
                2 => ImageState::Absent,
                3 => ImageState::Different { digest: "sha256:0f".into() },
                4 => ImageState::Obtainable,
                _ => ImageState::Present,
            },
            ..host(0, "h")
        }
    }
}

fn host_name(number: u8) -> HostName {
    format!("h{}", number.wrapping_mul(97)).parse().unwrap()
}

/// Up to eight hosts of up to four kinds, in any order, so that there are ties; ids and names are unique and follow
/// different orders.
pub(crate) fn any_fleet() -> impl Generator<Value = Vec<HostView>> {
    let picks = vec(any::<Index>(), 0..=8);
    let fleet = (vec(any_host(), 1..=4), picks).prop_map(|(kinds, picks)| {
        let number = |(n, pick): (u8, Index)| HostView {
            id: host_id(n),
            name: host_name(n),
            ..pick.get(&kinds).clone()
        };
        (0..).zip(picks).map(number).collect::<Vec<_>>()
    });
    fleet.prop_shuffle()
}

fn roles() -> impl Generator<Value = BTreeSet<Role>> {
    prop_oneof![3 => Just(BTreeSet::new()), 1 => select(&Role::ALL[..]).prop_map(|role| [role].into())]
}

fn any_rules() -> impl Generator<Value = Rules> {
    let max_per_host = prop::option::weighted(0.3, (1..6_u32).prop_map(|n| NonZeroU32::new(n).unwrap()));
    let spread_over = prop::option::weighted(0.3, Just("rack".parse().unwrap()));
    (roles(), roles(), max_per_host, spread_over).prop_map(
        |(apart, prefer_apart, max_per_host, spread_over)| Rules {
            apart,
            prefer_apart,
            max_per_host,
            spread_over,
        },
    )
}

/// Up to 30 nodes of up to `classes` kinds.
pub(crate) fn any_request(classes: usize) -> impl Generator<Value = Request> {
    let pin = prop::option::weighted(0.1, (0..8_u8).prop_map(host_name));
    let kind = (amount(400), amount(400), exprs(), select(&Role::ALL[..]), pin);
    let mtu = prop::option::weighted(0.3, Just(ClusterMtu::try_from(1450).unwrap()));
    let chance = (any_rules(), any::<u64>(), mtu);
    let nodes = vec(any::<Index>(), 0..=30);
    let exclude = prop::option::weighted(0.2, 0..8_u8);
    (vec(kind, 1..=classes), nodes, exprs(), exclude, any::<bool>(), chance).prop_map(
        |(kinds, picks, constraints, exclude, any_architecture, (rules, seed, mtu))| Request {
            rules,
            seed,
            nodes: picks
                .iter()
                .enumerate()
                .map(|(n, pick)| {
                    let (cpu, memory, constraints, role, pin) = pick.get(&kinds).clone();
                    NodeRequest {
                        name: format!("worker-{n}").parse().unwrap(),
                        role,
                        reserve: Resources { cpu: MilliCpu(cpu), memory: Bytes(memory) },
                        constraints,
                        pin,
                    }
                })
                .collect(),
            constraints,
            image: "shoal-node:bookworm".into(),
            architecture: (!any_architecture).then(|| "x86_64".into()),
            profile: Profile::System,
            mtu,
            exclude: exclude.map(|n| (host_id(n), "cordoned".into())).into_iter().collect(),
        },
    )
}

pub(crate) fn any_strategy() -> impl Generator<Value = Strategy> {
    select(&Strategy::ALL[..])
}
