//! `shoal ssh`: the user's own OpenSSH client, told where the node is and which host key it has.
//!
//! ```text
//! shoal ssh worker-0.dev -> ssh -o ProxyCommand="shoal proxy worker-0.dev" ... root@worker-0.dev.default.shoal.internal
//!                               `-> shoal proxy -> coordinator -> agent -> port 22 of the node
//! ```

use std::{ffi::OsString, os::unix::process::CommandExt, process::Command};

use clap::Args;
use clap_complete::ArgValueCandidates;
use shoal_api::SshAccess;
use shoal_types::{RealmName, node_fqdn};

use crate::{
    args::Global,
    complete,
    connect::Session,
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
    node_ref::NodeRef,
    parse::word,
    quote::QuoteError,
    ssh::client::ClientVersion,
    ssh::files::SshFiles,
    ssh::options::{ProxyWords, ssh_options, state_dir},
};

/// Arguments of `ssh`.
#[derive(Debug, Args)]
pub(crate) struct Ssh {
    /// The node, of the cluster `default` if none is named; `USER@` before it logs in as another account than root
    #[arg(value_name = "NODE[.CLUSTER]", value_parser = word::<NodeRef>, add = ArgValueCandidates::new(complete::nodes))]
    target: NodeRef,
    /// Lend the SSH agent's keys to the node, whose root can use them meanwhile
    #[arg(short = 'A')]
    forward_agent: bool,
    /// A command to run instead of a shell; joined by spaces for the node's shell, as ssh does
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Ssh {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let realm = self.target.realm(global)?;
        let access = Session::within(global, interrupt, async |client| {
            Ok(client.ssh_access(&realm, &self.target.cluster).await?)
        })
        .await?;
        self.check_node(&access)?;
        let proxy = ProxyWords::of(global, &realm)?;
        let name = (&realm, &self.target.cluster);
        let files = SshFiles::write(&state_dir(global)?, name, &access.known_hosts, &access.private_key)?;
        let mut ssh = Command::new("ssh");
        ssh.args(self.options(&realm, &files, &proxy, ClientVersion::of_ssh())?).args(&self.command);
        // A store's address can hold a password: the environment is not shown to others, arguments are.
        ssh.envs(global.store.iter().map(|store| ("SHOAL_STORE", store)));
        ssh.envs(global.key_file.iter().map(|file| ("SHOAL_KEY_FILE", file)));
        // Becomes ssh: terminal, signals and status are its own. Returns only if that fails.
        Err(CliError::SshClient(ssh.exec()))
    }

    fn check_node(&self, access: &SshAccess) -> Result<(), CliError> {
        match access.nodes.iter().any(|node| node.name == self.target.node.as_str()) {
            true => Ok(()),
            false => Err(CliError::NoNode { target: self.target.clone() }),
        }
    }

    /// What `ssh` is told: how to get there and whom to trust, then the destination.
    fn options(
        &self,
        realm: &RealmName,
        files: &SshFiles,
        proxy: &ProxyWords,
        client: ClientVersion,
    ) -> Result<Vec<String>, QuoteError> {
        let name = (&self.target.node, &self.target.cluster, realm);
        // Of an option that is given twice, ssh takes the first. Forwardings are not asked for here, and other hosts' are cleared.
        let mut options = vec![("ClearAllForwardings", "yes".to_owned())];
        options.extend(self.target.user.as_ref().map(|user| ("User", user.as_str().to_owned())));
        options.extend(self.forward_agent.then(|| ("ForwardAgent", "yes".to_owned())));
        let stated = ssh_options(name, files, proxy, client)?.into_iter();
        // Without an agent there would be none to lend.
        options.extend(stated.filter(|(keyword, _)| !self.forward_agent || *keyword != "IdentityAgent"));
        let options = options.into_iter();
        let options = options.flat_map(|(keyword, value)| ["-o".to_owned(), format!("{keyword}={value}")]);
        let destination = node_fqdn(&self.target.node, &self.target.cluster, realm);
        // After `--`, nothing of the command is taken for an option of ssh.
        Ok(options.chain([destination, "--".into()]).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::ssh::options::tests::proxy;

    #[test]
    fn openssh_reads_the_options_as_meant() {
        let mut ssh = Ssh { target: "worker-0.dev".parse().unwrap(), forward_agent: false, command: vec![] };
        let dir = Path::new("/tmp/a b/100%h");
        let files = SshFiles { known_hosts: dir.join("known_hosts"), identity: dir.join("id_ed25519") };
        let options = ssh
            .options(&RealmName::default(), &files, &proxy("/tmp/a b/100%h"), ClientVersion::UNKNOWN)
            .unwrap();
        // `-p 77` is the command, and no option of ssh.
        let output = Command::new("ssh")
            .args(["-F", "none", "-G"])
            .args(&options)
            .args(["-p", "77"])
            .output()
            .unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        for line in [
            "user root",
            "port 22",
            "hostname worker-0.dev.default.shoal.internal",
            "hostkeyalias worker-0.dev.default.shoal.internal",
            "stricthostkeychecking true",
            "identitiesonly yes",
            "forwardagent no",
            "forwardx11 no",
            "permitlocalcommand no",
            "proxycommand printf '%%s|' --state-dir '/tmp/a b/100%%h' proxy worker-0.dev",
        ] {
            assert!(shown.lines().any(|l| l == line), "{line} in {shown}");
        }
        ssh.forward_agent = true;
        let options = ssh
            .options(&RealmName::default(), &files, &proxy("/tmp/a b/100%h"), ClientVersion::UNKNOWN)
            .unwrap();
        let output = Command::new("ssh").args(["-F", "none", "-G"]).args(&options).output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.lines().any(|l| l == "forwardagent yes"), "{shown}");
    }
}
