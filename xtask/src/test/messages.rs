//! Where the coordinator names messages of the protocol: in its services, and where it asks a program over gRPC. Everything
//! between those edges works with types.

use std::{fs, path::Path};

use anyhow::Context;

use crate::workspace::Workspace;

/// The sources that are looked at.
const OF: &str = "coordinator/src/";
/// The module of messages.
const MESSAGES: &str = "v1";
/// Files and folders, which end in `/`, of [`OF`] that may name messages.
const EDGES: &[&str] =
    &["server/", "fleet/agent/client.rs", "fleet/agent/message.rs", "edit/placing/program.rs"];

/// Files that name messages and are no edge, and edges that name none.
///
/// # Errors
/// A file cannot be read.
pub(super) fn faults(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for path in workspace.sources()? {
        let relative = path.strip_prefix(&workspace.root).unwrap_or(&path).display().to_string();
        if let Some(file) = relative.strip_prefix(OF) {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            files.push((file.to_owned(), names_messages(&text)));
        }
    }
    Ok(judge(&files))
}

/// What is wrong with files of which it is said whether they name messages.
fn judge(files: &[(String, bool)]) -> Vec<String> {
    let of = |edge: &str, file: &str| match edge.ends_with('/') {
        true => Path::new(file).starts_with(edge),
        false => file == edge,
    };
    let astray = files.iter().filter(|(file, names)| *names && !EDGES.iter().any(|edge| of(edge, file)));
    let idle = EDGES.iter().filter(|edge| !files.iter().any(|(file, names)| *names && of(edge, file)));
    let astray = astray.map(|(file, _)| format!("{OF}{file} names messages of the protocol"));
    let idle = idle.map(|edge| format!("{OF}{edge} names no message: it is no edge"));
    astray.chain(idle).collect()
}

/// Whether code has the word, comments aside.
fn names_messages(text: &str) -> bool {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')).any(|word| word == MESSAGES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_named_by_their_module() {
        for names in [
            "use shoal_proto::v1;",
            "use shoal_proto::{\n    FieldError,\n    v1::{self, x},\n};",
            "fn x(y: v1::Z) {}",
        ] {
            assert!(names_messages(names), "{names}");
        }
        for other in
            ["//! `shoal_proto::v1`", "let rev1 = CgroupVersion::V1; // v1", "use shoal_proto::FieldError;"]
        {
            assert!(!names_messages(other), "{other}");
        }
    }

    #[test]
    fn only_edges_name_messages_and_each_does() {
        let edges = || {
            EDGES.iter().map(|edge| match edge.ends_with('/') {
                true => (format!("{edge}any.rs"), true),
                false => ((*edge).to_owned(), true),
            })
        };
        let mut files: Vec<_> = edges().collect();
        assert!(judge(&files).is_empty());
        files.push(("pass/plan.rs".into(), false));
        assert!(judge(&files).is_empty());
        files.push(("pass/run.rs".into(), true));
        assert_eq!(judge(&files), ["coordinator/src/pass/run.rs names messages of the protocol"]);
        let idle = judge(&edges().skip(1).collect::<Vec<_>>());
        assert_eq!(idle, ["coordinator/src/server/ names no message: it is no edge"]);
    }

    #[test]
    fn the_coordinator_keeps_to_its_edges() {
        assert_eq!(faults(&Workspace::find().unwrap()).unwrap(), Vec::<String>::new());
    }
}
