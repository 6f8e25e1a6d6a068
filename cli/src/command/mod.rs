//! The verbs, one file each: arguments, what is asked of the coordinator, what is shown.

mod agent;
mod bring_up;
mod build;
mod completion;
mod context;
mod cordon;
mod cp;
mod create;
mod delete;
mod doctor;
mod drain;
mod enter;
mod exec;
mod explain;
mod first_host;
mod follow;
mod frames;
mod get;
mod healing_args;
mod host_options;
mod inside;
mod installation;
mod load;
mod logs;
mod placing_args;
mod port_forward;
mod proxy;
mod rebalance;
mod register;
mod registry;
mod repair;
mod resume;
mod rotate;
mod serve;
mod set;
mod set_cluster;
mod sink;
mod ssh;
mod ssh_config;
mod status;
mod store;
mod sweep;
mod unregister;
mod users;
mod validate;
mod version;

use clap::Subcommand;

use crate::{args::Global, error::CliError, exit::Exit, interrupt::Interrupt};

/// A verb.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Register a Docker host
    Register(register::Register),
    /// Change a registered host, or the credentials of a registry
    Set(set::Set),
    /// Forget a host
    Unregister(unregister::Unregister),
    /// Create a cluster, or a user of servers
    Create(create::Create),
    /// Check a cluster file, without store, host or network
    ///
    /// The file is read as `shoal create cluster --config` reads it, and refused in the same words. Nothing is created or
    /// written. Whether the cluster fits on the hosts is shown by `shoal create cluster --dry-run`.
    Validate(validate::Validate),
    /// Delete clusters
    Delete(delete::Delete),
    /// Show hosts, clusters, nodes, images, networks, events
    Get(get::Get),
    /// Explain the coordinator's decisions
    Explain(explain::Explain),
    /// Show the state of every node of a cluster, and its faults
    Status(status::Status),
    /// Check hosts and the paths between them, with a remedy for each fault
    Doctor(doctor::Doctor),
    /// Run a command in a cluster's submitter, or controller if it has none
    ///
    /// Standard input goes to the command; its outputs and exit status come back. With --tty the command has this terminal:
    /// keys such as Ctrl-C go to the command, and so do changes of the window's size. When `shoal exec` is interrupted or
    /// killed, Shoal ends the command in the node: SIGHUP, and SIGKILL after 2 s. Shoal's own failures exit with 125.
    Exec(exec::Exec),
    /// Open a shell in a cluster's submitter, or controller if it has none
    ///
    /// With a terminal as standard input and output, the shell has that terminal and gets keys such as Ctrl-C. From a pipe the
    /// shell reads commands. The exit status is the shell's, or 125 when Shoal itself fails. When `shoal enter` is ended, Shoal
    /// ends the shell.
    Enter(enter::Enter),
    /// Open SSH to a node, with the OpenSSH client of this machine
    Ssh(ssh::Ssh),
    /// Copy files and directories to or from a node
    ///
    /// A directory is copied with its content. An existing directory as target receives the copy; any other target is the
    /// copy's name. Permissions are kept. Owners are not: files here belong to the user of `shoal cp`, files in a node to root.
    /// `-` stands for one file on standard input or standard output. Relative paths in a node begin at /root. An interrupted
    /// or failed copy leaves the target unchanged.
    Cp(cp::Cp),
    /// Show the journal of a node, or of one of its services
    Logs(logs::Logs),
    /// Make ports of a node reachable at ports of this machine
    ///
    /// Shoal listens on 127.0.0.1 and prints each pair of ports. Ctrl-C ends the command with status 0.
    PortForward(port_forward::PortForward),
    /// Connect standard input and output to a port of a node
    #[command(hide = true)]
    Proxy(proxy::Proxy),
    /// Build the image of nodes
    Build(build::Build),
    /// Load an image into hosts
    Load(load::Load),
    /// Bring ready clusters back to what they should be: nodes, networks, agents
    ///
    /// Nodes that have ended are started; a node whose container is missing, or elsewhere on the network, is made anew; agents, Docker
    /// networks and tunnels come back. Nodes keep their names, addresses and keys, and their controller keeps its queue. A host that
    /// does not answer keeps its nodes as they are. A node that was drained stays drained. Exit status 0: every node is as it
    /// should be; 1: some are not.
    Repair(repair::Repair),
    /// Keep new nodes off a host
    Cordon(cordon::Cordon),
    /// Place nodes on a host again
    Uncordon(cordon::Uncordon),
    /// Move all nodes of a host to others
    ///
    /// No new node is placed there, and Slurm gives the workers there no new jobs. Those without jobs move, a batch at a time, with
    /// their names, addresses and keys; and get jobs again. The controller moves last, with its queue. What has moved has
    /// moved: after an interrupt, or when jobs do not end in time, the next drain goes on. Exit status 0: no node is there; 1: some are.
    Drain(drain::Drain),
    /// Exchange the keys of a cluster
    Rotate(rotate::Rotate),
    /// Move idle workers to hosts that carry less, such as one that was drained and is schedulable again
    ///
    /// Each cluster's own strategy says where its workers had better be; with binpack, hosts are freed. The plan is shown first, with what
    /// hosts carry before and after. Only workers without jobs move, a batch at a time, with their names, addresses and keys. What gains
    /// less than one part in twenty stays. What has moved has moved: after an interrupt the next rebalance goes on. Exit status 0: it was
    /// done, or nothing was to do; 1: it was not done to the end.
    Rebalance(rebalance::Rebalance),
    /// Finish the realm's interrupted creates and deletes
    Resume(resume::Resume),
    /// Remove leftovers from the hosts: objects of this installation without a row in the store
    Sweep(sweep::Sweep),
    /// Stay and keep clusters as they should be; other commands then use this server
    ///
    /// Ready clusters are repaired as soon as something happens to them, interrupted creates and deletes are finished, and leftovers of
    /// lost hosts are removed. Every command with the same state directory uses the server by itself, through a socket that only this
    /// user and root can open. SIGTERM and SIGINT end it: creates and deletes under way are left to the next server or command. A
    /// second signal ends it at once.
    Serve(serve::Serve),
    /// Move the store: to a file, and from one
    Store(store::StoreCommand),
    /// Choose the server that commands are for: contexts of servers elsewhere
    ///
    /// A context is the file that `shoal create user` writes: where a server is, and who one is there. It is chosen by
    /// --server-context, else SHOAL_CONTEXT, else, unless --socket, --store or --state-dir name something of this machine, by
    /// `shoal context use`. Contexts of Docker's client name engines; they are for `shoal register --context`.
    Context(context::Context),
    /// Revoke a user of servers
    Revoke(users::Revoke),
    /// Show the version, and the server that commands are for
    Version(version::Version),
    /// Print a shell's completion script
    Completion(completion::Completion),
    /// Run or reach the agent of a host
    #[command(hide = true)]
    Agent(agent::Agent),
}

impl Command {
    /// Runs the verb.
    ///
    /// # Errors
    /// [`CliError`]: the verb's failure.
    pub(crate) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        match self {
            Self::Register(command) => command.run(global, interrupt).await,
            Self::Set(command) => command.run(global, interrupt).await,
            Self::Unregister(command) => command.run(global, interrupt).await,
            Self::Create(command) => command.run(global, interrupt).await,
            Self::Validate(command) => command.run(global),
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
            Self::Repair(command) => command.run(global, interrupt).await,
            Self::Cordon(command) => command.run(global, interrupt).await,
            Self::Uncordon(command) => command.run(global, interrupt).await,
            Self::Drain(command) => command.run(global, interrupt).await,
            Self::Rotate(command) => command.run(global, interrupt).await,
            Self::Rebalance(command) => command.run(global, interrupt).await,
            Self::Resume(command) => command.run(global, interrupt).await,
            Self::Sweep(command) => command.run(global, interrupt).await,
            Self::Serve(command) => command.run(global, interrupt).await,
            Self::Store(command) => command.run(global, interrupt).await,
            Self::Context(command) => command.run(global),
            Self::Revoke(command) => command.run(global, interrupt).await,
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
            | Self::Validate(_)
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
            | Self::Repair(_)
            | Self::Cordon(_)
            | Self::Uncordon(_)
            | Self::Drain(_)
            | Self::Rotate(_)
            | Self::Rebalance(_)
            | Self::Resume(_)
            | Self::Sweep(_)
            | Self::Serve(_)
            | Self::Store(_)
            | Self::Context(_)
            | Self::Revoke(_)
            | Self::Version(_)
            | Self::Completion(_)
            | Self::Agent(_) => None,
        }
    }

    /// Log level without `--verbose`. The agent logs more: its log is its only trace.
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
            | Self::Validate(_)
            | Self::Delete(_)
            | Self::Get(_)
            | Self::Logs(_)
            | Self::Cp(_)
            | Self::Explain(_)
            | Self::Status(_)
            | Self::Doctor(_)
            | Self::Build(_)
            | Self::Load(_)
            | Self::Repair(_)
            | Self::Cordon(_)
            | Self::Uncordon(_)
            | Self::Drain(_)
            | Self::Rotate(_)
            | Self::Rebalance(_)
            | Self::Resume(_)
            | Self::Sweep(_)
            | Self::Store(_)
            | Self::Context(_)
            | Self::Revoke(_)
            | Self::Version(_)
            | Self::Completion(_) => Some(2),
            // It works on many clusters at once.
            Self::Serve(_) => Some(std::thread::available_parallelism().map_or(2, |n| n.get().max(2))),
        }
    }
}
