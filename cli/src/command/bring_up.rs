//! A create as it happens: its events, its end, and its undoing when the user interrupts it.
//!
//! ```text
//! events ... ready -> summary                        exit 0
//!        `-> Ctrl-C -> rolled back, events of that   exit 130
//!                  `-> Ctrl-C again                  exit 130 at once; the next command cleans up
//! ```

use std::time::{Duration, Instant};

use shoal_api::{Begun, Client, Cluster, Create as Wish, CreateStep, Followed, Phase};
use shoal_types::{ClusterName, Event, RealmName, Role};

use super::{first_host::FirstHost, ssh_config};
use crate::{
    args::Global,
    connect::Session,
    error::CliError,
    interrupt::Interrupt,
    output::{Width, per_host},
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
    wish: Wish,
    progress: ProgressArgs,
    global: &Global,
    interrupt: &Interrupt,
) -> Result<(), CliError> {
    let (realm, name) = (wish.spec.realm.clone(), wish.spec.name.clone());
    let progress = Progress::start(progress, global.screen(), Task::Create, name.to_string())?;
    let session = Session::open(global).await?;
    let create = Create::of(&session, progress, (realm.clone(), name));
    let result = create.run(wish, interrupt).await;
    if result.is_ok() {
        ssh_config::keep_current(session.client(), global, &realm, &[]).await;
    }
    session.close().await;
    result
}

/// Begins a create that the server goes on with, and says so once it is admitted.
///
/// # Errors
/// As [`bring_up`]. [`CliError::Usage`]: there is no server.
pub(super) async fn begin(
    wish: Wish,
    progress: ProgressArgs,
    global: &Global,
    interrupt: &Interrupt,
) -> Result<(), CliError> {
    let (realm, name) = (wish.spec.realm.clone(), wish.spec.name.clone());
    let session = Session::open(global).await?;
    if !session.is_served() {
        session.close().await;
        return Err(CliError::usage(
            "--detach needs a server: what this process begins ends with it",
            "start `shoal serve`, or leave --detach out".to_owned(),
        ));
    }
    let progress = Progress::start(progress, global.screen(), Task::Create, name.to_string())?;
    let mut create = Create::of(&session, progress, (realm, name));
    let admitted = tokio::select! {
        admitted = create.until_admitted(wish) => admitted?,
        () = interrupt.asked() => return create.undo().await,
    };
    create.progress.result(&admitted, [admitted.name.clone()], |_, _| {
        let realm = realm_flag(&admitted);
        format!(
            "{name} is admitted, {} nodes; the server goes on with it\ntry: shoal{realm} create --follow {name}",
            admitted.nodes.len(),
            name = admitted.name,
        )
    })
}

struct Create<'a> {
    client: &'a Client,
    is_served: bool,
    progress: Progress,
    realm: RealmName,
    name: ClusterName,
    /// Set once it goes on by itself.
    begun: Option<Begun>,
    /// Position of the last event that was shown.
    seq: u64,
}

impl<'a> Create<'a> {
    fn of(session: &'a Session, progress: Progress, (realm, name): (RealmName, ClusterName)) -> Self {
        let (client, is_served) = (session.client(), session.is_served());
        Self { client, is_served, progress, realm, name, begun: None, seq: 0 }
    }

    async fn run(mut self, wish: Wish, interrupt: &Interrupt) -> Result<(), CliError> {
        let began = Instant::now();
        let ready = tokio::select! {
            ready = self.until_ready(wish) => ready?,
            // Not begun yet, the call was dropped with the other branch, and the coordinator rolls back.
            () = interrupt.asked() => return self.undo().await,
        };
        finish(self.progress, ready, Some(began.elapsed()))
    }

    async fn undo(self) -> Result<(), CliError> {
        if let Some(begun) = &self.begun {
            self.client.interrupt_create(&self.realm, begun).await?;
        }
        self.roll_back().await
    }

    async fn until_ready(&mut self, wish: Wish) -> Result<Cluster, CliError> {
        let begun = self.begin(wish).await?;
        let Self { client, progress, realm, name, seq, .. } = self;
        until_ready(client, (realm, name), Followed::Own(begun), progress, seq).await
    }

    /// Begins it, and waits until its nodes have hosts: its image may have to be pulled first.
    async fn until_admitted(&mut self, wish: Wish) -> Result<Cluster, CliError> {
        let begun = self.begin(wish).await?;
        if begun.cluster.is_none() {
            let mut steps = self.client.follow_cluster(&self.realm, &self.name, Followed::Own(begun)).await?;
            loop {
                match steps.next().await? {
                    Some(CreateStep::Event(event)) => self.show(&event)?,
                    Some(CreateStep::Placed(_) | CreateStep::Ready(_)) => break,
                    None => return Err(CliError::Answer { missing: "the end of the create" }),
                }
            }
        }
        Ok(self.client.get_cluster(&self.realm, &self.name).await?)
    }

    async fn begin(&mut self, wish: Wish) -> Result<Begun, CliError> {
        let mut first_host = FirstHost::look(self.client, &self.realm).await?;
        let begun = self.client.create_cluster(wish).await;
        // Before anything else is waited for: from now on only a call of its own interrupts it.
        self.begun = begun.as_ref().ok().cloned();
        first_host.announce(self.client, |line| self.progress.note(line)).await?;
        Ok(begun?)
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
        let who = if self.is_served { "server" } else { "next command" };
        self.progress
            .note(&format!("interrupted: rolling back {name}; Ctrl-C again leaves that to the {who}"))?;
        let wait_ms = u64::try_from(POLL.as_millis()).unwrap_or(u64::MAX);
        let mut heard = Instant::now();
        while heard.elapsed() < SILENCE {
            for event in self.client.list_events(&self.realm, Some(&name), self.seq, wait_ms).await? {
                heard = Instant::now();
                self.show(&event)?;
            }
            match self.client.get_cluster(&self.realm, &name).await {
                Err(error) if error.is_not_found() => {
                    self.progress.note(&format!("rolled back: nothing of {name} is left"))?;
                    self.progress.clear();
                    return Err(CliError::Interrupted);
                }
                Err(error) => {
                    // It was interrupted, whatever came of the roll-back.
                    self.progress.note(&format!("the roll-back of {name} cannot be followed: {error}"))?;
                    return Err(CliError::Interrupted);
                }
                Ok(cluster) => match cluster.phase {
                    Phase::Ready | Phase::Failed => {
                        let phase = cluster.phase;
                        self.progress.note(&format!("{name} was {phase} before it could be rolled back"))?;
                        return Err(CliError::Interrupted);
                    }
                    Phase::Creating | Phase::Deleting | Phase::Interrupted => {}
                },
            }
        }
        self.progress
            .note(&format!("{name} is not gone yet: `shoal delete cluster {name}` goes on with it"))?;
        Err(CliError::Interrupted)
    }
}

/// Follows a create to its end, and shows it; `seq` is the position of the last event that was shown.
///
/// # Errors
/// [`CliError::Status`]: there is no such cluster, or it did not become ready.
pub(super) async fn until_ready(
    client: &Client,
    (realm, name): (&RealmName, &ClusterName),
    which: Followed,
    progress: &mut Progress,
    seq: &mut u64,
) -> Result<Cluster, CliError> {
    let mut steps = client.follow_cluster(realm, name, which).await?;
    while let Some(step) = steps.next().await? {
        match step {
            CreateStep::Event(event) => {
                *seq = (*seq).max(event.seq);
                progress.event(&event)?;
            }
            CreateStep::Placed(placed) => progress.placed(placed),
            CreateStep::Ready(cluster) => return Ok(*cluster),
        }
    }
    Err(CliError::Answer { missing: "the end of the create" })
}

/// Shows the end of a successful create; `took` is its duration, if it was seen from the start.
pub(super) fn finish(progress: Progress, cluster: Cluster, took: Option<Duration>) -> Result<(), CliError> {
    let names = [cluster.name.clone()];
    progress.result(&cluster, names, |width, _| summary(width, &cluster, took))
}

/// What names the realm of a cluster in a command, if anything must.
fn realm_flag(cluster: &Cluster) -> String {
    match cluster.realm == RealmName::default().as_str() {
        true => String::new(),
        false => format!(" --realm {}", cluster.realm),
    }
}

/// The summary of a new cluster: its nodes by host, and commands to try.
fn summary(width: Width, cluster: &Cluster, took: Option<Duration>) -> String {
    let placed = cluster.nodes.iter().map(|n| (n.host.as_deref().unwrap_or_default(), n.name.as_str()));
    let workers = cluster.nodes.iter().filter(|node| node.role == Role::Worker).count();
    let (name, realm) = (&cluster.name, realm_flag(cluster));
    let after = took.map(|took| format!(" after {:.1} s", took.as_secs_f64())).unwrap_or_default();
    format!(
        "{name} is ready{after}: {} nodes, Slurm {}\n\n{}\n\n\
         try: shoal{realm} exec {name} -- srun -N{workers} hostname\n     \
         shoal{realm} ssh worker-0.{name}\n     \
         shoal{realm} get nodes {name}",
        cluster.nodes.len(),
        cluster.slurm_version.as_deref().unwrap_or_default(),
        per_host(width, placed),
    )
}

#[cfg(test)]
mod tests {
    use shoal_api::Node;
    use shoal_types::NodeState;

    use super::*;

    #[test]
    fn a_summary_says_where_and_what_next() {
        let node = |name: &str, role: Role, host: &str| Node {
            name: name.into(),
            cluster: "dev".into(),
            realm: "lab".into(),
            role,
            host: Some(host.into()),
            address: String::new(),
            mac: String::new(),
            fqdn: String::new(),
            state: NodeState::Ready,
            age_ms: 0,
            host_error: None,
            failing: None,
            id: String::new(),
        };
        let cluster = Cluster {
            realm: "lab".into(),
            name: "dev".into(),
            phase: Phase::Ready,
            slurm_version: Some("22.05.8".into()),
            nodes: vec![
                node("controller", Role::Controller, "host2"),
                node("worker-0", Role::Worker, "host10"),
                node("worker-1", Role::Worker, "host2"),
                node("worker-2", Role::Worker, "host2"),
            ],
            network: None,
            image: String::new(),
            created: None,
            failure: None,
            healing: shoal_types::Healing::default().into(),
            expires: None,
            id: String::new(),
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
