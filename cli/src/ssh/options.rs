//! What an SSH client must be told to reach a node: how to get there, whom to trust, and with which key. Once for `shoal ssh`,
//! which gives it as arguments, and for `shoal get ssh-config`, which writes it down.

use std::path::{Path, PathBuf};

use shoal_types::{ClusterName, NodeName, RealmName, node_fqdn};

use crate::{
    args::Global,
    error::CliError,
    quote::{self, QuoteError},
    server_context::{Choice, LOCAL, choose, files_dir},
    ssh::{client::ClientVersion, files::SshFiles},
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
        let mut words = vec![text(&own)?, "--state-dir".into(), text(&absolute(&global.state_dir()?)?)?];
        let choice = choose(global).map_err(CliError::Choice)?;
        let context = if let Choice::Elsewhere { name, .. } = &choice { name.as_str() } else { LOCAL };
        words.extend(["--server-context".into(), context.into()]);
        let needs_store = global.store.as_ref().is_some_and(|store| store.contains("://"));
        if let Some(store) = global.store.as_ref().filter(|_| !needs_store) {
            words.extend(["--store".into(), text(&absolute(Path::new(store))?)?]);
        }
        if let Some(socket) = &global.socket {
            words.extend(["--socket".into(), text(&absolute(socket)?)?]);
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

/// The directory of these files as an absolute path: the state directory, or a part of it for a server elsewhere.
///
/// # Errors
/// As [`ProxyWords::of`].
pub(crate) fn state_dir(global: &Global) -> Result<PathBuf, CliError> {
    let choice = choose(global).map_err(CliError::Choice)?;
    absolute(&files_dir(global.state_dir()?, &choice))
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

/// Every option of ssh_config(5) that decides where a connection goes, how it is made and what it lends, keyword and value, for one
/// node: the first value of an option holds, so nothing that a user says of `Host *` is taken instead. What is left to the user
/// changes neither (`tests` lists it), or adds to a list that ours begins, as `IdentityFile` does.
///
/// # Errors
/// [`QuoteError`]: a path has what cannot be written there.
pub(crate) fn ssh_options(
    (node, cluster, realm): (&NodeName, &ClusterName, &RealmName),
    files: &SshFiles,
    proxy: &ProxyWords,
    client: ClientVersion,
) -> Result<Vec<(&'static str, String)>, QuoteError> {
    let fqdn = node_fqdn(node, cluster, realm);
    let mut options = vec![
        ("HostName", fqdn.clone()),
        ("User", "root".into()),
        ("ProxyCommand", quote::proxy_command(&proxy.to(node, cluster))?),
        ("UserKnownHostsFile", quote::config_path(&files.known_hosts)?),
        ("HostKeyAlias", fqdn),
        ("IdentityFile", quote::config_path(&files.identity)?),
    ];
    options.extend(FIXED.iter().map(|(keyword, value)| (*keyword, (*value).to_owned())));
    let known = NEWER.iter().filter(|(_, _, since)| client >= *since);
    options.extend(known.map(|(keyword, value, _)| (*keyword, (*value).to_owned())));
    Ok(options)
}

/// Options that are the same for every node. All of them are known to OpenSSH 7.6 (2017).
const FIXED: &[(&str, &str)] = &[
    // Where: by the proxy and by no connection that is open already.
    ("Port", "22"),
    ("CanonicalizeHostname", "no"),
    ("ProxyUseFdpass", "no"),
    ("ControlMaster", "no"),
    ("ControlPath", "none"),
    ("ControlPersist", "no"),
    // The proxy asks a store and an engine before it is at the node.
    ("ConnectTimeout", "60"),
    // Who is there: one key in one file.
    ("GlobalKnownHostsFile", "/dev/null"),
    ("StrictHostKeyChecking", "yes"),
    ("UpdateHostKeys", "no"),
    ("CheckHostIP", "no"),
    ("VerifyHostKeyDNS", "no"),
    ("NoHostAuthenticationForLocalhost", "no"),
    ("RevokedHostKeys", "none"),
    ("HostKeyAlgorithms", "ssh-ed25519"),
    // Who asks: the cluster's key, before any that a user has for all hosts; no agent offers its own first.
    ("PubkeyAuthentication", "yes"),
    ("PreferredAuthentications", "publickey"),
    ("PubkeyAcceptedKeyTypes", "+ssh-ed25519"),
    ("IdentitiesOnly", "yes"),
    ("IdentityAgent", "none"),
    ("PKCS11Provider", "none"),
    ("AddKeysToAgent", "no"),
    // What a user takes for an old machine may be refused by a node.
    ("KexAlgorithms", "+ecdh-sha2-nistp256"),
    ("Ciphers", "+aes128-ctr"),
    ("MACs", "+hmac-sha2-256"),
    // What runs: the command asked for, and a terminal where it has one.
    ("RemoteCommand", "none"),
    ("RequestTTY", "auto"),
    // Root of a node would use what a user's `Host *` lends: keys, screen, commands here. A forwarding that fails is no reason
    // to have no session.
    ("ForwardAgent", "no"),
    ("ForwardX11", "no"),
    ("PermitLocalCommand", "no"),
    ("Tunnel", "no"),
    ("ExitOnForwardFailure", "no"),
];

/// Those of newer clients: with the version that brought them.
const NEWER: &[(&str, &str, ClientVersion)] = &[
    ("KnownHostsCommand", "none", ClientVersion(8, 5)),
    ("SessionType", "default", ClientVersion(8, 7)),
    ("StdinNull", "no", ClientVersion(8, 7)),
    ("ForkAfterAuthentication", "no", ClientVersion(8, 7)),
];

/// The block of one node for ssh_config(5): its short alias, with the realm where that is not the default, and its full name.
///
/// # Errors
/// As [`ssh_options`].
pub(crate) fn host_block(
    name: (&NodeName, &ClusterName, &RealmName),
    files: &SshFiles,
    proxy: &ProxyWords,
    client: ClientVersion,
) -> Result<String, QuoteError> {
    let (node, cluster, realm) = name;
    let alias = match *realm == RealmName::default() {
        true => format!("{node}.{cluster}"),
        false => format!("{node}.{cluster}.{realm}"),
    };
    let lines = ssh_options(name, files, proxy, client)?;
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

    /// A client that knows all of them.
    const NEW: ClientVersion = ClientVersion(9, 0);

    /// All of ssh_config(5) as somebody may have it for all hosts, to the harm of nodes.
    const HOSTILE: &str = "Host *
    AddKeysToAgent yes
    AddressFamily inet6
    BatchMode yes
    BindAddress 192.0.2.1
    CanonicalDomains example.com
    CanonicalizeHostname always
    CanonicalizePermittedCNAMEs *:*
    CASignatureAlgorithms rsa-sha2-512
    CertificateFile /nowhere/other-cert.pub
    CheckHostIP yes
    Ciphers 3des-cbc
    ClearAllForwardings no
    Compression yes
    ConnectionAttempts 5
    ConnectTimeout 1
    ControlMaster yes
    ControlPath /nowhere/one-for-all
    ControlPersist yes
    DynamicForward 1080
    EscapeChar none
    ExitOnForwardFailure yes
    ForkAfterAuthentication yes
    ForwardAgent yes
    ForwardX11 yes
    ForwardX11Trusted yes
    GatewayPorts yes
    GlobalKnownHostsFile /nowhere/all
    HashKnownHosts yes
    HostbasedAuthentication yes
    HostKeyAlgorithms rsa-sha2-512
    HostKeyAlias other
    HostName bastion.example
    IdentitiesOnly no
    IdentityAgent /nowhere/agent
    IdentityFile /nowhere/other
    KbdInteractiveAuthentication yes
    KexAlgorithms diffie-hellman-group1-sha1
    KnownHostsCommand /bin/false
    LocalCommand touch /tmp/x
    LocalForward 8080 localhost:80
    LogLevel QUIET
    MACs hmac-md5
    NoHostAuthenticationForLocalhost yes
    PasswordAuthentication yes
    PermitLocalCommand yes
    PKCS11Provider /nowhere/card.so
    Port 2222
    PreferredAuthentications password,keyboard-interactive
    ProxyCommand nc %h %p
    ProxyJump bastion
    ProxyUseFdpass yes
    PubkeyAcceptedAlgorithms rsa-sha2-512
    PubkeyAuthentication no
    RemoteCommand tmux attach
    RemoteForward 9090 localhost:90
    RequestTTY force
    RevokedHostKeys /nowhere/revoked
    SendEnv FOO
    ServerAliveInterval 1
    SessionType none
    SetEnv A=B
    StdinNull yes
    StreamLocalBindMask 0777
    StreamLocalBindUnlink yes
    StrictHostKeyChecking no
    TCPKeepAlive no
    Tunnel yes
    TunnelDevice 3:4
    UpdateHostKeys ask
    User nobody
    UserKnownHostsFile /nowhere/own
    VerifyHostKeyDNS yes
    VisualHostKey yes
";

    /// What stays a user's, because it changes neither where a connection goes nor whether it is made: what is for a client that
    /// dials itself (the first line) or for something that is off, looks, patience, and what adds to a list.
    const USERS: &[&str] = &[
        "addressfamily",
        "bindaddress",
        "connectionattempts",
        "tcpkeepalive",
        "canonicaldomains",
        "canonicalizePermittedcnames",
        "casignaturealgorithms",
        "forwardx11trusted",
        "gatewayports",
        "hashknownhosts",
        "hostbasedauthentication",
        "kbdinteractiveauthentication",
        "localcommand",
        "passwordauthentication",
        "streamlocalbindmask",
        "streamlocalbindunlink",
        "tunneldevice",
        "batchmode",
        "compression",
        "escapechar",
        "loglevel",
        "serveraliveinterval",
        "visualhostkey",
        "certificatefile",
        "dynamicforward",
        "identityfile",
        "localforward",
        "remoteforward",
        "sendenv",
        "setenv",
    ];

    /// Keyword -> its values, in order, as OpenSSH understands `ssh -F FILE WORDS`.
    fn understood(config: &str, words: &[String]) -> BTreeMap<String, Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        std::fs::write(&file, config).unwrap();
        let output = Command::new("ssh").arg("-F").arg(&file).arg("-G").args(words).output().unwrap();
        assert!(output.status.success(), "{}\n{config}", String::from_utf8_lossy(&output.stderr));
        let mut values = BTreeMap::<String, Vec<String>>::new();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
            values.entry(keyword.into()).or_default().push(value.into());
        }
        values
    }

    /// Keywords with different values.
    fn differing(one: &BTreeMap<String, Vec<String>>, other: &BTreeMap<String, Vec<String>>) -> Vec<String> {
        let keywords: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
        keywords.into_iter().filter(|keyword| one.get(*keyword) != other.get(*keyword)).cloned().collect()
    }

    #[test]
    fn nothing_for_all_hosts_decides_where_and_how() {
        let (node, cluster) = ("worker-0".parse().unwrap(), "dev".parse().unwrap());
        let name = (&node, &cluster, &RealmName::default());
        let client = ClientVersion::of_ssh();
        let block = host_block(name, &files("/s/ssh"), &proxy("/s"), client).unwrap();
        let other_proxy = HOSTILE.replace("    ProxyCommand nc %h %p\n", "");
        let mut harmed = Vec::new();
        for hostile in [HOSTILE, &other_proxy] {
            let target = ["worker-0.dev".to_owned()];
            let (alone, among) =
                (understood(&block, &target), understood(&format!("{block}{hostile}"), &target));
            let changed = differing(&alone, &among);
            let ours: Vec<_> = changed.iter().filter(|keyword| !USERS.contains(&keyword.as_str())).collect();
            assert!(ours.is_empty(), "{ours:?} decide for nodes");
            assert_eq!(among["identityfile"][0], "/s/ssh/id_ed25519");
            let elsewhere = ["elsewhere".to_owned()];
            harmed.extend(differing(&understood(&block, &elsewhere), &understood(hostile, &elsewhere)));
        }
        // They are as hostile as meant: every keyword decides for a host that is no node. Of one there is nothing worse than its
        // default.
        for (keyword, _) in FIXED.iter().filter(|(keyword, _)| *keyword != "IdentitiesOnly") {
            let shown = keyword.to_lowercase().replace("keytypes", "algorithms");
            assert!(harmed.contains(&shown), "{keyword} of others is as it was");
        }
    }

    #[test]
    fn an_older_client_is_told_nothing_that_it_does_not_know() {
        let (node, cluster) = ("worker-0".parse().unwrap(), "dev".parse().unwrap());
        let name = (&node, &cluster, &RealmName::default());
        let keywords = |client| {
            let options = ssh_options(name, &files("/s"), &proxy("/s"), client).unwrap();
            options.into_iter().map(|(keyword, _)| keyword).collect::<Vec<_>>()
        };
        assert!(!keywords(ClientVersion::UNKNOWN).contains(&"KnownHostsCommand"));
        assert!(keywords(ClientVersion(8, 5)).contains(&"KnownHostsCommand"));
        assert!(!keywords(ClientVersion(8, 6)).contains(&"SessionType"));
        let all = keywords(NEW);
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len(), "each once");
        assert_eq!(all.len(), 6 + FIXED.len() + NEWER.len());
    }

    #[test]
    fn a_block_per_node() {
        let (node, cluster) = ("worker-0".parse().unwrap(), "dev".parse().unwrap());
        let block = |realm: &str| {
            host_block((&node, &cluster, &realm.parse().unwrap()), &files("/s/ssh"), &proxy("/s"), NEW)
                .unwrap()
        };
        insta::assert_snapshot!(block("default"));
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
            let block = host_block(name, &files(&dir), &proxy(&dir), NEW);
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
