//! From the YAML reader's errors to ours: the place, the words of a user, and the key that was meant.

use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};

use super::ConfigError;
use crate::escape;

/// Keys of sind's configuration that are not supported yet: a key of the section they belong to -> the keys.
const NOT_YET: [(&str, &[&str]); 3] = [
    ("kind", &["storage", "users", "groups", "accounts", "identity", "mounts"]),
    ("image", &["pull", "capAdd", "capDrop", "devices", "securityOpt"]),
    ("role", &["image", "managed", "pull", "capAdd", "capDrop", "devices", "securityOpt"]),
];

/// Least similarity (Jaro-Winkler, 0 to 1) at which a key is taken for a misspelt one.
const SIMILAR: f64 = 0.8;

/// What `error` means, in the configuration that messages call `name`.
pub(super) fn explain(name: &str, error: &Error) -> ConfigError {
    let error = innermost(error);
    let (message, hint) = words(error);
    let message = escape::line(&message);
    let location = error.location().filter(|at| at.line() > 0);
    match location {
        Some(at) => {
            ConfigError::At { name: name.into(), line: at.line(), column: at.column(), message, hint }
        }
        None => ConfigError::Nowhere { name: name.into(), message },
    }
}

/// The error itself, without the frames aliases and snippets put around it.
fn innermost(mut error: &Error) -> &Error {
    while let Error::AliasError { error: inner, .. } | Error::WithSnippet { error: inner, .. } = error {
        error = inner;
    }
    error
}

#[expect(clippy::wildcard_enum_match_arm, reason = "another crate's errors; its own words do for the rest")]
fn words(error: &Error) -> (String, Option<String>) {
    match error {
        Error::SerdeUnknownField { field, expected, .. } => unknown_key(field, expected),
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("`{variant}` is not {}", expected.join(" or ")), None)
        }
        Error::SerdeMissingField { field, .. } => (format!("`{field}` is missing"), missing(field)),
        Error::SerdeInvalidType { unexpected, expected, .. } => {
            (format!("expected {expected}, found {}", unexpected.replace("unit value", "nothing")), None)
        }
        Error::Unexpected { expected, .. } => (format!("expected {}", plain(expected)), None),
        Error::DuplicateMappingKey { key: Some(key), .. } => (format!("`{key}` is there twice"), None),
        Error::Budget { .. } => {
            ("this is too large, too deep or too repetitive for a configuration".into(), None)
        }
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => ("aliases stand for too much".into(), None),
        Error::ExternallyTaggedEnumExpectedScalarOrMapping { .. } => ("expected a word".into(), None),
        Error::MultipleDocuments { .. } => ("only one document is expected".into(), None),
        other => (UserMessageFormatter.format_message(other).into_owned(), None),
    }
}

/// The YAML reader's words for what it wanted, in a user's.
fn plain(expected: &'static str) -> &'static str {
    match expected {
        "mapping start" => "keys with values",
        "sequence start" => "a list",
        "string scalar" => "text",
        other => other,
    }
}

fn unknown_key(key: &str, expected: &[&str]) -> (String, Option<String>) {
    let known = |(marker, keys): &(&str, &[&str])| expected.contains(marker) && keys.contains(&key);
    if NOT_YET.iter().any(known) {
        return (format!("`{key}` is known but not supported yet"), Some("remove it".into()));
    }
    (format!("unknown key `{key}`"), nearest(key, expected))
}

fn nearest(word: &str, expected: &[&str]) -> Option<String> {
    let similarity = |candidate: &str| strsim::jaro_winkler(&word.to_lowercase(), &candidate.to_lowercase());
    let best = expected.iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    Some(match similarity(best) >= SIMILAR {
        true => format!("did you mean `{best}`?"),
        false => format!("known here: {}", expected.join(", ")),
    })
}

fn missing(field: &str) -> Option<String> {
    (field == "kind").then(|| "start with `kind: Cluster`".into())
}
