//! A user's own text for slurm.conf (`slurm.main`), and what it means for the text around it.
//!
//! A key that occurs twice makes every command of Slurm complain, so a setting of ours gives way to the user's of the same key. Two
//! keys hold lists without one word of which no worker would come up; that word is added to the user's list instead.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// Key in lower case -> what its list must hold.
const REQUIRED: &[(&str, &str)] =
    &[("slurmctldparameters", "enable_configless"), ("slurmdparameters", "config_overrides")];

/// The fragments of `slurm.main`.
pub(super) struct UserText<'a>(pub(super) &'a BTreeMap<String, String>);

impl UserText<'_> {
    /// Keys that begin a line, in lower case: keys of slurm.conf do not depend on case.
    pub(super) fn keys(&self) -> BTreeSet<String> {
        self.lines().filter_map(|line| split(line).map(|(key, _)| key.to_ascii_lowercase())).collect()
    }

    /// The fragments in the order of their names, each under a comment that names it.
    pub(super) fn push(&self, text: &mut String) {
        for (name, fragment) in self.0 {
            let _ = writeln!(text, "\n# slurm.main: {name}");
            for line in fragment.trim_end().lines() {
                push_line(text, line);
            }
        }
    }

    /// The partitions it makes: name in lower case, and whether it is the default.
    pub(super) fn partitions(&self) -> impl Iterator<Item = (String, bool)> {
        self.lines().filter_map(|line| {
            let line = line.split('#').next()?.to_ascii_lowercase();
            let ("partitionname", value) = split(&line)? else { return None };
            let mut words = value.split_whitespace();
            Some((words.next()?.to_owned(), words.any(|pair| pair == "default=yes")))
        })
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.values().flat_map(|fragment| fragment.lines())
    }
}

/// Key and the rest of the line after `=`; `None` for comments and what else has no key.
pub(super) fn split(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let (key, value) = (key.trim(), value.trim_start());
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    plain.then_some((key, value))
}

/// A line of the user's, with what its list must hold put before the user's words.
fn push_line(text: &mut String, line: &str) {
    let required = split(line).and_then(|(key, value)| {
        let (_, word) = REQUIRED.iter().find(|(name, _)| key.eq_ignore_ascii_case(name))?;
        let has = value.split([',', ' ', '#', '"']).any(|item| item.eq_ignore_ascii_case(word));
        (!has).then_some((key, *word, value))
    });
    let _ = match required {
        Some((key, word, "")) => writeln!(text, "{key}={word}"),
        Some((key, word, value)) => writeln!(text, "{key}={word},{value}"),
        None => writeln!(text, "{line}"),
    };
}
