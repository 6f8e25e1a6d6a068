//! The verbs, one file each: arguments, what is asked of the coordinator, what is shown.

mod agent;
mod bring_up;
mod build;
mod completion;
mod create;
mod delete;
mod exec;
mod first_host;
mod frames;
mod get;
mod host_options;
mod load;
mod onlook;
mod proxy;
mod register;
mod resume;
mod set;
mod ssh;
mod sweep;
mod unregister;
mod version;

use clap::Subcommand;

use crate::{args::Global, error::CliError, exit::Exit, interrupt::Interrupt};

/// A verb.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Register a Docker host
    Register(register::Register),
    /// Change what is registered
    Set(set::Set),
    /// Forget a host
    Unregister(unregister::Unregister),
    /// Create a cluster
    Create(create::Create),
    /// Delete clusters
    Delete(delete::Delete),
    /// Show hosts, clusters, nodes, networks, events
    Get(get::Get),
    /// Run a command in a cluster's submitter, or controller if it has none
    Exec(exec::Exec),
    /// Open SSH to a node, with the OpenSSH client of this machine
    Ssh(ssh::Ssh),
    /// Connect standard input and output to a port of a node
    #[command(hide = true)]
    Proxy(proxy::Proxy),
    /// Build the image of nodes
    Build(build::Build),
    /// Load an image into hosts
    Load(load::Load),
    /// Finish creates and deletes of the realm that were interrupted
    Resume(resume::Resume),
    /// Remove what is on the hosts and nothing explains
    Sweep(sweep::Sweep),
    /// Show the version
    Version(version::Version),
    /// Print a shell's completion script
    Completion(completion::Completion),
    /// What runs on a host
    #[command(hide = true)]
    Agent(agent::Agent),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// [`CliError`]: what kept it from being done.
    pub(crate) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        match self {
            Self::Register(command) => command.run(global, interrupt).await,
            Self::Set(command) => command.run(global, interrupt).await,
            Self::Unregister(command) => command.run(global, interrupt).await,
            Self::Create(command) => command.run(global, interrupt).await,
            Self::Delete(command) => command.run(global, interrupt).await,
            Self::Get(command) => command.run(global, interrupt).await,
            Self::Exec(command) => command.run(global, interrupt).await,
            Self::Ssh(command) => command.run(global, interrupt).await,
            Self::Proxy(command) => command.run(global, interrupt).await,
            Self::Build(command) => command.run(global, interrupt).await,
            Self::Load(command) => command.run(global, interrupt).await,
            Self::Resume(command) => command.run(global, interrupt).await,
            Self::Sweep(command) => command.run(global, interrupt).await,
            Self::Version(command) => command.run(global),
            Self::Completion(command) => command.run(),
            Self::Agent(command) => command.run(global, interrupt).await,
        }
    }

    /// The exit status of its own failures, where that is not told by the error: these two pass on another program's.
    pub(crate) fn own_failure(&self) -> Option<Exit> {
        match self {
            Self::Exec(_) => Some(Exit::ExecFailed),
            Self::Ssh(_) => Some(Exit::SshFailed),
            Self::Register(_)
            | Self::Set(_)
            | Self::Unregister(_)
            | Self::Create(_)
            | Self::Delete(_)
            | Self::Get(_)
            | Self::Proxy(_)
            | Self::Build(_)
            | Self::Load(_)
            | Self::Resume(_)
            | Self::Sweep(_)
            | Self::Version(_)
            | Self::Completion(_)
            | Self::Agent(_) => None,
        }
    }

    /// How much it logs without being asked: the agent's log is all that is ever seen of it.
    pub(crate) fn verbosity(&self) -> u8 {
        u8::from(matches!(self, Self::Agent(_)))
    }

    /// Worker threads: one relays a stream, two do the rest, the agent's work too.
    pub(crate) fn threads(&self) -> usize {
        match self {
            Self::Proxy(_) | Self::Exec(_) | Self::Ssh(_) => 1,
            Self::Register(_)
            | Self::Set(_)
            | Self::Unregister(_)
            | Self::Create(_)
            | Self::Delete(_)
            | Self::Get(_)
            | Self::Build(_)
            | Self::Load(_)
            | Self::Resume(_)
            | Self::Sweep(_)
            | Self::Version(_)
            | Self::Completion(_)
            | Self::Agent(_) => 2,
        }
    }
}
