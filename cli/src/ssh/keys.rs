//! Files of SSH public keys, as `--ssh-key` names them.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use shoal_types::{SshKeyError, SshPublicKey};

use crate::{error::CliError, escape};

/// Largest file of keys: a thousand of the largest fit in a third of it.
const MAX_BYTES: u64 = 1 << 20;

/// The keys of all files, in order.
///
/// # Errors
/// [`CliError::File`]: one cannot be read. [`CliError::Usage`]: it has something else in it; the line is never shown.
pub(crate) fn read(files: &[PathBuf]) -> Result<Vec<SshPublicKey>, CliError> {
    let keys: Result<Vec<Vec<SshPublicKey>>, CliError> = files.iter().map(|file| keys(file)).collect();
    Ok(keys?.concat())
}

fn keys(path: &Path) -> Result<Vec<SshPublicKey>, CliError> {
    let failed = |source| CliError::File { action: "read", path: path.into(), source };
    let name = escape::line(&path.display().to_string());
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(CliError::usage(format!("{name} is too large for SSH keys: more than 1 MiB"), None));
    }
    let text = String::from_utf8(bytes)
        .map_err(|e| failed(io::Error::new(io::ErrorKind::InvalidData, e.utf8_error())))?;
    // A private key's first line says so, whatever its second would.
    if let Err(SshKeyError::Private) = text.lines().next().unwrap_or_default().parse::<SshPublicKey>() {
        return Err(CliError::usage(
            format!("{name} is a private key; only public keys leave this machine"),
            format!("name the public key: {name}.pub"),
        ));
    }
    SshPublicKey::lines(&text)
        .map_err(|(line, error)| CliError::usage(format!("{name}:{line}: {error}"), None))
}
