//! A create as it happens: its events, its end, and its undoing when the user interrupts it.
//!
//! ```text
//! events ... ready -> summary                        exit 0
//!        `-> Ctrl-C -> rolled back, events of that   exit 130
//!                  `-> Ctrl-C again                  exit 130 at once; the next command cleans up
//! ```

use std::time::{Duration, Instant};

use shoal_proto::v1::{
    Cluster, CreateClusterRequest, CreateClusterResponse, Event, GetClusterRequest, ListEventsRequest,
    create_cluster_response::Step,
};
use shoal_types::{ClusterPhase, RealmName, natural};
use tonic::Code;

use super::{first_host::FirstHost, ssh_config};
use crate::{
    args::Global,
    connect::Session,
    error::CliError,
    interrupt::Interrupt,
    output::{ClusterJson, Width, per_host},
    progress::{Progress, ProgressArgs, Task},
};

/// How long one question for events of a roll-back waits for an answer.
const POLL: Duration = Duration::from_millis(500);
/// A roll-back without an event for so long waits for a lost host: the next command continues the roll-back.
const SILENCE: Duration = Duration::from_secs(30);

/// Creates a cluster, shows how, and brings the SSH configuration up to date.
///
/// # Errors
/// [`CliError::Status`]: it was refused, or failed and was rolled back.
/// [`CliError::Interrupted`]: the user did not want to wait.
pub(super) async fn bring_up(
    request: CreateClusterRequest,
    progress: ProgressArgs,
    global: &Global,
    interrupt: &Interrupt,
) -> Result<(), CliError> {
    let (realm, name) = request.spec.as_ref().map(|s| (s.realm.clone(), s.name.clone())).unwrap_or_default();
    let progress = Progress::start(progress, global.screen(), Task::Create, &name)?;
    let session = Session::open(global).await?;
    let create = Create { session: &session, progress, realm: realm.clone(), name, seq: 0 };
    let result = create.run(request, interrupt).await;
    if result.is_ok() {
        ssh_config::keep_current(&session, global, &realm, &[]).await;
    }
    session.close().await;
    result
}

struct Create<'a> {
    session: &'a Session,
    progress: Progress,
    realm: String,
    name: String,
    /// Position of the last event that was shown.
    seq: u64,
}

impl Create<'_> {
    async fn run(mut self, request: CreateClusterRequest, interrupt: &Interrupt) -> Result<(), CliError> {
        let began = Instant::now();
        let ready = tokio::select! {
            ready = self.until_ready(request) => ready?,
            () = interrupt.asked() => {
                // The call was dropped with the other branch: the coordinator rolls back.
                return self.roll_back().await;
            }
        };
        finish(self.progress, ready, Some(began.elapsed()))
    }

    async fn until_ready(&mut self, request: CreateClusterRequest) -> Result<Cluster, CliError> {
        let mut first_host = FirstHost::look(self.session).await?;
        let mut steps = self.session.clusters().create_cluster(request).await?.into_inner();
        loop {
            let message = steps.message().await;
            first_host.announce(self.session, &mut self.progress).await?;
            let Some(CreateClusterResponse { step }) = message? else { break };
            match step {
                Some(Step::Event(event)) => self.show(&event)?,
                Some(Step::Placed(placed)) => self.progress.placed(placed),
                Some(Step::Ready(cluster)) => return Ok(cluster),
                None => {}
            }
        }
        Err(CliError::Answer { missing: "the end of the create" })
    }

    fn show(&mut self, event: &Event) -> Result<(), CliError> {
        self.seq = self.seq.max(event.seq);
        self.progress.event(event)
    }

    /// Shows the roll-back until nothing is left, and ends as interrupted.
    async fn roll_back(mut self) -> Result<(), CliError> {
        let name = self.name.clone();
        if self.seq == 0 {
            // No event of it was seen: a cluster of this name may be another. Closing the session waits for the rest.
            self.progress.note(&format!("interrupted: rolling back what there is of {name}"))?;
            return Err(CliError::Interrupted);
        }
        self.progress.note(&format!(
            "interrupted: rolling back {name}; Ctrl-C again leaves that to the next command"
        ))?;
        let mut heard = Instant::now();
        while heard.elapsed() < SILENCE {
            let request = ListEventsRequest {
                realm: self.realm.clone(),
                cluster: name.clone(),
                after_seq: self.seq,
                wait_ms: u64::try_from(POLL.as_millis()).unwrap_or(u64::MAX),
            };
            for event in self.session.clusters().list_events(request).await?.into_inner().events {
                heard = Instant::now();
                self.show(&event)?;
            }
            let request = GetClusterRequest { realm: self.realm.clone(), name: name.clone() };
            match self.session.clusters().get_cluster(request).await {
                Err(status) if status.code() == Code::NotFound => {
                    self.progress.note(&format!("rolled back: nothing of {name} is left"))?;
                    self.progress.clear();
                    return Err(CliError::Interrupted);
                }
                Err(status) => {
                    // It was interrupted, whatever came of the roll-back.
                    let why = status.message();
                    self.progress.note(&format!("the roll-back of {name} cannot be followed: {why}"))?;
                    return Err(CliError::Interrupted);
                }
                Ok(answer) => {
                    let phase = answer.into_inner().cluster.unwrap_or_default().phase;
                    if [ClusterPhase::Ready, ClusterPhase::Failed].iter().any(|end| end.as_str() == phase) {
                        self.progress.note(&format!("{name} was {phase} before it could be rolled back"))?;
                        return Err(CliError::Interrupted);
                    }
                }
            }
        }
        self.progress
            .note(&format!("{name} is not gone yet: `shoal delete cluster {name}` goes on with it"))?;
        Err(CliError::Interrupted)
    }
}

/// Shows the end of a successful create; `took` is its duration, if it was seen from the start.
pub(super) fn finish(
    progress: Progress,
    mut cluster: Cluster,
    took: Option<Duration>,
) -> Result<(), CliError> {
    cluster.nodes.sort_by(|a, b| natural::cmp(&a.name, &b.name));
    let names = [cluster.name.clone()];
    progress.result(&ClusterJson::from(cluster.clone()), names, |width, _| summary(width, &cluster, took))
}

/// The summary of a new cluster: its nodes by host, and commands to try.
fn summary(width: Width, cluster: &Cluster, took: Option<Duration>) -> String {
    let placed = cluster.nodes.iter().map(|node| (node.host.as_str(), node.name.as_str()));
    let workers = cluster.nodes.iter().filter(|node| node.role == "worker").count();
    let realm = match cluster.realm == RealmName::default().as_str() {
        true => String::new(),
        false => format!(" --realm {}", cluster.realm),
    };
    let name = &cluster.name;
    let after = took.map(|took| format!(" after {:.1} s", took.as_secs_f64())).unwrap_or_default();
    format!(
        "{name} is ready{after}: {} nodes, Slurm {}\n\n{}\n\n\
         try: shoal{realm} exec {name} -- srun -N{workers} hostname\n     \
         shoal{realm} ssh worker-0.{name}\n     \
         shoal{realm} get nodes {name}",
        cluster.nodes.len(),
        cluster.slurm_version,
        per_host(width, placed),
    )
}

#[cfg(test)]
mod tests {
    use shoal_proto::v1::Node;

    use super::*;

    #[test]
    fn a_summary_says_where_and_what_next() {
        let node = |name: &str, role: &str, host: &str| Node {
            name: name.into(),
            role: role.into(),
            host: host.into(),
            ..Node::default()
        };
        let cluster = Cluster {
            realm: "lab".into(),
            name: "dev".into(),
            slurm_version: "22.05.8".into(),
            nodes: vec![
                node("controller", "controller", "host2"),
                node("worker-0", "worker", "host10"),
                node("worker-1", "worker", "host2"),
                node("worker-2", "worker", "host2"),
            ],
            ..Cluster::default()
        };
        insta::assert_snapshot!(summary(Width(None), &cluster, Some(Duration::from_millis(8240))), @"
    dev is ready after 8.2 s: 4 nodes, Slurm 22.05.8

    HOST    NODES  WHICH
    host2   3      controller,worker-[1-2]
    host10  1      worker-0

    try: shoal --realm lab exec dev -- srun -N3 hostname
         shoal --realm lab ssh worker-0.dev
         shoal --realm lab get nodes dev
    ");
    }
}
