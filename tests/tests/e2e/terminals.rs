//! Commands on a terminal, and the end of those whose client goes.

use std::io::{BufRead, BufReader};

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use shoal_tests::{Node, Stage, Terminal, eventually, tell};

/// A shell in a node: size, resize, Ctrl-C for what runs inside, and its status, on engines of both kinds.
pub(crate) fn a_shell_has_the_users_terminal(stage: &Stage) -> anyhow::Result<()> {
    let (home, dev) = (stage.home()?, stage.dev()?);
    for node in dev.one_worker_per_host() {
        let mut command = home.command(&["exec", "-it", "dev", "--node", &node.name, "--", "bash", "--norc"]);
        command.env("TERM", "vt100");
        let (mut terminal, mut child) = Terminal::run(command, (33, 101))?;
        terminal.types("PS1='% '; stty -echo; echo size $(stty size) $TERM\r")?;
        terminal.shows("size 33 101 vt100")?;
        terminal.resize(&child, 44, 132)?;
        terminal.types("until [ \"$(stty size)\" = '44 132' ]; do sleep 0.1; done; echo resized\r")?;
        terminal.shows("resized")?;
        // It speaks when the terminal is its own: a key that comes before is the shell's.
        terminal.types("sh -c 'echo ready; exec sleep 1000'\r")?;
        terminal.shows("ready")?;
        terminal.types("\u{3}")?;
        // What is typed before the shell is back may be dropped with its line.
        terminal.shows("% ")?;
        terminal.types("echo interrupted $?; exit 42\r")?;
        terminal.shows("interrupted 130")?;
        ensure!(child.wait()?.code() == Some(42), "the shell's status");
        terminal.is_restored()?;
    }
    // The same as one word, where one works with a cluster; and from a pipe.
    let (mut terminal, mut child) = Terminal::run(home.command(&["enter", "dev"]), (24, 80))?;
    terminal.types("echo in $PWD of $(hostname); exit 3\r")?;
    terminal.shows("in /root of submitter")?;
    ensure!(child.wait()?.code() == Some(3), "the shell's status");
    terminal.is_restored()?;
    let said = home.call(&["enter", "dev"]).input("hostname; exit 4\n").end()?.with(4)?;
    ensure!(said.stdout == "submitter\n", "{said}");
    let refused = home.run(&["exec", "-t", "dev", "--", "true"])?.with(125)?;
    ensure!(refused.stderr.contains("needs a terminal"), "{refused}");
    Ok(())
}

/// By its own end, by a key, by signals, and by a failure.
pub(crate) fn a_terminal_is_given_back_however_it_ends(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    stage.dev()?;
    let run =
        |node| home.command(&["exec", "-it", "dev", "--node", node, "--", "sh", "-c", "echo go; sleep 1000"]);
    for signal in [None, Some(Signal::SIGTERM), Some(Signal::SIGHUP), Some(Signal::SIGQUIT)] {
        let (mut terminal, mut child) = Terminal::run(run("worker-0"), (24, 80))?;
        terminal.shows("go")?;
        match signal {
            Some(signal) => tell(&child, signal)?,
            None => terminal.types("\u{3}")?,
        }
        let code = child.wait()?.code();
        ensure!(code == Some(130), "{code:?} after {signal:?}");
        terminal.is_restored()?;
    }
    let (mut terminal, mut child) = Terminal::run(run("worker-99"), (24, 80))?;
    terminal.shows("worker-99")?;
    ensure!(child.wait()?.code() == Some(125), "no status of its own");
    terminal.is_restored()
}

/// Killed, interrupted or at its end: nothing of it stays in the node, and nothing of what watched over it.
pub(crate) fn a_command_goes_with_its_client(stage: &Stage) -> anyhow::Result<()> {
    let (home, dev) = (stage.home()?, stage.dev()?);
    let run = "echo go; sleep 4242; sleep 4242";
    for node in dev.one_worker_per_host() {
        for signal in [Signal::SIGKILL, Signal::SIGINT] {
            let mut child = home.begin(&["exec", "dev", "--node", &node.name, "--", "sh", "-c", run])?;
            let mut line = String::new();
            BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
            ensure!(line == "go\n", "{line:?}");
            tell(&child, signal)?;
            child.wait()?;
            gone(node, "sleep 4242")?;
        }
        gone(node, "shoal-lifeline")?;
    }
    Ok(())
}

/// No process of the node has these words in its command line.
pub(crate) fn gone(node: &Node, words: &str) -> anyhow::Result<()> {
    let container = node.container()?;
    let first = &words[..1];
    // The search does not find itself. What it finds is shown with its parent, its age in seconds and where it waits.
    let search = format!(
        "! pids=$(pgrep -d , -f '[{first}]{}') || {{ ps -ww -o pid,ppid,etimes,stat,wchan:20,args -p $pids; false; }}",
        &words[1..]
    );
    eventually(|| node.machine.call(&["exec", &container, "sh", "-c", &search]))
}
