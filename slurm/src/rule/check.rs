//! A specification against the table: all that is refused, each with its place, the reason and what to write instead.

use std::{collections::BTreeSet, fmt};

use shoal_types::{ClusterSpec, SlurmSpec};

use super::{
    Named, Rule, Value,
    layout::{is_of_any_image, keeps_completions, unusable},
    table::{is_our_file, rows},
};
use crate::{
    SSH_PORT,
    conf::{Apart, Entry, GRES_CONF, MAX_DEPTH, MAX_INCLUDED, UserText, device_files, is_device},
    text::{FILES_DIR, INCLUDE, Statement, pieces},
};

/// One thing that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where: `dev.yaml:7`.
    pub at: String,
    /// What, and why.
    pub why: String,
    /// What to do instead.
    pub instead: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.at, self.why, self.instead)
    }
}

/// All that is refused of a specification, in the order of its texts; at least one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  "))]
pub struct Refusals(pub Vec<Refusal>);

/// Checks what Slurm is told.
///
/// # Errors
/// [`Refusals`]: keys that are Shoal's, values that nothing can follow, and files that are named and not given.
pub fn check(spec: &ClusterSpec) -> Result<(), Refusals> {
    let slurm = &spec.slurm;
    let text = UserText::of(slurm);
    let mut refused = Vec::new();
    if let Some((entry, statement)) = text.too_long().and_then(|e| Some((e, e.statement.as_ref()?))) {
        refuse(entry, statement, (slurm, &text), &mut refused);
        return Err(Refusals(refused));
    }
    for entry in text.entries() {
        if let Some(statement) = &entry.statement {
            refuse(entry, statement, (slurm, &text), &mut refused);
        }
    }
    ports(&text, &mut refused);
    files(slurm, &mut refused);
    if refused.is_empty() { Ok(()) } else { Err(Refusals(refused)) }
}

fn refuse(
    entry: &Entry<'_>,
    statement: &Statement,
    (slurm, text): (&SlurmSpec, &UserText<'_>),
    refused: &mut Vec<Refusal>,
) {
    let Statement { key, value } = statement;
    let mut say = |why: String, instead: String| {
        refused.push(Refusal { at: entry.at.to_string(), why, instead });
    };
    if statement.is(INCLUDE) {
        // One that is given stands in the text already.
        let (why, instead) = apart(entry, value);
        say(why, instead);
        return;
    }
    if statement.is("PrologFlags") && statement.items().any(|flag| flag.eq_ignore_ascii_case("X11")) {
        let linux = |s: &Statement| s.is("ProctrackType") && s.has_plugin("proctrack/linuxproc");
        if text.statements().any(linux) {
            say(
                "`PrologFlags=X11` and `ProctrackType=proctrack/linuxproc` exclude each other".into(),
                "write `ProctrackType=proctrack/pgid`, or nothing of it".into(),
            );
        }
    }
    for row in rows(key) {
        match &row.rule {
            Rule::Ours { same: Some(same), .. } if value.eq_ignore_ascii_case(same) => {}
            Rule::Ours { because, instead, .. } => {
                say(format!("`{key}` is Shoal's: {because}"), (*instead).into())
            }
            Rule::Honoured { value: Value::JobCompletions, .. } if !keeps_completions(text) => {
                if runs_completions(text)
                    && let Some(name) = missing(value, slurm)
                {
                    say(format!("`{key}={value}` names a file that is not given"), given(&name));
                }
            }
            Rule::Honoured { value: kind, .. } => {
                if let Some((why, instead)) = wrong(*kind, value) {
                    say(format!("`{key}={value}`: {why}"), instead);
                }
            }
            Rule::Files(Named::Path) => {
                if let Some(name) = missing(value, slurm) {
                    say(format!("`{key}={value}` names a file that is not given"), given(&name));
                } else if !value.starts_with('/') && !value.is_empty() && !value.contains("://") {
                    say(
                        format!("`{key}={value}` is no whole path"),
                        format!("write `{key}={FILES_DIR}{value}`"),
                    );
                }
            }
            Rule::Files(Named::Beside(files)) => {
                for (word, names) in *files {
                    if statement.has_plugin(word) && !names.iter().any(|name| slurm.files.contains_key(*name))
                    {
                        let name = names.first().copied().unwrap_or_default();
                        say(format!("`{key}={value}` reads {name}, which is not given"), given(name));
                        // Plug-ins of two kinds may share a name: one file is enough.
                        break;
                    }
                }
            }
            Rule::Nodes => node(statement, &mut say),
            Rule::Default { .. } | Rule::List { .. } | Rule::Hosts { .. } => {}
        }
    }
}

/// Why a value is refused that everything of ours would follow, and what could be.
fn wrong(kind: Value, value: &str) -> Option<(String, String)> {
    match kind {
        Value::Port => match value.parse::<u16>() {
            Ok(0 | SSH_PORT) | Err(_) => {
                let why = format!("one port from 1 to 65535 is wanted, and not sshd's {SSH_PORT}");
                Some((why, "write one such as `6817`".into()))
            }
            Ok(_) => None,
        },
        Value::File | Value::JobCompletions => {
            unusable(value).map(|why| (why.into(), "write one such as `/var/log/slurm/slurmctld.log`".into()))
        }
        Value::Directory => {
            let why = match unusable(value) {
                Some(why) => why,
                None if is_of_any_image(value) => "it is not a directory of its own",
                None => return None,
            };
            Some((why.into(), "write one such as `/var/spool/slurmctld`".into()))
        }
    }
}

/// Two daemons of one node never share a port, and here they are on different ones; a client tells them apart by it.
fn ports(text: &UserText<'_>, refused: &mut Vec<Refusal>) {
    let port = |key: &str, ours: u16| {
        let said = text.entries().filter(|e| e.statement.as_ref().is_some_and(|s| s.is(key))).last();
        let number = said.and_then(|e| e.statement.as_ref()?.value.parse().ok()).unwrap_or(ours);
        (number, said.map(|e| e.at.to_string()))
    };
    let (one, other) = (port("SlurmctldPort", crate::SLURMCTLD_PORT), port("SlurmdPort", crate::SLURMD_PORT));
    if let (true, Some(at)) = (one.0 == other.0, other.1.or(one.1)) {
        let why = format!("`SlurmctldPort` and `SlurmdPort` are both {}", one.0);
        refused.push(Refusal { at, why, instead: "write two".into() });
    }
}

/// Why an `Include` is still there, and what to do: a file that is given stands in its place otherwise.
fn apart(entry: &Entry<'_>, name: &str) -> (String, String) {
    let line = format!("`{INCLUDE} {name}`");
    match entry.apart {
        Some(Apart::Circle) => {
            (format!("{line} includes a file that it is itself in"), "remove one of the lines".into())
        }
        Some(Apart::Deep) => (
            format!("{line} is in more than {MAX_DEPTH} files that include each other"),
            "write its text in the file before".into(),
        ),
        Some(Apart::Long) => (
            format!("with {line}, files bring in more than {} KiB of text", MAX_INCLUDED >> 10),
            "include each file once, and only what is needed".into(),
        ),
        None if name.starts_with('/') && !name.starts_with(FILES_DIR) => {
            let file = name.rsplit('/').next().unwrap_or_default();
            let instead = format!("{}, and `{INCLUDE} {file}`", given(file));
            (format!("{line} names a file outside `{FILES_DIR}`, which workers do not fetch"), instead)
        }
        None => (format!("{line} names a file that is not given"), given(name)),
    }
}

/// Whether `JobCompLoc` is a program that slurmctld runs.
fn runs_completions(text: &UserText<'_>) -> bool {
    let kind = text.statements().filter(|statement| statement.is("JobCompType")).last();
    kind.is_some_and(|statement| statement.has_plugin("jobcomp/script"))
}

/// What to write for a file that is missing.
fn given(path: &str) -> String {
    let name = path.strip_prefix(FILES_DIR).unwrap_or(path).trim_start_matches('/');
    format!("write its text or path under `slurm.files`: `{name}: ./{name}`")
}

/// The name of a file below Slurm's directory that a value names and nobody gives. Elsewhere it is the image's.
fn missing(value: &str, slurm: &SlurmSpec) -> Option<String> {
    let path = value.split_whitespace().next()?;
    let name = path.strip_prefix(FILES_DIR)?;
    let is_there = match name.split_once(['*', '?', '[']) {
        Some((before, _)) => slurm.files.keys().any(|given| given.starts_with(before)),
        None => slurm.files.contains_key(name),
    };
    (!is_there).then(|| name.to_owned())
}

/// The files that are given: none of ours, programs that can run, and no file that another one names and nobody gives.
fn files(slurm: &SlurmSpec, refused: &mut Vec<Refusal>) {
    for (name, text) in &slurm.files {
        let of = SlurmSpec::file(name);
        let place = slurm.places.get(&of);
        let at = |line: usize| match place {
            Some(place) => format!("{}:{}", place.file, place.line_of(line)),
            None => format!("{of}, line {line}"),
        };
        if let Some(why) = is_our_file(name) {
            let why = format!("`{name}` is Shoal's: {why}");
            refused.push(Refusal { at: at(1), why, instead: "leave it out".into() });
        }
        let above =
            |other: &String| other.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('/'));
        if slurm.files.keys().any(above) {
            let why = format!("`{name}` is a file and a directory");
            refused.push(Refusal { at: at(1), why, instead: "give it another name".into() });
        }
        if !name.ends_with(".conf") {
            continue;
        }
        for piece in pieces(text) {
            let Some(statement) = piece.statement else { continue };
            if name == GRES_CONF {
                for file in device_files(&statement).filter(|file| missing_device(file, slurm)) {
                    let why = format!("`{file}` is no device that a node can pretend to have");
                    refused.push(Refusal {
                        at: at(piece.line),
                        why,
                        instead: "write one such as `/dev/nvidia0`".into(),
                    });
                }
            }
            if !statement.is(INCLUDE) {
                continue;
            }
            let path = statement.value.as_str();
            let whole = if path.starts_with('/') { path.to_owned() } else { format!("{FILES_DIR}{path}") };
            if let Some(missing) = missing(&whole, slurm) {
                let why = format!("`{INCLUDE} {path}` names a file that is not given");
                refused.push(Refusal { at: at(piece.line), why, instead: given(&missing) });
            }
        }
    }
    let programs = program_names(slurm);
    for name in programs {
        let Some(text) = slurm.files.get(&name) else { continue };
        if !text.starts_with("#!") {
            let of = SlurmSpec::file(&name);
            let at = slurm.places.get(&of).map_or(of, |place| format!("{}:{}", place.file, place.line_of(1)));
            let why = format!("`{name}` is run, and does not say by what");
            refused.push(Refusal { at, why, instead: "write `#!/bin/sh` as its first line".into() });
        }
    }
}

/// Whether a node has no file of this name: it is not below /dev, and not given.
fn missing_device(file: &str, slurm: &SlurmSpec) -> bool {
    !is_device(file) && !file.strip_prefix(FILES_DIR).is_some_and(|name| slurm.files.contains_key(name))
}

/// The given files that a key has Slurm run.
fn program_names(slurm: &SlurmSpec) -> BTreeSet<String> {
    let text = UserText::of(slurm);
    let runs = |statement: &&Statement| {
        let read = ["PlugStackConfig", "JobCredentialPrivateKey", "JobCredentialPublicCertificate"];
        let named = rows(&statement.key).any(|row| matches!(row.rule, Rule::Files(Named::Path)));
        (named || statement.is("JobCompLoc") && runs_completions(&text))
            && !read.iter().any(|key| statement.is(key))
    };
    let name = |statement: &Statement| {
        let path = statement.value.split_whitespace().next()?;
        path.strip_prefix(FILES_DIR).map(str::to_owned)
    };
    text.statements().filter(runs).filter_map(name).collect()
}

/// What a `NodeName` line may say, and how the rest is said. Keys are as slurm.conf(5) has them.
const NODE_KEYS: &[(&[&str], &str)] = &[
    (&["CPUs", "Procs"], "cpus"),
    (&["Boards", "CoresPerSocket", "Sockets", "SocketsPerBoard", "ThreadsPerCore"], "cpus"),
    (&["RealMemory"], "memory"),
    (&["Gres"], "gres"),
    (&["Feature", "Features"], "features"),
    (&["Weight"], "weight"),
];
/// Keys of such a line that are Shoal's.
const OUR_NODE_KEYS: &[&str] = &["BcastAddr", "NodeAddr", "NodeHostname", "Port", "State"];

fn node(statement: &Statement, say: &mut dyn FnMut(String, String)) {
    let (name, pairs) = statement.described();
    let pairs: Vec<_> = pairs.collect();
    let known = |key: &str| {
        NODE_KEYS
            .iter()
            .find(|(keys, _)| keys.iter().any(|k| k.eq_ignore_ascii_case(key)))
            .map(|(_, ours)| *ours)
    };
    let our = |key: &str| OUR_NODE_KEYS.iter().any(|k| k.eq_ignore_ascii_case(key));
    let every = name.eq_ignore_ascii_case("DEFAULT");
    if every && !pairs.iter().any(|(key, _)| known(key).is_some() || our(key)) {
        return;
    }
    let mut said: Vec<String> = Vec::new();
    for (key, value) in &pairs {
        let as_ours = match known(key) {
            Some("features") => format!("features: [{value}]"),
            Some("gres") => format!("gres: ['{}']", value.replace(',', "', '")),
            Some("memory") => format!("memory: {value}m"),
            Some("cpus") if key.eq_ignore_ascii_case("CPUs") || key.eq_ignore_ascii_case("Procs") => {
                format!("cpus: {value}")
            }
            Some("cpus") => continue,
            Some(ours) => format!("{ours}: {value}"),
            None => continue,
        };
        said.push(as_ours);
    }
    if said.is_empty() {
        said.push("cpus: 4".into());
    }
    let why = match every {
        true => "`NodeName=DEFAULT` is overridden by the lines that Shoal writes for the nodes",
        false => "`NodeName` is Shoal's: a line for every worker is written, and Slurm takes one for each",
    };
    let instead = format!("write of a group of nodes `- {{role: worker, slurm: {{{}}}}}`", said.join(", "));
    say(why.into(), instead);
}

#[cfg(test)]
mod tests;
