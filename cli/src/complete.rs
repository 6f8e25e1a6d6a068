//! What a shell offers while a command is typed: verbs and flags, and the names of what there is.
//!
//! ```text
//! shell, at Tab --SHOAL_COMPLETE=bash shoal -- shoal ssh wor--> words that fit, one a line
//! ```
//! Names come from the store alone: no host is waited for. What goes wrong offers nothing and says nothing, because a person
//! in the middle of a line asked for no message.

use std::{
    env,
    ffi::{OsStr, OsString},
    time::Duration,
};

use clap::{CommandFactory, FromArgMatches};
use clap_complete::{CompleteEnv, CompletionCandidate, PathCompleter, engine::ValueCompleter};
use shoal_api::{NamedCluster, Names};
use shoal_types::natural;

use crate::{
    args::{Cli, Global},
    connect::Session,
    docker_cli::Contexts,
    server_context::{Choice, LOCAL, Shelf, choose},
};

/// Set by the script of `shoal completion`; its value names the shell.
pub(crate) const VARIABLE: &str = "SHOAL_COMPLETE";
/// Longest a person waits for a word.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers a shell and ends the process, if it is one that asks.
pub(crate) fn if_asked() {
    CompleteEnv::with_factory(Cli::command).var(VARIABLE).complete();
}

/// Names of registered hosts.
pub(crate) fn hosts() -> Vec<CompletionCandidate> {
    candidates(names().hosts)
}

/// Contexts of Docker's client.
pub(crate) fn contexts() -> Vec<CompletionCandidate> {
    let names = Contexts::locate(|key| env::var_os(key)).and_then(|contexts| contexts.names());
    candidates(names.unwrap_or_default())
}

/// Contexts of servers elsewhere, and this machine.
pub(crate) fn server_contexts() -> Vec<CompletionCandidate> {
    let names = Shelf::locate(|key| env::var_os(key)).and_then(|shelf| shelf.names()).unwrap_or_default();
    candidates(names.iter().map(ToString::to_string).chain([LOCAL.to_owned()]))
}

/// Names of the realm's clusters.
pub(crate) fn clusters() -> Vec<CompletionCandidate> {
    candidates(names().clusters.into_iter().map(|cluster| cluster.name))
}

/// Nodes of the realm's clusters, as [`crate::node_ref::NodeRef`] reads them.
pub(crate) fn nodes() -> Vec<CompletionCandidate> {
    candidates(targets())
}

/// Ends of a copy: nodes, each with the colon that a path follows, then paths here.
pub(crate) fn places(typed: &OsStr) -> Vec<CompletionCandidate> {
    let start = typed.to_string_lossy();
    let nodes = targets().map(|node| format!("{node}:")).filter(|place| place.starts_with(&*start));
    let mut places = candidates(nodes);
    places.extend(PathCompleter::any().stdio().complete(typed));
    places
}

fn targets() -> impl Iterator<Item = String> {
    let of = |cluster: NamedCluster| {
        let name = cluster.name;
        cluster.nodes.into_iter().map(move |node| format!("{node}.{name}"))
    };
    names().clusters.into_iter().flat_map(of)
}

fn candidates(names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_by(|a, b| natural::cmp(a, b));
    names.into_iter().map(CompletionCandidate::new).collect()
}

fn names() -> Names {
    ask(env::args_os().skip_while(|word| word != "--").skip(1)).unwrap_or_default()
}

/// The names in the store that the words so far mean, if there is one: looking must not make it.
fn ask(words: impl Iterator<Item = OsString>) -> Option<Names> {
    let typed = Cli::command().ignore_errors(true).try_get_matches_from(words).ok()?;
    let global = Global::from_arg_matches(&typed).ok()?;
    let is_here = choose(&global).ok()? == Choice::Here;
    if is_here && global.store.is_none() && !global.state_dir().ok()?.join("shoal.db").is_file() {
        return None;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let asked = async {
        let session = Session::quietly(&global).await.ok()?;
        let realm = global.realm(None).ok()?;
        let names = session.client().list_names(&realm).await.ok();
        session.close().await;
        names
    };
    runtime.block_on(async { tokio::time::timeout(PATIENCE, asked).await.ok().flatten() })
}

#[cfg(test)]
mod tests {
    use clap::Command;
    use clap_complete::{ArgValueCandidates, ArgValueCompleter};

    use super::*;

    /// Arguments of shown commands that name what is there, and whether names are offered for them.
    fn named(command: &Command, path: &str, found: &mut Vec<(String, bool)>) {
        for argument in command.get_arguments() {
            let value =
                argument.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
            if argument.get_id() == "cluster" || ["NODE[.CLUSTER]", "HOST", "CONTEXT"].contains(&value) {
                let offered = argument.get::<ArgValueCandidates>().is_some();
                found.push((format!("{path} {}", argument.get_id()), offered));
            }
            if ["SOURCE", "TARGET"].contains(&value) {
                let offered = argument.get::<ArgValueCompleter>().is_some();
                found.push((format!("{path} {}", argument.get_id()), offered));
            }
        }
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            named(below, &format!("{path} {}", below.get_name()), found);
        }
    }

    #[test]
    fn names_are_offered_wherever_one_is_wanted() {
        let mut found = Vec::new();
        named(&Cli::command(), "shoal", &mut found);
        assert!(found.len() > 10, "{found:?}");
        let bare: Vec<_> = found.iter().filter(|(_, offered)| !offered).collect();
        assert!(bare.is_empty(), "no names for {bare:?}");
    }
}
