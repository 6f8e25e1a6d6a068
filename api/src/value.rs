//! Values as they are published: CPUs as a number of cores, times as RFC 3339.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};
use shoal_proto::FieldError;
use shoal_types::{MilliCpu, Timestamp};

/// An amount of CPU.
// Whole cores are published without a fraction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cores(#[cfg_attr(feature = "schema", schemars(with = "f64"))] pub MilliCpu);

impl Serialize for Cores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let milli = self.0.0;
        match milli % 1000 {
            0 => serializer.serialize_u64(milli / 1000),
            _ => serializer.serialize_f64(self.0.cores()),
        }
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A time that has a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(jiff::Timestamp);

impl Time {
    /// A time, unless it is not known, which the protocol says with 0.
    #[must_use]
    pub fn known(at: Timestamp) -> Option<Self> {
        let ms = i64::try_from(at.0).ok().filter(|ms| *ms > 0)?;
        jiff::Timestamp::from_millisecond(ms).ok().map(Self)
    }
}

impl Time {
    /// As the protocol says it: milliseconds since the epoch, 0 if not known.
    pub(crate) fn wire(at: Option<Self>) -> u64 {
        at.and_then(|at| u64::try_from(at.0.as_millisecond()).ok()).unwrap_or(0)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A text, if it is known.
pub(crate) fn known(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A text as the protocol says it: empty if it is not known.
pub(crate) fn text(known: Option<String>) -> String {
    known.unwrap_or_default()
}

/// A list of messages.
pub(crate) fn messages<M: From<T>, T>(answers: Vec<T>) -> Vec<M> {
    answers.into_iter().map(M::from).collect()
}

/// A part that must be there.
pub(crate) fn need<T>(field: &'static str, part: Option<T>) -> Result<T, FieldError> {
    part.ok_or_else(|| FieldError::new(field, "is missing"))
}

/// All of a list, or the first fault.
pub(crate) fn all<T: TryFrom<M, Error = FieldError>, M>(messages: Vec<M>) -> Result<Vec<T>, FieldError> {
    messages.into_iter().map(T::try_from).collect()
}

/// A time span as it is published: in whole milliseconds.
#[must_use]
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// An error without the name of the host it is of, where the name stands before it anyway.
#[must_use]
pub fn without_host<'a>(name: &str, error: &'a str) -> &'a str {
    error
        .strip_prefix("host ")
        .and_then(|e| e.strip_prefix(name))
        .and_then(|e| e.strip_prefix(": ").or_else(|| e.strip_prefix(' ')))
        .unwrap_or(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_published() {
        let json = |cores: u64| serde_json::to_string(&Cores(MilliCpu(cores))).unwrap();
        assert_eq!((json(8000), json(1050)), ("8".into(), "1.05".into()));
        assert_eq!(Time::known(Timestamp(0)), None);
        assert_eq!(Time::known(Timestamp(u64::MAX)), None);
        let at = Time::known(Timestamp(1_700_000_000_001)).unwrap();
        assert_eq!(serde_json::to_value(at).unwrap(), "2023-11-14T22:13:20.001Z");
        assert_eq!((Time::wire(Some(at)), Time::wire(None)), (1_700_000_000_001, 0));
    }

    #[test]
    fn a_name_is_not_said_twice() {
        assert_eq!(without_host("host1", "host host1: refused"), "refused");
        assert_eq!(
            without_host("host1", "host host1 did not answer within 2 s"),
            "did not answer within 2 s"
        );
        assert_eq!(without_host("host1", "host host10: refused"), "host host10: refused");
        assert_eq!(without_host("host1", "host host10 did not answer"), "host host10 did not answer");
    }
}
