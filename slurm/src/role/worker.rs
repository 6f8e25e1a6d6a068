//! A worker: runs slurmd, which fetches its configuration from the controller.

use shoal_types::Profile;

use super::{ConfigSource, Port, Readiness, RoleSpec, SSH, SYSTEMD_TMPFS, SlurmPart};
use crate::{ClusterView, SLURMD_PORT, Stage, unit};

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
    vec![("etc/shoal/slurmd.env", unit::slurmd_environment(view.controller().address))]
}
