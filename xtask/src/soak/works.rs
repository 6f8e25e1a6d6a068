//! Does a ready cluster work: a job on all of its workers, and SSH by name from one to another, on another host if it can be.

use std::{collections::BTreeSet, time::Duration};

use super::{
    process::Running,
    rows::{NodeRow, Rows},
};
use crate::shoal::Shoal;

/// How long a job or a session may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What does not work; `None` if all does.
///
/// # Errors
/// `shoal` cannot be started.
pub(super) fn broken(shoal: &Shoal, rows: &Rows, name: &str) -> anyhow::Result<Option<String>> {
    let Some((id, _)) = rows.cluster(name) else { return Ok(Some(format!("{name} is not there"))) };
    let workers: Vec<&NodeRow> = rows.nodes_of(id).filter(|node| node.name.starts_with("worker-")).collect();
    let (count, names) = (workers.len().to_string(), workers.iter().map(|node| node.name.clone()));
    let names: BTreeSet<String> = names.collect();

    let words = ["exec", name, "--", "srun", "-N", &count, "--immediate=30", "hostname"];
    let job = Running::begin(shoal.command(&words))?.end(LIMIT)?;
    let ran: BTreeSet<String> = job.stdout().lines().map(str::to_owned).collect();
    if job.code != Some(0) || ran != names {
        return Ok(Some(format!("{name}: no job on all of its workers:\n{job}")));
    }
    let [one, .., last] = workers[..] else { return Ok(None) };
    let other = workers.iter().find(|worker| worker.host != one.host).copied().unwrap_or(last);
    let target = format!("{}.{name}", one.name);
    let session = Running::begin(shoal.command(&["ssh", &target, "--", "ssh", &other.name, "hostname"]))?;
    let session = session.end(LIMIT)?;
    let reached = session.code == Some(0) && session.stdout().trim() == other.name;
    Ok((!reached).then(|| format!("{name}: no SSH from {} to {}:\n{session}", one.name, other.name)))
}
