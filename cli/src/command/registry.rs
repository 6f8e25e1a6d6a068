//! `shoal set registry`: who asks a registry for images. A password comes by standard input or a file, never as an
//! argument, where every process of the machine could read it.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use shoal_types::LabelExpr;
use zeroize::Zeroizing;

use crate::{
    args::Global, connect::Session, error::CliError, escape, exit::Exit, interrupt::Interrupt, parse::word,
};

/// Most bytes taken as a password.
const LONGEST: u64 = 4096;

/// Arguments of `set registry`.
#[derive(Debug, Args)]
pub(crate) struct SetRegistry {
    /// Address of the registry in image references, such as registry.example:5000 or docker.io
    registry: String,
    /// Name of the registry's user
    #[arg(long, value_name = "NAME", required_unless_present = "remove")]
    username: Option<String>,
    /// Read the password or token from standard input, without one final newline
    #[arg(long, conflicts_with = "password_file")]
    password_stdin: bool,
    /// Read the password or token from a file, without one final newline
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Give the credentials to hosts that satisfy this label expression alone: these pull, the others are sent the image; `all` for
    /// every host [default: as before, at first every host]
    #[arg(long, value_name = "EXPRESSION", value_parser = chosen)]
    hosts: Option<Chosen>,
    /// Forget the registry's credentials
    #[arg(long, conflicts_with_all = ["username", "password_stdin", "password_file", "hosts"])]
    remove: bool,
}

/// Hosts that are told a registry's credentials; every host if `None`.
#[derive(Debug, Clone)]
struct Chosen(Option<LabelExpr>);

fn chosen(text: &str) -> Result<Chosen, String> {
    match text {
        "all" => Ok(Chosen(None)),
        expression => word::<LabelExpr>(expression).map(|hosts| Chosen(Some(hosts))),
    }
}

impl SetRegistry {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let registry = self.registry.clone();
        if self.remove {
            Session::within(global, interrupt, async |client| {
                Ok(client.remove_registry(registry.clone()).await?)
            })
            .await?;
            let forgotten = serde_json::json!({ "registry": registry });
            let line = format!("forgot the credentials for {}", escape::line(&self.registry));
            global.screen().result(&forgotten, |_| line)?;
            return Ok(Exit::Ok);
        }
        let password = self.password()?;
        let (username, hosts) = (self.username.unwrap_or_default(), self.hosts.map(|chosen| chosen.0));
        let set = Session::within(global, interrupt, async |client| {
            Ok(client.set_registry(registry, username, (*password).clone(), hosts).await?)
        })
        .await?;
        let by = set.hosts.as_ref().map(|hosts| format!(" by hosts with {}", escape::line(hosts)));
        let line = format!(
            "{} is asked as {}{}",
            escape::line(&set.registry),
            escape::line(&set.username),
            by.unwrap_or_default()
        );
        global.screen().result(&set, |_| line)?;
        Ok(Exit::Ok)
    }

    fn password(&self) -> Result<Zeroizing<String>, CliError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| CliError::File { action: "read", path, source }
        };
        match &self.password_file {
            Some(path) => {
                let file = File::open(path).map_err(failed(path))?;
                line_of(file).map_err(failed(path))
            }
            None if self.password_stdin => line_of(io::stdin().lock()).map_err(failed(Path::new("-"))),
            None => Err(CliError::usage(
                "the password is missing".to_owned(),
                Some(
                    "use --password-stdin or --password-file FILE; a password is never an argument"
                        .to_owned(),
                ),
            )),
        }
    }
}

/// All of it, without the newline that an editor or `echo` puts at the end.
fn line_of(source: impl Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    source.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other("more than 4 KiB are no password"));
    }
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_newline_is_left_out() {
        for (given, taken) in [("p\n", "p"), ("p\r\n", "p"), ("p", "p"), ("p q\n\n", "p q\n")] {
            assert_eq!(line_of(given.as_bytes()).unwrap().as_str(), taken);
        }
        assert!(line_of(io::repeat(b'x')).is_err());
    }
}
