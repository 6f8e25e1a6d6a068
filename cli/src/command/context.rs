//! `shoal context`: servers elsewhere, and which of them commands are for.

use std::{env, path::PathBuf};

use clap::{Args, Subcommand, ValueHint};
use clap_complete::ArgValueCandidates;
use shoal_api::{ServerContext, Time};
use shoal_types::{Clock, ContextName, SystemClock, Timestamp};

use crate::{
    args::Global,
    complete,
    error::CliError,
    escape,
    exit::Exit,
    output::{Width, table},
    parse::word,
    server_context::{Choice, ContextFile, LOCAL, Shelf, ShelfError, choose},
};

/// Arguments of `context`.
#[derive(Debug, Args)]
pub(crate) struct Context {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add a context from the file that `shoal create user` wrote
    Add {
        /// The file; it is copied
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Name of the context [default: the user's]
        #[arg(long, value_name = "NAME", value_parser = word::<ContextName>)]
        name: Option<ContextName>,
    },
    /// Make a context the current one: commands are then for its server
    Use {
        /// The context; `local` for this machine
        #[arg(value_name = "NAME", value_parser = word::<ContextName>, add = ArgValueCandidates::new(complete::server_contexts))]
        name: ContextName,
    },
    /// Show the contexts, and which one is used here and now
    List,
    /// Remove a context and its key
    Remove {
        /// The context
        #[arg(value_name = "NAME", value_parser = word::<ContextName>, add = ArgValueCandidates::new(complete::server_contexts))]
        name: ContextName,
    },
}

impl Context {
    pub(super) fn run(self, global: &Global) -> Result<Exit, CliError> {
        let shelf = Shelf::locate(|key| env::var_os(key)).map_err(CliError::Shelf)?;
        let now = SystemClock.now();
        match self.what {
            What::Add { file, name } => add(&shelf, file, name, now, global)?,
            What::Use { name } if name.as_str() == LOCAL => {
                shelf.set_current(None).map_err(CliError::Shelf)?;
                say(global, "commands are for this machine")?;
            }
            What::Use { name } => {
                shelf.set_current(Some(&name)).map_err(CliError::Shelf)?;
                say(global, &format!("commands are for the server of context {name}"))?;
            }
            What::List => list(&shelf, now, global)?,
            What::Remove { name } => {
                shelf.remove(&name).map_err(CliError::Shelf)?;
                say(global, &format!("removed context {name}"))?;
            }
        }
        Ok(Exit::Ok)
    }
}

fn say(global: &Global, line: &str) -> Result<(), CliError> {
    global.screen().progress(line)
}

fn add(
    shelf: &Shelf,
    file: PathBuf,
    name: Option<ContextName>,
    now: Timestamp,
    global: &Global,
) -> Result<(), CliError> {
    let context = ContextFile::read(&file, now).map_err(|error| CliError::Shelf(error.into()))?;
    let name = match name {
        Some(name) => name,
        None => word(&context.user).map_err(|why| {
            CliError::usage(format!("the context has no name: {why}"), "give one with --name".to_owned())
        })?,
    };
    shelf.add(&name, &context).map_err(CliError::Shelf)?;
    let line = format!(
        "added context {name}: {} as {}\ntry: shoal context use {name}",
        escape::line(&context.servers.join(", ")),
        escape::line(&context.user)
    );
    say(global, &line)
}

fn list(shelf: &Shelf, now: Timestamp, global: &Global) -> Result<(), CliError> {
    let choice = choose(global).map_err(CliError::Choice)?;
    let used = match &choice {
        Choice::Here => LOCAL,
        Choice::Elsewhere { name, .. } => name.as_str(),
    };
    let mut contexts = vec![ServerContext {
        name: LOCAL.into(),
        is_used: used == LOCAL,
        user: None,
        servers: vec![],
        expires: None,
        error: None,
    }];
    for name in shelf.names().map_err(CliError::Shelf)? {
        let is_used = used == name.as_str();
        contexts.push(match shelf.get(&name, now) {
            Ok(context) => ServerContext {
                name: name.to_string(),
                is_used,
                user: Some(context.user.clone()),
                servers: context.servers.clone(),
                expires: Time::known(Timestamp(context.not_after_ms)),
                error: None,
            },
            Err(error) => ServerContext {
                name: name.to_string(),
                is_used,
                user: None,
                servers: vec![],
                expires: None,
                error: Some(shoal_types::chain(&error)),
            },
        });
    }
    let names = contexts.iter().map(|context| context.name.clone());
    global.screen().named(&contexts, names, |width, _| text(width, &contexts))
}

fn text(width: Width, contexts: &[ServerContext]) -> String {
    let rows = contexts.iter().map(|context| {
        let servers = match &context.error {
            Some(error) => error.clone(),
            None if context.user.is_none() => "this machine".into(),
            None => context.servers.join(" "),
        };
        [
            if context.is_used { "*".to_owned() } else { String::new() },
            context.name.clone(),
            context.user.clone().unwrap_or_default(),
            context.expires.map(|at| at.to_string()).unwrap_or_default(),
            servers,
        ]
    });
    table(width, ["USED", "NAME", "USER", "CERTIFICATE UNTIL", "SERVER"], 5, rows, "no contexts")
}

impl From<ShelfError> for CliError {
    fn from(error: ShelfError) -> Self {
        Self::Shelf(error)
    }
}
