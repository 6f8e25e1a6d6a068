//! The controller: runs slurmctld, gives workers their configuration, and keeps the cluster's jobs on a volume.

use shoal_types::Profile;

use super::{ConfigSource, Port, Readiness, RoleSpec, SSH, SYSTEMD_TMPFS, SlurmPart};
use crate::{SLURMCTLD_PORT, Stage, unit};

/// Where slurmctld keeps its state: Debian's directory, owned by `slurm`. A controller made again keeps its jobs.
pub(crate) const STATE_DIR: &str = "/var/lib/slurm/slurmctld";

static SYSTEM: RoleSpec = RoleSpec {
    services: &[Stage::Munge, Stage::Sshd, Stage::Slurmctld],
    drop_ins: &[unit::SLURM_DROP_IN],
    files: |_| vec![],
    config: ConfigSource::Archive,
    slurm: SlurmPart::Controller,
    tokens: false,
    ports: &[SSH, Port { number: SLURMCTLD_PORT, service: Some("_slurmctld._tcp") }],
    readiness: Readiness::Listens(SLURMCTLD_PORT),
    state: Some(STATE_DIR),
    tmpfs: SYSTEMD_TMPFS,
    login: Some(1),
};

pub(super) fn spec(profile: Profile) -> &'static RoleSpec {
    match profile {
        Profile::System => &SYSTEM,
    }
}
