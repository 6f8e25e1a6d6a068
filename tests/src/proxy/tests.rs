//! The proxy before a server of a few lines: `ok` to every request, an id to one that makes an exec, an echo after an upgrade.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::*;

/// How many requests the server has seen.
type Count = Arc<AtomicU32>;

fn server(socket: &Path) -> Count {
    let (listener, count) = (UnixListener::bind(socket).unwrap(), Count::default());
    let seen = count.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let seen = seen.clone();
            thread::spawn(move || speak(stream, &seen));
        }
    });
    count
}

fn speak(mut stream: UnixStream, seen: &AtomicU32) {
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let (mut upgrade, mut exec) = (false, false);
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
        exec |= line.contains("/exec HTTP");
        upgrade |= line.to_lowercase().starts_with("upgrade:");
        if line.trim().is_empty() {
            seen.fetch_add(1, Ordering::SeqCst);
            if upgrade {
                stream
                    .write_all(b"HTTP/1.1 101 UPGRADED\r\nconnection: Upgrade\r\nupgrade: tcp\r\n\r\n")
                    .unwrap();
                std::io::copy(&mut lines, &mut stream).unwrap();
                return;
            }
            let body = if exec { r#"{"Id":"e1"}"# } else { "ok" };
            let length = body.len();
            stream
                .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes())
                .unwrap();
        }
        line.clear();
    }
}

/// A proxy and how many requests get through it.
fn bed() -> (TempDir, Proxy, Count) {
    let dir = tempfile::tempdir().unwrap();
    let engine = dir.path().join("engine.sock");
    let count = server(&engine);
    let proxy = Proxy::new(&engine).unwrap();
    (dir, proxy, count)
}

/// Status line, a space and the body; empty if the connection ended without an answer.
fn ask(proxy: &Proxy, request: &str) -> io::Result<String> {
    ask_with(proxy, request, "")
}

fn ask_with(proxy: &Proxy, request: &str, body: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(&proxy.socket)?;
    let length = body.len();
    let head = format!("{request} HTTP/1.1\r\nhost: d\r\nconnection: close\r\ncontent-length: {length}");
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    Ok(format!("{} {body}", answer.lines().next().unwrap_or_default()).trim().to_owned())
}

const OK: &str = "HTTP/1.1 200 OK ok";

#[test]
fn the_nth_match_is_answered_by_the_rule_and_never_reaches_the_engine() {
    let (_dir, proxy, count) = bed();
    let full = Action::Answer(500, "no space left on device");
    let acted = proxy.arm(Rule::new("POST", &["/containers/", "/start"], When::Before, full).nth(2));
    assert_eq!(ask(&proxy, "POST /v1.41/containers/a/start").unwrap(), OK);
    assert_eq!(ask(&proxy, "GET /v1.41/containers/a/start").unwrap(), OK);
    assert_eq!(ask(&proxy, "POST /v1.41/exec/a/start").unwrap(), OK);
    let refused = ask(&proxy, "POST /v1.41/containers/b/start").unwrap();
    assert!(refused.contains("500") && refused.contains("no space left on device"), "{refused}");
    assert_eq!(ask(&proxy, "POST /v1.41/containers/c/start").unwrap(), OK);
    assert_eq!(count.load(Ordering::SeqCst), 4);
    assert_eq!(acted.try_iter().collect::<Vec<_>>(), ["POST /v1.41/containers/b/start"]);
    assert_eq!(proxy.seen().len(), 5);
}

#[test]
fn an_exec_is_known_by_its_command() {
    let (_dir, proxy, count) = bed();
    let rule = |parts| proxy.arm(Rule::new("POST", parts, When::Before, Action::Drop));
    let (made, started) = (rule(&["/exec runs false"]), rule(&["/exec/", "/start runs sinfo --noheader"]));
    let make = "POST /v1.41/containers/a/exec";
    assert!(ask_with(&proxy, make, r#"{"Cmd":["sinfo","--noheader"]}"#).unwrap().contains("e1"));
    assert_eq!(ask_with(&proxy, make, r#"{"Cmd":["false"]}"#).unwrap(), "");
    assert_eq!(ask(&proxy, "POST /v1.41/exec/e2/start").unwrap(), OK);
    assert_eq!(ask(&proxy, "POST /v1.41/exec/e1/start").unwrap(), "");
    assert_eq!((made.try_iter().count(), started.try_iter().count()), (1, 1));
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[test]
fn before_and_after_differ_in_what_the_engine_has_seen() {
    for (when, through) in [(When::Before, 0), (When::After, 1)] {
        let (_dir, proxy, count) = bed();
        let acted = proxy.arm(Rule::new("POST", &["/create"], when, Action::Drop));
        assert_eq!(ask(&proxy, "POST /create").unwrap(), "");
        assert_eq!((acted.try_iter().count(), count.load(Ordering::SeqCst)), (1, through), "{when:?}");
    }
}

#[test]
fn a_host_that_refuses_has_no_listener_and_comes_back() {
    let (_dir, proxy, _) = bed();
    let mut stood = UnixStream::connect(&proxy.socket).unwrap();
    stood.write_all(b"GET /_ping HTTP/1.1\r\nhost: d\r\n\r\n").unwrap();
    stood.read_exact(&mut [0; 15]).unwrap();
    proxy.set(Mode::Refuse);
    // Its end says that the mode is in force.
    stood.read_to_end(&mut Vec::new()).unwrap();
    let mut probe = ask(&proxy, "GET /_ping");
    while probe.is_ok() {
        probe = ask(&proxy, "GET /_ping");
    }
    proxy.mend();
    while ask(&proxy, "GET /_ping").is_err() {}
    assert_eq!(ask(&proxy, "GET /_ping").unwrap(), OK);
}

#[test]
fn a_host_that_hangs_answers_once_it_no_longer_does() {
    let (_dir, proxy, count) = bed();
    let acted = proxy.arm(Rule::new("GET", &["/a"], When::Before, Action::Become(Mode::Hang)));
    thread::scope(|scope| {
        let asked = scope.spawn(|| ask(&proxy, "GET /a").unwrap());
        acted.recv().unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 0);
        proxy.mend();
        assert_eq!(asked.join().unwrap(), OK);
    });
}

#[test]
fn a_slow_host_answers_late() {
    let (_dir, proxy, _) = bed();
    proxy.set(Mode::Slow(Duration::from_millis(200)));
    let asked = Instant::now();
    assert_eq!(ask(&proxy, "GET /a").unwrap(), OK);
    assert!(asked.elapsed() >= Duration::from_millis(200));
}

#[test]
fn what_is_upgraded_is_passed_through_both_ways() {
    let (_dir, proxy, _) = bed();
    let mut stream = UnixStream::connect(&proxy.socket).unwrap();
    stream
        .write_all(b"POST /exec/a/start HTTP/1.1\r\nhost: d\r\nconnection: Upgrade\r\nupgrade: tcp\r\n\r\n")
        .unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(lines.read_line(&mut head).unwrap() > 0, "{head}");
    }
    assert!(head.contains("101"), "{head}");
    stream.write_all(b"hello").unwrap();
    let mut echo = [0; 5];
    lines.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"hello");
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(lines.read_to_end(&mut Vec::new()).unwrap(), 0);
}
