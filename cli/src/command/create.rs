//! `shoal create cluster`: what is asked for, from arguments and configuration; [`super::bring_up`] follows it.

use std::num::NonZeroU32;

use clap::{Args, Subcommand};
use shoal_proto::v1::{self, CreateClusterRequest, PlanClusterRequest};
use shoal_types::{Bytes, ClusterName, ClusterSpec, LabelExpr, MilliCpu, Strategy};

use super::bring_up::bring_up;
use crate::{
    args::Global,
    config::{Document, Overrides, Source, cluster_spec},
    connect::Session,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    output::{PlanJson, plan_text},
    parse::{count, word},
    wait::Wait,
};

/// Arguments of `create`.
#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Create a Slurm cluster and wait until all its workers are idle
    ///
    /// Flags come before the configuration, the configuration before defaults. Without a configuration, a cluster has
    /// one controller and one worker.
    Cluster(CreateCluster),
}

#[derive(Debug, Args)]
struct CreateCluster {
    /// Name of the cluster [default: the configuration's, else `default`]
    #[arg(value_parser = word::<ClusterName>)]
    name: Option<ClusterName>,
    /// YAML file that describes it; `-` reads standard input
    #[arg(long, value_name = "FILE", value_parser = word::<Source>)]
    config: Option<Source>,
    /// Number of workers; with a configuration, of its only group of workers
    #[arg(long, value_name = "N", value_parser = count)]
    workers: Option<NonZeroU32>,
    /// CPUs of every node: reserved on its host, and its limit
    #[arg(long, value_name = "N", value_parser = word::<MilliCpu>)]
    cpus: Option<MilliCpu>,
    /// Memory of every node: reserved on its host, and its limit
    #[arg(long, value_name = "SIZE", value_parser = word::<Bytes>)]
    memory: Option<Bytes>,
    /// Image of every node
    #[arg(long, value_name = "REFERENCE")]
    image: Option<String>,
    /// How hosts are chosen: spread, round-robin or metadata
    #[arg(long, value_name = "NAME", value_parser = word::<Strategy>)]
    scheduler: Option<Strategy>,
    /// Only hosts for which this holds, besides the configuration's constraints; may be repeated
    #[arg(long = "constraint", value_name = "EXPRESSION", value_parser = word::<LabelExpr>)]
    constraints: Vec<LabelExpr>,
    /// Show where the nodes would go, and create nothing
    #[arg(long)]
    dry_run: bool,
    /// How long it may take until all workers are idle; 0 for no limit
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = word::<Wait>)]
    wait: Wait,
    /// Keep what is there if it does not become ready, for inspection
    #[arg(long)]
    keep_on_failure: bool,
}

impl Create {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let What::Cluster(create) = self.what;
        let spec = v1::ClusterSpec::from(&create.spec(global)?);
        if create.dry_run {
            return plan(spec, global, interrupt).await;
        }
        let request = CreateClusterRequest {
            spec: Some(spec),
            wait_ms: create.wait.as_millis(),
            keep_on_failure: create.keep_on_failure,
        };
        bring_up(request, global, interrupt).await?;
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
            image: self.image.clone(),
            scheduler: self.scheduler,
            constraints: self.constraints.clone(),
        };
        Ok(cluster_spec(&source, document, overrides, realm, shoal_images::DEFAULT_TAG)?)
    }
}

async fn plan(spec: v1::ClusterSpec, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
    let plan = Session::within(global, interrupt, async |session| {
        Ok(session.clusters().plan_cluster(PlanClusterRequest { spec: Some(spec) }).await?.into_inner())
    })
    .await?;
    global.screen().result(&PlanJson::from(plan.clone()), |width| plan_text(width, &plan))?;
    match plan.fits {
        true => Ok(Exit::Ok),
        false => Err(CliError::DoesNotFit { reason: plan.reason }),
    }
}
