//! What ssh is told. Everything that decides where the connection leads and how it behaves is said here, before the user's own
//! configuration, which keeps what is the user's: keys, agent, names, jump hosts.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::AsRawFd as _,
    path::Path,
    process::Stdio,
};

use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};
use tokio::process::Command;

use crate::{SshDestination, SshMaterial};

/// Name of the socket in its directory.
pub(super) const SOCKET: &str = "s";
/// A path of a unix socket is shorter than this (`sun_path` in unix(7)).
const SOCKET_PATH_MAX: usize = 108;
/// Runs its arguments from the second on, until they end or its standard input does; then it ends its whole process group, and
/// removes the directory that is its first argument.
pub(super) const GUARD: &str = r#"
exec 3<&0
{ read -r _ <&3; rm -f -- "$1/s"; rmdir -- "$1"; kill 0; } 2>/dev/null &
shift
"$@" </dev/null 3<&-
status=$?
kill $!
exit $status
"#;

impl SshDestination {
    /// As a person types it after `ssh`.
    pub(super) fn typed(&self) -> String {
        let port = self.port.map(|port| format!("-p {port} ")).unwrap_or_default();
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        format!("{port}{user}{}", self.host)
    }
}

/// A private key and known host keys as files that are on no disk: ssh opens them through our process.
#[derive(Debug)]
pub(super) struct Keys {
    key: File,
    known_hosts: File,
}

impl Keys {
    /// Of a host that is known by the name it is reached by.
    pub(super) fn of(material: &SshMaterial, host: &str) -> io::Result<Self> {
        Ok(Self {
            key: in_memory(material.key().as_bytes())?,
            known_hosts: in_memory(material.known_hosts(host).as_bytes())?,
        })
    }
}

fn in_memory(text: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("shoal", MemfdFlags::CLOEXEC)?);
    // ssh takes no key that others may read.
    fchmod(&file, Mode::RUSR | Mode::WUSR)?;
    file.write_all(text)?;
    Ok(file)
}

fn path(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// Whether nothing in a path has a meaning for ssh's `-L`.
pub(super) fn is_plain(path: &Path) -> bool {
    path.to_str().is_some_and(|text| {
        text.starts_with('/')
            && text.len() + "/shoal-XXXXXX/".len() + SOCKET.len() < SOCKET_PATH_MAX
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+@,=".contains(&b))
    })
}

/// ssh under its guard, with the socket in `dir`.
pub(super) async fn guarded(to: &SshDestination, keys: Option<&Keys>, dir: &Path) -> io::Result<Command> {
    let text = dir.to_str().filter(|_| is_plain(dir)).ok_or(io::ErrorKind::InvalidFilename)?;
    let mut command = Command::new("sh");
    command.args(["-c", GUARD, "sh", text, "ssh"]);
    // Where no file of the user's is read, none forks.
    if keys.is_none() && forks_if_told().await {
        command.args(["-o", STAY]);
    }
    command.args(options(to, keys, text));
    Ok(command)
}

/// An ssh that forks is out of its guard's reach.
const STAY: &str = "ForkAfterAuthentication=no";

/// Whether the client knows [`STAY`]: since 8.7, an error for an older one. `IgnoreUnknown` here would take the place of the user's.
async fn forks_if_told() -> bool {
    let mut asked = Command::new("ssh");
    asked.args(["-F", "none", "-G", "-o", STAY, "localhost"]).kill_on_drop(true);
    asked.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().await.is_ok_and(|status| status.success())
}

fn options(to: &SshDestination, keys: Option<&Keys>, dir: &str) -> Vec<String> {
    let mut options = vec!["-N".to_owned(), "-T".to_owned()];
    let mut set = |keyword: &str, value: &str| {
        options.extend(["-o".to_owned(), format!("{keyword}={value}")]);
    };
    for (keyword, value) in [
        // Nobody is there to answer, and an unknown host key is none to be learnt in passing.
        ("BatchMode", "yes"),
        ("StrictHostKeyChecking", "yes"),
        ("NoHostAuthenticationForLocalhost", "no"),
        ("VerifyHostKeyDNS", "no"),
        ("ConnectTimeout", "5"),
        ("ConnectionAttempts", "1"),
        // A silent host is noticed after 15 s, also by streams that say nothing for hours.
        ("ServerAliveInterval", "5"),
        ("ServerAliveCountMax", "3"),
        // A connection of our own, which nobody else ends.
        ("ControlMaster", "no"),
        ("ControlPath", "none"),
        ("ControlPersist", "no"),
        // Forwards of the user's for this host may be taken by a session of theirs; ours is seen by its socket.
        ("ClearAllForwardings", "no"),
        ("ExitOnForwardFailure", "no"),
        // ssh takes the last mask that it reads, against its rule: the directory is what keeps others out.
        ("StreamLocalBindMask", "0177"),
        ("StreamLocalBindUnlink", "yes"),
        ("ForwardAgent", "no"),
        ("ForwardX11", "no"),
        ("Tunnel", "no"),
        ("PermitLocalCommand", "no"),
        ("RemoteCommand", "none"),
        ("RequestTTY", "no"),
        // Its words are what a person is told.
        ("LogLevel", "INFO"),
    ] {
        set(keyword, value);
    }
    if let Some(keys) = keys {
        for (keyword, value) in [
            ("IdentityFile", &*path(&keys.key)),
            ("IdentitiesOnly", "yes"),
            ("IdentityAgent", "none"),
            ("PreferredAuthentications", "publickey"),
            ("UserKnownHostsFile", &path(&keys.known_hosts)),
            ("GlobalKnownHostsFile", "/dev/null"),
            ("HostKeyAlias", &to.host),
            ("UpdateHostKeys", "no"),
        ] {
            set(keyword, value);
        }
        // What is stored is all there is: it leads to the same host for whoever runs this.
        options.extend(["-F".to_owned(), "none".to_owned()]);
    }
    options.extend(["-L".to_owned(), format!("{dir}/{SOCKET}:{}", to.socket)]);
    if let Some(user) = &to.user {
        options.extend(["-l".to_owned(), user.clone()]);
    }
    if let Some(port) = to.port {
        options.extend(["-p".to_owned(), port.to_string()]);
    }
    options.extend(["--".to_owned(), to.host.clone()]);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openssh_reads_the_options_as_meant() {
        let to = SshDestination {
            user: Some("ann".into()),
            host: "gpu1".into(),
            port: Some(2222),
            socket: "/run/docker.sock".into(),
        };
        let options = options(&to, None, "/tmp/shoal-x");
        let shown = |options: &[String]| {
            let output = std::process::Command::new("ssh").arg("-G").args(options).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let said = shown(&options);
        for line in [
            "user ann",
            "hostname gpu1",
            "port 2222",
            "batchmode yes",
            "stricthostkeychecking true",
            "controlmaster false",
            "forwardagent no",
            "serveraliveinterval 5",
            "localforward /tmp/shoal-x/s /run/docker.sock",
        ] {
            assert!(said.lines().any(|l| l == line), "{line} in {said}");
        }
        let host = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==";
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let keys = Keys::of(&SshMaterial::new(key, vec![host.into()]).unwrap(), "gpu1").unwrap();
        let said = shown(&super::options(&to, Some(&keys), "/tmp/shoal-x"));
        for line in ["identitiesonly yes", "hostkeyalias gpu1", "globalknownhostsfile /dev/null"] {
            assert!(said.lines().any(|l| l == line), "{line} in {said}");
        }
        assert_eq!(std::fs::read_to_string(path(&keys.known_hosts)).unwrap(), format!("gpu1 {host}\n"));
    }

    #[tokio::test]
    async fn nothing_for_all_hosts_breaks_the_way() {
        const HOSTILE: &str = "Host *
    IgnoreUnknown OnlyElsewhere
    OnlyElsewhere yes
    BatchMode no
    ClearAllForwardings yes
    ControlMaster auto
    ControlPath /nowhere/one-for-all
    ControlPersist yes
    ConnectTimeout 90
    ExitOnForwardFailure yes
    ForkAfterAuthentication yes
    ForwardAgent yes
    ForwardX11 yes
    LogLevel QUIET
    NoHostAuthenticationForLocalhost yes
    PermitLocalCommand yes
    RemoteCommand tmux attach
    RequestTTY force
    ServerAliveInterval 0
    SessionType default
    StreamLocalBindUnlink no
    StrictHostKeyChecking no
    Tunnel yes
    VerifyHostKeyDNS yes
";
        let to = SshDestination { user: None, host: "gpu1".into(), port: None, socket: "/run/d.sock".into() };
        let command = guarded(&to, None, Path::new("/tmp/shoal-x")).await.unwrap();
        let words: Vec<_> = command.as_std().get_args().skip_while(|word| *word != "ssh").skip(1).collect();
        let dir = tempfile::tempdir().unwrap();
        let understood = |config: &str| {
            let file = dir.path().join("config");
            std::fs::write(&file, config).unwrap();
            let ssh = std::process::Command::new("ssh").arg("-F").arg(&file).arg("-G").args(&words).output();
            let output = ssh.unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let (alone, among) = (understood(""), understood(HOSTILE));
        // It is shown where it is set only.
        let shown = |text: &str| {
            let lines = text.lines().filter(|line| !line.starts_with("ignoreunknown"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(shown(&alone), shown(&among));
        assert!(among.contains("\nlocalforward /tmp/shoal-x/s /run/d.sock\n"), "{among}");
    }

    #[test]
    fn paths_that_ssh_would_read_otherwise_are_not_used() {
        for good in ["/run/user/1000", "/tmp"] {
            assert!(is_plain(Path::new(good)), "{good}");
        }
        let long = format!("/{}", "x".repeat(100));
        for bad in ["run", "/a b", "/a:b", "/a%h", "/${HOME}", "/a\\b", long.as_str()] {
            assert!(!is_plain(Path::new(bad)), "{bad}");
        }
    }
}
