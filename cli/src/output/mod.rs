//! What a person or a program sees: tables and lines, or JSON with 2-space indentation.
//!
//! Everything here turns messages into text and is pure, but for [`Screen`], which writes it.

mod bar;
mod cores;
mod event;
mod hosts;
mod json;
mod nodes;
mod plan;
mod sweep;
mod table;

#[cfg(test)]
mod tests;

use std::io::{self, Write};

use serde::Serialize;

pub(crate) use bar::bar;
pub(crate) use event::{event_line, events_table};
pub(crate) use hosts::{host_line, hosts_table, without_host};
pub(crate) use json::{
    BuiltJson, ClusterJson, DeletedJson, EventJson, HostJson, LoadedJson, NetworkJson, NodeJson, PlanJson,
    UnregisteredJson, VersionJson,
};
pub(crate) use nodes::{cluster_text, clusters_table, networks_table, nodes_table, per_host};
pub(crate) use plan::plan_text;
pub(crate) use sweep::{ResumedJson, SweepJson, sweep_text};
pub(crate) use table::{Width, table};

use crate::error::CliError;

/// How results are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Tables and sentences.
    #[default]
    Human,
    /// JSON, for programs.
    Json,
}

/// Where a command's results and progress go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// How results are written.
    pub(crate) format: Format,
}

impl Screen {
    /// The result of a command: `value` as JSON, or what `human` makes of a terminal's width.
    pub(crate) fn result<T: Serialize>(
        self,
        value: &T,
        human: impl FnOnce(Width) -> String,
    ) -> Result<(), CliError> {
        let text = match self.format {
            Format::Human => human(Width::of_stdout()),
            Format::Json => serde_json::to_string_pretty(value)?,
        };
        write_stdout(text.trim_end_matches('\n').as_bytes(), b"\n")
    }

    /// A line of progress: on standard output for people, beside it when that carries JSON.
    pub(crate) fn progress(self, line: &str) -> Result<(), CliError> {
        match self.format {
            Format::Human => write_stdout(line.as_bytes(), b"\n"),
            Format::Json => {
                // Who closed standard error does not want to know.
                let _ = writeln!(io::stderr().lock(), "{line}");
                Ok(())
            }
        }
    }
}

/// Text as it is, on standard output.
pub(crate) fn raw(bytes: &[u8]) -> Result<(), CliError> {
    write_stdout(bytes, b"")
}

fn write_stdout(text: &[u8], end: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(text).and_then(|()| out.write_all(end)).and_then(|()| out.flush()).map_err(CliError::Stdout)
}
