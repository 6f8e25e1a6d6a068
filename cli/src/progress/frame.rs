//! Frames of the live view: what is known of the work, as lines for a terminal of some size at some time. Pure.
//!
//! ```text
//! create dev                                            0:07   what, and for how long
//! ✓ placed  ✓ image  ▸ nodes 9/16  · idle 4/16                 phases
//! host1  ████▌·····  8 created  5 started  1 idle  of 8        a row per host, or as many as there is room for
//! host2  image ██▌·······  40 MiB/180 MiB  11 MiB/s
//! warning: host3: does not answer                              trouble, else what is waited for
//! ```

use std::{collections::BTreeMap, time::Duration};

use anstyle::{AnsiColor, Effects, Style};
use unicode_width::UnicodeWidthStr;

use super::{
    draw::Size,
    line::{Line, shortened},
    view::{HostView, Name, Task, View},
};
use crate::output::bar;

const STRONG: Style = Style::new().effects(Effects::BOLD);
const FAINT: Style = Style::new().effects(Effects::DIMMED);
const DONE: Style = AnsiColor::Green.on_default();
const NOW: Style = AnsiColor::Cyan.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// From this width on a host has a bar for each stage.
const WIDE: usize = 120;
/// Columns of the only bar of a host, and of each of several.
const BAR: usize = 20;
const SMALL_BAR: usize = 12;
/// Most columns of a host's name.
const NAME: usize = 20;

/// The frame of a view at a time: at most one line less than the terminal has rows, for the cursor.
pub(super) fn frame(view: &View, now_ms: u64, size: Size) -> Vec<Line> {
    let hosts = view.hosts();
    let mut lines = vec![title(view, now_ms, size.columns)];
    let phases = phases(view, &hosts);
    lines.extend(phases);
    let last = last(view, &hosts);
    let room = size.rows.saturating_sub(1 + lines.len() + usize::from(last.is_some()));
    match view.task {
        Task::Build => {
            let tail = view.tail.iter().rev().take(room).rev();
            lines.extend(tail.map(|line| Line::default().with(FAINT, format!("  {line}"))));
        }
        Task::Create | Task::Delete | Task::Load => lines.extend(rows(view, &hosts, size.columns, room)),
    }
    lines.extend(last);
    lines.truncate(size.rows.saturating_sub(1));
    lines
}

/// What is done to what, and for how long at the right end.
fn title(view: &View, now_ms: u64, columns: usize) -> Line {
    let verb = match view.task {
        Task::Create if view.rolling_back => "roll back",
        Task::Create => "create",
        Task::Delete => "delete",
        Task::Load => "load",
        Task::Build => "build",
    };
    let elapsed = elapsed(Duration::from_millis(now_ms.saturating_sub(view.began_ms)));
    let room = columns.saturating_sub(elapsed.len() + verb.len() + 5);
    let line = Line::default().with(STRONG, verb).text(" ").with(STRONG, shortened(&view.subject, room));
    line.to(columns.saturating_sub(elapsed.len() + 1)).with(FAINT, elapsed)
}

/// `0:07`, `12:30`, `1:02:03`.
fn elapsed(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        hours => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// How far a phase is.
enum Phase {
    Done,
    Now,
    Ahead,
}

/// The phases in their order, of work that has some.
fn phases(view: &View, hosts: &BTreeMap<Name, HostView>) -> Option<Line> {
    let sum = |of: fn(&HostView) -> u64| hosts.values().map(of).sum::<u64>();
    let nodes = sum(|host| host.nodes);
    let counted = |name: &str, count: u64| {
        let phase = match count {
            _ if nodes == 0 => Phase::Ahead,
            count if count == nodes => Phase::Done,
            0 => Phase::Ahead,
            _ => Phase::Now,
        };
        (phase, if nodes == 0 { name.to_owned() } else { format!("{name} {count}/{nodes}") })
    };
    let phases = match view.task {
        Task::Create if !view.rolling_back => {
            let (created, started, ready) = (sum(|h| h.created), sum(|h| h.started), sum(|h| h.ready));
            let transfers: Vec<_> = hosts.values().filter_map(|host| host.transfer.as_ref()).collect();
            let image = match transfers.iter().all(|transfer| transfer.is_whole()) {
                true if view.admitted && (created > 0 || !transfers.is_empty()) => Phase::Done,
                true => Phase::Ahead,
                false => Phase::Now,
            };
            let mut phases =
                vec![(if view.admitted { Phase::Done } else { Phase::Now }, "placed".to_owned())];
            if !transfers.is_empty() {
                phases.push((image, "image".to_owned()));
            }
            phases.extend([counted("created", created), counted("started", started), counted("idle", ready)]);
            phases
        }
        Task::Create | Task::Delete => vec![counted("removed", sum(|host| host.removed))],
        Task::Load | Task::Build => return None,
    };
    let line = phases.into_iter().enumerate().fold(Line::default(), |line, (i, (phase, text))| {
        let line = if i == 0 { line } else { line.text("  ") };
        match phase {
            Phase::Done => line.with(DONE, "✓ ").text(text),
            Phase::Now => line.with(NOW, "▸ ").text(text),
            Phase::Ahead => line.with(FAINT, "· ").with(FAINT, text),
        }
    });
    Some(line)
}

/// The trouble there is, else what is waited for.
fn last(view: &View, hosts: &BTreeMap<Name, HostView>) -> Option<Line> {
    match &view.trouble {
        Some((true, text)) => Some(Line::default().with(BAD, "error: ").text(text)),
        Some((false, text)) => Some(Line::default().with(WARN, "warning: ").text(text)),
        None => waiting(view, hosts).map(|text| Line::default().with(FAINT, text)),
    }
}

/// What is waited for, as far as it is not plain from the counts.
fn waiting(view: &View, hosts: &BTreeMap<Name, HostView>) -> Option<String> {
    let all =
        |of: fn(&HostView) -> u64| !hosts.is_empty() && hosts.values().all(|host| of(host) == host.nodes);
    match view.task {
        Task::Create if !view.rolling_back && !view.admitted => Some("looking at the hosts".into()),
        Task::Create if !view.rolling_back && all(|host| host.started) => {
            Some("waiting until Slurm has every worker idle".into())
        }
        Task::Create | Task::Delete if view.rolling_back && all(|host| host.removed) => {
            Some("removing networks and volumes".into())
        }
        Task::Create | Task::Delete | Task::Load | Task::Build if view.step.is_empty() => None,
        Task::Create | Task::Delete | Task::Load | Task::Build => Some(view.step.clone()),
    }
}

/// A row per host. If there are more hosts than rows, those with work left come first, and the last row sums up the others.
fn rows(view: &View, hosts: &BTreeMap<Name, HostView>, columns: usize, room: usize) -> Vec<Line> {
    let name = hosts.keys().map(|name| name.0.width()).max().unwrap_or(0).min(NAME);
    let shown = if hosts.len() <= room { hosts.len() } else { room.saturating_sub(1) };
    let mut all: Vec<_> = hosts.iter().collect();
    if shown < hosts.len() {
        // Stable: each half stays in its order.
        all.sort_by_key(|(_, host)| is_done(view, host));
    }
    let mut lines: Vec<Line> = all[..shown]
        .iter()
        .map(|(host, state)| {
            row(view, Line::default().text(shortened(&host.0, name)).to(name + 2), state, columns)
        })
        .collect();
    let rest = &all[shown..];
    if !rest.is_empty() && room > 0 {
        let done = rest.iter().filter(|(_, host)| is_done(view, host)).count();
        let (count, start) = (rest.len(), Line::default());
        lines.push(start.with(FAINT, format!("and {count} more hosts, {done} of them done")));
    }
    lines
}

/// Whether nothing is left to do on a host.
fn is_done(view: &View, host: &HostView) -> bool {
    match view.task {
        Task::Create if !view.rolling_back => host.ready == host.nodes,
        Task::Create | Task::Delete => host.removed == host.nodes,
        Task::Load | Task::Build => host.end.is_some(),
    }
}

fn row(view: &View, line: Line, host: &HostView, columns: usize) -> Line {
    if let Some((well, how)) = &host.end {
        let (mark, style) = if *well { ("✓ ", DONE) } else { ("✗ ", BAD) };
        return line.with(style, mark).text(how);
    }
    match view.task {
        Task::Create if !view.rolling_back && columns >= WIDE => wide(line, host),
        Task::Create if !view.rolling_back => compact(line, host),
        Task::Create | Task::Delete => {
            let HostView { removed, nodes, .. } = host;
            let bar = bar(*removed, *nodes, BAR);
            line.with(done(*removed, *nodes), bar).text(format!("  {removed} of {nodes} nodes removed"))
        }
        Task::Load | Task::Build => transfer(line, host, BAR, "unpacking"),
    }
}

/// What a bar of something that is to become full looks like.
fn done(part: u64, whole: u64) -> Style {
    if part >= whole { DONE } else { NOW }
}

/// A bar for each stage, then the image's.
fn wide(line: Line, host: &HostView) -> Line {
    let nodes = host.nodes;
    let stages = [("created", host.created), ("started", host.started), ("idle", host.ready)];
    let line = stages.into_iter().fold(line, |line, (name, count)| {
        let bar = bar(count, nodes, SMALL_BAR);
        let digits = nodes.to_string().len();
        line.text(format!("{name} "))
            .with(done(count, nodes), bar)
            .text(format!(" {count:>digits$}/{nodes}   "))
    });
    match &host.transfer {
        Some(_) => transfer(line.text("image "), host, SMALL_BAR, "done"),
        None => line,
    }
}

/// The image's bar while it is on its way, then one for all stages.
fn compact(line: Line, host: &HostView) -> Line {
    if host.transfer.as_ref().is_some_and(|transfer| !transfer.is_whole()) {
        return transfer(line.text("image "), host, BAR - 6, "");
    }
    let HostView { nodes, created, started, ready, .. } = *host;
    let bar = bar(created + started + ready, nodes * 3, BAR);
    line.with(done(ready, nodes), bar)
        .text(format!("  {created} created  {started} started  {ready} idle  of {nodes}"))
}

/// The bar of an image on its way, or what follows when it has come.
fn transfer(line: Line, host: &HostView, columns: usize, whole: &str) -> Line {
    let Some(transfer) = &host.transfer else { return line.with(FAINT, "waiting") };
    let (part, total) = (transfer.done, transfer.total.unwrap_or(0));
    let line =
        line.with(done(part, total), bar(part, total, columns)).text(format!("  {}", transfer.amount()));
    if transfer.is_whole() {
        return line.text(format!("  {whole}"));
    }
    let left = transfer.left().map(|left| format!("  {} left", elapsed(left))).unwrap_or_default();
    line.text(format!("  {}{left}", transfer.pace()))
}

#[cfg(test)]
mod tests;
