//! What Slurm says of all nodes of a cluster: one `sinfo`, run in its controller.

use std::{collections::HashMap, sync::Arc};

use shoal_docker::{EngineError, ExecSpec};
use shoal_slurm::{NodeReport, SINFO_COMMAND, parse_sinfo};
use shoal_types::NodeName;

use crate::{fleet::HostLink, words::fault::Fault};

/// Longest output of sinfo: 10,000 nodes of some 60 characters.
const LIMIT: usize = 4 << 20;

/// What Slurm says of its nodes, by their names.
pub(crate) type SlurmNodes = HashMap<NodeName, NodeReport>;

/// Why Slurm says nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum SlurmSilence {
    /// Its controller could not be asked.
    #[error(transparent)]
    Host(Arc<Fault>),
    /// The first line of what sinfo said instead.
    #[error("{reason}")]
    Said { reason: String },
    #[error("the cluster has no controller")]
    NoController,
}

impl From<Fault> for SlurmSilence {
    fn from(fault: Fault) -> Self {
        Self::Host(Arc::new(fault))
    }
}

/// Asks Slurm. The inner error is the first line of what sinfo said instead of an answer: slurmctld may not be up yet.
///
/// # Errors
/// As [`shoal_docker::Engine::exec`].
pub(crate) async fn sinfo(
    link: &HostLink,
    controller: &str,
) -> Result<Result<SlurmNodes, String>, EngineError> {
    let spec = ExecSpec::new(SINFO_COMMAND.iter().copied());
    let output = match link.engine.exec(controller, &spec, LIMIT).await {
        // A controller that is starved of CPU is not its host, which others watch.
        Err(EngineError::Timeout { after, .. }) => {
            return Ok(Err(format!("sinfo did not answer within {} s", after.as_secs())));
        }
        output => output?,
    };
    if output.truncated {
        return Ok(Err(format!("sinfo printed more than {LIMIT} bytes")));
    }
    let reports = parse_sinfo(&String::from_utf8_lossy(&output.stdout));
    if !reports.is_empty() {
        return Ok(Ok(reports.into_iter().map(|report| (report.name.clone(), report)).collect()));
    }
    let said = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let line = said.iter().flat_map(|text| text.lines()).map(str::trim).find(|line| !line.is_empty());
    Ok(Err(line.map_or_else(|| format!("sinfo ended with {}", output.status), str::to_owned)))
}
