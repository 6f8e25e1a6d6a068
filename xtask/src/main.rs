//! `cargo xtask`: what the README and CI call.
//!
//! ```text
//! demo    a fresh machine -> a Slurm job on nodes of three Docker engines, left running
//! test    tiers: gate, unit, storage, netns, e2e, full
//! bench   what Shoal costs next to the bare calls it must make
//! soak    random work and random failures on real engines, and what must hold after each
//! docs    manual pages, schemas and references, from the code
//! lint    the gate alone
//! advisories  what the gate knows of faults in dependencies, from a newer database
//! ```

mod advisories;
mod bench;
mod cargo;
mod demo;
mod docs;
mod image;
mod machine;
mod shell;
mod shoal;
mod soak;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of this workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show it all on this machine: three Docker engines, a cluster, a job; leaves it running
    Demo(demo::Demo),
    /// Run the tests, tier by tier
    Test(test::Test),
    /// Measure
    Bench(bench::Bench),
    /// Create, delete, kill, cut and mend at random, and look whether everything holds
    Soak(soak::Soak),
    /// Write what the documentation takes from the code: manual pages, schemas, references
    Docs(docs::Docs),
    /// Write what the gate knows of faults in dependencies, from a checkout of the RustSec database
    Advisories(advisories::Advisories),
    /// Run the gate alone: formatting, lints, docs, dependencies, file headers
    Lint,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).without_time().with_target(false).init();
    let result = match Cli::parse().command {
        Command::Demo(demo) => demo.run(),
        Command::Test(test) => test.run(),
        Command::Bench(bench) => bench.run(),
        Command::Soak(soak) => soak.run(),
        Command::Docs(docs) => docs.run(),
        Command::Advisories(advisories) => advisories.run(),
        Command::Lint => test::Test::gate().run(),
    };
    match result {
        Ok(code) => code,
        Err(failed) => {
            eprintln!("error: {failed:#}");
            ExitCode::FAILURE
        }
    }
}
