//! The command line: what every command takes, and the verbs.

use std::{collections::BTreeMap, env, path::PathBuf};

use clap::{ArgAction, Args, Parser};
use clap_complete::ArgValueCandidates;
use shoal_types::{RealmName, chain};

use crate::{
    agent_binary::AgentBinary,
    command::Command,
    complete,
    error::CliError,
    output::{Format, Screen},
    parse::word,
    state_dir::{self, StateDirError},
};

/// Simulated Slurm clusters across the Docker hosts you have.
#[derive(Debug, Parser)]
#[command(name = "shoal", version, arg_required_else_help = true, subcommand_required = true)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_STATUS: &str = "\
Exit status: 0 done, 1 failed, 2 used wrongly, 3 not found, 4 does not fit, 5 host unreachable, 6 copied in part, 130 interrupted;
exec, enter and ssh exit with the status of the command they run; their own failures exit with 125, 125 and 255.";

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Realm of the clusters [env: SHOAL_REALM] [default: default]
    #[arg(long, global = true, value_name = "NAME", value_parser = word::<RealmName>)]
    pub(crate) realm: Option<RealmName>,
    /// Directory of the store and its key [default: $XDG_STATE_HOME/shoal or ~/.local/state/shoal]
    #[arg(long, global = true, value_name = "DIR", env = "SHOAL_STATE_DIR", hide_env_values = true)]
    pub(crate) state_dir: Option<PathBuf>,
    /// Store: postgres://... or the path of an SQLite file [default: in the state directory]
    #[arg(long, global = true, value_name = "URL", env = "SHOAL_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// Socket of `shoal serve` [default: shoal.sock in the state directory]
    #[arg(long, global = true, value_name = "PATH", env = "SHOAL_SOCKET", hide_env_values = true)]
    pub(crate) socket: Option<PathBuf>,
    /// Context of a server elsewhere, as `shoal context list` shows them; `local` is this machine [default: the current one]
    ///
    /// Contexts of Docker's client are another thing: they name engines.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "SHOAL_CONTEXT",
        hide_env_values = true,
        add = ArgValueCandidates::new(complete::server_contexts)
    )]
    pub(crate) server_context: Option<String>,
    /// File of the key that seals secrets.
    #[arg(
        long,
        global = true,
        hide = true,
        value_name = "FILE",
        env = "SHOAL_KEY_FILE",
        hide_env_values = true
    )]
    pub(crate) key_file: Option<PathBuf>,
    /// A `shoal` built for hosts of another architecture; may be repeated
    #[arg(long = "agent-binary", global = true, value_name = "FILE", value_parser = word::<AgentBinary>)]
    agent_binary: Vec<AgentBinary>,
    /// Format of results [default: human]
    #[arg(short = 'o', global = true, value_name = "FORMAT", value_enum)]
    format: Option<Format>,
    /// Show no progress, and only names as the result unless -o names a format
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say more on standard error: -v, -vv, -vvv
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl Global {
    /// The realm: `--realm`, else the configuration's, else `SHOAL_REALM`, else `default`.
    ///
    /// # Errors
    /// [`CliError::Usage`]: `SHOAL_REALM` is no realm's name.
    pub(crate) fn realm(&self, configured: Option<&RealmName>) -> Result<RealmName, CliError> {
        if let Some(realm) = self.realm.as_ref().or(configured) {
            return Ok(realm.clone());
        }
        match env::var("SHOAL_REALM") {
            Ok(name) if !name.is_empty() => {
                name.parse().map_err(|e| CliError::usage(format!("SHOAL_REALM: {}", chain(&e)), None))
            }
            Ok(_) | Err(env::VarError::NotPresent) => Ok(RealmName::default()),
            Err(env::VarError::NotUnicode(_)) => Err(CliError::usage("SHOAL_REALM is not UTF-8", None)),
        }
    }

    /// The state directory.
    ///
    /// # Errors
    /// [`StateDirError`]: nothing says where it is.
    pub(crate) fn state_dir(&self) -> Result<PathBuf, StateDirError> {
        state_dir::locate(self.state_dir.clone(), |key| env::var_os(key))
    }

    /// The socket of the server.
    ///
    /// # Errors
    /// As [`Global::state_dir`].
    pub(crate) fn socket(&self) -> Result<PathBuf, StateDirError> {
        match &self.socket {
            Some(socket) => Ok(socket.clone()),
            None => Ok(self.state_dir()?.join("shoal.sock")),
        }
    }

    /// Agents for other architectures: architecture -> file; the last of an architecture wins.
    pub(crate) fn agent_binaries(&self) -> BTreeMap<String, PathBuf> {
        self.agent_binary.iter().map(|b| (b.architecture.to_owned(), b.path.clone())).collect()
    }

    /// Where results go.
    pub(crate) fn screen(&self) -> Screen {
        Screen { asked: self.format, quiet: self.quiet }
    }
}
