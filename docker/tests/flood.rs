//! An engine that never stops talking: what its client holds of it stays small, and the error says who it was.
//!
//! A process of its own, without a harness: its peak of memory is measured, and would be that of tests beside each other.

#![expect(clippy::unwrap_used, reason = "a test: a panic is its failure")]

use std::{
    fs,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use shoal_docker::{
    Endpoint, Engine, EngineError, ExecChunk, ExecSpec, LabelFilter, Timeouts, TtySize, connect,
};
use shoal_docker_fake::{Babble, GIANT, babbler};
use tempfile::TempDir;

/// Most that this process may grow by: an answer of 16 MiB while its buffer grows, what is made of it, and slack.
const MOST_KIB: u64 = 64 << 10;
/// Nothing here takes longer: a limit is met within a second.
const PATIENCE: Duration = Duration::from_secs(10);
/// Read of a terminal that begins with what could be a frame's header.
const TERMINAL: usize = 256 << 20;

/// The largest this process was since [`forgotten`], in KiB (proc_pid_status(5)).
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

/// Begins the peak anew, at what is held now (proc_pid_clear_refs(5)).
fn forgotten() -> u64 {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    peak()
}

async fn engine(dir: &TempDir, babble: Babble) -> Result<Arc<dyn Engine>, EngineError> {
    let socket = dir.path().join(format!("{babble:?}"));
    babbler(&socket, babble).unwrap();
    connect(&Endpoint::Unix(socket), None, Timeouts::default()).await
}

/// Runs a call; prints how much it took, and fails if that was too much.
async fn measured<T>(name: &str, call: impl Future<Output = T>) -> T {
    let (before, began) = (forgotten(), Instant::now());
    let answer = call.await;
    let (grown, took) = (peak().saturating_sub(before), began.elapsed());
    assert!(grown < MOST_KIB, "{name} took {grown} KiB");
    assert!(took < PATIENCE, "{name} took {took:?}");
    // As the suite of engines says it, which is how it is counted.
    println!("behaviour {name} ... ok (+{grown} KiB, {} ms)", took.as_millis());
    answer
}

/// The error is the host's, and names it and the call.
fn is_the_hosts(error: &EngineError, call: &str, words: &str) {
    let text = error.to_string();
    assert!(matches!(error, EngineError::BadAnswer { .. }), "{error:?}");
    assert!(error.blames_host(), "{error:?}");
    for part in ["unix:///", call, words] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

async fn answers(dir: &TempDir) {
    let error = measured("ping", engine(dir, Babble::Ping)).await.unwrap_err();
    let EngineError::NotDocker { answer, .. } = &error else { panic!("{error:?}") };
    assert!(error.blames_host() && answer.contains("more than 65536 bytes in one answer"), "{error}");

    let whole = "more than 16777216 bytes in one answer";
    let text = engine(dir, Babble::Text).await.unwrap();
    let all = LabelFilter::all();
    // The first is collected here, the others by bollard.
    let error = measured("list containers", text.list_containers(&all)).await.unwrap_err();
    is_the_hosts(&error, "list containers", whole);
    let error = measured("inspect container", text.inspect_container("c")).await.unwrap_err();
    is_the_hosts(&error, "inspect container", whole);
    let error = measured("list volumes", text.list_volumes(&all)).await.unwrap_err();
    is_the_hosts(&error, "list volumes", whole);

    let objects = engine(dir, Babble::Objects).await.unwrap();
    let error = measured("objects", objects.list_containers(&all)).await.unwrap_err();
    is_the_hosts(&error, "list containers", whole);

    let wrong = engine(dir, Babble::Error).await.unwrap();
    let error = measured("error", wrong.start("c")).await.unwrap_err();
    is_the_hosts(&error, "start", whole);
    let error = measured("error of a stream", wrong.logs_tail("c", 5)).await.unwrap_err();
    is_the_hosts(&error, "logs", "more than 65536 bytes");

    let head = engine(dir, Babble::Head).await.unwrap();
    let error = measured("head", head.start("c")).await.unwrap_err();
    assert!(error.blames_host(), "{error:?}");
}

async fn lines(dir: &TempDir) {
    let line = engine(dir, Babble::Line).await.unwrap();
    let words = "a line of more than 1048576 bytes";
    let events = async { line.events(&LabelFilter::all()).await.unwrap().next().await.unwrap().unwrap_err() };
    is_the_hosts(&measured("events", events).await, "events", words);
    let error = measured("pull", line.pull_image("a:b", None, &|_, _| {})).await.unwrap_err();
    is_the_hosts(&error, "pull image", words);
    let archive = futures_util::stream::empty().boxed();
    is_the_hosts(&measured("load", line.load_image(archive)).await.unwrap_err(), "load image", words);
}

async fn frames(dir: &TempDir) {
    let frame = engine(dir, Babble::Frame).await.unwrap();
    let words = "a frame of 4294967295 bytes, where at most 1048576 are taken";
    let command = ExecSpec::new(["yes"]);
    let error = measured("exec", frame.exec("c", &command, 1000)).await.unwrap_err();
    is_the_hosts(&error, "exec", words);
    let session = frame.attach_exec("c", &command).await.unwrap();
    let mut output = session.output;
    is_the_hosts(&measured("attach", output.next()).await.unwrap().unwrap_err(), "exec", words);

    // A terminal has no frames: all of it is output, and none of it is held.
    let spec = ExecSpec { tty: Some(TtySize { rows: 24, columns: 80 }), ..command };
    let resized = frame.attach_exec("c", &spec);
    let mut session = resized.await.unwrap();
    let read = async {
        let (mut begin, mut came) = (Vec::new(), 0);
        while came < TERMINAL {
            let Some(Ok(ExecChunk::Stdout(bytes))) = session.output.next().await else {
                panic!("the output ended")
            };
            came += bytes.len();
            begin.extend_from_slice(&bytes[..bytes.len().min(12_usize.saturating_sub(begin.len()))]);
        }
        begin
    };
    let begin = measured("terminal", read).await;
    assert_eq!(begin, [&GIANT[..], b"y\ny\n"].concat());
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let dir = TempDir::new().unwrap();
        answers(&dir).await;
        lines(&dir).await;
        frames(&dir).await;
    });
}
