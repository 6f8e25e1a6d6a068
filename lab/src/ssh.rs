//! A way to a host by SSH: an sshd in its network namespace, with a key of the lab's that opens root's account.
//!
//! It is started when it is first asked for, and dies with the host's power. It sees the machine's files, so that an engine's
//! socket has the same path there as here.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::command::{CommandError, run};
use crate::error::{Error, file};
use crate::lab::Lab;
use crate::lock::Lock;
use crate::name::HostName;
use crate::{install, lan, wait};

/// OpenSSH's port.
const PORT: u16 = 22;
/// How long an sshd may take to listen.
const LIMIT: Duration = Duration::from_secs(10);
/// What it says to everybody before a login, as many a site's does.
const BANNER: &str = "*** This system is for authorized use only ***\n";
/// Lines of its log that an error shows.
const TAIL: usize = 5;

/// Joins the control groups before `--`, and becomes what is behind it in a session of its own.
const JOIN: &str =
    r#"while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit; shift; done; shift; exec "$@""#;

/// What an SSH client needs for a host.
#[derive(Debug, Clone)]
pub struct SshDoor {
    /// `ssh://root@ADDRESS/PATH`, the engine behind it included.
    pub endpoint: String,
    /// The private key.
    pub key: PathBuf,
    /// A known_hosts file that knows every host of the lab.
    pub known_hosts: PathBuf,
    /// What its sshd says.
    pub log: PathBuf,
}

impl Lab {
    /// Opens a host to SSH; does nothing where it is open.
    ///
    /// # Errors
    /// [`Error::NoHost`], [`Error::Install`], [`Error::Command`], [`Error::File`]; [`Error::Sshd`]: it does not listen.
    pub fn open_ssh(&self, host: HostName) -> Result<SshDoor, Error> {
        let described = self.host(host)?;
        let _lock = Lock::lab(self.name())?;
        install::ensure_sshd()?;
        let door = self.door(host)?;
        let address: SocketAddr = (described.address, PORT).into();
        if TcpStream::connect_timeout(&address, LIMIT).is_ok() {
            return Ok(door);
        }
        // Where sshd parts with its privileges.
        crate::file::make_dir(Path::new("/run/sshd"))?;
        crate::file::write(&self.dir.host(host).path().join("banner"), BANNER.as_bytes())?;
        let config = self.dir.host(host).path().join("sshd_config");
        crate::file::write(&config, self.config(described.address, host).as_bytes())?;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&door.log);
        let log = log.map_err(file("open", &door.log))?;
        let mut command = Command::new("sh");
        command.args(["-c", JOIN, "sh"]).args(self.cgroups.engine(self.name(), host)).arg("--");
        command
            .args(["setsid", "nsenter"])
            .arg(format!("--net={}", lan::namespace_path(&described.netns).display()));
        // sshd wants its own absolute path: it starts itself anew for each connection.
        command.args(["/usr/sbin/sshd", "-D", "-e", "-f"]).arg(&config);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
        command.spawn().map_err(|source| CommandError::Start { program: "sshd".into(), source })?;
        wait::until(LIMIT, || {
            let dialled = TcpStream::connect_timeout(&address, LIMIT);
            dialled.map(drop).map_err(|_| Error::Sshd { host, tail: crate::file::tail(&door.log, TAIL) })
        })?;
        Ok(door)
    }

    fn door(&self, host: HostName) -> Result<SshDoor, Error> {
        let described = self.host(host)?;
        let pki = self.dir.pki();
        let [key, host_key] = ["ssh-client", "ssh-host"].map(|name| pki.join(name));
        for key in [&key, &host_key] {
            if !key.exists() {
                run(
                    "ssh-keygen",
                    &["-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", &key.display().to_string()],
                )?;
            }
        }
        let public = host_key.with_extension("pub");
        let public = std::fs::read_to_string(&public).map_err(file("read", &public))?;
        let known: String = self.hosts().iter().map(|host| format!("{} {public}", host.address)).collect();
        let known_hosts = pki.join("ssh-known-hosts");
        crate::file::write(&known_hosts, known.as_bytes())?;
        let endpoint = format!("ssh://root@{}{}", described.address, described.socket.display());
        Ok(SshDoor { endpoint, key, known_hosts, log: self.dir.host(host).path().join("sshd.log") })
    }

    fn config(&self, address: std::net::Ipv4Addr, host: HostName) -> String {
        let pki = self.dir.pki();
        let lines = [
            format!("ListenAddress {address}:{PORT}"),
            format!("HostKey {}", pki.join("ssh-host").display()),
            format!("AuthorizedKeysFile {}", pki.join("ssh-client.pub").display()),
            // The lab's directory may be below one that others can write.
            "StrictModes no".to_owned(),
            "PermitRootLogin prohibit-password".to_owned(),
            "PasswordAuthentication no".to_owned(),
            "KbdInteractiveAuthentication no".to_owned(),
            "UsePAM no".to_owned(),
            "PidFile none".to_owned(),
            "AcceptEnv none".to_owned(),
            format!("Banner {}", self.dir.host(host).path().join("banner").display()),
        ];
        lines.join("\n") + "\n"
    }
}
