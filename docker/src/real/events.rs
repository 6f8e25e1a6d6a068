//! What happens to containers.

use std::collections::BTreeMap;

use bollard::{models::EventMessage, query_parameters::EventsOptionsBuilder};
use futures_util::{StreamExt as _, TryStreamExt as _};
use shoal_types::Timestamp;

use super::{Docker, call::Call, lines::values};
use crate::{CallClass, ContainerAction, ContainerEvent, EngineError, EventStream, LabelFilter, Subject};

/// Seconds since 1970 with nine decimals: the one form of `since` that loses nothing (RFC 3339 is not taken).
fn unix_time(time: jiff::Timestamp) -> String {
    format!("{}.{:09}", time.as_second(), time.subsec_nanosecond())
}

impl Docker {
    pub(super) async fn watch(&self, filter: &LabelFilter) -> Result<EventStream, EngineError> {
        let call = Call::new("events", Subject::Engine, CallClass::Read);
        // From the engine's own time now: what happens until the subscription stands is replayed (the engine keeps the
        // last 256 events), so nothing falls between the caller's list and the first event.
        let info = self.call(&call, self.bollard.info()).await?;
        let now = self.need(&call, "SystemTime", info.system_time.and_then(|time| time.parse().ok()))?;
        let mut filters = filter.to_query().unwrap_or_default();
        filters.insert("type".to_owned(), vec!["container".to_owned()]);
        filters.insert("event".to_owned(), ["start", "die", "destroy"].map(str::to_owned).to_vec());
        let options = EventsOptionsBuilder::default().since(&unix_time(now)).filters(&filters).build();
        let docker = self.clone();
        let body = self.call(&call, self.stream("/events", Some(options))).await?;
        let events = values(body).map(move |message| match message {
            Ok(message) => docker.event(&call, message),
            Err(error) => Err(docker.fault(&call, error)),
        });
        Ok(events.try_filter_map(|event| async move { Ok(event) }).boxed())
    }

    /// The event, unless it is of a kind not asked for.
    fn event(&self, call: &Call, message: EventMessage) -> Result<Option<ContainerEvent>, EngineError> {
        let actor = self.need(call, "Actor", message.actor)?;
        let labels: BTreeMap<String, String> = actor.attributes.unwrap_or_default().into_iter().collect();
        let action = match self.need(call, "Action", message.action)?.as_str() {
            "start" => ContainerAction::Start,
            "die" => {
                ContainerAction::Die { exit_code: labels.get("exitCode").and_then(|code| code.parse().ok()) }
            }
            "destroy" => ContainerAction::Destroy,
            _ => return Ok(None),
        };
        let nanos = self.need(call, "timeNano", message.time_nano)?;
        Ok(Some(ContainerEvent {
            id: self.need(call, "Actor.ID", actor.id)?,
            name: labels.get("name").cloned().unwrap_or_default(),
            action,
            labels,
            at: Timestamp(u64::try_from(nanos / 1_000_000).unwrap_or(0)),
        }))
    }
}
