//! Commands inside containers.

use std::time::Duration;

use futures_util::StreamExt as _;
use shoal_docker::{ExecChunk, ExecSession, ExecSpec, TtySize};
use shoal_docker_fake::GIANT;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::bench::{Bench, probe};

/// No behaviour waits longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn status_and_both_outputs(bench: &Bench) {
    let id = bench.running("exec").await;
    let said = bench.engine.exec(&id, &probe(&["say", "out", "err", "42"]), 100).await.unwrap();
    assert_eq!((said.status, &said.stdout[..], &said.stderr[..]), (42, &b"out\n"[..], &b"err\n"[..]));
    assert!(!said.truncated);
    let env = ExecSpec { env: vec!["A=b".into()], ..probe(&["show", "/proc/self/environ"]) };
    let shown = bench.engine.exec(&id, &env, 1000).await.unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains("A=b"), "{shown:?}");
}

pub(crate) async fn output_beyond_the_limit_is_cut(bench: &Bench) {
    let id = bench.running("flood").await;
    let flood = bench.engine.exec(&id, &probe(&["lines", "100000"]), 1000).await.unwrap();
    assert_eq!((flood.status, flood.stdout.len(), flood.truncated), (0, 1000, true));
    assert!(flood.stdout.starts_with(b"line 1\nline 2\n"));
}

pub(crate) async fn what_cannot_be_run_says_so(bench: &Bench) {
    let id = bench.running("nothing").await;
    let output = bench.engine.exec(&id, &ExecSpec::new(["/no/such"]), 1000).await.unwrap();
    assert!(matches!(output.status, 126 | 127), "{output:?}");
    let said = [output.stdout, output.stderr].concat();
    assert!(String::from_utf8_lossy(&said).contains("no such file"), "{said:?}");
}

pub(crate) async fn half_close_reaches_the_command_and_the_answer_comes_back(bench: &Bench) {
    let id = bench.running("half").await;
    let mut session = bench.engine.attach_exec(&id, &probe(&["copy"])).await.unwrap();
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let sending = async {
        session.stdin.write_all(&sent).await.unwrap();
        session.stdin.shutdown().await.unwrap();
    };
    let receiving = async {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        while let Some(chunk) = session.output.next().await {
            match chunk.unwrap() {
                ExecChunk::Stdout(bytes) => out.extend_from_slice(&bytes),
                ExecChunk::Stderr(bytes) => err.extend_from_slice(&bytes),
            }
        }
        (out, err)
    };
    let (_, (out, err)) =
        tokio::time::timeout(PATIENCE, async { tokio::join!(sending, receiving) }).await.unwrap();
    assert!(out == sent, "{} of {} bytes came back", out.len(), sent.len());
    assert_eq!(String::from_utf8_lossy(&err), "3000000 bytes\n");
    assert_eq!(session.exit.await.unwrap(), 0);
}

pub(crate) async fn a_duplex_carries_bytes_both_ways(bench: &Bench) {
    let id = bench.running("duplex").await;
    let session = bench.engine.attach_exec(&id, &probe(&["copy"])).await.unwrap();
    let mut duplex = session.into_duplex("copy");
    for round in 0..20_u8 {
        let sent = [round; 100];
        duplex.write_all(&sent).await.unwrap();
        duplex.flush().await.unwrap();
        let mut back = [0; 100];
        tokio::time::timeout(PATIENCE, duplex.read_exact(&mut back)).await.unwrap().unwrap();
        assert_eq!(back, sent);
    }
    duplex.shutdown().await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, duplex.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, b"");
}

pub(crate) async fn a_command_ends_with_its_stream(bench: &Bench) {
    let id = bench.running("dropped").await;
    let mut session = bench.engine.attach_exec(&id, &probe(&["copy"])).await.unwrap();
    session.stdin.write_all(b"x").await.unwrap();
    session.output.next().await.unwrap().unwrap();
    let exit = session.exit;
    drop((session.stdin, session.output));
    // It reads its input, so the end of the connection is the end of the command.
    tokio::time::timeout(PATIENCE, exit).await.unwrap().unwrap();
}

pub(crate) async fn a_terminal_has_a_size_that_changes(bench: &Bench) {
    let id = bench.running("terminal").await;
    let tty = |rows, columns| TtySize { rows, columns };
    let spec = ExecSpec { tty: Some(tty(33, 101)), ..probe(&["terminal"]) };
    let mut session = bench.engine.attach_exec(&id, &spec).await.unwrap();
    says(&mut session, "33 rows, 101 columns").await;
    let resize = session.resize.clone().unwrap();
    resize(tty(44, 202)).await.unwrap();
    says(&mut session, "44 rows, 202 columns").await;
    // A terminal hands on whole lines.
    session.stdin.write_all(b"x\n").await.unwrap();
    assert_eq!(tokio::time::timeout(PATIENCE, session.exit).await.unwrap().unwrap(), 5);
}

pub(crate) async fn output_that_looks_like_a_frame_is_output(bench: &Bench) {
    let id = bench.running("header").await;
    let lines: String = (1..=20_000).map(|n| format!("line {n}\n")).collect();
    for (tty, lines) in [(None, lines.clone()), (Some(TtySize::default()), lines.replace('\n', "\r\n"))] {
        let spec = ExecSpec { tty, ..probe(&["header", "20000"]) };
        let mut session = bench.engine.attach_exec(&id, &spec).await.unwrap();
        let mut said = Vec::new();
        while let Some(chunk) = tokio::time::timeout(PATIENCE, session.output.next()).await.unwrap() {
            match chunk.unwrap() {
                ExecChunk::Stdout(bytes) => said.extend_from_slice(&bytes),
                ExecChunk::Stderr(bytes) => panic!("{} bytes of errors", bytes.len()),
            }
        }
        let wanted = [&GIANT[..], lines.as_bytes()].concat();
        assert!(said == wanted, "{} of {} bytes, tty {tty:?}", said.len(), wanted.len());
        assert_eq!(session.exit.await.unwrap(), 0);
    }
}

/// Reads what comes on its one output until this was among it.
async fn says(session: &mut ExecSession, words: &str) {
    let mut said = String::new();
    while !said.contains(words) {
        match tokio::time::timeout(PATIENCE, session.output.next()).await {
            Ok(Some(Ok(ExecChunk::Stdout(bytes)))) => said += &String::from_utf8_lossy(&bytes),
            other => panic!("{other:?} after {said:?}"),
        }
    }
}
