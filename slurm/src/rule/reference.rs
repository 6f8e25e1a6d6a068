//! The table as a page of the documentation.

use std::fmt::Write;

use super::{Ability, Named, Rule, table::TABLE};

const HEAD: &str = "\
# Keys of slurm.conf

`slurm.main` takes text for slurm.conf. A key in none of these tables is free: it is passed on as it is written. `shoal validate FILE` and a create refuse what is refused here, with file, line and what to write instead (status 2);
nothing is made. A value that Slurm itself refuses is known once its daemon ends: within seconds, with Slurm's own words and the line of your file.
";

/// A part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Followed,
    Defaults,
    Lists,
    Files,
    Hosts,
    Refused,
}

impl Section {
    const ALL: [Self; 6] =
        [Self::Followed, Self::Defaults, Self::Lists, Self::Files, Self::Hosts, Self::Refused];

    /// Title, introduction, what the second column says, and what else is to be said.
    fn text(self) -> [&'static str; 4] {
        match self {
            Self::Followed => {
                ["Followed", "The value is taken, and everything of Shoal's follows.", "what follows", ""]
            }
            Self::Defaults => [
                "Defaults",
                "Shoal sets the key, or one that belongs to it. Your value replaces it, and what does not fit beside it goes, too.",
                "goes with Shoal's own value of the key",
                "A value that is Shoal's own replaces nothing.",
            ],
            Self::Lists => [
                "Lists",
                "A word is added to your list.",
                "word",
                "`GresTypes` gets the names of the resources that groups of nodes have.",
            ],
            Self::Files => [
                "Files",
                "A file in `/etc/slurm` that a key names must be given by `slurm.files`; so must one that `Include` names. A path elsewhere is the image's.",
                "file",
                "The file of `JobCredentialPrivateKey` is on the controller alone, readable by `slurm`. Every other file can be read by all users of every node: write no secret in one.",
            ],
            Self::Hosts => [
                "Decided by the hosts",
                "The hosts that the cluster is placed on are asked before anything is made; one that cannot is named with its reason.",
                "values, and what they need",
                "`PrologFlags=X11` needs nothing of hosts: where `ProctrackType` is not set, it is `proctrack/pgid` then.",
            ],
            Self::Refused => ["Refused", "These are Shoal's.", "because; write instead", ""],
        }
    }
}

/// The page.
#[must_use]
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    for section in Section::ALL {
        let [title, what, column, more] = section.text();
        let _ = write!(text, "\n## {title}\n\n{what}\n\n| key | {column} |\n|---|---|\n");
        for row in TABLE {
            let (of, said) = said(&row.rule);
            if of == section {
                let _ = writeln!(text, "| {} | {said} |", code(row.keys, ", "));
            }
        }
        if !more.is_empty() {
            let _ = writeln!(text, "\n{more}");
        }
    }
    text
}

/// Where a rule stands, and what is said there.
fn said(rule: &Rule) -> (Section, String) {
    match rule {
        Rule::Honoured { follows, .. } => (Section::Followed, (*follows).to_owned()),
        Rule::Default { with: [], .. } => (Section::Defaults, String::new()),
        Rule::Default { with, why } => (Section::Defaults, format!("{}: {why}", code(with, ", "))),
        Rule::List { word, why } => (Section::Lists, format!("`{word}`: {why}")),
        Rule::Files(Named::Path) => (Section::Files, "the path that is its value".to_owned()),
        Rule::Files(Named::Beside(files)) => {
            let each = files.iter().map(|(word, names)| format!("{} for `{word}`", code(names, " or ")));
            (Section::Files, each.collect::<Vec<_>>().join(", "))
        }
        Rule::Hosts { values, ability: Ability::Cgroups } => (
            Section::Hosts,
            format!("{}: cgroup v2, with controllers for nodes", code(values, ", ")),
        ),
        Rule::Hosts { values, ability: Ability::Mounts } => {
            (Section::Hosts, format!("{}: nodes that may mount, which privileged ones do", code(values, ", ")))
        }
        Rule::Ours { because, instead, .. } => (Section::Refused, format!("{because}; {instead}")),
        Rule::Nodes => (
            Section::Refused,
            "a line for every worker is written; `slurm` with `cpus`, `memory`, `gres`, `features` and `weight` of a group of \
             nodes. `NodeName=DEFAULT` is taken with what is none of these, such as `TmpDisk`"
                .to_owned(),
        ),
    }
}

fn code(words: &[&str], between: &str) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(between)
}
