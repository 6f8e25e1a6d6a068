//! What an SSH client must be told to reach a node: how to get there, whom to trust, and with which key. Once for `shoal ssh`,
//! which gives it as arguments, and for `shoal get ssh-config`, which writes it down.

use std::path::{Path, PathBuf};

use shoal_types::{ClusterName, NodeName, RealmName, node_fqdn};

use crate::{
    args::Global,
    error::CliError,
    quote::{self, QuoteError},
    ssh::files::SshFiles,
};

/// How a proxy of this installation is started, up to the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProxyWords {
    words: Vec<String>,
    /// The store is named by a URL, which can hold a password: it must come from the environment.
    pub(crate) needs_store: bool,
}

impl ProxyWords {
    /// As this process was started.
    ///
    /// # Errors
    /// [`CliError::File`], [`CliError::StateDir`]: a path cannot be told. [`CliError::Usage`]: it is not UTF-8.
    pub(crate) fn of(global: &Global, realm: &RealmName) -> Result<Self, CliError> {
        let own = std::env::current_exe().map_err(|source| CliError::File {
            action: "find",
            path: "shoal".into(),
            source,
        })?;
        let mut words = vec![text(&own)?, "--state-dir".into(), text(&state_dir(global)?)?];
        let needs_store = global.store.as_ref().is_some_and(|store| store.contains("://"));
        if let Some(store) = global.store.as_ref().filter(|_| !needs_store) {
            words.extend(["--store".into(), text(&absolute(Path::new(store))?)?]);
        }
        if let Some(file) = &global.key_file {
            words.extend(["--key-file".into(), text(&absolute(file)?)?]);
        }
        for binary in global.agent_binaries().values() {
            words.extend(["--agent-binary".into(), text(&absolute(binary)?)?]);
        }
        words.extend(["--realm".into(), realm.to_string(), "proxy".into()]);
        Ok(Self { words, needs_store })
    }

    fn to(&self, node: &NodeName, cluster: &ClusterName) -> Vec<String> {
        self.words.iter().cloned().chain([format!("{node}.{cluster}")]).collect()
    }
}

/// The state directory as an absolute path.
///
/// # Errors
/// As [`ProxyWords::of`].
pub(crate) fn state_dir(global: &Global) -> Result<PathBuf, CliError> {
    absolute(&global.state_dir()?)
}

fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    std::path::absolute(path).map_err(|source| CliError::File { action: "find", path: path.into(), source })
}

fn text(path: &Path) -> Result<String, CliError> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        CliError::usage(
            format!("{} is not UTF-8, which an SSH client must be told in", path.display()),
            "use another --state-dir".to_owned(),
        )
    })
}

/// Options of ssh_config(5), keyword and value, for one node.
///
/// # Errors
/// [`QuoteError`]: a path has what cannot be written there.
pub(crate) fn ssh_options(
    (node, cluster, realm): (&NodeName, &ClusterName, &RealmName),
    files: &SshFiles,
    proxy: &ProxyWords,
) -> Result<Vec<(&'static str, String)>, QuoteError> {
    let fqdn = node_fqdn(node, cluster, realm);
    Ok(vec![
        ("HostName", fqdn.clone()),
        ("User", "root".into()),
        ("ProxyCommand", quote::proxy_command(&proxy.to(node, cluster))?),
        ("ProxyUseFdpass", "no".into()),
        ("UserKnownHostsFile", quote::config_path(&files.known_hosts)?),
        ("GlobalKnownHostsFile", "/dev/null".into()),
        ("StrictHostKeyChecking", "yes".into()),
        ("UpdateHostKeys", "no".into()),
        ("CheckHostIP", "no".into()),
        ("HostKeyAlias", fqdn),
        ("IdentityFile", quote::config_path(&files.identity)?),
        ("IdentitiesOnly", "yes".into()),
        // Root of a node would use what a user's `Host *` lends: keys, screen, commands here.
        ("ForwardAgent", "no".into()),
        ("ForwardX11", "no".into()),
        ("PermitLocalCommand", "no".into()),
    ])
}

/// The block of one node for ssh_config(5): its short alias, with the realm where that is not the default, and its full name.
///
/// # Errors
/// As [`ssh_options`].
pub(crate) fn host_block(
    name: (&NodeName, &ClusterName, &RealmName),
    files: &SshFiles,
    proxy: &ProxyWords,
) -> Result<String, QuoteError> {
    let (node, cluster, realm) = name;
    let alias = match *realm == RealmName::default() {
        true => format!("{node}.{cluster}"),
        false => format!("{node}.{cluster}.{realm}"),
    };
    let lines = ssh_options(name, files, proxy)?;
    let lines: String = lines.iter().map(|(keyword, value)| format!("    {keyword} {value}\n")).collect();
    Ok(format!("Host {alias} {}\n{lines}", node_fqdn(node, cluster, realm)))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{collections::BTreeMap, process::Command};

    use proptest::prelude::*;

    use super::*;

    pub(crate) fn proxy(state_dir: &str) -> ProxyWords {
        let words = ["printf", "%s|", "--state-dir", state_dir, "proxy"].map(String::from).into();
        ProxyWords { words, needs_store: false }
    }

    fn files(dir: &str) -> SshFiles {
        let dir = Path::new(dir);
        SshFiles { known_hosts: dir.join("known_hosts"), identity: dir.join("id_ed25519") }
    }

    /// What OpenSSH makes of a configuration for a host: keyword -> value.
    fn read(config: &str, host: &str) -> BTreeMap<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        std::fs::write(&file, config).unwrap();
        let output = Command::new("ssh").arg("-F").arg(&file).args(["-G", host]).output().unwrap();
        assert!(output.status.success(), "{}\n{config}", String::from_utf8_lossy(&output.stderr));
        let shown = String::from_utf8(output.stdout).unwrap();
        let pairs = shown.lines().filter_map(|line| line.split_once(' '));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_block_per_node() {
        let (node, cluster) = ("worker-0".parse().unwrap(), "dev".parse().unwrap());
        let block = |realm: &str| {
            host_block((&node, &cluster, &realm.parse().unwrap()), &files("/s/ssh"), &proxy("/s")).unwrap()
        };
        insta::assert_snapshot!(block("default") + &block("lab"), @r#"
        Host worker-0.dev worker-0.dev.default.shoal.internal
            HostName worker-0.dev.default.shoal.internal
            User root
            ProxyCommand printf '%%s|' --state-dir /s proxy worker-0.dev
            ProxyUseFdpass no
            UserKnownHostsFile "/s/ssh/known_hosts"
            GlobalKnownHostsFile /dev/null
            StrictHostKeyChecking yes
            UpdateHostKeys no
            CheckHostIP no
            HostKeyAlias worker-0.dev.default.shoal.internal
            IdentityFile "/s/ssh/id_ed25519"
            IdentitiesOnly yes
            ForwardAgent no
            ForwardX11 no
            PermitLocalCommand no
        Host worker-0.dev.lab worker-0.dev.lab.shoal.internal
            HostName worker-0.dev.lab.shoal.internal
            User root
            ProxyCommand printf '%%s|' --state-dir /s proxy worker-0.dev
            ProxyUseFdpass no
            UserKnownHostsFile "/s/ssh/known_hosts"
            GlobalKnownHostsFile /dev/null
            StrictHostKeyChecking yes
            UpdateHostKeys no
            CheckHostIP no
            HostKeyAlias worker-0.dev.lab.shoal.internal
            IdentityFile "/s/ssh/id_ed25519"
            IdentitiesOnly yes
            ForwardAgent no
            ForwardX11 no
            PermitLocalCommand no
        "#);
        let config = block("default") + &block("lab");
        for (host, fqdn) in [
            ("worker-0.dev", "worker-0.dev.default.shoal.internal"),
            ("worker-0.dev.lab", "worker-0.dev.lab.shoal.internal"),
            ("worker-0.dev.lab.shoal.internal", "worker-0.dev.lab.shoal.internal"),
        ] {
            let read = read(&config, host);
            assert_eq!((read["hostname"].as_str(), read["hostkeyalias"].as_str()), (fqdn, fqdn));
            assert_eq!((read["user"].as_str(), read["stricthostkeychecking"].as_str()), ("root", "true"));
        }
        let lends =
            format!("{config}Host *\n    ForwardAgent yes\n    ForwardX11 yes\n    PermitLocalCommand yes\n");
        for keyword in ["forwardagent", "forwardx11", "permitlocalcommand"] {
            assert_eq!(read(&lends, "worker-0.dev")[keyword], "no", "{keyword} of a node");
            assert_eq!(read(&lends, "elsewhere")[keyword], "yes", "{keyword} of others");
        }
        assert!(!read(&config, "worker-0").contains_key("proxycommand"));
        assert!(!read(&config, "worker-0.devel").contains_key("proxycommand"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// For any name of the state directory: either the name is refused, or OpenSSH and the shell of its ProxyCommand
        /// read back exactly these paths, and nothing else of the file changes.
        #[test]
        fn no_path_gets_out_of_its_place(
            dir in "/([a-c ]|['\"\\\\`%$#~*;&|<>(){}!=,]|%h|%%|\\$\\(id\\)|\\$\\{HOME\\}|`id`|\n|\n Host x\n|\t|\r|ä){0,12}x"
        ) {
            let (node, cluster) = ("worker-0".parse().unwrap(), "dev".parse().unwrap());
            let name = (&node, &cluster, &RealmName::default());
            let block = host_block(name, &files(&dir), &proxy(&dir));
            let unwritable = dir.contains("${") || dir.chars().any(char::is_control);
            prop_assert_eq!(block.is_err(), unwritable);
            let Ok(block) = block else { return Ok(()) };
            let read = read(&format!("{block}Host other\n    User nobody\n"), "worker-0.dev");
            prop_assert_eq!(&read["user"], "root");
            // ssh -G shows these two before it expands them: a doubled percent sign is one.
            let shown = read["proxycommand"].replace("%%", "%");
            let ran = Command::new("sh").arg("-c").arg(format!("exec {shown}")).output().unwrap();
            prop_assert_eq!(String::from_utf8(ran.stdout).unwrap(), format!("--state-dir|{dir}|proxy|worker-0.dev|"));
            prop_assert_eq!(&read["userknownhostsfile"], &format!("{dir}/known_hosts"));
            prop_assert_eq!(read["identityfile"].replace("%%", "%"), format!("{dir}/id_ed25519"));
        }
    }
}
