//! A user's own text for slurm.conf (`slurm.main`), and what it means for the text around it.
//!
//! A key that occurs twice makes every command of Slurm complain, so a setting of ours gives way to the user's of the same key. Two
//! keys hold lists without one word of which no worker would come up; that word is added to the user's list instead, and so are
//! resources of nodes. A file that is included and given stands in the place of its `Include`: every version of Slurm has it then.

use std::{
    collections::BTreeSet,
    fmt::{self, Write},
};

use shoal_types::{SlurmSpec, TextPlace};

use crate::text::{FILES_DIR, INCLUDE, Piece, Statement, pieces};

/// Key -> the word that its list must hold; the table says why, and a test that it says the same.
pub(crate) const REQUIRED: [(&str, &str); 2] =
    [("SlurmctldParameters", "enable_configless"), ("SlurmdParameters", "config_overrides")];

/// Deepest nesting of files that include others.
pub(crate) const MAX_DEPTH: usize = 8;
/// The most text that files bring in, in bytes: one that is included twice counts twice.
pub(crate) const MAX_INCLUDED: usize = 256 << 10;

/// The fragments of `slurm.main`.
pub(crate) struct UserText<'a> {
    entries: Vec<Entry<'a>>,
    /// What files may still bring in, in bytes.
    room: usize,
}

/// Why a file that is given does not stand in the place of its `Include`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Apart {
    /// It is included by itself.
    Circle,
    /// Too many others are open around it.
    Deep,
    /// There is no room for its text. Nothing is read after it.
    Long,
}

/// A piece of one of the user's texts.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'a> {
    /// The text it is in.
    pub(crate) at: At<'a>,
    /// The lines as they were written.
    pub(crate) raw: Vec<&'a str>,
    /// What they say, if anything.
    pub(crate) statement: Option<Statement>,
    /// Of an `Include` of a file that is given: why it is still here.
    pub(crate) apart: Option<Apart>,
}

/// A line of a text of the user's.
#[derive(Debug, Clone)]
pub(crate) struct At<'a> {
    /// What the user calls the text: `slurm.main.limits`.
    pub(crate) of: String,
    /// The number of the line there, from 1.
    pub(crate) line: usize,
    /// Where the text was written, if that is known.
    place: Option<&'a TextPlace>,
}

/// `dev.yaml:7`, or `slurm.main, line 3`.
impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(place) => write!(f, "{}:{}", place.file, place.line_of(self.line)),
            None => write!(f, "{}, line {}", self.of, self.line),
        }
    }
}

impl Entry<'_> {
    /// Where it is and what it is, for a user: `dev.yaml:7: NoSuchKey=1`.
    pub(crate) fn shown(&self) -> String {
        format!("{}: {}", self.at, self.raw.first().map_or("", |line| line.trim()))
    }
}

impl<'a> UserText<'a> {
    /// The fragments of a specification, in the order of their names.
    pub(crate) fn of(slurm: &'a SlurmSpec) -> Self {
        let mut text = Self { entries: Vec::new(), room: MAX_INCLUDED };
        for (name, fragment) in &slurm.main {
            text.read(slurm, SlurmSpec::fragment(name), fragment, &mut Vec::new());
        }
        text
    }

    /// Takes up a text; `open` are the files that it is included by.
    fn read(&mut self, slurm: &'a SlurmSpec, of: String, text: &'a str, open: &mut Vec<&'a str>) {
        let place = slurm.places.get(&of);
        for Piece { line, raw, statement } in pieces(text.trim_end()) {
            if self.too_long().is_some() {
                return;
            }
            let included =
                statement.as_ref().filter(|statement| statement.is(INCLUDE)).and_then(|statement| {
                    let name = statement.value.strip_prefix(FILES_DIR).unwrap_or(&statement.value);
                    slurm.files.get_key_value(name)
                });
            let apart = match included {
                Some((name, _)) if open.contains(&name.as_str()) => Some(Apart::Circle),
                Some(_) if open.len() >= MAX_DEPTH => Some(Apart::Deep),
                Some((_, text)) if text.len() > self.room => Some(Apart::Long),
                Some((name, text)) => {
                    self.room -= text.len();
                    open.push(name);
                    self.read(slurm, SlurmSpec::file(name), text, open);
                    open.pop();
                    continue;
                }
                None => None,
            };
            self.entries.push(Entry { at: At { of: of.clone(), line, place }, raw, statement, apart });
        }
    }

    /// The `Include` that there is no room for.
    pub(crate) fn too_long(&self) -> Option<&Entry<'a>> {
        self.entries.last().filter(|entry| entry.apart == Some(Apart::Long))
    }

    /// Everything in it, in order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.entries.iter()
    }

    /// What it says, in order.
    pub(crate) fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.entries.iter().filter_map(|entry| entry.statement.as_ref())
    }

    /// The value of a key that Slurm takes: the last.
    pub(crate) fn last(&self, key: &str) -> Option<&str> {
        self.statements().filter(|statement| statement.is(key)).last().map(|said| said.value.as_str())
    }

    /// The texts, each under a comment that names it; `gres` are the names of resources that nodes have.
    pub(super) fn push(&self, text: &mut String, gres: &BTreeSet<&str>) {
        let mut of = None;
        for entry in &self.entries {
            if of != Some(&entry.at.of) {
                let _ = writeln!(text, "\n# {}", entry.at.of);
                of = Some(&entry.at.of);
            }
            entry.push(text, gres);
        }
    }

    /// The partitions it makes: name in lower case, and whether it is the default.
    pub(super) fn partitions(&self) -> impl Iterator<Item = (String, bool)> {
        self.statements().filter(|statement| statement.is("PartitionName")).map(|statement| {
            let (name, mut pairs) = statement.described();
            let is_default = |(key, value): (&str, &str)| {
                key.eq_ignore_ascii_case("Default") && value.eq_ignore_ascii_case("YES")
            };
            (name.to_ascii_lowercase(), pairs.any(is_default))
        })
    }
}

impl Entry<'_> {
    /// Its lines, with what a list must hold put before the user's words.
    fn push(&self, text: &mut String, gres: &BTreeSet<&str>) {
        let wanted: Vec<&str> = match &self.statement {
            Some(statement) if statement.is("GresTypes") => gres.iter().copied().collect(),
            Some(statement) => {
                REQUIRED.iter().filter(|(key, _)| statement.is(key)).map(|(_, word)| *word).collect()
            }
            None => vec![],
        };
        let has = |word: &str| {
            self.statement.iter().flat_map(Statement::items).any(|item| item.eq_ignore_ascii_case(word))
        };
        let missing: Vec<&str> = wanted.into_iter().filter(|word| !has(word)).collect();
        let _ = match &self.statement {
            Some(Statement { key, value }) if !missing.is_empty() => {
                let own = (!value.is_empty()).then_some(value.as_str());
                let value = missing.into_iter().chain(own).collect::<Vec<_>>().join(",");
                let quote = if value.contains(char::is_whitespace) { "\"" } else { "" };
                writeln!(text, "{key}={quote}{value}{quote}")
            }
            Some(_) | None => self.raw.iter().try_for_each(|line| writeln!(text, "{line}")),
        };
    }
}
