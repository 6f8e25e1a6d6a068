//! `shoal-lab`: the command line of the lab.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use shoal_lab::{Engines, Error, HostName, Lab, LabName, Options};

/// Several real Docker engines on this machine, each a host with its own address, TLS and power switch.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    /// The lab; several live side by side.
    #[arg(long, global = true, default_value = "lab", value_name = "LAB")]
    name: LabName,
    /// The lab's directory [default: /var/lib/shoal-lab/LAB]; give the same one to every command.
    #[arg(long, global = true)]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring the lab up: install what is missing, make or repair its hosts, wait for their engines.
    Up {
        /// How many hosts; more than it has adds some [default: as many as it has, or 3].
        #[arg(long, value_name = "N")]
        hosts: Option<usize>,
        /// Their engines [default: what they have, mixed for new ones].
        #[arg(long)]
        engine: Option<Engines>,
    },
    /// Take the lab down and leave nothing of it.
    Down {
        /// Remove what all labs share, too: engine 28's file tree.
        #[arg(long)]
        purge: bool,
    },
    /// Show the hosts and how they are.
    Status {
        /// Output format.
        #[arg(short, long, default_value = "human")]
        output: Output,
    },
    /// Cut a host's power, or kill its engine alone.
    Kill {
        /// The host.
        host: HostName,
        /// Kill dockerd only: containers live on.
        #[arg(long)]
        engine: bool,
    },
    /// Hang a host's engine: it accepts connections and never answers.
    Hang {
        /// The host.
        host: HostName,
    },
    /// Bring a host, or its engine, back after `kill` or `hang`.
    Restart {
        /// The host.
        host: HostName,
    },
    /// Pull a host's cable out of the LAN.
    Partition {
        /// The host.
        host: HostName,
    },
    /// Plug a host's cable in again.
    Mend {
        /// The host.
        host: HostName,
    },
    /// Start the first process of a host (the lab calls this itself).
    #[command(name = shoal_lab::BOOT_COMMAND, hide = true)]
    HostBoot {
        /// The host's spec.json.
        spec: PathBuf,
    },
    /// Be the first process of a host (the lab calls this itself).
    #[command(name = shoal_lab::INIT_COMMAND, hide = true)]
    HostInit {
        /// The host's spec.json.
        spec: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Human,
    Json,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).without_time().with_target(false).init();
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("error: {failed:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let open = || Lab::open(&cli.name, cli.dir.as_deref());
    match cli.command {
        Command::Up { hosts, engine } => {
            let options = Options { name: cli.name, dir: cli.dir, hosts, engines: engine, program: None };
            print!("{}", Lab::up(&options)?.status()?);
        }
        Command::Down { purge } => {
            shoal_lab::down(&cli.name, cli.dir.as_deref())?;
            if purge {
                shoal_lab::purge()?;
            }
        }
        Command::Status { output: Output::Human } => print!("{}", open()?.status()?),
        Command::Status { output: Output::Json } => {
            println!("{}", serde_json::to_string_pretty(&open()?.status()?)?);
        }
        Command::Kill { host, engine: false } => change(&open()?, host, Lab::cut_power)?,
        Command::Kill { host, engine: true } => change(&open()?, host, Lab::kill_engine)?,
        Command::Hang { host } => change(&open()?, host, Lab::hang_engine)?,
        Command::Restart { host } => change(&open()?, host, Lab::restart)?,
        Command::Partition { host } => change(&open()?, host, Lab::partition)?,
        Command::Mend { host } => change(&open()?, host, Lab::mend)?,
        Command::HostBoot { spec } => shoal_lab::boot(&spec)?,
        Command::HostInit { spec } => match shoal_lab::init(&spec)? {},
    }
    Ok(())
}

/// Does something to a host and shows what became of it.
fn change(lab: &Lab, host: HostName, action: fn(&Lab, HostName) -> Result<(), Error>) -> Result<(), Error> {
    action(lab, host)?;
    let hosts = lab.status()?.hosts.into_iter();
    hosts.filter(|status| status.host.name == host).for_each(|status| println!("{host} is {}", status.state));
    Ok(())
}
