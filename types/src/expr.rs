//! Label expressions: which hosts a cluster, a group of nodes or a listing speaks of.
//!
//! ```text
//! expr = key "=" value | key "!=" value | key "in" "(" value {"," value} ")" | key | "!" key
//! ```
//! As in Kubernetes' set-based selectors, `k!=v` also holds for a host without the key.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::label::{LabelError, LabelKey, LabelValue, Labels};

/// Most values in one `in (...)`; longer lists are a mistake, not a wish.
const MAX_VALUES: usize = 256;

/// A text that is no label expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelExprError {
    /// Of none of the five forms.
    #[error("`{text}` is not a label expression: use k=v, k!=v, k in (a,b), k or !k")]
    Malformed {
        /// What was read, shortened and escaped.
        text: String,
    },
    /// A key or value in it is unusable.
    #[error("in label expression `{text}`")]
    Label {
        /// What was read, shortened and escaped.
        text: String,
        /// The key or value.
        #[source]
        source: LabelError,
    },
}

/// One condition on a host's labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LabelExpr {
    /// `k=v`: the label has this value.
    Equals(LabelKey, LabelValue),
    /// `k!=v`: the label has another value or is absent.
    Differs(LabelKey, LabelValue),
    /// `k in (a,b)`: the label has one of these values.
    In(LabelKey, Vec<LabelValue>),
    /// `k`: the label is there.
    Exists(LabelKey),
    /// `!k`: the label is absent.
    Absent(LabelKey),
}

impl LabelExpr {
    /// The label it is about.
    #[must_use]
    pub fn key(&self) -> &LabelKey {
        match self {
            Self::Equals(key, _)
            | Self::Differs(key, _)
            | Self::In(key, _)
            | Self::Exists(key)
            | Self::Absent(key) => key,
        }
    }

    /// Whether `labels` satisfy the expression.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        match self {
            Self::Equals(key, value) => labels.get(key) == Some(value),
            Self::Differs(key, value) => labels.get(key) != Some(value),
            Self::In(key, values) => labels.get(key).is_some_and(|v| values.contains(v)),
            Self::Exists(key) => labels.get(key).is_some(),
            Self::Absent(key) => labels.get(key).is_none(),
        }
    }

    fn parse(text: &str) -> Result<Option<Self>, LabelError> {
        let text = text.trim();
        if let Some(key) = text.strip_prefix('!') {
            return key.trim().parse().map(|key| Some(Self::Absent(key)));
        }
        if let Some((key, value)) = text.split_once("!=") {
            return Ok(Some(Self::Differs(key.trim().parse()?, value.trim().parse()?)));
        }
        if let Some((key, value)) = text.split_once('=') {
            return Ok(Some(Self::Equals(key.trim().parse()?, value.trim().parse()?)));
        }
        if let Some((key, rest)) = text.split_once(char::is_whitespace) {
            let list = rest.trim_start().strip_prefix("in").map(str::trim);
            let Some(list) = list.and_then(|l| l.strip_prefix('(')).and_then(|l| l.strip_suffix(')')) else {
                return Ok(None);
            };
            let values: Vec<_> =
                list.split(',').take(MAX_VALUES + 1).map(|v| v.trim().parse()).collect::<Result<_, _>>()?;
            return Ok((values.len() <= MAX_VALUES).then_some(Self::In(key.parse()?, values)));
        }
        text.parse().map(|key| Some(Self::Exists(key)))
    }
}

impl FromStr for LabelExpr {
    type Err = LabelExprError;

    fn from_str(text: &str) -> Result<Self, LabelExprError> {
        let shown = || text.chars().take(80).flat_map(char::escape_default).collect::<String>();
        match Self::parse(text) {
            Ok(Some(expr)) => Ok(expr),
            Ok(None) => Err(LabelExprError::Malformed { text: shown() }),
            Err(source) => Err(LabelExprError::Label { text: shown(), source }),
        }
    }
}

impl fmt::Display for LabelExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(key, value) => write!(f, "{key}={value}"),
            Self::Differs(key, value) => write!(f, "{key}!={value}"),
            Self::In(key, values) => {
                let values: Vec<_> = values.iter().map(LabelValue::as_str).collect();
                write!(f, "{key} in ({})", values.join(","))
            }
            Self::Exists(key) => write!(f, "{key}"),
            Self::Absent(key) => write!(f, "!{key}"),
        }
    }
}

impl TryFrom<String> for LabelExpr {
    type Error = LabelExprError;

    fn try_from(text: String) -> Result<Self, LabelExprError> {
        text.parse()
    }
}

impl From<LabelExpr> for String {
    fn from(expr: LabelExpr) -> String {
        expr.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_five_forms() {
        let labels = Labels::from_pairs(["rack=b", "gpu=yes"]).unwrap();
        for (text, holds) in [
            ("rack=b", true),
            ("rack=c", false),
            ("rack!=c", true),
            ("zone!=c", true),
            ("rack in (a, b)", true),
            ("rack in (c)", false),
            ("gpu", true),
            ("!gpu", false),
            ("!zone", true),
        ] {
            let expr: LabelExpr = text.parse().unwrap();
            assert_eq!(expr.matches(&labels), holds, "{text}");
            assert_eq!(expr.to_string().parse::<LabelExpr>().unwrap(), expr);
        }
    }

    #[test]
    fn refuses_what_is_none_of_them() {
        for bad in ["", "=", "a=", "=b", "a in", "a in ()", "a in (b", "a b", "!", "a=b=c", "a in (b,)"] {
            assert!(bad.parse::<LabelExpr>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn near_expressions_too(text in "!?[a-z./_-]{0,70} ?(=|!=|in|) ?\\(?([a-z]{0,3},?){0,300}\\)?") {
            match text.parse::<LabelExpr>() {
                Ok(expr) => prop_assert_eq!(expr.to_string().parse::<LabelExpr>(), Ok(expr)),
                Err(error) => prop_assert!(error.to_string().len() < 1000),
            }
        }

        #[test]
        fn never_panics(text in ".{0,200}") {
            if let Ok(expr) = text.parse::<LabelExpr>() {
                prop_assert_eq!(expr.to_string().parse::<LabelExpr>(), Ok(expr));
            }
        }
    }
}
