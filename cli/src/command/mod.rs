//! The verbs, one file each: arguments, what is asked of the coordinator, what is shown.

mod agent;
mod bring_up;
mod build;
mod completion;
mod cp;
mod create;
mod delete;
mod doctor;
mod enter;
mod exec;
mod explain;
mod first_host;
mod frames;
mod get;
mod host_options;
mod inside;
mod load;
mod logs;
mod onlook;
mod placing_args;
mod port_forward;
mod proxy;
mod register;
mod registry;
mod resume;
mod set;
mod sink;
mod ssh;
mod ssh_config;
mod status;
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
    /// Change what is registered: a host, or credentials of a registry
    Set(set::Set),
    /// Forget a host
    Unregister(unregister::Unregister),
    /// Create a cluster
    Create(create::Create),
    /// Delete clusters
    Delete(delete::Delete),
    /// Show hosts, clusters, nodes, images, networks, events
    Get(get::Get),
    /// Say why things are as they are
    Explain(explain::Explain),
    /// Show how every node of a cluster is, and what is wrong
    Status(status::Status),
    /// Check hosts and the ways between them, and say what to do
    Doctor(doctor::Doctor),
    /// Run a command in a cluster's submitter, or controller if it has none
    ///
    /// Standard input goes to the command, its outputs and its status come back. With --tty it has this terminal: keys such
    /// as Ctrl-C are for the command, and it is told when the window changes. A command whose `shoal exec` is interrupted or
    /// killed is ended in the node too: SIGHUP, and after 2 s SIGKILL. Shoal's own failures end with 125.
    Exec(exec::Exec),
    /// Open a shell in a cluster's submitter, or controller if it has none
    ///
    /// With a terminal as standard input and output the shell has it, and keys such as Ctrl-C are for the shell; from a pipe it
    /// reads commands. Ends with the shell's status, with 125 if Shoal itself fails, and ends the shell if it is ended itself.
    Enter(enter::Enter),
    /// Open SSH to a node, with the OpenSSH client of this machine
    Ssh(ssh::Ssh),
    /// Copy files and directories to or from a node
    ///
    /// A directory is copied with everything in it; into a directory that is there, else under the name given. Permissions are
    /// kept, owners are not: files belong to whoever copies, in a node to root. With `-` one file is written to standard output
    /// or read from standard input. Paths in a node that are not absolute are below /root. A copy that does not end, because
    /// it is interrupted or fails, leaves what was there before.
    Cp(cp::Cp),
    /// Show the journal of a node, or of one of its services
    Logs(logs::Logs),
    /// Make ports of a node reachable at ports of this machine
    ///
    /// Listens on 127.0.0.1 and prints where each port leads, until Ctrl-C ends it with status 0.
    PortForward(port_forward::PortForward),
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
            Self::Explain(command) => command.run(global, interrupt).await,
            Self::Status(command) => command.run(global, interrupt).await,
            Self::Doctor(command) => command.run(global, interrupt).await,
            Self::Exec(command) => command.run(global, interrupt).await,
            Self::Enter(command) => command.run(global, interrupt).await,
            Self::Ssh(command) => command.run(global, interrupt).await,
            Self::Cp(command) => command.run(global, interrupt).await,
            Self::Logs(command) => command.run(global, interrupt).await,
            Self::PortForward(command) => command.run(global, interrupt).await,
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

    /// The exit status of its own failures, where that is not told by the error: these pass on another program's.
    pub(crate) fn own_failure(&self) -> Option<Exit> {
        match self {
            Self::Exec(_) | Self::Enter(_) => Some(Exit::ExecFailed),
            Self::Ssh(_) => Some(Exit::SshFailed),
            Self::Register(_)
            | Self::Set(_)
            | Self::Unregister(_)
            | Self::Create(_)
            | Self::Delete(_)
            | Self::Get(_)
            | Self::Cp(_)
            | Self::Logs(_)
            | Self::PortForward(_)
            | Self::Explain(_)
            | Self::Status(_)
            | Self::Doctor(_)
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

    /// Worker threads besides the calling one, which does everything where there are none. What carries streams has none, and
    /// the agent, which carries their other ends: a piece passes through five tasks, and to wake another thread costs more than to
    /// handle it (a tunnel carried 0.66 instead of 0.57 of a `docker exec`, an exec 1.1 instead of 0.9, on two cores, 2026-11-21).
    /// Nothing there may wait for a disk or a reader but in a thread of its own. `ssh` has none because it becomes another program.
    pub(crate) fn threads(&self) -> Option<usize> {
        match self {
            Self::Ssh(_)
            | Self::Proxy(_)
            | Self::Exec(_)
            | Self::Enter(_)
            | Self::PortForward(_)
            | Self::Agent(_) => None,
            Self::Register(_)
            | Self::Set(_)
            | Self::Unregister(_)
            | Self::Create(_)
            | Self::Delete(_)
            | Self::Get(_)
            | Self::Logs(_)
            | Self::Cp(_)
            | Self::Explain(_)
            | Self::Status(_)
            | Self::Doctor(_)
            | Self::Build(_)
            | Self::Load(_)
            | Self::Resume(_)
            | Self::Sweep(_)
            | Self::Version(_)
            | Self::Completion(_) => Some(2),
        }
    }
}
