//! Progress as a program reads it: in the process that creates, and in others that look on.

use std::{
    io::{BufRead, BufReader},
    process::Child,
};

use anyhow::{Context, ensure};
use serde_json::Value;
use shoal_tests::{Stage, text};

/// The next event of a process that writes one a line.
fn next(lines: &mut impl BufRead) -> anyhow::Result<Option<Value>> {
    let mut line = String::new();
    match lines.read_line(&mut line)? {
        0 => Ok(None),
        _ => serde_json::from_str(&line).with_context(|| line).map(Some),
    }
}

fn output(child: &mut Child) -> anyhow::Result<impl BufRead + use<>> {
    Ok(BufReader::new(child.stdout.take().context("no pipe")?))
}

fn rest(mut lines: impl BufRead) -> anyhow::Result<Vec<Value>> {
    std::iter::from_fn(|| next(&mut lines).transpose()).collect()
}

/// A follower, midway or after the end, shows the same events as the creating process and exits with the same status.
pub(crate) fn a_create_looks_the_same_from_elsewhere(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    let follow = ["create", "--follow", "seen", "--progress", "json"];
    home.run(&follow)?.with(3)?;
    let mut create = home.begin(&["create", "cluster", "seen", "--workers", "2", "--progress", "json"])?;
    let mut lines = output(&mut create)?;
    let mut shown = Vec::new();
    while shown.last().is_none_or(|event: &Value| event["kind"] != "admitted") {
        shown.push(next(&mut lines)?.context("it ended before it was admitted")?);
    }
    // What came before it is of no cluster, or of none that is followed.
    shown.drain(..shown.len() - 1);
    let mut onlooker = home.begin(&follow)?;
    let seen = rest(output(&mut onlooker)?)?;
    shown.extend(rest(lines)?);
    ensure!(create.wait()?.code() == Some(0) && onlooker.wait()?.code() == Some(0), "{shown:?}\n{seen:?}");
    ensure!(seen == shown, "{seen:#?}\nis not\n{shown:#?}");
    ensure!(text(shown.last().context("no events")?, "message")? == "ready", "{shown:?}");

    // When it is over it is told once more, and as the table has it.
    let later = home.run(&follow)?.ok()?;
    ensure!(rest(later.as_bytes())? == shown, "{later}");
    let table = home.json(&["get", "events", "seen"])?;
    let table = table.as_array().context("no list")?;
    ensure!(table.ends_with(&shown), "{table:#?}");
    let quiet = home.run(&["create", "--follow", "seen", "-q"])?.ok()?;
    ensure!(quiet == "seen\n", "{quiet}");
    let names = home.run(&["delete", "cluster", "seen", "-q"])?.ok()?;
    ensure!(names == "seen\n", "{names}");
    home.run(&follow)?.with(3).map(drop)
}

/// A follower of a failing create gets its reason and status; also after the end, when the cluster is kept.
pub(crate) fn a_create_that_fails_looks_the_same_from_elsewhere(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    let words = ["create", "cluster", "lost", "--workers", "16", "--wait", "1s", "--keep-on-failure"];
    let mut create = home.begin(&[&words[..], &["--progress", "json"]].concat())?;
    let mut lines = output(&mut create)?;
    // Once it is admitted there is something to look at.
    while next(&mut lines)?.context("it ended before it was admitted")?["kind"] != "admitted" {}
    let follow = ["create", "--follow", "lost"];
    let midway = home.run(&follow)?.with(1)?;
    rest(lines)?;
    ensure!(create.wait()?.code() == Some(1), "the create itself ended otherwise");
    let later = home.run(&follow)?.with(1)?;
    for ended in [&midway, &later] {
        let error = ended.stderr.lines().find(|line| line.starts_with("error:")).context("no error")?;
        ensure!(error.contains("within 1 s"), "{ended}");
    }
    home.run(&["delete", "cluster", "lost"])?.ok().map(drop)
}
