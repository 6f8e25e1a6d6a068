//! Label filters: how Shoal finds its own things on an engine, never by name alone.

use std::collections::BTreeMap;

/// Labels a thing must carry, all of them; an empty filter lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelFilter {
    wanted: BTreeMap<String, Option<String>>,
}

impl LabelFilter {
    /// Lets everything through.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Also asks for `key` with exactly this value.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.wanted.insert(key.into(), Some(value.into()));
        self
    }

    /// Also asks for `key`, whatever its value.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.wanted.insert(key.into(), None);
        self
    }

    /// Whether these labels pass.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.wanted.iter().all(|(key, value)| match (labels.get(key), value) {
            (Some(have), Some(want)) => have == want,
            (have, None) => have.is_some(),
            (None, Some(_)) => false,
        })
    }

    /// In the form of the engine's `filters` parameter.
    pub(crate) fn to_query(&self) -> Option<std::collections::HashMap<String, Vec<String>>> {
        if self.wanted.is_empty() {
            return None;
        }
        let labels = self.wanted.iter().map(|(key, value)| match value {
            Some(value) => format!("{key}={value}"),
            None => key.clone(),
        });
        Some([("label".to_owned(), labels.collect())].into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_wanted_labels_must_match() {
        let have: BTreeMap<_, _> = [("a", "1"), ("b", "2")].map(|(k, v)| (k.into(), v.into())).into();
        assert!(LabelFilter::all().matches(&have));
        assert!(LabelFilter::all().with("a", "1").with_key("b").matches(&have));
        assert!(!LabelFilter::all().with("a", "2").matches(&have));
        assert!(!LabelFilter::all().with("a", "1").with_key("c").matches(&have));
        assert!(!LabelFilter::all().with("c", "1").matches(&have));
    }

    #[test]
    fn query_form() {
        assert_eq!(LabelFilter::all().to_query(), None);
        let query = LabelFilter::all().with("a", "1").with_key("b").to_query().unwrap();
        assert_eq!(query["label"], ["a=1", "b"]);
    }
}
