//! Output for a terminal, as a pipe does not get it: the program runs on a pseudo-terminal, and an emulator renders its output.

use std::{
    fs::File,
    io::Read,
    net::TcpListener,
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
};

use nix::{
    pty::{Winsize, openpty},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::shoal::{Shoal, text};

const HIDE: &str = "\u{1b}[?25l";
const SHOW: &str = "\u{1b}[?25h";

/// A program on a pseudo-terminal of 80 columns and 24 rows.
struct OnTerminal {
    child: Child,
    terminal: File,
    said: Vec<u8>,
}

impl OnTerminal {
    fn start(mut command: Command) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        drop(command);
        Self { child, terminal: master(pty.master), said: vec![] }
    }

    /// Reads until the program has said this.
    fn until(&mut self, what: &str) {
        while !String::from_utf8_lossy(&self.said).contains(what) {
            let mut buffer = [0; 4096];
            let read = self.terminal.read(&mut buffer).unwrap();
            self.said.extend(&buffer[..read]);
        }
    }

    fn interrupt(&self) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    }

    /// Everything it said, and its exit status.
    fn end(mut self) -> (String, Option<i32>) {
        let mut buffer = [0; 4096];
        // Once the program has gone, reading its terminal fails.
        while let Ok(read @ 1..) = self.terminal.read(&mut buffer) {
            self.said.extend(&buffer[..read]);
        }
        (String::from_utf8(self.said).unwrap(), self.child.wait().unwrap().code())
    }
}

fn master(fd: OwnedFd) -> File {
    File::from(fd)
}

/// What stands on a terminal's screen after all of it.
fn screen(said: &str) -> String {
    let mut terminal = vt100::Parser::new(24.try_into().unwrap(), 80.try_into().unwrap(), 0);
    terminal.process(said.as_bytes());
    assert!(!terminal.screen().hide_cursor(), "the cursor stays hidden: {said:?}");
    terminal.screen().contents()
}

const DELETE: [&str; 3] = ["delete", "cluster", "--all"];

#[test]
fn a_terminal_gets_a_view_that_leaves_only_the_result() {
    let shoal = Shoal::new();
    let mut command = shoal.command(&DELETE);
    command.env("TERM", "xterm-256color");
    let (said, status) = OnTerminal::start(command).end();
    assert_eq!(status, Some(0), "{said:?}");
    assert!(said.starts_with(HIDE) && said.contains(SHOW), "{said:?}");
    assert!(said.contains("\u{1b}[1mdelete"), "no title in {said:?}");
    assert_eq!(screen(&said), "no clusters to delete");
}

#[test]
fn a_pipe_gets_lines() {
    let shoal = Shoal::new();
    for args in [&DELETE[..], &["get", "hosts"], &["create", "--follow", "nope"]] {
        let output = shoal.command(args).env("TERM", "xterm-256color").output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(!said.is_empty() && !said.contains('\u{1b}'), "{args:?}: {said:?}");
    }
}

#[test]
fn a_terminal_that_cannot_move_its_cursor_gets_lines_too() {
    let shoal = Shoal::new();
    for (key, value) in [("TERM", "dumb"), ("TERM", "")] {
        let mut command = shoal.command(&DELETE);
        command.env(key, value);
        let (said, status) = OnTerminal::start(command).end();
        assert_eq!((said.as_str(), status), ("no clusters to delete\r\n", Some(0)), "{key}={value}");
    }
}

#[test]
fn without_colours_if_nobody_wants_them() {
    let shoal = Shoal::new();
    let mut command = shoal.command(&DELETE);
    command.env("TERM", "xterm-256color").env("NO_COLOR", "1");
    let (said, _) = OnTerminal::start(command).end();
    assert!(said.contains(HIDE) && said.contains("delete") && !said.contains("\u{1b}[1m"), "{said:?}");
}

#[test]
fn quiet_shows_no_view() {
    let shoal = Shoal::new();
    let mut command = shoal.command(&["delete", "cluster", "--all", "-q"]);
    command.env("TERM", "xterm-256color");
    assert_eq!(OnTerminal::start(command).end(), (String::new(), Some(0)));
}

#[test]
fn a_live_view_that_was_asked_for_needs_a_terminal() {
    let shoal = Shoal::new();
    let (status, error) = shoal.fails(&["delete", "cluster", "--all", "--progress", "live"]);
    assert_eq!(status, 2);
    assert!(error.starts_with("error: --progress live needs a terminal"), "{error}");
}

#[test]
fn who_leaves_at_once_gets_the_cursor_back() {
    let shoal = Shoal::new();
    // A database that accepts and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://ann@{}/shoal?sslmode=disable", silent.local_addr().unwrap());
    let mut command = shoal.command(&DELETE);
    command.env("TERM", "xterm-256color").env("SHOAL_STORE", url);
    let mut on = OnTerminal::start(command);
    on.until("delete");
    let (_held, _) = silent.accept().unwrap();
    on.interrupt();
    on.interrupt();
    // Two signals of a kind may be one: until it has gone, one more.
    while on.child.try_wait().unwrap().is_none() {
        on.interrupt();
    }
    let (said, status) = on.end();
    assert_eq!(status, Some(130), "{said:?}");
    assert!(said.contains("all clusters"), "{said:?}");
    screen(&said);
}
