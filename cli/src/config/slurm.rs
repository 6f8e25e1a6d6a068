//! The section `slurm`: what Slurm is told of the cluster, and of the nodes of a group; each text with the place it was written at.
//!
//! ```yaml
//! slurm:
//!   cpus: 64
//!   gres: gpu:a100:2                        # of every worker; text for gres.conf, too
//!   main: |                                 # text, or a map of names to text
//!     SlurmctldPort=7000
//!   cgroup: "ConstrainCores=no\n"           # cgroup.conf, gres.conf, topology.conf, plugstack.conf
//!   files: { job_submit.lua: ./submit.lua } # text, or the path of a file
//! nodes:
//!   - { role: worker, slurm: { gres: [gpu:2], features: [big], weight: 10 } }
//! ```

use std::{collections::BTreeMap, fmt::Display, marker::PhantomData, path::Path, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::Spanned;
use shoal_types::{Feature, Gres, MAIN_FRAGMENT, NodeSlurm, SlurmSpec, TextPlace, chain};

use super::{
    ConfigError, Source,
    value::{Count, Size},
};

/// `slurm`: settings of Slurm.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Slurm {
    /// Text for slurm.conf.
    pub(super) main: Option<Fragments>,
    /// CPUs a worker tells Slurm it has.
    pub(super) cpus: Option<Count>,
    /// Memory a worker tells Slurm it has.
    pub(super) memory: Option<Size>,
    /// Generic resources of every worker, or text for gres.conf.
    pub(super) gres: Option<GresSetting>,
    /// Text for cgroup.conf.
    pub(super) cgroup: Option<Fragments>,
    /// Text for topology.conf.
    pub(super) topology: Option<Fragments>,
    /// Text for plugstack.conf.
    pub(super) plugstack: Option<Fragments>,
    /// Files beside slurm.conf, by their names there: text, or the path of a file from this one's directory.
    pub(super) files: Option<BTreeMap<String, Text>>,
}

/// `slurm` of a group of workers: what Slurm is told of each.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GroupSlurm {
    /// CPUs it tells Slurm it has.
    cpus: Option<Count>,
    /// Memory it tells Slurm it has.
    memory: Option<Size>,
    /// Its generic resources.
    gres: Option<Words<Gres>>,
    /// Its features, which jobs choose it by.
    features: Option<Words<Feature>>,
    /// Its weight: nodes of less are taken first.
    weight: Option<Count>,
}

impl GroupSlurm {
    /// What is said of its nodes; `gres` are those of a node that names none.
    pub(super) fn told(self, gres: &[Gres]) -> NodeSlurm {
        NodeSlurm {
            cpus: self.cpus.map(|count| count.0.get()),
            memory: self.memory.map(|size| size.0),
            gres: self.gres.map_or_else(|| gres.to_vec(), |words| words.0),
            features: self.features.map(|words| words.0).unwrap_or_default(),
            weight: self.weight.map(|count| count.0.get()),
        }
    }
}

/// A text, and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    text: String,
    line: u64,
    column: u64,
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Filled>::deserialize(deserializer)?;
        Ok(Self { text: value.0, line: referenced.line(), column: referenced.column() })
    }
}

struct Filled(String);

impl<'de> Deserialize<'de> for Filled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() { Err(D::Error::custom("the text is empty")) } else { Ok(Self(text)) }
    }
}

/// Text for a file of Slurm's: one text, or named ones.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Fragments(BTreeMap<String, Text>);

impl<'de> Deserialize<'de> for Fragments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::located(deserializer, "text, or a map of names to text")? {
            Form::One(text) => Ok(Self([(MAIN_FRAGMENT.to_owned(), text)].into())),
            Form::Named(texts) => Ok(Self(texts)),
            Form::List(_) => {
                Err(D::Error::custom("expected text, or a map of names to text, found sequence"))
            }
        }
    }
}

/// `slurm.gres`: the resources of every worker, or text for gres.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GresSetting {
    /// `gpu:2`, or a list of such.
    Each(Vec<Gres>),
    /// What has a `=` in it.
    Conf(Fragments),
}

impl<'de> Deserialize<'de> for GresSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wanted = "resources such as gpu:2, or text for gres.conf";
        Ok(match Form::located(deserializer, wanted)? {
            Form::One(text) if !text.text.contains('=') => Self::Each(words(&text.text)?),
            Form::One(text) => Self::Conf(Fragments([(MAIN_FRAGMENT.to_owned(), text)].into())),
            Form::Named(texts) => Self::Conf(Fragments(texts)),
            Form::List(list) => Self::Each(list.iter().map(|word| read(word)).collect::<Result<_, _>>()?),
        })
    }
}

/// A text with its place, named texts, or a list of words.
enum Form {
    One(Text),
    Named(BTreeMap<String, Text>),
    List(Vec<String>),
}

enum Bare {
    One(String),
    Named(BTreeMap<String, Text>),
    List(Vec<String>),
}

impl Form {
    fn located<'de, D: Deserializer<'de>>(deserializer: D, wanted: &'static str) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Bare>::deserialize(deserializer)?;
        Ok(match value {
            Bare::One(text) if text.trim().is_empty() => return Err(D::Error::custom("the text is empty")),
            Bare::One(text) => Self::One(Text { text, line: referenced.line(), column: referenced.column() }),
            Bare::Named(texts) if texts.is_empty() => {
                return Err(D::Error::custom(format!("expected {wanted}, found nothing")));
            }
            Bare::Named(texts) => Self::Named(texts),
            Bare::List(words) => Self::List(words),
        })
    }
}

impl<'de> Deserialize<'de> for Bare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> Visitor<'de> for Forms {
            type Value = Bare;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("text, or a map of names to text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Bare, E> {
                Ok(Bare::One(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bare, A::Error> {
                let mut texts = BTreeMap::new();
                while let Some((name, text)) = map.next_entry()? {
                    texts.insert(name, text);
                }
                Ok(Bare::Named(texts))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Bare, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = list.next_element()? {
                    words.push(word);
                }
                Ok(Bare::List(words))
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

/// Words of one kind: `a,b`, or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words<T>(Vec<T>);

impl<'de, T: FromStr<Err: std::error::Error>> Deserialize<'de> for Words<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore<T>(PhantomData<T>);
        impl<'de, T: FromStr<Err: std::error::Error>> Visitor<'de> for OneOrMore<T> {
            type Value = Words<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a word, or a list of words")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Words<T>, E> {
                words(text).map(Words)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Words<T>, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = list.next_element::<String>()? {
                    words.push(read(&word)?);
                }
                Ok(Words(words))
            }
        }
        deserializer.deserialize_any(OneOrMore(PhantomData))
    }
}

fn words<T: FromStr<Err: std::error::Error>, E: Error>(text: &str) -> Result<Vec<T>, E> {
    text.split(',').map(|word| read(word.trim())).collect()
}

fn read<T: FromStr<Err: std::error::Error>, E: Error>(word: &str) -> Result<T, E> {
    word.parse().map_err(|error| E::custom(chain(&error)))
}

impl Slurm {
    /// The resources of every worker that names none.
    pub(super) fn gres_of_each(&self) -> &[Gres] {
        match &self.gres {
            Some(GresSetting::Each(gres)) => gres,
            Some(GresSetting::Conf(_)) | None => &[],
        }
    }

    /// What Slurm is told. `source` is where this section was read from, and `yaml` the whole text there.
    ///
    /// # Errors
    /// [`ConfigError::At`]: a file cannot be read, or is there twice.
    pub(super) fn told(self, source: &Source, yaml: &str) -> Result<SlurmSpec, ConfigError> {
        let mut spec = SlurmSpec {
            cpus: self.cpus.map(|count| count.0.get()),
            memory: self.memory.map(|size| size.0),
            ..SlurmSpec::default()
        };
        let read = Reading { source, lines: yaml.lines().collect() };
        for (name, text) in self.main.into_iter().flat_map(|fragments| fragments.0) {
            spec.places.insert(SlurmSpec::fragment(&name), read.place(&text));
            spec.main.insert(name, text.text);
        }
        for (name, text) in self.files.into_iter().flatten() {
            let (text, place) = read.content(text)?;
            spec.places.insert(SlurmSpec::file(&name), place);
            spec.files.insert(name, text);
        }
        let gres = match self.gres {
            Some(GresSetting::Conf(fragments)) => Some(fragments),
            Some(GresSetting::Each(_)) | None => None,
        };
        let sections = [
            ("cgroup.conf", self.cgroup),
            ("gres.conf", gres),
            ("topology.conf", self.topology),
            ("plugstack.conf", self.plugstack),
        ];
        for (name, fragments) in sections {
            let Some((text, place)) = fragments.and_then(|fragments| read.joined(fragments)) else {
                continue;
            };
            if spec.files.insert(name.to_owned(), text).is_some() {
                let message = format!("{name} is there twice: here and in `files`");
                return Err(read.error((u64::from(place.line), 1), message));
            }
            spec.places.insert(SlurmSpec::file(name), place);
        }
        Ok(spec)
    }
}

/// Whether a text is one word that has the form of a file's name: no file of Slurm's is so short.
fn is_like_a_file(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
    text.bytes().all(plain) && text.contains(['.', '/'])
}

/// A configuration whose texts are looked up.
struct Reading<'a> {
    source: &'a Source,
    lines: Vec<&'a str>,
}

impl Reading<'_> {
    /// Where a text's first line is. The reader names the first line that is not blank; in a literal block (`|`) the file's lines are
    /// those of the text.
    fn place(&self, text: &Text) -> TextPlace {
        let blank = text.text.lines().take_while(|line| line.trim().is_empty()).count();
        let first = usize::try_from(text.line).unwrap_or(usize::MAX).saturating_sub(blank).max(1);
        let there = self.lines.get(first - 1..).unwrap_or_default();
        let by_line = text.text.lines().count() <= there.len()
            && text.text.lines().zip(there).all(|(line, there)| line.trim() == there.trim());
        let line = if by_line { first as u64 } else { text.line };
        TextPlace { file: self.source.name(), line: u32::try_from(line).unwrap_or(u32::MAX), by_line }
    }

    /// The content of a file: the text, or that of the file that it names.
    fn content(&self, text: Text) -> Result<(String, TextPlace), ConfigError> {
        let path = text.text.trim();
        let is_path = ["/", "./", "../"].iter().any(|start| path.starts_with(start)) && !path.contains('\n');
        if !is_path && is_like_a_file(path) {
            let message =
                format!("`{path}` is text here, and looks like the path of a file: write `./{path}`");
            return Err(self.error((text.line, text.column), message));
        }
        if !is_path {
            let place = self.place(&text);
            return Ok((text.text, place));
        }
        let base = match self.source {
            Source::File(yaml) => yaml.parent().unwrap_or(Path::new("")),
            Source::Stdin => Path::new(""),
        };
        let file = Source::File(base.join(path));
        let cannot = |error: ConfigError| self.error((text.line, text.column), chain(&error));
        let content = file.read().map_err(cannot)?;
        Ok((content, TextPlace { file: file.name(), line: 1, by_line: true }))
    }

    /// The texts of a file in one, in order of their names.
    fn joined(&self, fragments: Fragments) -> Option<(String, TextPlace)> {
        let mut fragments = fragments.0.into_iter();
        let (name, first) = fragments.next()?;
        let place = self.place(&first);
        let rest: Vec<_> = fragments.collect();
        if rest.is_empty() {
            return Some((first.text, place));
        }
        let each = [(name, first)].into_iter().chain(rest);
        let text = each.map(|(name, text)| format!("# {name}\n{}\n", text.text.trim_end())).collect();
        Some((text, TextPlace { by_line: false, ..place }))
    }

    fn error(&self, (line, column): (u64, u64), message: impl Display) -> ConfigError {
        let (name, message) = (self.source.name(), message.to_string());
        ConfigError::At { name, line, column, message, hint: None }
    }
}
