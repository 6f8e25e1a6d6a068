//! The fake engine under the suite: the probe is played here, and what only a kernel can answer is named.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use shoal_docker::{Engine, ExecSpec};
use shoal_docker_fake::{
    ContainerView, End, Fleet, GIANT, HostSpec, Inside, Main, Programs, Release, Stdio, VirtualClock,
    not_found,
};
use shoal_types::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Behaviours that are the kernel's, and that a fake would only repeat from the request.
const NOT_ASKED: &[(&str, &str)] = &[
    ("the_agent_gets_what_it_needs_and_no_more", "capabilities, devices and namespaces are the kernel's"),
    ("a_node_gets_a_cgroup_tree_of_its_own", "cgroups and seccomp are the kernel's"),
    ("mounts_and_hostname_are_there", "mount options and the UTS namespace are the kernel's"),
];

/// Why a behaviour is not asked of the fake, if it is not.
pub(crate) fn not_asked(behaviour: &str) -> Option<&'static str> {
    NOT_ASKED.iter().find(|(name, _)| *name == behaviour).map(|(_, reason)| *reason)
}

/// A client of a fake engine.
pub(crate) async fn engine(release: Release) -> Arc<dyn Engine> {
    let clock = VirtualClock::new(Timestamp(1_800_000_000_000));
    clock.enter();
    let fleet = Fleet::new(u64::from(std::process::id()), Arc::new(clock));
    fleet.set_programs(Arc::new(Probe));
    let host = fleet.add(&HostSpec::new("fake", release));
    fleet.connect("suite", host.endpoint(), None).await.unwrap()
}

/// Plays `/probe`, as `probe.rs` does where it is executed.
struct Probe;

impl Programs for Probe {
    fn main(&self, container: &ContainerView) -> Main {
        let argv = container.argv();
        let words: Vec<&str> = argv.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["/probe", "probe", "sleep"] => {
                Main { output: "waiting\n".into(), end: End::Told(7, "told to end\n".into()) }
            }
            ["/probe", "probe", "stubborn"] => Main { end: End::Never, ..Main::default() },
            ["/probe", "probe", "say", out, err, status] => {
                let output = format!("{out}\n{err}\n").into();
                Main { output, end: End::After(Duration::ZERO, status.parse().unwrap()) }
            }
            ["/probe", "probe", "lines", count] => {
                Main { output: lines(count).into(), end: End::After(Duration::ZERO, 0) }
            }
            ["/probe", ..] => panic!("no container runs {words:?}"),
            [program, ..] => {
                let words =
                    format!("exec: \"{program}\": stat {program}: no such file or directory: unknown");
                Main { end: End::CannotRun(words), ..Main::default() }
            }
            [] => panic!("nothing to run"),
        }
    }

    fn run(&self, inside: Inside, command: ExecSpec, stdio: Stdio) -> BoxFuture<'static, i64> {
        Box::pin(run(inside, command, stdio))
    }
}

fn lines(count: &str) -> String {
    (1..=count.parse::<u32>().unwrap()).map(|n| format!("line {n}\n")).collect()
}

async fn run(inside: Inside, command: ExecSpec, mut stdio: Stdio) -> i64 {
    let words: Vec<&str> = command.cmd.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["/probe", "probe", "sleep"] => std::future::pending().await,
        ["/probe", "probe", "say", out, err, status] => {
            stdio.stdout.write_all(format!("{out}\n").as_bytes()).await.unwrap();
            stdio.stderr.write_all(format!("{err}\n").as_bytes()).await.unwrap();
            status.parse().unwrap()
        }
        ["/probe", "probe", "lines", count] => {
            stdio.stdout.write_all(lines(count).as_bytes()).await.unwrap();
            0
        }
        ["/probe", "probe", "header", count] => {
            stdio.stdout.write_all(&GIANT).await.unwrap();
            // A terminal ends lines so.
            let end = if stdio.tty.is_some() { "\r\n" } else { "\n" };
            stdio.stdout.write_all(lines(count).replace('\n', end).as_bytes()).await.unwrap();
            0
        }
        ["/probe", "probe", "copy"] => copy(stdio).await,
        ["/probe", "probe", "terminal"] => terminal(stdio).await,
        ["/probe", "probe", "show", path] => match show(&inside, &command, path) {
            Some(text) => {
                stdio.stdout.write_all(&text).await.unwrap();
                0
            }
            // As a panic ends it.
            None => 101,
        },
        ["/probe", "probe", "write", path, text] => {
            inside.write(path, text.to_string());
            0
        }
        ["/probe", ..] => panic!("no such command: {words:?}"),
        _ => not_found(command, stdio).await,
    }
}

/// Copies input to output, then prints the byte count. A closed reader ends the program.
async fn copy(mut stdio: Stdio) -> i64 {
    let (mut total, mut piece) = (0, vec![0; 64 << 10]);
    loop {
        let n = stdio.stdin.read(&mut piece).await.unwrap();
        if n == 0 {
            break;
        }
        if stdio.stdout.write_all(&piece[..n]).await.is_err() {
            return 101;
        }
        total += n;
    }
    match stdio.stderr.write_all(format!("{total} bytes\n").as_bytes()).await {
        Ok(()) => 0,
        Err(_) => 101,
    }
}

/// The size of the terminal, and again whenever it changes, until something is typed.
async fn terminal(mut stdio: Stdio) -> i64 {
    let Some(mut sizes) = stdio.tty else { return 1 };
    loop {
        let size = *sizes.borrow_and_update();
        let line = format!("{} rows, {} columns\r\n", size.rows, size.columns);
        stdio.stdout.write_all(line.as_bytes()).await.unwrap();
        tokio::select! {
            changed = sizes.changed() => changed.unwrap(),
            _ = stdio.stdin.read_u8() => return 5,
        }
    }
}

/// The kernel's files that the behaviours read to see what the engine was told, and the container's own.
fn show(inside: &Inside, command: &ExecSpec, path: &str) -> Option<Vec<u8>> {
    match path {
        "/proc/self/environ" => {
            let all = inside.container.env().into_iter().chain(command.env.iter().cloned());
            Some(all.flat_map(|pair| pair.into_bytes().into_iter().chain([0])).collect())
        }
        "/sys/class/net/eth0/address" => Some(format!("{}\n", inside.container.mac?).into_bytes()),
        path => inside.read(path).map(Into::into),
    }
}
