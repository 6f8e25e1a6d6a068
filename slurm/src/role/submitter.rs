//! The submitter: has Slurm's commands and no daemon; users' commands run here first.

use shoal_types::Profile;

use super::{ConfigSource, Readiness, RoleSpec, SSH, SYSTEMD_TMPFS, SlurmPart};
use crate::Stage;

static SYSTEM: RoleSpec = RoleSpec {
    services: &[Stage::Munge, Stage::Sshd],
    drop_ins: &[],
    files: |_| vec![],
    config: ConfigSource::Archive,
    slurm: SlurmPart::Client,
    tokens: false,
    ports: &[SSH],
    readiness: Readiness::WithCluster,
    state: None,
    tmpfs: SYSTEMD_TMPFS,
    login: Some(0),
};

pub(super) fn spec(profile: Profile) -> &'static RoleSpec {
    match profile {
        Profile::System => &SYSTEM,
    }
}
