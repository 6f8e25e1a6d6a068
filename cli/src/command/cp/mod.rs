//! `shoal cp`: files and directories between here and a node, as tar through a command in the node.
//!
//! ```text
//! from a node:  tar there --> exec --> unpacked into a new directory beside the target --> moved into place
//! to a node:    tar here, sentinel last --> exec --> the same there: only a whole transfer is moved into place
//! `-`:          one file's bytes on standard output, or from standard input
//! ```
//! What a tree holds that cannot be copied is named and left out, and the status says so. An engine's own archive calls do not see what lies below a tmpfs (`/tmp`, `/run`): hence a command inside. A node's
//! archive is not trusted: it is unpacked by relative names inside a new directory ([`unpack`]).

mod download;
mod holes;
mod pack;
mod place;
mod said;
mod unpack;
mod upload;

use std::{ffi::OsString, path::PathBuf, str::FromStr};

use clap::{
    Args,
    builder::{OsStringValueParser, TypedValueParser},
};
use clap_complete::ArgValueCompleter;
use shoal_api::{Client, ExecOpen};
use shoal_types::{RealmName, chain};

use crate::{
    args::Global,
    complete,
    connect::Session,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    node_ref::{NodeRef, NodeRefError, UserName},
};

/// Most of what a command in a node says on standard error that is kept for a message.
const MESSAGE_BYTES: usize = 4096;
/// Directory of paths in a node that are not absolute.
const HOME: &str = "/root";

/// Arguments of `cp`.
#[derive(Debug, Args)]
pub(crate) struct Cp {
    /// Source: a local path, NODE[.CLUSTER]:PATH, or `-` for standard input
    #[arg(value_parser = OsStringValueParser::new().try_map(Place::of), add = ArgValueCompleter::new(complete::places))]
    source: Place,
    /// Target: a directory to copy into, or the copy's name; `-` for standard output
    #[arg(value_parser = OsStringValueParser::new().try_map(Place::of), add = ArgValueCompleter::new(complete::places))]
    target: Place,
}

/// One end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Standard input or output.
    Stream,
    /// Here.
    Local(PathBuf),
    /// In a node.
    Node(NodePath),
}

/// A path in a node.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NodePath {
    target: NodeRef,
    /// Absolute, or of the account's home with `./` first; ends in a slash if it was written so.
    path: String,
}

/// A text that names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum PlaceError {
    /// Nothing.
    #[error("a path must not be empty")]
    Empty,
    /// The part before the colon names no node.
    #[error("not NODE[.CLUSTER]:PATH; a local path with a colon is written ./a:b")]
    Node(#[source] NodeRefError),
    /// `..` or `.` at the end, or all there is.
    #[error("the path in a node must end in a name, not in `/`, `.` or `..`")]
    NoName,
    /// A node's path of other bytes.
    #[error("a path in a node must be UTF-8; copy the directory it is in")]
    NotText,
}

impl Place {
    /// As it was typed: a path here may be any bytes.
    fn of(typed: OsString) -> Result<Self, PlaceText> {
        let place = match typed.into_string() {
            Ok(text) => text.parse(),
            Err(typed) => {
                let colon = typed.as_encoded_bytes().iter().position(|byte| *byte == b':');
                let slash = typed.as_encoded_bytes().iter().position(|byte| *byte == b'/');
                match colon.is_some_and(|colon| slash.is_none_or(|slash| colon < slash)) {
                    true => Err(PlaceError::NotText),
                    false => Ok(Self::Local(typed.into())),
                }
            }
        };
        place.map_err(|error| PlaceText(chain(&error)))
    }
}

/// Why a text names no place, in one line: clap shows no causes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
struct PlaceText(String);

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        match text.split_once(':') {
            _ if text.is_empty() => Err(PlaceError::Empty),
            _ if text == "-" => Ok(Self::Stream),
            // As scp(1) has it: with a slash before the colon it is a local path.
            Some((node, path)) if !node.contains('/') => {
                let target: NodeRef = node.parse().map_err(PlaceError::Node)?;
                // Another's home is where the node has it: the commands there begin in it.
                let home = match target.user.as_ref().map(UserName::as_str) {
                    None | Some("root") => HOME,
                    Some(_) => ".",
                };
                let path = match path {
                    "" => format!("{home}/"),
                    path if path.starts_with('/') => path.to_owned(),
                    path => format!("{home}/{path}"),
                };
                Ok(Self::Node(NodePath { target, path }))
            }
            Some(_) | None => Ok(Self::Local(text.into())),
        }
    }
}

impl NodePath {
    /// Its directory and its name.
    ///
    /// # Errors
    /// [`PlaceError::NoName`].
    fn split(&self) -> Result<(String, String), PlaceError> {
        let path = self.path.trim_end_matches('/');
        match path.rsplit_once('/') {
            Some((directory, name)) if !matches!(name, "" | "." | "..") => {
                Ok((format!("{directory}/"), name.to_owned()))
            }
            Some(_) | None => Err(PlaceError::NoName),
        }
    }

    fn shown(&self) -> String {
        format!("{}:{}", self.target, self.path)
    }

    fn open(&self, realm: &RealmName, words: &[&str]) -> ExecOpen {
        ExecOpen {
            realm: realm.clone(),
            cluster: self.target.cluster.clone(),
            node: Some(self.target.node.clone()),
            command: words.iter().map(ToString::to_string).collect(),
            terminal: None,
            term: String::new(),
            user: self.target.account(),
        }
    }
}

impl Cp {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let realm = match (&self.source, &self.target) {
            (Place::Node(node), _) | (_, Place::Node(node)) => node.target.realm(global)?,
            (Place::Local(_) | Place::Stream, Place::Local(_) | Place::Stream) => global.realm(None)?,
        };
        let wrong = |error: PlaceError| CliError::usage(error.to_string(), None);
        Session::within(global, interrupt, async |client| match (&self.source, &self.target) {
            (Place::Node(from), Place::Local(to)) => {
                download::to_path(client, &realm, from, from.split().map_err(wrong)?, to).await
            }
            (Place::Node(from), Place::Stream) => download::to_stdout(client, &realm, from).await,
            (Place::Local(from), Place::Node(to)) => upload::from_path(client, &realm, from, to).await,
            (Place::Stream, Place::Node(to)) => {
                to.split().map_err(wrong)?;
                upload::from_stdin(client, &realm, to).await
            }
            (Place::Node(_), Place::Node(_)) => Err(CliError::usage(
                "source or target must be on this machine",
                "copy to standard output here and from standard input there: \
                 `shoal cp A:PATH - | shoal cp - B:PATH`"
                    .to_owned(),
            )),
            (Place::Local(_) | Place::Stream, Place::Local(_) | Place::Stream) => Err(CliError::usage(
                "neither source nor target is in a node",
                "a path in a node is written NODE[.CLUSTER]:PATH".to_owned(),
            )),
        })
        .await
    }
}

/// Says what was left out, and what changed meanwhile; the status.
fn warn(left_out: &[String], changed: &[String]) -> Exit {
    for line in changed {
        eprintln!("warning: {line}");
    }
    for line in left_out {
        eprintln!("warning: left out {line}");
    }
    if left_out.is_empty() { Exit::Ok } else { Exit::InPart }
}

/// One command's end: its status and its standard error.
struct Ended {
    status: i32,
    said: Vec<u8>,
}

impl Ended {
    fn keep(said: &mut Vec<u8>, bytes: &[u8], most: usize) {
        let room = most.saturating_sub(said.len()).min(bytes.len());
        said.extend_from_slice(&bytes[..room]);
    }
}

/// Statuses of the scripts; tar(1) and mv(1) have 0, 1 and 2.
const NOT_THERE: i32 = 61;
/// What was sent ended before its end.
const CUT_OFF: i32 = 62;

fn ended(session_side: &NodePath, program: &'static str, ended: &Ended) -> Result<(), CliError> {
    match ended.status {
        0 => Ok(()),
        NOT_THERE => Err(CliError::NoPath { path: session_side.shown() }),
        status => Err(CliError::inside(&session_side.target, program, status, &ended.said)),
    }
}

/// Who copies, in which realm, and the end in a node.
type Side<'a> = (&'a Client, &'a RealmName, &'a NodePath);

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> NodePath {
        let Ok(Place::Node(path)) = text.parse() else { panic!("{text}") };
        path
    }

    #[test]
    fn forms() {
        assert_eq!("-".parse(), Ok(Place::Stream));
        for local in ["a", "./a:b", "/a:b", "../worker-0:x"] {
            assert_eq!(local.parse(), Ok(Place::Local(local.into())));
        }
        for (text, shown) in [
            ("worker-0.dev:/etc/hosts", "worker-0.dev:/etc/hosts"),
            ("worker-0:a b", "worker-0.default:/root/a b"),
            ("worker-0:", "worker-0.default:/root/"),
            ("worker-0:/a:b", "worker-0.default:/a:b"),
        ] {
            assert_eq!(node(text).shown(), shown);
        }
        assert_eq!("".parse::<Place>(), Err(PlaceError::Empty));
        assert_eq!(node("alice@worker-0:x").path, "./x");
        assert_eq!(node("root@worker-0.dev.default.shoal.internal:x").shown(), "worker-0.dev:/root/x");
        for bad in ["Worker:/x", ":x", "-oX:/x", "a.b.c.d:/x"] {
            assert!(matches!(bad.parse::<Place>(), Err(PlaceError::Node(_))), "{bad}");
        }
    }

    #[test]
    fn a_path_here_may_be_any_bytes() {
        use std::os::unix::ffi::OsStringExt;
        for (bytes, local) in [(&b"\xff"[..], true), (b"./a:\xff", true), (b"worker-0:\xff", false)] {
            let place = Place::of(OsString::from_vec(bytes.to_vec()));
            assert_eq!(matches!(place, Ok(Place::Local(_))), local, "{place:?}");
        }
        assert_eq!(Place::of("-".into()), Ok(Place::Stream));
    }

    #[test]
    fn a_source_has_a_name() {
        let split = |text: &str| node(text).split();
        assert_eq!(split("worker-0:/etc/hosts"), Ok(("/etc/".into(), "hosts".into())));
        assert_eq!(split("worker-0:/etc/"), Ok(("/".into(), "etc".into())));
        assert_eq!(split("worker-0:x"), Ok(("/root/".into(), "x".into())));
        for bad in ["worker-0:/", "worker-0:/a/..", "worker-0:.", "worker-0:/a/./"] {
            assert_eq!(split(bad), Err(PlaceError::NoName), "{bad}");
        }
    }
}
