//! A private key for `ssh://`, and the keys by which the host is known here: both go with the host, so that whoever runs the
//! coordinator reaches it without a configuration.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};

use shoal_api::SshCredentials;

use crate::{error::CliError, pem};

/// Largest file taken for a key.
const MAX_BYTES: u64 = 64 << 10;
/// Where OpenSSH looks besides, in the home directory and for everybody.
const KNOWN: [&str; 2] = [".ssh/known_hosts", ".ssh/known_hosts2"];
const KNOWN_TO_ALL: &str = "/etc/ssh/ssh_known_hosts";

/// Reads the key, and from `known_hosts`, else from the files of OpenSSH, what is known of the endpoint's host.
///
/// # Errors
/// [`CliError::File`]: a file cannot be read. [`CliError::Usage`]: it is no `ssh://` endpoint, or its host is not known.
pub(crate) fn credentials(
    endpoint: &str,
    key: &Path,
    known_hosts: Option<&Path>,
) -> Result<SshCredentials, CliError> {
    let name = known_name(endpoint).ok_or_else(|| {
        CliError::usage(
            "--ssh-key is for an ssh:// endpoint",
            "name the endpoint: --docker ssh://user@host".to_owned(),
        )
    })?;
    let private_key = read(key)?;
    pem::warn_of_exposed("SSH key", key);
    let files = known_hosts.map_or_else(known_files, |file| vec![file.to_owned()]);
    let mut lines = Vec::new();
    for file in files.iter().filter(|file| known_hosts.is_some() || file.exists()) {
        lines.extend(known(file, &name)?);
    }
    if lines.is_empty() {
        return Err(CliError::usage(
            format!("no host key of {name} is known"),
            "`ssh` there once and compare its fingerprint, or name a file that has the key: --ssh-known-hosts FILE".to_owned(),
        ));
    }
    lines.sort();
    lines.dedup();
    Ok(SshCredentials { private_key, known_hosts: lines })
}

/// The name of an endpoint's host in a known_hosts file.
fn known_name(endpoint: &str) -> Option<String> {
    let rest = endpoint.strip_prefix("ssh://")?;
    let place = rest.split('/').next().unwrap_or_default();
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    Some(match port {
        None | Some("22") => host.to_owned(),
        Some(port) => format!("[{host}]:{port}"),
    })
}

fn read(path: &Path) -> Result<String, CliError> {
    use io::Read as _;
    let failed = |source| CliError::File { action: "read the SSH key", path: path.into(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn known_files() -> Vec<PathBuf> {
    // As OpenSSH: the home directory of the account, whatever HOME says.
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    let own = user.into_iter().flat_map(|user| KNOWN.map(|file| user.dir.join(file)));
    own.chain([PathBuf::from(KNOWN_TO_ALL)]).collect()
}

/// Keys of a host in a file, each as `[MARKER] TYPE BASE64`. ssh-keygen(1) looks, because names there may be hashed.
fn known(file: &Path, name: &str) -> Result<Vec<String>, CliError> {
    let failed = |source| CliError::File { action: "look for host keys in", path: file.into(), source };
    // It says nothing of a file that is not there.
    std::fs::File::open(file).map_err(failed)?;
    let found = Command::new("ssh-keygen").args(["-F", name, "-f"]).arg(file).output();
    let found = found.map_err(CliError::SshClient)?;
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    let key = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [marker, _, kind, key, ..] if marker.starts_with('@') => Some(format!("{marker} {kind} {key}")),
            [first, kind, key, ..] if !first.starts_with('#') => Some(format!("{kind} {key}")),
            _ => None,
        }
    };
    Ok(text.lines().filter_map(key).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIGsH8RYzR0nQp2uEPfUq0P5QbCkKcR1lFqkq1t3rXo2m";

    #[test]
    fn a_host_is_known_by_name_and_port() {
        for (endpoint, name) in [
            ("ssh://gpu1", Some("gpu1")),
            ("ssh://ann@corp@gpu1:22/run/d.sock", Some("gpu1")),
            ("ssh://ann@gpu1:2222", Some("[gpu1]:2222")),
            ("ssh://[fd00::1]:2222/", Some("[fd00::1]:2222")),
            ("tcp://gpu1", None),
        ] {
            assert_eq!(known_name(endpoint).as_deref(), name, "{endpoint}");
        }
    }

    #[test]
    fn known_keys_are_taken_without_names() {
        let dir = tempfile::tempdir().unwrap();
        let (key, hosts) = (dir.path().join("key"), dir.path().join("hosts"));
        fs::write(&key, "secret").unwrap();
        fs::write(
            &hosts,
            format!(
                "# ours\ngpu1,10.0.0.1 ssh-ed25519 {KEY} comment\n[gpu1]:2222 ssh-ed25519 {KEY}\n@cert-authority *.lab ssh-ed25519 {KEY}\n"
            ),
        )
        .unwrap();
        let of = |endpoint: &str| credentials(endpoint, &key, Some(&hosts));
        let plain = format!("ssh-ed25519 {KEY}");
        for endpoint in ["ssh://gpu1", "ssh://me@10.0.0.1", "ssh://gpu1:2222/x.sock"] {
            let found = of(endpoint).unwrap();
            assert_eq!(
                (found.private_key.as_str(), found.known_hosts),
                ("secret", vec![plain.clone()]),
                "{endpoint}"
            );
        }
        assert_eq!(of("ssh://a.lab").unwrap().known_hosts, [format!("@cert-authority {plain}")]);
        let error = of("ssh://gpu2").unwrap_err();
        assert!(error.to_string().contains("no host key of gpu2"), "{error}");
        assert!(error.hint().unwrap().contains("--ssh-known-hosts"));
        assert!(matches!(of("tcp://gpu1"), Err(CliError::Usage { .. })));
        assert!(matches!(
            credentials("ssh://gpu1", &key, Some(Path::new("/nonexistent"))),
            Err(CliError::File { .. })
        ));
    }
}
