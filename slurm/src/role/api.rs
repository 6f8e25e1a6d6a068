//! The API: runs slurmrestd, Slurm's REST API, for programs that submit and watch jobs over HTTP.

use shoal_types::Profile;

use super::{ConfigSource, Port, Readiness, RoleSpec, SSH, SYSTEMD_TMPFS, SlurmPart};
use crate::{SLURMRESTD_PORT, Stage, unit};

static SYSTEM: RoleSpec = RoleSpec {
    services: &[Stage::Munge, Stage::Sshd, Stage::Slurmrestd],
    drop_ins: &[unit::SLURM_DROP_IN, unit::SLURMRESTD_DROP_IN],
    files: |_| vec![],
    config: ConfigSource::Archive,
    slurm: SlurmPart::Client,
    tokens: true,
    ports: &[SSH, Port { number: SLURMRESTD_PORT, service: Some("_slurmrestd._tcp") }],
    readiness: Readiness::Listens(SLURMRESTD_PORT),
    state: None,
    tmpfs: SYSTEMD_TMPFS,
    login: None,
};

pub(super) fn spec(profile: Profile) -> &'static RoleSpec {
    match profile {
        Profile::System => &SYSTEM,
    }
}
