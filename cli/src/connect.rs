//! The way to a coordinator. It runs inside this process; commands see nothing of it but a client.

use std::env;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use shoal_api::{Caller, Client};
use shoal_coordinator::{Embedded, Options, embedded};

use crate::{args::Global, error::CliError, interrupt::Interrupt, report};

/// A coordinator, running.
#[derive(Debug)]
pub(crate) struct Session {
    coordinator: Embedded,
    client: Client,
}

impl Session {
    /// Starts a coordinator on the state directory; what is unwise about its store is said first.
    ///
    /// # Errors
    /// [`CliError::StateDir`], [`CliError::File`]: the options cannot be used. [`CliError::Coordinator`]: it does not start.
    pub(crate) async fn open(global: &Global) -> Result<Self, CliError> {
        if let Some(store) = &global.store
            && names_password(store)
            && env::args_os().any(|arg| arg.to_string_lossy().contains(store.as_str()))
        {
            report::warning(SHOWN_PASSWORD);
        }
        let options = options(global)?;
        if let Some(warning) = options.warning() {
            report::warning(&warning);
        }
        Self::start(options).await
    }

    /// The same for a shell that completes a word, without a word of its own.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub(crate) async fn quietly(global: &Global) -> Result<Self, CliError> {
        Self::start(options(global)?).await
    }

    async fn start(options: Options) -> Result<Self, CliError> {
        allow_many_files();
        let coordinator = embedded(options).await?;
        let client = Client::new(coordinator.channel(), &user());
        Ok(Self { coordinator, client })
    }

    /// Starts a coordinator, does `work` with it and ends it; an interrupt drops the work.
    ///
    /// # Errors
    /// As [`Session::open`]; those of `work`; [`CliError::Interrupted`].
    pub(crate) async fn within<T>(
        global: &Global,
        interrupt: &Interrupt,
        work: impl AsyncFnOnce(&Client) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let session = Self::open(global).await?;
        let result = tokio::select! {
            result = work(&session.client) => result,
            () = interrupt.asked() => Err(CliError::Interrupted),
        };
        session.close().await;
        result
    }

    /// Ends the coordinator: what is under way is rolled back first.
    pub(crate) async fn close(self) {
        self.coordinator.shutdown().await;
    }

    /// The client.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

/// Said where a password is an argument.
const SHOWN_PASSWORD: &str = "the password in --store is shown to every user of this machine while the command runs; give \
                              the URL in SHOAL_STORE, or the password in ~/.pgpass";

fn options(global: &Global) -> Result<Options, CliError> {
    Ok(Options {
        state_dir: global.state_dir()?,
        store: global.store.clone(),
        key_file: global.key_file.clone(),
        agent_binaries: global.agent_binaries(),
    })
}

/// Whether a URL of a store has a password: before the host, or as a parameter.
fn names_password(store: &str) -> bool {
    let Some((_, rest)) = store.split_once("://") else { return false };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let user = place.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || query.split('&').any(|pair| pair.starts_with("password="))
}

/// Open files that a process may want: thirty thousand hosts. Programs that it starts inherit the limit, and some count up to it.
const FILES: u64 = 65_536;

/// Raises the limit of open files as far as the system allows: a host at work takes two connections, and the customary 1,024 are
/// then gone with 500 hosts. A process that may not have more works with fewer hosts.
fn allow_many_files() {
    if let Ok((now, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most.min(FILES).max(now), most);
    }
}

/// The user of this process: by name where the machine has one, else by number.
fn user() -> Caller {
    let uid = nix::unistd::getuid();
    let named = nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name);
    Caller::new(&named.unwrap_or_else(|| uid.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_found() {
        for with in
            ["postgres://ann:x@db/s", "postgresql://ann@db/s?a=b&password=x", "postgres://ann:a@b@db/s"]
        {
            assert!(names_password(with), "{with}");
        }
        for without in ["postgres://ann@db:5432/s", "postgres://db:5432/s?x=password", "/a:b@c", "x.db"] {
            assert!(!names_password(without), "{without}");
        }
    }
}
