//! What happens to containers and networks.

use std::collections::{BTreeMap, HashMap};

use bollard::{
    models::{EventMessage, EventMessageTypeEnum},
    query_parameters::EventsOptionsBuilder,
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use shoal_types::Timestamp;

use super::{Docker, call::Call, lines::values};
use crate::{
    CallClass, ContainerAction, ContainerEvent, EngineError, EngineEvent, EventStream, LabelFilter,
    NetworkAction, NetworkEvent, Subject,
};

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
        // Not by label: an engine would keep every event of a network back, since it tells no labels of networks.
        let filters: HashMap<String, Vec<String>> =
            [("type", &["container", "network"][..]), ("event", &["start", "die", "destroy", "disconnect"])]
                .map(|(key, words)| (key.to_owned(), words.iter().map(|word| (*word).to_owned()).collect()))
                .into();
        let options = EventsOptionsBuilder::default().since(&unix_time(now)).filters(&filters).build();
        let (docker, filter) = (self.clone(), filter.clone());
        let body = self.call(&call, self.stream("/events", Some(options))).await?;
        let events = values(body).map(move |message| match message {
            Ok(message) => docker.event(&call, &filter, message),
            Err(error) => Err(docker.fault(&call, error)),
        });
        Ok(events.try_filter_map(|event| async move { Ok(event) }).boxed())
    }

    /// The event, unless it is of a kind not asked for, or of a container without the labels.
    fn event(
        &self,
        call: &Call,
        filter: &LabelFilter,
        message: EventMessage,
    ) -> Result<Option<EngineEvent>, EngineError> {
        let actor = self.need(call, "Actor", message.actor)?;
        let labels: BTreeMap<String, String> = actor.attributes.unwrap_or_default().into_iter().collect();
        let action = self.need(call, "Action", message.action)?;
        let kind = self.need(call, "Type", message.typ)?;
        let nanos = self.need(call, "timeNano", message.time_nano)?;
        let id = self.need(call, "Actor.ID", actor.id)?;
        let name = labels.get("name").cloned().unwrap_or_default();
        let at = Timestamp(u64::try_from(nanos / 1_000_000).unwrap_or(0));
        if kind == EventMessageTypeEnum::NETWORK {
            let action = match action.as_str() {
                "disconnect" => NetworkAction::Disconnect,
                "destroy" => NetworkAction::Destroy,
                _ => return Ok(None),
            };
            return Ok(Some(EngineEvent::Network(NetworkEvent { id, name, action, at })));
        }
        if !filter.matches(&labels) {
            return Ok(None);
        }
        let action = match action.as_str() {
            "start" => ContainerAction::Start,
            "die" => {
                ContainerAction::Die { exit_code: labels.get("exitCode").and_then(|code| code.parse().ok()) }
            }
            "destroy" => ContainerAction::Destroy,
            _ => return Ok(None),
        };
        Ok(Some(EngineEvent::Container(ContainerEvent { id, name, action, labels, at })))
    }
}
