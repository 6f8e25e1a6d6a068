//! One call: its name, what it is about, and the limit of its class.

use std::future::Future;

use bollard::errors::Error;
use shoal_types::ImageRef;

use tokio::time::Instant;

use super::{Docker, fault::fault};
use crate::{CallClass, EngineError, Subject};

/// What a call is, for its limit and for its errors.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// As shown: `create container`.
    pub(super) name: &'static str,
    /// About what.
    pub(super) subject: Subject,
    /// Which limit it has.
    pub(super) class: CallClass,
}

impl Call {
    pub(super) fn new(name: &'static str, subject: Subject, class: CallClass) -> Self {
        Self { name, subject, class }
    }

    pub(super) fn container(name: &'static str, id: &str, class: CallClass) -> Self {
        Self::new(name, Subject::Container(id.to_owned()), class)
    }
}

impl Docker {
    /// Runs a call within the limit of its class and maps its errors.
    ///
    /// # Errors
    /// [`EngineError`]; `BadRequest` without asking the engine if the subject cannot be part of a request path.
    pub(super) async fn call<T>(
        &self,
        call: &Call,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, EngineError> {
        self.check(call)?;
        let (limit, began) = (self.timeouts.limit(call.class), Instant::now());
        let answer = match tokio::time::timeout(limit, request).await {
            Ok(answer) => answer.map_err(|error| self.fault(call, error)),
            Err(_) => Err(self.timed_out(call)),
        };
        if let Err(error) = &answer
            && error.is_silence()
        {
            self.transport.pulse().note_miss(began);
        }
        answer
    }

    /// Maps an error of a call.
    pub(super) fn fault(&self, call: &Call, error: Error) -> EngineError {
        fault(&self.endpoint, call, error)
    }

    pub(super) fn timed_out(&self, call: &Call) -> EngineError {
        EngineError::Timeout {
            endpoint: (*self.endpoint).clone(),
            call: call.name,
            subject: call.subject.clone(),
            after: self.timeouts.limit(call.class),
        }
    }

    pub(super) fn bad_answer(&self, call: &Call, message: impl Into<String>) -> EngineError {
        EngineError::BadAnswer {
            endpoint: (*self.endpoint).clone(),
            call: call.name,
            subject: call.subject.clone(),
            message: message.into(),
        }
    }

    /// A field the engine must have sent.
    pub(super) fn need<T>(
        &self,
        call: &Call,
        field: &'static str,
        value: Option<T>,
    ) -> Result<T, EngineError> {
        value.ok_or_else(|| self.bad_answer(call, format!("no field `{field}`")))
    }

    pub(super) fn check(&self, call: &Call) -> Result<(), EngineError> {
        let fits = match &call.subject {
            Subject::Engine => true,
            Subject::Container(name) | Subject::Network(name) | Subject::Volume(name) => is_name(name),
            Subject::Path { container, .. } => is_name(container),
            Subject::Image(reference) => ImageRef::is_valid(reference),
        };
        if fits {
            return Ok(());
        }
        Err(EngineError::BadRequest {
            endpoint: (*self.endpoint).clone(),
            call: call.name,
            subject: call.subject.clone(),
            message: "not a usable name".into(),
        })
    }
}

/// Names and ids go into a request's path unescaped: only what Docker allows in names (moby `names.RestrictedNameChars`).
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_place_in_a_path() {
        for good in ["shoal-1f2e-n3", "0a1b", "a.b_c"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "..", ".", "a/b", "a?b", "a#b", "-a", "a b", "a%2e", "ä"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
