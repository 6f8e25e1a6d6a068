//! Servers that are no usable engine: each answers as its [`Manner`] says, on a unix socket, TCP or TLS, until the test ends.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixListener,
    path::Path,
    sync::Arc,
    thread,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a server does with a connection.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    /// Answers as an engine of this API version, with this as its `/info`.
    Engine(&'static str, String),
    /// Answers every request with this status and body.
    Answer(u16, &'static str),
    /// Sends this at once, then reads and never answers: closing on what is unread would take back what was said.
    Say(&'static [u8]),
    /// Reads and never answers.
    Hang,
    /// Reads a request and closes.
    Close,
}

/// Serves on a unix socket.
pub(crate) fn unix(path: &Path, manner: Manner) -> String {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let manner = manner.clone();
            thread::spawn(move || serve(stream, &manner));
        }
    });
    format!("unix://{}", path.display())
}

/// Serves on a port of 127.0.0.1, with TLS if a configuration is given; returns the port.
pub(crate) fn tcp(manner: Manner, tls: Option<ServerConfig>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let tls = tls.map(Arc::new);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (manner, tls) = (manner.clone(), tls.clone());
            thread::spawn(move || match tls {
                None => serve(stream, &manner),
                Some(tls) => serve(encrypted(stream, tls), &manner),
            });
        }
    });
    port
}

fn encrypted(stream: TcpStream, tls: Arc<ServerConfig>) -> StreamOwned<ServerConnection, TcpStream> {
    StreamOwned::new(ServerConnection::new(tls).unwrap(), stream)
}

/// Whoever connects may be gone at any time, and a failed handshake is the client's to report: both end the connection.
fn serve(mut stream: impl Read + Write, manner: &Manner) {
    if let Manner::Say(bytes) = manner
        && stream.write_all(bytes).and_then(|()| stream.flush()).is_err()
    {
        return;
    }
    let (mut buffer, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = stream.read(&mut piece) {
        buffer.extend_from_slice(&piece[..n]);
        while let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end + 4);
            let path = head.split(' ').nth(1).unwrap_or_default();
            let (status, body) = match manner {
                Manner::Engine(api, info) => engine(path, api, info),
                Manner::Answer(status, body) => (*status, (*body).to_owned()),
                Manner::Close => return,
                Manner::Hang | Manner::Say(_) => continue,
            };
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if stream.write_all(answer.as_bytes()).and_then(|()| stream.flush()).is_err() {
                return;
            }
        }
    }
}

fn engine(path: &str, api: &str, info: &str) -> (u16, String) {
    match path.split('?').next().and_then(|p| p.rsplit('/').next()) {
        Some("version") => {
            (200, format!(r#"{{"Version":"19.03.15","ApiVersion":"{api}","Os":"linux","Arch":"amd64"}}"#))
        }
        Some("info") => (200, info.to_owned()),
        Some("networks") => (200, "[]".into()),
        _ => (404, r#"{"message":"page not found"}"#.into()),
    }
}
