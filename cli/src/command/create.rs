//! `shoal create cluster`: what is asked for, from arguments and configuration; [`super::bring_up`] follows it.

use std::{num::NonZeroU32, path::PathBuf};

use clap::{Args, Subcommand, ValueHint};
use clap_complete::ArgValueCandidates;
use shoal_api::Create as Wish;
use shoal_types::{Bytes, ClusterMtu, ClusterName, ClusterSpec, LabelExpr, MilliCpu, SchedulerName};

use super::users::CreateUser;
use super::{
    bring_up::{begin, bring_up},
    first_host::FirstHost,
    follow::follow_create,
    healing_args::HealingArgs,
    placing_args::PlacingArgs,
};
use crate::{
    args::Global,
    complete,
    config::{Document, Overrides, Source, Ttl, cluster_spec},
    connect::Session,
    duration::Wait,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    output::plan_text,
    parse::{count, word},
    progress::ProgressArgs,
    ssh::keys,
};

/// Arguments of `create`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Create {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    follow: FollowCluster,
}

/// `--follow NAME`, with and without the word `cluster` before it.
#[derive(Debug, Clone, Args)]
struct FollowCluster {
    /// Create nothing: follow another process's create of this cluster to its end
    ///
    /// Shows the events since the cluster's admission, then each new one. The exit status is 0 when the cluster is ready, 1
    /// when the create failed, 3 if there is no such cluster. Ctrl-C ends the view; the create goes on.
    #[arg(long, value_name = "NAME", value_parser = word::<ClusterName>, add = ArgValueCandidates::new(complete::clusters))]
    follow: Option<ClusterName>,
    #[command(flatten)]
    progress: ProgressArgs,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Create a Slurm cluster and wait until all its workers are idle
    ///
    /// Flags come before the configuration, the configuration before defaults. Without a configuration, a cluster has
    /// one controller and one worker.
    Cluster(Box<CreateCluster>),
    /// Make a user of servers elsewhere, and write the context for them
    ///
    /// The context is a file with the addresses of the server and a certificate with its private key, which is nowhere else: hand
    /// it over in a safe way. There `shoal context add FILE` takes it.
    User(CreateUser),
}

// Options that describe a new cluster do not go with `--follow`.
#[derive(Debug, Args)]
#[group(conflicts_with = "follow")]
struct CreateCluster {
    /// Name of the cluster [default: the configuration's, else `default`]
    #[arg(value_parser = word::<ClusterName>)]
    name: Option<ClusterName>,
    /// YAML file that describes the cluster; `-` reads standard input
    #[arg(long, value_name = "FILE", value_parser = word::<Source>, value_hint = ValueHint::FilePath)]
    config: Option<Source>,
    /// Number of workers; with a configuration, of its only group of workers
    #[arg(long, value_name = "N", value_parser = count)]
    workers: Option<NonZeroU32>,
    /// CPUs of every worker: reserved on its host, and its limit
    #[arg(long, value_name = "N", value_parser = word::<MilliCpu>)]
    cpus: Option<MilliCpu>,
    /// Memory of every worker: reserved on its host, and its limit
    #[arg(long, value_name = "SIZE", value_parser = word::<Bytes>)]
    memory: Option<Bytes>,
    /// MTU of the nodes' interfaces, in bytes [default: the most that their hosts leave]
    ///
    /// A host leaves 50 bytes less than its path to other hosts carries; one that leaves less than this gets no nodes. The MTU of
    /// a cluster does not change after its create.
    #[arg(long, value_name = "BYTES", value_parser = word::<ClusterMtu>)]
    mtu: Option<ClusterMtu>,
    /// Image of every node
    #[arg(long, value_name = "REFERENCE")]
    image: Option<String>,
    /// Strategy that chooses hosts: spread, round-robin, metadata, binpack, random, or a scheduler of your own on this
    /// machine, as grpc://ADDRESS:PORT or grpc+unix:///PATH [default: spread]
    #[arg(long, value_name = "NAME", value_parser = word::<SchedulerName>)]
    scheduler: Option<SchedulerName>,
    /// Only hosts that satisfy this label expression, besides the configuration's constraints; may be repeated
    #[arg(long = "constraint", value_name = "EXPRESSION", value_parser = word::<LabelExpr>)]
    constraints: Vec<LabelExpr>,
    /// File of SSH public keys that open root's account on every node, one per line, such as ~/.ssh/id_ed25519.pub, besides
    /// the configuration's `sshKeys`; may be repeated
    ///
    /// Shoal takes none of your keys unasked: `shoal ssh` and `shoal get ssh-config` use the cluster's own key.
    #[arg(long = "ssh-key", value_name = "FILE")]
    ssh_keys: Vec<PathBuf>,
    #[command(flatten)]
    healing: HealingArgs,
    /// How long the cluster lives, from 1m to 365d; then a server deletes it [default: the configuration's ttl, else for ever]
    #[arg(long, value_name = "DURATION", value_parser = word::<Ttl>)]
    ttl: Option<Ttl>,
    #[command(flatten)]
    placing: PlacingArgs,
    /// Create nothing: show the nodes' hosts, the load of each host, and every refusal with its reason
    #[arg(long)]
    dry_run: bool,
    /// Time limit until all workers are idle; 0 for no limit
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = word::<Wait>)]
    wait: Wait,
    /// Keep a cluster that does not become ready, for inspection
    #[arg(long)]
    keep_on_failure: bool,
    /// Return once the cluster is admitted: the server goes on with it
    ///
    /// `shoal create --follow NAME` shows how. Without `shoal serve` there is nobody who would go on, and this is refused.
    #[arg(long, conflicts_with = "dry_run")]
    detach: bool,
    #[command(flatten)]
    follow: FollowCluster,
}

impl Create {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        if let Some(What::User(user)) = self.what {
            return user.run(global, interrupt).await;
        }
        let (create, FollowCluster { follow, progress }) = match (self.what, self.follow) {
            (Some(What::Cluster(create)), FollowCluster { follow: None, .. }) => {
                let follow = create.follow.clone();
                (Some(create), follow)
            }
            (None, follow @ FollowCluster { follow: Some(_), .. }) => (None, follow),
            (Some(What::Cluster(_) | What::User(_)), _) => {
                return Err(CliError::usage("--follow creates nothing: leave `cluster` out", None));
            }
            (None, FollowCluster { follow: None, .. }) => {
                return Err(CliError::usage(
                    "no cluster is named",
                    "use `shoal create cluster NAME`".to_owned(),
                ));
            }
        };
        let Some(create) = create.filter(|_| follow.is_none()) else {
            let (realm, name) = (global.realm(None)?, follow.unwrap_or_default());
            follow_create(realm, name, progress, global, interrupt).await?;
            return Ok(Exit::Ok);
        };
        let spec = create.spec(global)?;
        if create.dry_run {
            return plan(&spec, global, interrupt).await;
        }
        let (wait_ms, keep_on_failure) = (create.wait.as_millis(), create.keep_on_failure);
        let wish = Wish { spec, wait_ms, keep_on_failure };
        match create.detach {
            true => begin(wish, progress, global, interrupt).await?,
            false => bring_up(wish, progress, global, interrupt).await?,
        }
        Ok(Exit::Ok)
    }
}

impl CreateCluster {
    fn spec(&self, global: &Global) -> Result<ClusterSpec, CliError> {
        let (source, document) = match &self.config {
            Some(source) => (source.name(), Document::load(source)?),
            None => ("command line".to_owned(), Document::default()),
        };
        let realm = global.realm(document.realm.as_ref())?;
        let overrides = Overrides {
            name: self.name.clone(),
            workers: self.workers,
            cpus: self.cpus,
            memory: self.memory,
            mtu: self.mtu,
            image: self.image.clone(),
            scheduler: self.scheduler.clone(),
            healing: self.healing.change(),
            ttl: self.ttl,
            placing: self.placing.overrides(),
            constraints: self.constraints.clone(),
            ssh_keys: keys::read(&self.ssh_keys)?,
        };
        Ok(cluster_spec(&source, document, overrides, realm, shoal_images::DEFAULT_TAG)?)
    }
}

async fn plan(spec: &ClusterSpec, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
    let plan = Session::within(global, interrupt, async |client| {
        let mut first_host = FirstHost::look(client, &spec.realm).await?;
        let plan = client.plan_cluster(spec).await?;
        let beside = |line: &str| {
            eprintln!("{line}");
            Ok(())
        };
        first_host.announce(client, beside).await?;
        Ok(plan)
    })
    .await?;
    global.screen().result(&plan, |width| plan_text(width, &plan))?;
    match plan.fits {
        true => Ok(Exit::Ok),
        false => Err(CliError::DoesNotFit { reason: plan.reason.unwrap_or_default() }),
    }
}
