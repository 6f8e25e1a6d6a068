//! Tunnels: many at once, half-closed, and readers that stop.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use shoal_tests::{Node, Stage, Terminal, allocated_kib, tell};

/// Tunnels at once.
const TUNNELS: usize = 200;
/// Readers that stop: at 512 KiB each, they would fill a window of 4 MiB that all streams share twice over.
const STOPPED: usize = 16;
/// What may wait in a hop for each reader that has stopped, in KiB: window, a frame on each side, queues and what the
/// allocator keeps of it.
const HELD_KIB: u64 = 2048;
/// Read of a terminal whose program never stops.
const TERMINAL_BYTES: usize = 100 << 20;
/// What a process may grow by for other reasons.
const SLACK_KIB: u64 = 16 << 10;

/// Services of a node for these tests: each connection has a process of its own.
fn serve(node: &Node) -> anyhow::Result<()> {
    for (unit, port, command) in
        [("echo", 9001, "cat"), ("sum", 9002, "md5sum"), ("flood", 9003, "cat /dev/zero")]
    {
        let listen = format!(
            "systemctl is-active --quiet e2e-{unit} || systemd-run --quiet --unit=e2e-{unit} --property=TasksMax=infinity \
             systemd-socket-activate --listen={port} --accept --inetd {command}; \
             until ss -Hltn 'sport = {port}' | grep -q .; do sleep 0.1; done"
        );
        node.shell(&listen)?.ok()?;
    }
    Ok(())
}

/// A `port-forward` that is ended when dropped, and the ports it said.
struct Forward {
    child: Child,
    ports: Vec<u16>,
}

impl Forward {
    fn to(stage: &Stage, node: &Node) -> anyhow::Result<Self> {
        let name = format!("{}.dev", node.name);
        let mut child = stage.home()?.begin(&["port-forward", &name, "9001", ":9002", "0:9003"])?;
        let lines = BufReader::new(child.stdout.take().context("no output")?).lines().take(3);
        let mut forward = Self { child, ports: Vec::new() };
        for line in lines {
            let line = line?;
            let port = line.strip_prefix("127.0.0.1:").and_then(|rest| rest.split_once(" -> "));
            forward.ports.push(port.with_context(|| line.clone())?.0.parse()?);
        }
        Ok(forward)
    }

    fn connect(&self, service: usize) -> anyhow::Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.ports[service]))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(stream)
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Waits until a size stays as it is: everything that has room is full.
#[expect(clippy::disallowed_methods, reason = "between two looks at a condition")]
fn settled(mut size: impl FnMut() -> anyhow::Result<u64>) -> anyhow::Result<u64> {
    let (end, mut last, mut same) = (Instant::now() + Duration::from_secs(30), size()?, 0);
    while same < 5 {
        ensure!(Instant::now() < end, "still growing: {last} KiB");
        thread::sleep(Duration::from_millis(200));
        let now = size()?;
        same = if now <= last + 256 { same + 1 } else { 0 };
        last = now;
    }
    Ok(last)
}

/// On engines of both kinds: the answer comes after the end of what was asked, 200 tunnels at once each have their own, and
/// readers that stop neither grow memory nor stop the others.
pub(crate) fn two_hundred_tunnels_and_readers_that_stop(stage: &Stage) -> anyhow::Result<()> {
    let dev = stage.dev()?;
    for node in dev.one_worker_per_host().into_iter().take(2) {
        serve(node)?;
        let mut forward = Forward::to(stage, node)?;
        let mut half = forward.connect(1)?;
        half.write_all(&vec![b'x'; 3_000_000])?;
        half.shutdown(Shutdown::Write)?;
        let mut sum = String::new();
        half.read_to_string(&mut sum)?;
        ensure!(sum == "8e32e22642bddc89698e25a4e9bf528b  -\n", "{sum:?}");

        let mut tunnels = (0..TUNNELS).map(|_| forward.connect(0)).collect::<Result<Vec<_>, _>>()?;
        for (number, tunnel) in tunnels.iter_mut().enumerate() {
            tunnel.write_all(format!("{number:04}").as_bytes())?;
        }
        for (number, tunnel) in tunnels.iter_mut().enumerate() {
            let mut answer = [0; 4];
            tunnel.read_exact(&mut answer).with_context(|| format!("tunnel {number}"))?;
            ensure!(answer == *format!("{number:04}").as_bytes(), "tunnel {number}: {answer:?}");
        }

        let (own, agent) = (allocated_kib(forward.child.id())?, node.machine.agent_memory_kib()?);
        let stopped = (0..STOPPED).map(|_| forward.connect(2)).collect::<Result<Vec<_>, _>>()?;
        let grown = settled(|| allocated_kib(forward.child.id()))?.saturating_sub(own);
        let agent_grown = settled(|| node.machine.agent_memory_kib())?.saturating_sub(agent);
        let most = STOPPED as u64 * HELD_KIB + SLACK_KIB;
        println!("{STOPPED} stopped readers: shoal +{grown} KiB, agent +{agent_grown} KiB, at most {most}");
        ensure!(grown < most && agent_grown < most, "shoal +{grown} KiB, agent +{agent_grown} KiB");
        let tunnel = tunnels.last_mut().context("no tunnel")?;
        tunnel.write_all(b"more")?;
        let mut answer = [0; 4];
        tunnel.read_exact(&mut answer).context("another tunnel while readers stand still")?;
        drop(stopped);
        tell(&forward.child, Signal::SIGINT)?;
        ensure!(forward.child.wait()?.code() == Some(0), "Ctrl-C ends it with 0");
    }
    Ok(())
}

/// One fast writer each, through `proxy` and through `exec`: what waits is bounded, and all of it comes in the end.
pub(crate) fn a_reader_that_stops_holds_no_memory(stage: &Stage) -> anyhow::Result<()> {
    let (home, dev) = (stage.home()?, stage.dev()?);
    let node = *dev.one_worker_per_host().first().context("no worker")?;
    serve(node)?;
    let name = format!("{}.dev", node.name);
    for words in [
        &["proxy", &name, "--port", "9003"][..],
        &["exec", "dev", "--node", &node.name, "--", "cat", "/dev/zero"],
    ] {
        let mut command = home.command(words);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut output = child.stdout.take().context("no output")?;
        let mut piece = vec![0; 1 << 20];
        output.read_exact(&mut piece)?;
        let agent = node.machine.agent_memory_kib()?;
        let first = settled(|| allocated_kib(child.id()))?;
        // It goes on where it stopped, and stops again at the same size.
        for _ in 0..100 {
            output.read_exact(&mut piece)?;
        }
        let second = settled(|| allocated_kib(child.id()))?;
        let agent_grown = node.machine.agent_memory_kib()?.saturating_sub(agent);
        println!("{}: {first} KiB, after 100 MiB more {second} KiB, agent +{agent_grown} KiB", words[0]);
        ensure!(
            second < first + SLACK_KIB && agent_grown < SLACK_KIB,
            "{first}, {second}, agent +{agent_grown}"
        );
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}

/// The attack of a node on whoever has a terminal in it, on engines of both kinds: output that begins as the header of a frame of
/// 4 GiB, and goes on for ever. All of it is shown, as it comes, and nothing of it is held.
pub(crate) fn a_terminal_holds_nothing_of_what_a_node_writes(stage: &Stage) -> anyhow::Result<()> {
    let (home, dev) = (stage.home()?, stage.dev()?);
    for node in dev.one_worker_per_host() {
        // The sleep makes the header the beginning of what is read at once.
        let attack =
            "stty raw -echo; echo go; read _; sleep 1; printf '\\001\\0\\0\\0\\377\\377\\377\\377'; exec yes";
        let words = ["exec", "-it", "dev", "--node", &node.name, "--", "sh", "-c", attack];
        let (mut terminal, mut child) = Terminal::run(home.command(&words), (24, 80))?;
        terminal.shows("go")?;
        terminal.types("\n")?;
        let before = allocated_kib(child.id())?;
        let begin = terminal.reads(TERMINAL_BYTES)?;
        let after = allocated_kib(child.id())?;
        let header = [1, 0, 0, 0, 255, 255, 255, 255];
        ensure!(begin.windows(8).any(|bytes| bytes == header), "{:?}", begin.escape_ascii().to_string());
        println!("{}: {before} KiB, after {TERMINAL_BYTES} bytes {after} KiB", node.machine.name());
        ensure!(after < before + SLACK_KIB, "{before} KiB, then {after} KiB");
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}
