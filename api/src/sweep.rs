//! What a sweep found, and what a resume finished.

use serde::Serialize;
use shoal_proto::{
    FieldError, Word,
    v1::{self, resume_response},
};
use shoal_types::{Event, natural};

use crate::{
    ResumeEnd, SweepEnd, ThingKind,
    value::{all, known, messages, need, text},
};

/// A host as a sweep saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SweptHost {
    /// Its name.
    pub name: String,
    /// How many things of this installation are on it.
    pub things: u32,
    /// Whether its agent told of its devices.
    pub agent_asked: bool,
    /// Why it could not be looked at, if it could not.
    pub error: Option<String>,
}

/// A thing that no row explains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SweptThing {
    /// The host it is on.
    pub host: String,
    /// `container`, `mesh`, `device`, `network`, `volume`, `image` or `remnant`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub kind: ThingKind,
    /// Its name.
    pub name: String,
    /// The engine's id of it.
    pub id: String,
    /// How long ago it was made, in milliseconds.
    pub age_ms: Option<u64>,
    /// Why it goes or stays.
    pub reason: String,
    /// `would-go`, `gone`, `stays` or `failed`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub end: SweepEnd,
}

/// More than is removed without being asked twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TooMuch {
    /// How many would go.
    pub going: u32,
    /// How many there are.
    pub total: u32,
}

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sweep {
    /// Whether nothing was to be removed.
    pub dry_run: bool,
    /// Every host.
    pub hosts: Vec<SweptHost>,
    /// What no row explains.
    pub things: Vec<SweptThing>,
    /// Set if it was more than is removed without `--yes-really`.
    pub too_much: Option<TooMuch>,
}

impl Sweep {
    /// The answer to a sweep that was asked for so. Hosts come in natural order; on a host, things in the order they go.
    pub(crate) fn read(dry_run: bool, answer: v1::SweepResponse) -> Result<Self, FieldError> {
        let host = |h: v1::SweptHost| SweptHost {
            name: h.name,
            things: h.things,
            agent_asked: h.agent_asked,
            error: known(h.error),
        };
        let mut hosts: Vec<_> = answer.hosts.into_iter().map(host).collect();
        hosts.sort_by(|a, b| natural::cmp(&a.name, &b.name));
        let mut things: Vec<SweptThing> = all(answer.things)?;
        // Stable: on a host they stay in the order they go.
        things.sort_by(|a, b| natural::cmp(&a.host, &b.host));
        let too_much = answer.too_much.map(|t| TooMuch { going: t.going, total: t.total });
        Ok(Self { dry_run, hosts, things, too_much })
    }
}

impl From<Sweep> for v1::SweepResponse {
    /// Who asked knows whether anything was to be removed.
    fn from(Sweep { dry_run: _, hosts, things, too_much }: Sweep) -> Self {
        let too_much = too_much.map(|TooMuch { going, total }| v1::TooMuch { going, total });
        Self { hosts: messages(hosts), things: messages(things), too_much }
    }
}

impl From<SweptHost> for v1::SweptHost {
    fn from(SweptHost { name, things, agent_asked, error }: SweptHost) -> Self {
        Self { name, things, agent_asked, error: text(error) }
    }
}

impl From<SweptThing> for v1::SweptThing {
    fn from(SweptThing { host, kind, name, id, age_ms, reason, end }: SweptThing) -> Self {
        Self { host, kind: kind.wire(), name, id, age_ms, reason, end: end.wire() }
    }
}

impl TryFrom<v1::SweptThing> for SweptThing {
    type Error = FieldError;

    fn try_from(thing: v1::SweptThing) -> Result<Self, FieldError> {
        Ok(Self {
            host: thing.host,
            kind: ThingKind::read("thing.kind", thing.kind)?,
            name: thing.name,
            id: thing.id,
            age_ms: thing.age_ms,
            reason: thing.reason,
            end: SweepEnd::read("thing.end", thing.end)?,
        })
    }
}

/// A cluster that was interrupted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResumedCluster {
    /// Its name.
    pub name: String,
    /// `ready`, `removed`, `kept`, `busy` or `left`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub end: ResumeEnd,
    /// Why it ended so.
    pub reason: Option<String>,
}

impl TryFrom<v1::ResumedCluster> for ResumedCluster {
    type Error = FieldError;

    fn try_from(cluster: v1::ResumedCluster) -> Result<Self, FieldError> {
        let end = ResumeEnd::read("cluster.end", cluster.end)?;
        Ok(Self { name: cluster.name, end, reason: known(cluster.reason) })
    }
}

impl From<ResumedCluster> for v1::ResumedCluster {
    fn from(ResumedCluster { name, end, reason }: ResumedCluster) -> Self {
        Self { name, end: end.wire(), reason: text(reason) }
    }
}

/// What became of what was interrupted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Resumed {
    /// Every cluster that was interrupted.
    pub clusters: Vec<ResumedCluster>,
}

impl Resumed {
    /// Whether some could not be finished.
    #[must_use]
    pub fn any_left(&self) -> bool {
        self.clusters.iter().any(|cluster| cluster.end == ResumeEnd::Left)
    }
}

/// What is told of a resume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResumeStep {
    /// Something happened.
    Event(Event),
    /// What became of one cluster, after the events.
    Cluster(ResumedCluster),
}

impl TryFrom<v1::ResumeResponse> for ResumeStep {
    type Error = FieldError;

    fn try_from(answer: v1::ResumeResponse) -> Result<Self, FieldError> {
        Ok(match need("step", answer.step)? {
            resume_response::Step::Event(event) => Self::Event(event.try_into()?),
            resume_response::Step::Cluster(cluster) => Self::Cluster(cluster.try_into()?),
        })
    }
}

impl From<ResumeStep> for v1::ResumeResponse {
    fn from(step: ResumeStep) -> Self {
        let step = match step {
            ResumeStep::Event(event) => resume_response::Step::Event((&event).into()),
            ResumeStep::Cluster(cluster) => resume_response::Step::Cluster(cluster.into()),
        };
        Self { step: Some(step) }
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{EventKind, EventLevel, NewEvent, Timestamp};

    use super::*;

    #[test]
    fn answers_survive_the_wire() {
        let thing = |host: &str, age_ms, end| SweptThing {
            host: host.into(),
            kind: ThingKind::Volume,
            name: "v".into(),
            id: "i".into(),
            age_ms,
            reason: "its cluster was deleted".into(),
            end,
        };
        let host = |name: &str, error: Option<&str>| SweptHost {
            name: name.into(),
            things: 2,
            agent_asked: error.is_none(),
            error: error.map(Into::into),
        };
        let sweep = Sweep {
            dry_run: true,
            hosts: vec![host("host2", None), host("host10", Some("refused"))],
            things: vec![thing("host2", Some(5), SweepEnd::WouldGo), thing("host10", None, SweepEnd::Stays)],
            too_much: Some(TooMuch { going: 4, total: 9 }),
        };
        for sweep in [sweep, Sweep::default()] {
            assert_eq!(Sweep::read(sweep.dry_run, sweep.clone().into()), Ok(sweep));
        }
        let event = NewEvent::new(Timestamp(5), EventLevel::Info, EventKind::Phase, "ready");
        let event = ResumeStep::Event(Event { seq: 7, event });
        let cluster = |reason| ResumedCluster { name: "dev".into(), end: ResumeEnd::Kept, reason };
        let clusters = [cluster(None), cluster(Some("it failed".into()))].map(ResumeStep::Cluster);
        for step in clusters.into_iter().chain([event]) {
            assert_eq!(ResumeStep::try_from(v1::ResumeResponse::from(step.clone())), Ok(step));
        }
    }

    #[test]
    fn what_is_unknown_is_refused_by_field() {
        let thing = |host: &str, kind, end| v1::SweptThing {
            host: host.into(),
            kind,
            end,
            ..v1::SweptThing::default()
        };
        let good = |host| thing(host, ThingKind::Mesh.wire(), SweepEnd::Gone.wire());
        let read = |things| Sweep::read(true, v1::SweepResponse { things, ..v1::SweepResponse::default() });
        let sweep = read(vec![good("host10"), good("host2")]).unwrap();
        assert_eq!((sweep.dry_run, sweep.things[0].host.as_str()), (true, "host2"));
        assert_eq!(read(vec![thing("a", 0, 1)]).unwrap_err().field, "thing.kind");
        assert_eq!(read(vec![thing("a", 1, 99)]).unwrap_err().field, "thing.end");
    }

    #[test]
    fn a_resumed_cluster_has_an_end() {
        let cluster = |end| v1::ResumedCluster { name: "dev".into(), end, reason: String::new() };
        assert_eq!(ResumedCluster::try_from(cluster(ResumeEnd::Left.wire())).unwrap().reason, None);
        assert_eq!(ResumedCluster::try_from(cluster(0)).unwrap_err().field, "cluster.end");
        assert_eq!(ResumeStep::try_from(v1::ResumeResponse { step: None }).unwrap_err().field, "step");
    }
}
