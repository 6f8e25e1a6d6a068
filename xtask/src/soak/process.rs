//! A command that runs while something happens to it: what it says is kept with the time it said it, signals reach it at a
//! chosen line, and it never runs for ever.

use std::{
    fmt,
    io::{BufRead, BufReader, Read},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, waitid},
    },
    unistd::Pid,
};

use crate::shell;

/// How long its last words may take to arrive after it ended: a child of it may still hold the pipe.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A line that a command wrote.
#[derive(Debug, Clone)]
pub(super) struct Said {
    /// When, counted from its start.
    pub(super) at: Duration,
    /// To standard error, not standard output.
    pub(super) error: bool,
    /// What.
    pub(super) text: String,
}

/// A command that was started.
#[derive(Debug)]
pub(super) struct Running {
    line: String,
    child: Child,
    began: Instant,
    events: Receiver<Event>,
    said: Vec<Said>,
    exited: Option<Duration>,
}

/// A command that ended.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    /// Program and arguments.
    pub(super) line: String,
    /// Its exit status; `None` if a signal ended it.
    pub(super) code: Option<i32>,
    /// The signal that ended it.
    pub(super) signal: Option<i32>,
    /// It did not end in time, and was killed for it.
    pub(super) hung: bool,
    /// All it wrote, in the order it arrived.
    pub(super) said: Vec<Said>,
    /// How long it ran.
    pub(super) took: Duration,
}

#[derive(Debug)]
enum Event {
    Said(Said),
    Exited(Duration),
}

impl Running {
    /// Starts it.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn begin(mut command: Command) -> anyhow::Result<Self> {
        let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
        let line = shell::line(Command::new(program).args(command.get_args()));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut child = command.spawn().with_context(|| format!("cannot run {line}"))?;
        let (sender, events) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            read(stdout, false, began, sender.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            read(stderr, true, began, sender.clone());
        }
        let pid = pid(&child)?;
        thread::spawn(move || {
            // It is not reaped here, so that its id stays its own until whoever signals it is done.
            while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
            drop(sender.send(Event::Exited(began.elapsed())));
        });
        Ok(Self { line, child, began, events, said: Vec::new(), exited: None })
    }

    /// Since when it runs.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Returns once it has written so many lines to standard output, or has ended, or the limit is over: does it still run?
    pub(super) fn after_lines(&mut self, lines: usize, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while self.exited.is_none() && self.said.iter().filter(|said| !said.error).count() < lines {
            if !self.next(until) {
                break;
            }
        }
        self.exited.is_none()
    }

    /// Returns when this time is over, or it has ended: does it still run?
    pub(super) fn during(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while self.exited.is_none() && self.next(until) {}
        self.exited.is_none()
    }

    /// Sends it a signal; it may have ended by itself.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        match kill(pid(&self.child)?, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(failed) => Err(failed).with_context(|| format!("{signal} to {}", self.line)),
        }
    }

    /// Waits for its end; kills it when the limit is over.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub(super) fn end(mut self, limit: Duration) -> anyhow::Result<Ended> {
        let hung = self.during(limit);
        if hung {
            self.signal(Signal::SIGKILL)?;
        }
        let status = self.child.wait().with_context(|| self.line.clone())?;
        let until = Instant::now() + LAST_WORDS;
        while self.next(until) {}
        Ok(Ended {
            line: self.line,
            code: status.code(),
            signal: status.signal(),
            hung,
            took: self.exited.unwrap_or_else(|| self.began.elapsed()),
            said: self.said,
        })
    }

    /// Takes in the next thing that happens: was there one?
    fn next(&mut self, until: Instant) -> bool {
        match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Event::Said(said)) => self.said.push(said),
            Ok(Event::Exited(at)) => self.exited = Some(at),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
        }
        true
    }
}

impl Ended {
    /// Its lines of one stream, as one text.
    fn stream(&self, error: bool) -> String {
        let lines = self.said.iter().filter(|said| said.error == error).map(|said| said.text.as_str());
        lines.collect::<Vec<_>>().join("\n")
    }

    /// What it wrote to standard output.
    pub(super) fn stdout(&self) -> String {
        self.stream(false)
    }

    /// What it wrote to standard error.
    pub(super) fn stderr(&self) -> String {
        self.stream(true)
    }

    /// How it ended, in a word or two.
    pub(super) fn status(&self) -> String {
        match (self.hung, self.code, self.signal) {
            (true, _, _) => "did not end".to_owned(),
            (false, Some(code), _) => format!("exit {code}"),
            (false, None, Some(signal)) => {
                Signal::try_from(signal).map_or("killed".into(), |s| s.to_string())
            }
            (false, None, None) => "killed".to_owned(),
        }
    }
}

impl fmt::Display for Ended {
    /// A command's line, its timed output, and its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}", self.line)?;
        for said in &self.said {
            writeln!(
                f,
                "{:>7.2} {} {}",
                said.at.as_secs_f64(),
                if said.error { '!' } else { '|' },
                said.text
            )?;
        }
        write!(f, "{:>7.2} = {}", self.took.as_secs_f64(), self.status())
    }
}

fn pid(child: &Child) -> anyhow::Result<Pid> {
    Ok(Pid::from_raw(child.id().try_into()?))
}

fn read(stream: impl Read + Send + 'static, error: bool, began: Instant, events: Sender<Event>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n') {
            let Ok(line) = line else { return };
            let text = String::from_utf8_lossy(&line).into_owned();
            if events.send(Event::Said(Said { at: began.elapsed(), error, text })).is_err() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn sh(text: &str) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        Running::begin(command).unwrap()
    }

    #[test]
    fn streams_status_and_order() {
        let ended = sh("echo one; echo two; echo no >&2; exit 3").end(LONG).unwrap();
        assert_eq!((ended.stdout().as_str(), ended.stderr().as_str()), ("one\ntwo", "no"));
        assert_eq!((ended.code, ended.signal, ended.hung), (Some(3), None, false));
        assert_eq!(ended.status(), "exit 3");
    }

    #[test]
    fn a_signal_at_a_line() {
        let mut running = sh("echo one; echo two; exec sleep 600");
        assert!(running.after_lines(2, LONG));
        running.signal(Signal::SIGKILL).unwrap();
        let ended = running.end(LONG).unwrap();
        assert_eq!((ended.code, ended.signal), (None, Some(9)));
        assert_eq!(ended.stdout(), "one\ntwo");
        assert_eq!(ended.status(), "SIGKILL");
    }

    #[test]
    fn one_that_ends_before_the_line_and_one_that_never_ends() {
        let mut short = sh("echo one");
        assert!(!short.after_lines(2, LONG));
        assert_eq!(short.end(LONG).unwrap().code, Some(0));
        let ended = sh("exec sleep 600").end(Duration::from_millis(50)).unwrap();
        assert!(ended.hung && ended.status() == "did not end");
    }
}
