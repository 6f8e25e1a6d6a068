//! The text of systemd units and drop-ins that the bootstrap archive brings.

use std::net::Ipv4Addr;

/// Runs early at every boot, before anything that looks up a name. Docker mounts files of its own over /etc/resolv.conf and
/// /etc/hosts and fills them anew, so they are written in place: a rename over a mount point fails.
pub(crate) const BOOTSTRAP_SERVICE: &str = "\
[Unit]
Description=Names of the Slurm cluster
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/cp /etc/shoal/resolv.conf /etc/resolv.conf
ExecStart=/bin/cp /etc/shoal/hosts /etc/hosts

[Install]
WantedBy=sysinit.target
";

/// For Slurm's daemons: started without a file that a configless node does not have, and again and again without
/// a limit, because nodes of a cluster start in any order and a fetch of the configuration that fails is final for slurmd.
/// `RestartSec` is what a worker loses at most when it was faster than its controller.
pub(crate) const SLURM_DROP_IN: &str = "\
[Unit]
ConditionPathExists=
StartLimitIntervalSec=0

[Service]
Restart=on-failure
RestartSec=300ms
";

/// What a worker's slurmd needs besides [`SLURM_DROP_IN`]: the file of [`slurmd_environment`], read after the package's own so
/// that it wins whatever the unit's command line is.
pub(crate) const SLURMD_DROP_IN: &str = "\
EnvironmentFile=/etc/shoal/slurmd.env
";

/// What slurmrestd needs besides [`SLURM_DROP_IN`]: it listens on the cluster's network for who shows a token. It refuses to run as
/// root or as `slurm`, and in a container it may not unshare what it would. Of its plugins, whose names change with every version,
/// those that ask slurmdbd are left out: without one they are fatal.
pub(crate) const SLURMRESTD_DROP_IN: &str = "\
User=nobody
Group=nogroup
Environment=SLURM_JWT=daemon SLURMRESTD_SECURITY=disable_unshare_files,disable_unshare_sysv
ExecStart=
ExecStart=/bin/sh -c 'exec /usr/sbin/slurmrestd -a rest_auth/jwt \\
    -s \"$$(/usr/sbin/slurmrestd -s list 2>&1 | sed -n \"/db/!s,.*openapi/,openapi/,p\" | paste -sd ,)\" 0.0.0.0:6820'
";

/// slurmd's options: where it fetches its configuration from, by address.
pub(crate) fn slurmd_environment(controller: Ipv4Addr, port: u16) -> String {
    format!("SLURMD_OPTIONS=--conf-server={controller}:{port}\n")
}

/// For the bootstrap service of a worker that pretends to have devices: names below /dev, which is made anew at every start. Slurm
/// wants a device behind each, and a node may make none: it gets a link to one that does nothing.
pub(crate) const DEVICES_DROP_IN: &str = "\
[Service]
ExecStart=/bin/sh -c 'while read -r file; do \
mkdir -p \"$${file%%/*}\"; [ -e \"$$file\" ] || ln -s /dev/null \"$$file\"; done </etc/shoal/devices'
";

/// sshd: by key only, and one host key with its certificate. The cluster's key, and those given at its creation, open every account:
/// they open root's. Logins and sessions are as many as the node has processes for: of more than ten that are not through yet, a
/// machine's sshd drops some, and a script over all nodes or a parallel copy has more. The first value of a setting holds (sshd_config(5)), and
/// Debian reads these files first.
pub(crate) const SSHD_DROP_IN: &str = "\
HostKey /etc/ssh/ssh_host_ed25519_key
HostCertificate /etc/ssh/ssh_host_ed25519_key-cert.pub
AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/authorized_keys
MaxStartups 1000
MaxSessions 1000
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UseDNS no
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SLURMRESTD_PORT;

    #[test]
    fn slurmrestd_listens_where_it_is_waited_for() {
        assert!(SLURMRESTD_DROP_IN.ends_with(&format!(" 0.0.0.0:{SLURMRESTD_PORT}'\n")));
    }
}
