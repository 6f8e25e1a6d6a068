//! What is noted of a call: who called for what, and how it ended. Nothing of what was sent but names, nothing of the answer.

use std::sync::Arc;

use shoal_types::{ClusterName, EventKind, EventLevel, NewEvent, RealmName};
use tonic::{Code, Status, body::Body, codegen::http::Response};

use crate::{
    fleet::coordinator::Coordinator,
    server::{
        rules::{Named, Rule},
        who::Who,
    },
};

/// Most characters of names that are noted.
const LONGEST: usize = 200;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was answered, or its stream began.
    Done,
    /// It was not allowed.
    Refused,
    /// The service said no.
    Failed(Code),
    /// Nobody waited for the answer.
    Left,
}

impl Outcome {
    pub(super) fn of(answer: &Response<Body>) -> Self {
        match Status::from_header_map(answer.headers()).map(|status| status.code()) {
            None | Some(Code::Ok) => Self::Done,
            Some(code) => Self::Failed(code),
        }
    }

    fn level(self) -> EventLevel {
        match self {
            Self::Done | Self::Left => EventLevel::Info,
            Self::Refused | Self::Failed(_) => EventLevel::Warn,
        }
    }

    fn words(self) -> String {
        match self {
            Self::Done => "done".into(),
            Self::Refused => "refused".into(),
            Self::Failed(code) => format!("failed, {code:?}"),
            Self::Left => "left by the caller".into(),
        }
    }
}

/// A call that is to be noted. One that is dropped was left.
#[derive(Debug)]
pub(super) struct Note {
    coordinator: Arc<Coordinator>,
    /// Taken when it is written.
    event: Option<NewEvent>,
}

impl Note {
    pub(super) fn begin(coordinator: &Arc<Coordinator>, rule: &Rule, who: &Who, named: &Named) -> Self {
        let event = event(coordinator.now(), rule, who, named);
        Self { coordinator: coordinator.clone(), event: Some(event) }
    }

    /// Writes how it ended, although the caller may go away meanwhile.
    pub(super) async fn end(mut self, outcome: Outcome) {
        if let Some(event) = self.event.take() {
            let written = write(&self.coordinator, event, outcome);
            // It is logged there.
            drop(written.await);
        }
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        // Without a runtime everything ends.
        if let Some(event) = self.event.take()
            && tokio::runtime::Handle::try_current().is_ok()
        {
            drop(write(&self.coordinator, event, Outcome::Left));
        }
    }
}

fn event(at: shoal_types::Timestamp, rule: &Rule, who: &Who, named: &Named) -> NewEvent {
    let of: Option<(RealmName, ClusterName)> = named.realm.parse().ok().zip(named.cluster.parse().ok());
    // Nobody writes into what the users of another realm are told.
    let of = of.filter(|(realm, _)| who.has(realm));
    let mut about = vec![rule.words()];
    if of.is_none() && !named.realm.is_empty() {
        about.push(format!("in realm {}", named.realm));
    }
    if !named.things.is_empty() {
        about.push(named.things.clone());
    }
    let about: String = about.join(" ").chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    let event = NewEvent::new(at, EventLevel::Info, EventKind::Audit, about);
    NewEvent { cluster: of, user: Some(who.name()), ..event }
}

fn write(coordinator: &Arc<Coordinator>, event: NewEvent, outcome: Outcome) -> tokio::task::JoinHandle<()> {
    let message = format!("{}: {}", event.message, outcome.words());
    let event = NewEvent { level: outcome.level(), message, ..event };
    let at = coordinator.clone();
    coordinator.tasks.spawn(async move {
        let written = async {
            let mut tx = at.store.begin().await?;
            tx.events().append(&event).await?;
            tx.commit().await
        };
        if let Err(error) = written.await {
            tracing::error!(%error, user = event.user, call = event.message, "a call could not be noted");
        }
    })
}

#[cfg(test)]
mod tests {
    use shoal_api::Caller;
    use shoal_types::{Realms, Timestamp, UserId, UserRole};

    use super::*;
    use crate::server::{rules::rule, who::From};

    #[test]
    fn who_and_what_and_nothing_that_was_sent_besides() {
        let who = Who {
            caller: Some(Caller::new("ann")),
            role: UserRole::Operator,
            realms: Realms::All,
            from: From::Elsewhere(UserId::new(0, [1; 10])),
        };
        let named = Named { realm: "lab".into(), cluster: "dev".into(), things: "worker-0\n".into() };
        let exec = rule("/shoal.v1.Access/Exec").unwrap();
        let noted = event(Timestamp(5), exec, &who, &named);
        assert_eq!((noted.message.as_str(), noted.user.as_deref()), ("exec worker-0", Some("ann")));
        assert_eq!(noted.cluster, Some(("lab".parse().unwrap(), "dev".parse().unwrap())));
        // What is no name is no column.
        let odd = Named { realm: "lab".into(), cluster: "A B".into(), things: "x".repeat(300) };
        let noted = event(Timestamp(5), exec, &who, &odd);
        assert!(noted.cluster.is_none() && noted.message.starts_with("exec in realm lab xxx"));
        assert_eq!(noted.message.chars().count(), LONGEST);
        let stranger = Who { realms: "other".parse().unwrap(), ..who };
        let noted = event(Timestamp(5), exec, &stranger, &named);
        assert_eq!((noted.message.as_str(), noted.cluster), ("exec in realm lab worker-0", None));
        assert_eq!(Outcome::Failed(Code::NotFound).words(), "failed, NotFound");
    }

    #[test]
    fn an_outcome_is_read_from_the_head_of_an_answer() {
        let outcome = |status: Status| Outcome::of(&status.into_http());
        assert_eq!(outcome(Status::not_found("x")), Outcome::Failed(Code::NotFound));
        assert_eq!(Outcome::of(&Response::new(Body::empty())), Outcome::Done);
    }
}
