//! Files of the user's that not every user of a node may read.

use std::collections::BTreeSet;

use shoal_types::SlurmSpec;

use crate::{conf::UserText, text::FILES_DIR};

/// Keys whose value is the path of a secret: slurmctld alone reads them.
const SECRETS: &[&str] = &["JobCredentialPrivateKey"];

/// The names of files that are given and secret.
pub(crate) fn secret_files(slurm: &SlurmSpec) -> BTreeSet<String> {
    let text = UserText::of(slurm);
    let named = SECRETS.iter().filter_map(|key| text.last(key)?.trim().strip_prefix(FILES_DIR));
    named.map(str::to_owned).collect()
}
