//! `shoal get ssh-config`: what plain ssh, scp, sftp, rsync and Ansible need to know of the nodes.
//!
//! ```text
//! <state-dir>/ssh/ssh_config          what a user includes: every realm's, one after the other
//! <state-dir>/ssh/<realm>/ssh_config  the nodes of one realm
//! <state-dir>/ssh/.lock               held while they are written
//! ```
//! Once written with `--write`, the files follow: `create cluster` and `delete cluster` write them again. All are replaced whole.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use clap_complete::ArgValueCandidates;
use nix::fcntl::{Flock, FlockArg};
use shoal_api::{Client, Phase, SshConfig as Written};
use shoal_types::{ClusterName, NodeName, RealmName, chain, natural};

use crate::{
    args::Global,
    complete,
    error::CliError,
    escape,
    parse::word,
    ssh::client::ClientVersion,
    ssh::files::{SshFiles, SshFilesError, replace},
    ssh::options::{ProxyWords, host_block, state_dir},
};

/// A name that neither a realm nor a cluster can have.
const FILE: &str = "ssh_config";

/// Arguments of `get ssh-config`.
#[derive(Debug, Args)]
pub(crate) struct SshConfig {
    /// Only the nodes of this cluster
    #[arg(value_parser = word::<ClusterName>, add = ArgValueCandidates::new(complete::clusters))]
    cluster: Option<ClusterName>,
    /// Write the configuration to `ssh/ssh_config` in the state directory, and keep that file current
    ///
    /// `create cluster` and `delete cluster` write the file again, with the nodes of every realm written before. Put the
    /// printed `Include` line at the top of ~/.ssh/config, once.
    #[arg(long, conflicts_with = "cluster")]
    write: bool,
}

impl SshConfig {
    pub(super) async fn show(self, client: &Client, global: &Global) -> Result<(), CliError> {
        let realm = global.realm(None)?;
        let (known, file) = match self.write {
            true => {
                let (known, file) = write(client, global, &realm).await?;
                (known, Some(file))
            }
            false => (gather(client, global, &realm, self.cluster.as_ref()).await?, None),
        };
        let result = Written {
            realm: realm.to_string(),
            clusters: known.clusters,
            file: file.as_ref().map(|file| file.display().to_string()),
            config: known.text,
        };
        global.screen().result(&result, |_| match &file {
            Some(file) => format!(
                "wrote {}: {} of realm {realm}\nput this line at the top of ~/.ssh/config, once:\nInclude \"{}\"",
                escape::line(&file.display().to_string()),
                match result.clusters.as_slice() {
                    [] => "no clusters".to_owned(),
                    names => names.join(", "),
                },
                escape::line(&file.display().to_string()),
            ),
            None => result.config.clone(),
        })
    }
}

/// Writes the file anew if it was ever written, and forgets the keys of clusters that are gone. What fails is told and changes
/// nothing else: the clusters are as asked for.
pub(super) async fn keep_current(client: &Client, global: &Global, realm: &RealmName, deleted: &[String]) {
    if let Err(error) = follow(client, global, realm, deleted).await {
        eprintln!(
            "warning: the SSH configuration was not brought up to date: {}\nhint: `shoal get ssh-config --write` does",
            escape::line(&chain(&error))
        );
    }
}

async fn follow(
    client: &Client,
    global: &Global,
    realm: &RealmName,
    deleted: &[String],
) -> Result<(), CliError> {
    let dir = state_dir(global)?.join("ssh");
    for cluster in deleted.iter().filter_map(|name| name.parse::<ClusterName>().ok()) {
        let keys = dir.join(realm.as_str()).join(cluster.as_str());
        match fs::remove_dir_all(&keys) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(CliError::File { action: "remove", path: keys, source });
            }
            Ok(()) | Err(_) => {}
        }
    }
    if !dir.join(FILE).exists() {
        return Ok(());
    }
    write(client, global, realm).await.map(drop)
}

/// What is known of the nodes of some clusters.
struct Known {
    clusters: Vec<String>,
    text: String,
}

/// Writes the files of the clusters, and says how an SSH client uses them.
async fn gather(
    client: &Client,
    global: &Global,
    realm: &RealmName,
    only: Option<&ClusterName>,
) -> Result<Known, CliError> {
    let (proxy, client_version) = (ProxyWords::of(global, realm)?, ClientVersion::of_ssh());
    let state_dir = state_dir(global)?;
    let names = match only {
        Some(name) => vec![name.clone()],
        None => clusters(client, realm).await?,
    };
    let mut known = Known { clusters: vec![], text: header(realm, &proxy) };
    for name in names {
        let access = match client.ssh_access(realm, &name).await {
            Ok(access) => access,
            // It went while the others were looked at.
            Err(error) if only.is_none() && error.is_not_found() => continue,
            Err(error) => return Err(error.into()),
        };
        let files = SshFiles::write(&state_dir, (realm, &name), &access.known_hosts, &access.private_key)?;
        let mut nodes = access.nodes;
        nodes.sort_by(|a, b| natural::cmp(&a.name, &b.name));
        for node in nodes {
            let node: NodeName =
                node.name.parse().map_err(|_| CliError::Answer { missing: "a usable node name" })?;
            known.text.push('\n');
            known.text += &host_block((&node, &name, realm), &files, &proxy, client_version)?;
        }
        known.clusters.push(name.to_string());
    }
    Ok(known)
}

async fn clusters(client: &Client, realm: &RealmName) -> Result<Vec<ClusterName>, CliError> {
    let mut clusters = client.list_clusters(realm).await?;
    clusters.retain(|cluster| cluster.phase != Phase::Deleting);
    clusters.sort_by(|a, b| natural::cmp(&a.name, &b.name));
    let names = clusters.into_iter().map(|cluster| cluster.name.parse());
    names.collect::<Result<_, _>>().map_err(|_| CliError::Answer { missing: "usable cluster names" })
}

fn header(realm: &RealmName, proxy: &ProxyWords) -> String {
    let store = match proxy.needs_store {
        true => "# SHOAL_STORE must be set where ssh runs: it can hold a password and is not written here.\n",
        false => "",
    };
    format!("# Nodes of the realm {realm}, written by `shoal get ssh-config`.\n{store}")
}

/// Writes the realm's file and the one that users include; what is in the realm's, and where the other is.
async fn write(client: &Client, global: &Global, realm: &RealmName) -> Result<(Known, PathBuf), CliError> {
    let dir = state_dir(global)?.join("ssh");
    SshFiles::directory(&dir.join(realm.as_str()))?;
    // Held until the end: of two that write at the same time, the later one has the later list.
    let _lock = lock(dir.join(".lock")).await?;
    let known = gather(client, global, realm, None).await?;
    replace(dir.join(realm.as_str()).join(FILE), &known.text)?;
    let file = replace(dir.join(FILE), &together(&dir)?)?;
    Ok((known, file))
}

async fn lock(path: PathBuf) -> Result<Flock<File>, CliError> {
    let failed = |path: &Path, source| CliError::from(SshFilesError::new(path, source));
    let waiting = path.clone();
    let taken = tokio::task::spawn_blocking(move || {
        let file = File::options().create(true).truncate(false).write(true).open(&waiting)?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| io::Error::from(errno))
    });
    taken.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|source| failed(&path, source))
}

/// The files of all realms, in order of their names.
fn together(dir: &Path) -> Result<String, CliError> {
    let failed = |source| CliError::from(SshFilesError::new(dir, source));
    let mut realms = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let realm = entry.file_name().to_str().and_then(|name| name.parse::<RealmName>().ok());
        realms.extend(realm);
    }
    realms.sort();
    let files = realms.iter().map(|realm| dir.join(realm.as_str()).join(FILE));
    let mut texts = Vec::new();
    for file in files {
        match fs::read_to_string(&file) {
            Ok(text) => texts.push(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(SshFilesError::new(&file, source).into()),
        }
    }
    Ok(texts.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_realms_file_is_in_the_one_that_is_included() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(together(dir.path()).unwrap(), "");
        for (realm, text) in [("lab", "Host b\n"), ("default", "Host a\n"), ("Not-a-realm", "Host x\n")] {
            SshFiles::directory(&dir.path().join(realm)).unwrap();
            replace(dir.path().join(realm).join(FILE), text).unwrap();
        }
        SshFiles::directory(&dir.path().join("never-written")).unwrap();
        assert_eq!(together(dir.path()).unwrap(), "Host a\n\nHost b\n");
    }
}
