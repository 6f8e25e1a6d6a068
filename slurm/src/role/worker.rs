//! A worker: runs slurmd, which fetches its configuration from the controller.

use shoal_types::Profile;

use super::{ConfigSource, Port, Readiness, RoleSpec, SSH, SYSTEMD_TMPFS, SlurmPart};
use crate::{ClusterView, SLURMCTLD_PORT, SLURMD_PORT, Stage, unit};

/// Where slurmd keeps job scripts and credentials: Debian's directory.
pub(crate) const SPOOL_DIR: &str = "/var/lib/slurm/slurmd";

static SYSTEM: RoleSpec = RoleSpec {
    services: &[Stage::Munge, Stage::Sshd, Stage::Slurmd],
    drop_ins: &[unit::SLURM_DROP_IN, unit::SLURMD_DROP_IN],
    files: environment,
    config: ConfigSource::Controller,
    slurm: SlurmPart::Node,
    tokens: false,
    ports: &[SSH, Port { number: SLURMD_PORT, service: None }],
    readiness: Readiness::Idle,
    state: None,
    tmpfs: SYSTEMD_TMPFS,
    login: None,
};

pub(super) fn spec(profile: Profile) -> &'static RoleSpec {
    match profile {
        Profile::System => &SYSTEM,
    }
}

/// The file that [`unit::SLURMD_DROP_IN`] has slurmd's unit read.
fn environment(view: &ClusterView) -> Vec<(&'static str, String)> {
    let (address, port) = (view.controller().address, view.layout().port(SLURMCTLD_PORT));
    vec![("etc/shoal/slurmd.env", unit::slurmd_environment(address, port))]
}
