//! Fleets and requests of all kinds, for the properties.

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    strategy::Strategy as Generator,
};
use shoal_scheduler::{HostView, ImageState, NodeRequest, Request};
use shoal_types::{
    Bytes, Capacity, HostState, LabelExpr, Labels, MilliCpu, Overcommit, Profile, Resources, Strategy,
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
    ) -> HostView {
        HostView {
            state: match ready {
                0 => HostState::Unreachable,
                1 => HostState::EngineDown,
                _ => HostState::Ready,
            },
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
            architecture: if kind == 0 { "aarch64".into() } else { "x86_64".into() },
            profiles: if kind == 1 { vec![] } else { vec![Profile::System] },
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

/// Up to eight hosts of up to four kinds, in any order, so that there are ties; ids and names are unique and follow
/// different orders.
pub(crate) fn any_fleet() -> impl Generator<Value = Vec<HostView>> {
    let picks = vec(any::<Index>(), 0..=8);
    let fleet = (vec(any_host(), 1..=4), picks).prop_map(|(kinds, picks)| {
        let number = |(n, pick): (u8, Index)| HostView {
            id: host_id(n),
            name: format!("h{}", n.wrapping_mul(97)).parse().unwrap(),
            ..pick.get(&kinds).clone()
        };
        (0..).zip(picks).map(number).collect::<Vec<_>>()
    });
    fleet.prop_shuffle()
}

/// Up to 30 nodes of up to `classes` kinds.
pub(crate) fn any_request(classes: usize) -> impl Generator<Value = Request> {
    let kind = (amount(400), amount(400), exprs());
    let nodes = vec(any::<Index>(), 0..=30);
    let exclude = prop::option::weighted(0.2, 0..8_u8);
    (vec(kind, 1..=classes), nodes, exprs(), exclude, any::<bool>()).prop_map(
        |(kinds, picks, constraints, exclude, any_architecture)| Request {
            nodes: picks
                .iter()
                .enumerate()
                .map(|(n, pick)| {
                    let (cpu, memory, constraints) = pick.get(&kinds).clone();
                    NodeRequest {
                        name: format!("worker-{n}").parse().unwrap(),
                        reserve: Resources { cpu: MilliCpu(cpu), memory: Bytes(memory) },
                        constraints,
                    }
                })
                .collect(),
            constraints,
            image: "shoal-node:bookworm".into(),
            architecture: (!any_architecture).then(|| "x86_64".into()),
            profile: Profile::System,
            exclude: exclude.map(|n| (host_id(n), "cordoned".into())).into_iter().collect(),
        },
    )
}

pub(crate) fn any_strategy() -> impl Generator<Value = Strategy> {
    select(&Strategy::ALL[..])
}
