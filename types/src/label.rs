//! Labels of hosts: a sorted map of short keys to short values, and their checks.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Longest key or value, in characters.
const MAX_LEN: usize = 63;

/// A label that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Not `KEY=VALUE`.
    #[error("label `{text}` must be KEY=VALUE")]
    NotAPair {
        /// What was read, shortened and escaped.
        text: String,
    },
    /// A key or value that is empty, too long or has a character outside `A-Z a-z 0-9 . _ - /`.
    #[error(
        "label {part} `{text}` is not usable: 1 to {MAX_LEN} letters, digits, `.`, `_`, `-` or `/`, starting with a letter or digit"
    )]
    Malformed {
        /// `key` or `value`.
        part: &'static str,
        /// What was read, shortened and escaped.
        text: String,
    },
}

fn shown(text: &str) -> String {
    text.chars().take(MAX_LEN + 8).flat_map(char::escape_default).collect()
}

fn check(part: &'static str, text: &str) -> Result<(), LabelError> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/'));
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if plain && starts && text.len() <= MAX_LEN {
        Ok(())
    } else {
        Err(LabelError::Malformed { part, text: shown(text) })
    }
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident, $part:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text as given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = LabelError;

            fn from_str(text: &str) -> Result<Self, LabelError> {
                check($part, text).map(|()| Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = LabelError;

            fn try_from(text: String) -> Result<Self, LabelError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> String {
                word.0
            }
        }
    )*};
}

words! {
    /// Key of a label, such as `rack`.
    LabelKey, "key";
    /// Value of a label, such as `b7`.
    LabelValue, "value";
}

/// The labels of a host, key -> value, in order of the keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(pub BTreeMap<LabelKey, LabelValue>);

impl Labels {
    /// Reads `KEY=VALUE` pairs; a later pair of the same key wins.
    ///
    /// # Errors
    /// [`LabelError`]: a pair has no `=`, or a key or value cannot be used.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = &'a str>) -> Result<Self, LabelError> {
        let mut labels = BTreeMap::new();
        for pair in pairs {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| LabelError::NotAPair { text: shown(pair) })?;
            labels.insert(key.parse()?, value.parse()?);
        }
        Ok(Self(labels))
    }

    /// The value of `key`, if there is one.
    #[must_use]
    pub fn get(&self, key: &LabelKey) -> Option<&LabelValue> {
        self.0.get(key)
    }
}

impl fmt::Display for Labels {
    /// `a=1,b=2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (key, value)) in self.0.iter().enumerate() {
            write!(f, "{}{key}={value}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}
