//! A terminal that a program is run on, and somebody who types and looks.

use std::{
    fs::File,
    io::{Read, Write},
    ops::{Deref, DerefMut},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use nix::{
    pty::{Winsize, openpty},
    sys::{
        signal::{SigSet, SigmaskHow, Signal, kill},
        termios::{Termios, tcgetattr},
    },
    unistd::Pid,
};
use shoal_lab::until;

use crate::call::Call;

/// Nothing on a screen takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Kept of what is only counted, in bytes.
const KEPT: usize = 256;

/// A terminal.
#[derive(Debug)]
pub struct Terminal {
    keys: File,
    side: File,
    screen: Receiver<Vec<u8>>,
    /// What was written and not yet looked for.
    unseen: Vec<u8>,
    before: Termios,
}

impl Terminal {
    /// One of this size, with a program on it. The program begins with blocked signals, as those of some CI systems do.
    ///
    /// # Errors
    /// There is none to be had, or the program cannot be run.
    pub fn run(mut command: Command, (rows, columns): (u16, u16)) -> anyhow::Result<(Self, OnTerminal)> {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None)?;
        let (keys, side) = (File::from(pty.master), File::from(pty.slave));
        let before = tcgetattr(&side)?;
        let stdio = || side.try_clone().map(Stdio::from);
        command.stdin(stdio()?).stdout(stdio()?).stderr(stdio()?);
        // A program has the mask of the thread that starts it.
        let mask =
            SigSet::from_iter([Signal::SIGWINCH, Signal::SIGINT]).thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let child = command.spawn().with_context(|| format!("{command:?}"));
        mask.thread_set_mask()?;
        let child = OnTerminal(child?);
        let mut screen = keys.try_clone()?;
        let (sender, seen) = channel();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            // It ends with the terminal.
            while let Ok(read @ 1..) = screen.read(&mut piece) {
                if sender.send(piece[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok((Self { keys, side, screen: seen, unseen: Vec::new(), before }, child))
    }

    /// Types.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn types(&mut self, keys: &str) -> anyhow::Result<()> {
        Ok(self.keys.write_all(keys.as_bytes())?)
    }

    /// Waits until this is on the screen, after what was looked for before.
    ///
    /// # Errors
    /// It does not come.
    pub fn shows(&mut self, words: &str) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let text = String::from_utf8_lossy(&self.unseen).into_owned();
            if let Some(at) = text.find(words) {
                self.unseen = text.as_bytes()[at + words.len()..].to_vec();
                return Ok(());
            }
            let left = end.saturating_duration_since(Instant::now());
            let piece = self.screen.recv_timeout(left);
            self.unseen.extend(piece.with_context(|| format!("no {words:?} in {text:?}"))?);
        }
    }

    /// Takes in this many bytes of what is written, or a few more; the first of them.
    ///
    /// # Errors
    /// They do not come.
    pub fn reads(&mut self, bytes: usize) -> anyhow::Result<Vec<u8>> {
        let (mut begin, mut came) = (std::mem::take(&mut self.unseen), 0);
        while came < bytes {
            let piece = self.screen.recv_timeout(PATIENCE).with_context(|| format!("{came} bytes came"))?;
            came += piece.len();
            begin.extend_from_slice(&piece[..piece.len().min(KEPT.saturating_sub(begin.len()))]);
        }
        Ok(begin)
    }

    /// Makes the window another size, as a window manager does: the size changes, then whoever is there is told.
    ///
    /// # Errors
    /// It cannot.
    pub fn resize(&self, child: &Child, rows: u16, columns: u16) -> anyhow::Result<()> {
        let (rows, columns) = (rows.to_string(), columns.to_string());
        let mut stty = Command::new("stty");
        stty.args(["rows", &rows, "cols", &columns]).stdin(Stdio::from(self.side.try_clone()?));
        ensure!(stty.status()?.success(), "stty failed");
        tell(child, Signal::SIGWINCH)
    }

    /// Whether its modes are those it had before the program.
    ///
    /// # Errors
    /// They are not.
    pub fn is_restored(&self) -> anyhow::Result<()> {
        let now = tcgetattr(&self.side)?;
        ensure!(now == self.before, "the terminal was {:?} and is {now:?}", self.before);
        Ok(())
    }
}

/// A program on a terminal; it does not outlive this.
#[derive(Debug)]
pub struct OnTerminal(Child);

impl Deref for OnTerminal {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for OnTerminal {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Sends a signal to a program.
///
/// # Errors
/// It is gone.
pub fn tell(child: &Child, signal: Signal) -> anyhow::Result<()> {
    Ok(kill(Pid::from_raw(i32::try_from(child.id())?), signal)?)
}

/// Makes a call again and again until it succeeds.
///
/// # Errors
/// It never does.
pub fn eventually(call: impl Fn() -> Call) -> anyhow::Result<()> {
    until(PATIENCE, || call().end()?.with(0)).map(drop)
}
