//! An engine that never stops talking: on a unix socket, as HTTP, since what it does is done to the client's reading.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    thread,
};

/// What never ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Babble {
    /// The answer to a ping.
    Ping,
    /// The head of every other answer.
    Head,
    /// One text in the answer.
    Text,
    /// The list in the answer, of objects that say nothing.
    Objects,
    /// One line of the answer.
    Line,
    /// The text of an error.
    Error,
    /// A frame of a command's output: its header tells of 4 GiB.
    Frame,
}

/// What all answers of an engine have.
const HEAD: &str =
    "Api-Version: 1.41\r\nServer: Docker/20.10.24 (linux)\r\nContent-Type: application/json\r\n";
/// The output of [`Babble::Frame`]'s command begins with this, whether or not it has a terminal.
pub const GIANT: [u8; 8] = [1, 0, 0, 0, 255, 255, 255, 255];

/// Listens on a socket that must not be there, and answers as an engine until asked for what never ends. It ends with its
/// process.
///
/// # Errors
/// The socket cannot be made.
pub fn babbler(socket: &Path, babble: Babble) -> std::io::Result<()> {
    let listener = UnixListener::bind(PathBuf::from(socket))?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // The client hangs up in the middle: that is what it should do.
            thread::spawn(move || drop(serve(stream, babble)));
        }
    });
    Ok(())
}

/// Answers requests until the client hangs up.
fn serve(mut stream: UnixStream, babble: Babble) -> std::io::Result<()> {
    let (mut held, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let n = stream.read(&mut piece)?;
        if n == 0 {
            return Ok(());
        }
        held.extend_from_slice(&piece[..n]);
        while let Some(end) = held.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&held[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
            });
            // The bodies of requests are small, and come with their heads.
            held.drain(..(end + 4 + length.unwrap_or(0)).min(held.len()));
            answer(&mut stream, &head, babble)?;
        }
    }
}

fn answer(stream: &mut UnixStream, head: &str, babble: Babble) -> std::io::Result<()> {
    let path = head.split(' ').nth(1).unwrap_or_default();
    let whole = |status: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\n{HEAD}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    let endless = |status: &str, body: &str| {
        let n = body.len();
        format!("HTTP/1.1 {status}\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n{n:x}\r\n{body}\r\n")
    };
    if path.ends_with("/_ping") && babble != Babble::Ping {
        return stream.write_all(whole("200 OK", "OK").as_bytes());
    }
    if path.ends_with("/info") {
        return stream.write_all(whole("200 OK", r#"{"SystemTime":"2026-01-01T00:00:00Z"}"#).as_bytes());
    }
    if path.ends_with("/exec") {
        return stream.write_all(whole("201 Created", r#"{"Id":"e1"}"#).as_bytes());
    }
    let (begin, again): (String, &[u8]) = match babble {
        Babble::Ping => (endless("200 OK", "OK"), b"OK"),
        Babble::Head => ("HTTP/1.1 200 OK\r\nX: ".to_owned(), b"x"),
        Babble::Text => (endless("200 OK", r#"[{"Id":""#), b"x"),
        Babble::Objects => (endless("200 OK", "[{}"), b",{}"),
        Babble::Line => (endless("200 OK", r#"{"stream":""#), b"x"),
        Babble::Error => (endless("500 Internal Server Error", r#"{"message":""#), b"x"),
        Babble::Frame => {
            ("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".to_owned(), b"y\n")
        }
    };
    stream.write_all(begin.as_bytes())?;
    let words = again.repeat((64 << 10) / again.len());
    let piece = match babble {
        Babble::Head => words,
        Babble::Frame => {
            stream.write_all(&GIANT)?;
            words
        }
        Babble::Ping | Babble::Text | Babble::Objects | Babble::Line | Babble::Error => {
            [format!("{:x}\r\n", words.len()).as_bytes(), &words, b"\r\n"].concat()
        }
    };
    loop {
        stream.write_all(&piece)?;
    }
}
