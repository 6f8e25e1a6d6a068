//! Errors as a person reads them: `error: ...`, and `hint: ...` where there is something to do. Warnings: `warning: ...`.

use std::io::{self, Write};

use shoal_types::chain;

use crate::{config::ConfigError, error::CliError, escape, exit::Exit};

/// Says what went wrong on standard error; the exit status it means, for a command whose own failures have one of their own.
pub(crate) fn error(error: &CliError, own_failure: Option<Exit>) -> Exit {
    let exit = error.exit();
    let exit = match own_failure {
        Some(own) if !matches!(exit, Exit::Ok | Exit::Interrupted) => own,
        Some(_) | None => exit,
    };
    if exit != Exit::Ok {
        // Without standard error there is nobody to tell.
        let _ = io::stderr().lock().write_all(text(error).as_bytes());
    }
    exit
}

/// Says on standard error what is unwise, and goes on. Standard output is the result's, in every format.
pub(crate) fn warning(text: &str) {
    // Without standard error there is nobody to tell.
    let _ = io::stderr().lock().write_all(format!("warning: {}\n", escape::line(text)).as_bytes());
}

fn text(error: &CliError) -> String {
    let hint = error.hint().map(|hint| format!("hint: {}\n", escape::line(&hint))).unwrap_or_default();
    let message = chain(error);
    // A failed build and a cluster that did not become ready quote the last lines of what failed, and what is told Slurm may be
    // refused in several places; the rest is one line.
    let has_lines =
        matches!(error, CliError::Build(_) | CliError::Status(_) | CliError::Config(ConfigError::Slurm(_)));
    let message = match has_lines {
        true => escape::block(message.trim_end()),
        false => escape::line(&message),
    };
    format!("error: {message}\n{hint}")
}

/// Says what is wrong with the arguments, or what was asked: `--help`, `--version`.
pub(crate) fn arguments(error: &clap::Error) -> Exit {
    if error.use_stderr() {
        // Arguments are quoted in it: no control character of theirs reaches the terminal.
        let _ = io::stderr().lock().write_all(escape::block(&error.to_string()).as_bytes());
        return Exit::Usage;
    }
    match error.print() {
        Ok(()) => Exit::Ok,
        Err(source) => CliError::Stdout(source).exit(),
    }
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    #[test]
    fn one_line_and_a_hint() {
        let error = CliError::usage("bad \u{1b}[31m\nerror: forged", Some("do this".to_owned()));
        assert_eq!(text(&error), "error: bad \\u{1b}[31m\\nerror: forged\nhint: do this\n");
        assert_eq!(text(&CliError::Status(Status::not_found("no cluster `x`"))), "error: no cluster `x`\n");
        let stuck = Status::deadline_exceeded("dev did not become ready\n  worker-0 is stuck\u{7}\n");
        assert_eq!(
            text(&CliError::Status(stuck)),
            "error: dev did not become ready\n  worker-0 is stuck\\u{7}\n"
        );
    }

    #[test]
    fn exec_and_ssh_keep_their_own_status() {
        let missing = CliError::Status(Status::not_found("no cluster `x`"));
        assert_eq!(super::error(&missing, None).code(), 3);
        assert_eq!(super::error(&missing, Some(Exit::ExecFailed)).code(), 125);
        assert_eq!(super::error(&CliError::Interrupted, Some(Exit::SshFailed)).code(), 130);
    }
}
