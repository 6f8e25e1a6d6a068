//! This machine's abilities, and so the tiers it can run.

use std::path::Path;

/// Why something cannot run here.
pub(crate) type Reason = String;

/// Can labs be made here: real engines in namespaces of their own?
///
/// # Errors
/// Why not.
pub(crate) fn for_labs() -> Result<(), Reason> {
    for_namespaces()?;
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !release.lines().any(|line| line == "ID=debian") {
        return Err("not Debian: the lab's engines and the node image are made of its packages".into());
    }
    Ok(())
}

/// Can network namespaces be made here?
///
/// # Errors
/// Why not.
pub(crate) fn for_namespaces() -> Result<(), Reason> {
    if !cfg!(target_os = "linux") {
        return Err("not Linux: it has no namespaces".into());
    }
    if !is_root() {
        return Err("not root: namespaces, devices and mounts need it".into());
    }
    Ok(())
}

/// Is this root?
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Has Debian's own Python gRPC and its compiler?
pub(crate) fn has_python_grpc() -> bool {
    let mut python = std::process::Command::new("/usr/bin/python3");
    python.args(["-c", "import grpc, grpc_tools.protoc"]);
    python.stderr(std::process::Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Are OpenSSH's client and key generator in PATH?
pub(crate) fn has_openssh() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = |program: &str| std::env::split_paths(&path).any(|place| place.join(program).exists());
    has("ssh") && has("ssh-keygen")
}

/// Are PostgreSQL's server programs there: in PATH, or where Debian keeps them?
pub(crate) fn has_postgres() -> bool {
    let debian = Path::new("/usr/lib/postgresql").read_dir().into_iter().flatten().flatten();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain(debian.map(|version| version.path().join("bin")));
    places.any(|place| place.join("initdb").exists() && place.join("pg_ctl").exists())
        && (Path::new("/usr/sbin/pgbouncer").exists()
            || std::env::split_paths(&path).any(|place| place.join("pgbouncer").exists()))
}
