//! Security advisories against the crates in `Cargo.lock`: `advisories.tsv` is a dated extract of the RustSec database, so that the
//! gate needs no other site than the crates'.
//!
//! ```text
//! a checkout of github.com/rustsec/advisory-db --cargo xtask advisories DIR--> advisories.tsv --gate--> Cargo.lock
//! ```

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use semver::{Version, VersionReq};
use serde::Deserialize;

use crate::workspace::Workspace;

/// The extract, from the workspace's root.
const FILE: &str = "xtask/advisories.tsv";
/// Days after which an extract is told to be old, and after which it fails the gate.
const OLD: (i64, i64) = (90, 180);
/// Faults of crates that are in `Cargo.lock` and in no build, and why.
const IN_NO_BUILD: [(&str, &str); 1] =
    [("RUSTSEC-2023-0071", "`rsa` is of an optional feature of ssh-key that is off")];
/// Kinds of advisories that are no fault of what a crate does.
const OTHERWISE: [&str; 2] = ["unmaintained", "notice"];

/// Write the extract anew.
#[derive(Debug, clap::Args)]
pub(crate) struct Advisories {
    /// A checkout of the RustSec database
    dir: PathBuf,
}

impl Advisories {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut git = std::process::Command::new("git");
        let git = git.arg("-C").arg(&self.dir).args(["log", "-1", "--format=%cs"]).output()?;
        let taken: Date = String::from_utf8(git.stdout)?.trim().parse().context("the checkout's date")?;
        let mut lines = Vec::new();
        for entry in glob(&self.dir.join("crates"))? {
            let text = fs::read_to_string(&entry).with_context(|| entry.display().to_string())?;
            lines.extend(line(&text).with_context(|| entry.display().to_string())?);
        }
        lines.sort();
        let mut text = format!("{HEAD}{taken}\n");
        lines.iter().for_each(|line| {
            let _ = writeln!(text, "{line}");
        });
        let path = Workspace::find()?.root.join(FILE);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        println!("{}: {} advisories, of {taken}", path.display(), lines.len());
        Ok(ExitCode::SUCCESS)
    }
}

/// The first line of the extract, before its date; then a line an advisory: id, crate, versions without the fault.
const HEAD: &str = "# RustSec, https://github.com/rustsec/advisory-db (CC0-1.0), as of ";

fn glob(crates: &std::path::Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in fs::read_dir(crates).with_context(|| crates.display().to_string())? {
        for file in fs::read_dir(folder?.path())? {
            found.push(file?.path());
        }
    }
    Ok(found)
}

#[derive(Deserialize)]
struct Entry {
    advisory: Advisory,
    versions: Versions,
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    package: String,
    informational: Option<String>,
    withdrawn: Option<String>,
}

#[derive(Deserialize)]
struct Versions {
    patched: Vec<String>,
    #[serde(default)]
    unaffected: Vec<String>,
}

/// An advisory's line; `None` if it is of no fault, or withdrawn.
fn line(text: &str) -> anyhow::Result<Option<String>> {
    let start = text.split_once("```toml").context("no table")?.1;
    let table = start.split_once("```").context("no end of the table")?.0;
    let Entry { advisory, versions } = toml::from_str(table)?;
    if advisory.withdrawn.is_some() || advisory.informational.is_some_and(|i| OTHERWISE.contains(&i.as_str()))
    {
        return Ok(None);
    }
    let good: Vec<String> = versions.patched.into_iter().chain(versions.unaffected).collect();
    Ok(Some(format!("{}\t{}\t{}", advisory.id, advisory.package, good.join(" | "))))
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
}

/// What the extract has against `Cargo.lock`, and against itself. A warning is printed.
pub(crate) fn faults(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let read = |path: &str| fs::read_to_string(workspace.root.join(path)).with_context(|| path.to_owned());
    let (extract, lock) = (read(FILE)?, read("Cargo.lock")?);
    judge(&extract, &lock, Timestamp::now().to_zoned(TimeZone::UTC).date())
}

fn judge(extract: &str, lock: &str, today: Date) -> anyhow::Result<Vec<String>> {
    let taken = extract.lines().next().and_then(|line| line.strip_prefix(HEAD));
    let taken: Date = taken.context("the extract has no date")?.parse()?;
    let days = i64::from((today - taken).get_days());
    let renew = "`cargo xtask advisories DIR` takes a newer one";
    let mut faults = Vec::new();
    if days > OLD.1 {
        faults.push(format!("{FILE} is {days} days old: {renew}"));
    } else if days > OLD.0 {
        println!("warning: {FILE} is {days} days old: {renew}");
    }
    let lock: Lock = toml::from_str(lock)?;
    let mut packages = BTreeMap::<&str, Vec<Version>>::new();
    for package in lock.package.iter().filter(|package| package.source.is_some()) {
        packages.entry(&package.name).or_default().push(Version::parse(&package.version)?);
    }
    for line in extract.lines().skip(1) {
        let fields: Vec<_> = line.split('\t').collect();
        let [id, name, good] = fields.as_slice() else {
            anyhow::bail!("{FILE}: `{line}` has not three fields")
        };
        let good: Vec<VersionReq> = match *good {
            "" => Vec::new(),
            good => good
                .split(" | ")
                .map(VersionReq::parse)
                .collect::<Result<_, _>>()
                .context((*id).to_owned())?,
        };
        if IN_NO_BUILD.iter().any(|(accepted, _)| accepted == id) {
            continue;
        }
        for version in packages.get(name).into_iter().flatten() {
            if !good.iter().any(|good| good.matches(version)) {
                faults.push(format!("{name} {version} has {id}"));
            }
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "\
        [[package]]\nname = \"tar\"\nversion = \"0.4.44\"\nsource = \"registry\"\n\
        [[package]]\nname = \"own\"\nversion = \"0.1.0\"\n";

    fn judged(line: &str, today: &str) -> Vec<String> {
        judge(&format!("{HEAD}2026-08-21\n{line}\n"), LOCK, today.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_version_with_a_fault_is_one() {
        let of = |line| judged(line, "2026-08-22");
        assert_eq!(of("RUSTSEC-1\ttar\t>=0.4.45"), ["tar 0.4.44 has RUSTSEC-1"]);
        assert_eq!(of("RUSTSEC-1\ttar\t"), ["tar 0.4.44 has RUSTSEC-1"]);
        assert!(of("RUSTSEC-1\ttar\t>=0.4.45 | <0.4.45").is_empty());
        assert!(of("RUSTSEC-1\town\t").is_empty());
        assert!(
            judge(&format!("{HEAD}2026-08-21\nno fields\n"), LOCK, "2026-08-22".parse().unwrap()).is_err()
        );
    }

    #[test]
    fn an_extract_does_not_grow_old_unnoticed() {
        let fine = "RUSTSEC-1\tother\t";
        assert!(judged(fine, "2026-11-26").is_empty());
        assert_eq!(judged(fine, "2027-02-18").len(), 1);
    }

    #[test]
    fn withdrawn_and_unmaintained_are_left_out() {
        let entry = |more: &str| {
            format!(
                "```toml\n[advisory]\nid = \"R-1\"\npackage = \"a\"\n{more}\n[versions]\npatched = [\">= 2\"]\nunaffected = [\"< 1\"]\n```\n\n# Text"
            )
        };
        assert_eq!(line(&entry("")).unwrap().unwrap(), "R-1\ta\t>= 2 | < 1");
        assert!(line(&entry("informational = \"unsound\"")).unwrap().is_some());
        for more in ["informational = \"unmaintained\"", "withdrawn = \"2026-01-01\""] {
            assert_eq!(line(&entry(more)).unwrap(), None);
        }
    }
}
