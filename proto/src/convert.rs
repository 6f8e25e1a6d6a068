//! Messages to types and back. Every refusal names the field.

use std::{collections::BTreeSet, fmt::Display, num::NonZeroU32, str::FromStr};

use shoal_types::{
    Bytes, ClusterMtu, ClusterSpec, CopyPeriod, Event, EventKind, EventLevel, HealAfter, Healing,
    HealingPolicy, MilliCpu, NewEvent, NodeGroup, NodeSlurm, Placing, Profile, Progress, Resources, Role,
    SlurmSpec, TextPlace, Timestamp, Ttl,
};

use crate::{Word, v1};

/// An invalid field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct FieldError {
    /// The field, such as `spec.name`.
    pub field: &'static str,
    /// Why not.
    pub reason: String,
}

impl FieldError {
    /// An error on `field`.
    pub fn new(field: &'static str, reason: impl Display) -> Self {
        Self { field, reason: reason.to_string() }
    }
}

fn parse<T: FromStr<Err: Display>>(field: &'static str, text: &str) -> Result<T, FieldError> {
    text.parse().map_err(|reason| FieldError::new(field, reason))
}

fn parse_all<T: FromStr<Err: Display>>(field: &'static str, texts: &[String]) -> Result<Vec<T>, FieldError> {
    texts.iter().map(|text| parse(field, text)).collect()
}

impl From<&NodeGroup> for v1::NodeGroup {
    fn from(group: &NodeGroup) -> Self {
        Self {
            role: group.role.wire(),
            count: group.count,
            reserve_cpu_milli: group.reserve.cpu.0,
            reserve_memory_bytes: group.reserve.memory.0,
            cpu_limit_milli: group.cpu_limit.map(|c| c.0),
            memory_limit_bytes: group.memory_limit.0,
            tmp_size_bytes: group.tmp_size.0,
            shm_size_bytes: group.shm_size.map(|size| size.0),
            constraints: group.constraints.iter().map(ToString::to_string).collect(),
            slurm: (!group.slurm.is_empty()).then(|| (&group.slurm).into()),
        }
    }
}

impl From<&NodeSlurm> for v1::NodeSlurm {
    fn from(slurm: &NodeSlurm) -> Self {
        Self {
            cpus: slurm.cpus,
            memory_bytes: slurm.memory.map(|memory| memory.0),
            gres: slurm.gres.iter().map(ToString::to_string).collect(),
            features: slurm.features.iter().map(ToString::to_string).collect(),
            weight: slurm.weight,
        }
    }
}

impl TryFrom<v1::NodeSlurm> for NodeSlurm {
    type Error = FieldError;

    fn try_from(slurm: v1::NodeSlurm) -> Result<Self, FieldError> {
        Ok(Self {
            cpus: slurm.cpus,
            memory: slurm.memory_bytes.map(Bytes),
            gres: parse_all("spec.groups.slurm.gres", &slurm.gres)?,
            features: parse_all("spec.groups.slurm.features", &slurm.features)?,
            weight: slurm.weight,
        })
    }
}

impl TryFrom<v1::NodeGroup> for NodeGroup {
    type Error = FieldError;

    fn try_from(group: v1::NodeGroup) -> Result<Self, FieldError> {
        Ok(Self {
            role: Role::read("spec.groups.role", group.role)?,
            count: group.count,
            reserve: Resources {
                cpu: MilliCpu(group.reserve_cpu_milli),
                memory: Bytes(group.reserve_memory_bytes),
            },
            cpu_limit: group.cpu_limit_milli.map(MilliCpu),
            memory_limit: Bytes(group.memory_limit_bytes),
            tmp_size: Bytes(group.tmp_size_bytes),
            shm_size: group.shm_size_bytes.map(Bytes),
            constraints: parse_all("spec.groups.constraints", &group.constraints)?,
            slurm: group.slurm.map(TryInto::try_into).transpose()?.unwrap_or_default(),
        })
    }
}

impl From<&Placing> for v1::Placing {
    fn from(placing: &Placing) -> Self {
        let roles = |roles: &BTreeSet<Role>| roles.iter().map(|role| role.wire()).collect();
        Self {
            apart: roles(&placing.apart),
            prefer_apart: roles(&placing.prefer_apart),
            max_per_host: placing.max_per_host.map(NonZeroU32::get),
            spread_over: placing.spread_over.as_ref().map(ToString::to_string).unwrap_or_default(),
            pins: placing.pins.iter().map(ToString::to_string).collect(),
            scheduler_timeout_ms: placing.scheduler_timeout_ms,
            scheduler_fallback: placing
                .scheduler_fallback
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::Placing> for Placing {
    type Error = FieldError;

    fn try_from(placing: v1::Placing) -> Result<Self, FieldError> {
        let roles = |field: &'static str, roles: &[i32]| {
            let each = roles.iter().map(|role| Role::read(field, *role));
            each.collect::<Result<BTreeSet<_>, _>>()
        };
        let most = |most: u32| {
            let refused = || FieldError::new("spec.placing.max_per_host", "a number from 1");
            NonZeroU32::new(most).ok_or_else(refused)
        };
        let named = |text: String| (!text.is_empty()).then_some(text);
        Ok(Self {
            apart: roles("spec.placing.apart", &placing.apart)?,
            prefer_apart: roles("spec.placing.prefer_apart", &placing.prefer_apart)?,
            max_per_host: placing.max_per_host.map(most).transpose()?,
            spread_over: named(placing.spread_over)
                .map(|label| parse("spec.placing.spread_over", &label))
                .transpose()?,
            pins: placing.pins.iter().map(|pin| parse("spec.placing.pins", pin)).collect::<Result<_, _>>()?,
            scheduler_timeout_ms: placing.scheduler_timeout_ms,
            scheduler_fallback: named(placing.scheduler_fallback)
                .map(|strategy| parse("spec.placing.scheduler_fallback", &strategy))
                .transpose()?,
        })
    }
}

impl From<&ClusterSpec> for v1::ClusterSpec {
    fn from(spec: &ClusterSpec) -> Self {
        Self {
            realm: spec.realm.to_string(),
            name: spec.name.to_string(),
            image: spec.image.clone(),
            scheduler: spec.scheduler.to_string(),
            constraints: spec.constraints.iter().map(ToString::to_string).collect(),
            groups: spec.groups.iter().map(Into::into).collect(),
            slurm_main: spec.slurm.main.clone().into_iter().collect(),
            slurm_cpus: spec.slurm.cpus,
            slurm_memory_bytes: spec.slurm.memory.map(|m| m.0),
            ssh_keys: spec.ssh_keys.iter().map(ToString::to_string).collect(),
            placing: Some((&spec.placing).into()),
            profile: spec.profile.wire(),
            slurm_files: spec.slurm.files.clone().into_iter().collect(),
            slurm_places: spec.slurm.places.iter().map(|(of, at)| (of.clone(), at.into())).collect(),
            mtu_bytes: spec.mtu.map(|mtu| mtu.get().into()),
            healing: Some(spec.healing.into()),
            ttl_ms: spec.ttl.map(Ttl::as_millis),
        }
    }
}

impl From<&TextPlace> for v1::TextPlace {
    fn from(TextPlace { file, line, by_line }: &TextPlace) -> Self {
        Self { file: file.clone(), line: *line, by_line: *by_line }
    }
}

impl From<v1::TextPlace> for TextPlace {
    fn from(v1::TextPlace { file, line, by_line }: v1::TextPlace) -> Self {
        Self { file, line, by_line }
    }
}

impl TryFrom<v1::ClusterSpec> for ClusterSpec {
    type Error = FieldError;

    /// Converts and checks the whole.
    fn try_from(spec: v1::ClusterSpec) -> Result<Self, FieldError> {
        let spec = Self {
            realm: parse("spec.realm", &spec.realm)?,
            name: parse("spec.name", &spec.name)?,
            image: spec.image,
            profile: Profile::read("spec.profile", spec.profile)?,
            scheduler: parse("spec.scheduler", &spec.scheduler)?,
            placing: spec.placing.map(TryInto::try_into).transpose()?.unwrap_or_default(),
            constraints: parse_all("spec.constraints", &spec.constraints)?,
            groups: spec.groups.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            slurm: SlurmSpec {
                main: spec.slurm_main.into_iter().collect(),
                cpus: spec.slurm_cpus,
                memory: spec.slurm_memory_bytes.map(Bytes),
                files: spec.slurm_files.into_iter().collect(),
                places: spec.slurm_places.into_iter().map(|(of, at)| (of, at.into())).collect(),
            },
            ssh_keys: parse_all("spec.ssh_keys", &spec.ssh_keys)?,
            mtu: spec.mtu_bytes.map(mtu).transpose()?,
            healing: spec.healing.map(TryInto::try_into).transpose()?.unwrap_or_default(),
            ttl: spec.ttl_ms.map(ttl).transpose()?,
        };
        spec.check().map_err(|reason| FieldError::new("spec", reason))?;
        Ok(spec)
    }
}

impl From<Healing> for v1::Healing {
    fn from(Healing { policy, after_ms, copies_ms }: Healing) -> Self {
        let copies_ms = Some(copies_ms.as_millis());
        Self { policy: policy.wire(), after_ms: after_ms.as_millis(), copies_ms }
    }
}

impl TryFrom<v1::Healing> for Healing {
    type Error = FieldError;

    fn try_from(healing: v1::Healing) -> Result<Self, FieldError> {
        let after = HealAfter::try_from(healing.after_ms);
        let copies = healing.copies_ms.map(CopyPeriod::try_from).transpose();
        let copies = copies.map_err(|reason| FieldError::new("healing.copies_ms", reason))?;
        Ok(Self {
            policy: HealingPolicy::read("healing.policy", healing.policy)?,
            after_ms: after.map_err(|reason| FieldError::new("healing.after_ms", reason))?,
            copies_ms: copies.unwrap_or_default(),
        })
    }
}

fn mtu(bytes: u32) -> Result<ClusterMtu, FieldError> {
    ClusterMtu::try_from(u64::from(bytes)).map_err(|reason| FieldError::new("spec.mtu_bytes", reason))
}

fn ttl(ms: u64) -> Result<Ttl, FieldError> {
    Ttl::try_from(ms).map_err(|reason| FieldError::new("spec.ttl_ms", reason))
}

impl From<&Event> for v1::Event {
    fn from(Event { seq, event }: &Event) -> Self {
        let text = |t: Option<String>| t.unwrap_or_default();
        Self {
            seq: *seq,
            at_ms: event.at.0,
            level: event.level.wire(),
            kind: event.kind.wire(),
            realm: text(event.cluster.as_ref().map(|(realm, _)| realm.to_string())),
            cluster: text(event.cluster.as_ref().map(|(_, name)| name.to_string())),
            node: text(event.node.as_ref().map(ToString::to_string)),
            host: text(event.host.as_ref().map(ToString::to_string)),
            message: event.message.clone(),
            done_bytes: event.progress.map(|p| p.done_bytes),
            total_bytes: event.progress.and_then(|p| p.total_bytes),
            user: text(event.user.clone()),
        }
    }
}

impl TryFrom<v1::Event> for Event {
    type Error = FieldError;

    fn try_from(event: v1::Event) -> Result<Self, FieldError> {
        let cluster = match event.cluster.is_empty() {
            true => None,
            false => Some((parse("event.realm", &event.realm)?, parse("event.cluster", &event.cluster)?)),
        };
        let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Ok(Self {
            seq: event.seq,
            event: NewEvent {
                at: Timestamp(event.at_ms),
                level: EventLevel::read("event.level", event.level)?,
                kind: EventKind::read("event.kind", event.kind)?,
                cluster,
                node: optional(&event.node).map(|t| parse("event.node", &t)).transpose()?,
                host: optional(&event.host).map(|t| parse("event.host", &t)).transpose()?,
                message: event.message,
                progress: event
                    .done_bytes
                    .map(|done_bytes| Progress { done_bytes, total_bytes: event.total_bytes }),
                user: optional(&event.user),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{ClusterName, RealmName, Strategy};

    use super::*;

    fn spec() -> ClusterSpec {
        ClusterSpec {
            realm: RealmName::default(),
            name: ClusterName::default(),
            image: "shoal-node:bookworm".into(),
            profile: Profile::System,
            scheduler: Strategy::Metadata.into(),
            placing: Placing {
                apart: [Role::Controller].into(),
                prefer_apart: [Role::Worker].into(),
                max_per_host: NonZeroU32::new(3),
                spread_over: Some("rack".parse().unwrap()),
                pins: vec!["worker-[0-1]=host1".parse().unwrap()],
                ..Placing::default()
            },
            constraints: vec!["rack in (a,b)".parse().unwrap()],
            groups: vec![
                NodeGroup::new(Role::Controller, 1, None, None),
                NodeGroup {
                    slurm: NodeSlurm {
                        gres: vec!["gpu:a100:2".parse().unwrap()],
                        features: vec!["big".parse().unwrap()],
                        weight: Some(10),
                        ..NodeSlurm::default()
                    },
                    ..NodeGroup::new(Role::Worker, 3, Some(MilliCpu(1500)), Some(Bytes::mib(256)))
                },
            ],
            slurm: SlurmSpec {
                main: [("a".into(), "X=1".into())].into(),
                cpus: Some(128),
                memory: None,
                files: [("gres.conf".into(), "Name=gpu\n".into())].into(),
                places: [(
                    "slurm.main.a".into(),
                    TextPlace { file: "dev.yaml".into(), line: 3, by_line: true },
                )]
                .into(),
            },
            ssh_keys: vec![
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC9GBAegsGjkqJORwtyWQ1aAJ+IS1ablwZ7IbfqZVWzy me@desk"
                    .parse()
                    .unwrap(),
            ],
            mtu: Some(ClusterMtu::MOST),
            healing: Healing {
                policy: HealingPolicy::Restart,
                after_ms: HealAfter::try_from(90_000).unwrap(),
                copies_ms: CopyPeriod::NEVER,
            },
            ttl: Some(Ttl::try_from(14_400_000).unwrap()),
        }
    }

    #[test]
    fn a_specification_survives_the_wire() {
        assert_eq!(ClusterSpec::try_from(v1::ClusterSpec::from(&spec())), Ok(spec()));
        let mut remote = spec();
        remote.scheduler = "grpc://127.0.0.1:7070".parse().unwrap();
        remote.placing.scheduler_timeout_ms = Some(100);
        remote.mtu = None;
        remote.ttl = None;
        remote.placing.scheduler_fallback = Some(Strategy::Binpack);
        assert_eq!(ClusterSpec::try_from(v1::ClusterSpec::from(&remote)), Ok(remote));
    }

    #[test]
    fn what_is_unknown_is_refused_by_field() {
        let mut wire = v1::ClusterSpec::from(&spec());
        wire.groups[0].role = 99;
        assert_eq!(ClusterSpec::try_from(wire).unwrap_err().field, "spec.groups.role");
        let mut wire = v1::ClusterSpec::from(&spec());
        wire.scheduler = "best".into();
        assert_eq!(ClusterSpec::try_from(wire).unwrap_err().field, "spec.scheduler");
        let wire = v1::ClusterSpec { ssh_keys: vec!["ssh-rsa x".into()], ..v1::ClusterSpec::from(&spec()) };
        assert_eq!(ClusterSpec::try_from(wire).unwrap_err().field, "spec.ssh_keys");
        for (field, policy, after_ms, copies_ms) in [
            ("healing.policy", 0, 90_000, None),
            ("healing.after_ms", 1, 604_800_001, None),
            ("healing.copies_ms", 1, 90_000, Some(9_999)),
        ] {
            let healing = Some(v1::Healing { policy, after_ms, copies_ms });
            let wire = v1::ClusterSpec { healing, ..v1::ClusterSpec::from(&spec()) };
            assert_eq!(ClusterSpec::try_from(wire).unwrap_err().field, field);
        }
        let wire = v1::ClusterSpec { healing: None, ..v1::ClusterSpec::from(&spec()) };
        assert_eq!(ClusterSpec::try_from(wire).unwrap().healing, Healing::default());
        for mtu_bytes in [0, 575, 65_486, u32::MAX] {
            let wire = v1::ClusterSpec { mtu_bytes: Some(mtu_bytes), ..v1::ClusterSpec::from(&spec()) };
            assert_eq!(ClusterSpec::try_from(wire).unwrap_err().field, "spec.mtu_bytes");
        }
        for ttl_ms in [0, 59_999, u64::MAX] {
            let wire = v1::ClusterSpec { ttl_ms: Some(ttl_ms), ..v1::ClusterSpec::from(&spec()) };
            assert_eq!(ClusterSpec::try_from(wire).unwrap_err().field, "spec.ttl_ms");
        }
        let placing = |change: fn(&mut v1::Placing)| {
            let mut wire = v1::ClusterSpec::from(&spec());
            change(wire.placing.get_or_insert_default());
            ClusterSpec::try_from(wire).unwrap_err().to_string()
        };
        assert_eq!(placing(|p| p.apart = vec![9]), "spec.placing.apart: 9 is not a known value");
        assert_eq!(placing(|p| p.max_per_host = Some(0)), "spec.placing.max_per_host: a number from 1");
        assert!(placing(|p| p.pins = vec!["x".into()]).starts_with("spec.placing.pins: "));
        assert!(placing(|p| p.spread_over = "a b".into()).starts_with("spec.placing.spread_over: "));
        assert!(placing(|p| p.scheduler_fallback = "best".into()).contains("not a strategy"));
        assert!(placing(|p| p.pins = vec!["worker-3=host1".into()]).contains("no such node"));
    }
}
