//! Names over TCP: a bounded number of connections, of nodes of the network alone, each with short messages.
//!
//! A node must not be able to take the agent's files and memory from the other clusters of its host. So a connection counts
//! from the moment it is accepted: who is not of the subnet, or has its share, is closed at once.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use hickory_resolver::net::{
    BufDnsStreamHandle,
    runtime::TokioTime,
    xfer::{Protocol, StreamReceiver},
};
use hickory_server::server::{Request, RequestHandler, ResponseHandle};
use ipnet::Ipv4Net;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{Id, JoinSet},
    time::{sleep, timeout},
};
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;

use super::handler::Handler;

/// Connections of one network.
const CONNECTIONS: usize = 64;
/// Connections of one address.
const CONNECTIONS_OF_ONE: usize = 8;
/// Longest question: far beyond any name with all that may go with it.
const MESSAGE: usize = 4096;
/// Shortest: a header (RFC 1035 section 4.1.1).
const HEADER: usize = 12;
/// A connection that asks nothing for so long is closed (RFC 7766 section 6.2.3: a few seconds).
const IDLE: Duration = Duration::from_secs(5);
/// After an accept that failed: without files, the next one fails as well.
const PAUSE: Duration = Duration::from_millis(200);

/// Accepts until `shutdown`.
pub(super) async fn serve(
    listener: TcpListener,
    subnet: Ipv4Net,
    handler: Handler,
    shutdown: CancellationToken,
) {
    let mut connections = JoinSet::new();
    let mut peers = HashMap::<Id, Ipv4Addr>::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            Some(ended) = connections.join_next_with_id() => {
                peers.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let Some(peer) = welcome(from, subnet, &peers) else { continue };
                let handler = handler.clone();
                let task = connections.spawn(async move {
                    if let Err(error) = converse(stream, from, &handler).await {
                        tracing::debug!(%from, %error, "connection ended");
                    }
                });
                peers.insert(task.id(), peer);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for names");
                sleep(PAUSE).await;
            }
        }
    }
}

/// The peer's address, if there is room for one more connection of it.
fn welcome(from: SocketAddr, subnet: Ipv4Net, peers: &HashMap<Id, Ipv4Addr>) -> Option<Ipv4Addr> {
    let IpAddr::V4(peer) = from.ip() else { return None };
    let of_peer = peers.values().filter(|other| **other == peer).count();
    let room = peers.len() < CONNECTIONS && of_peer < CONNECTIONS_OF_ONE;
    (subnet.contains(&peer) && room).then_some(peer)
}

/// Answers one question after the other.
async fn converse(mut stream: TcpStream, from: SocketAddr, handler: &Handler) -> io::Result<()> {
    while let Some(question) = timeout(IDLE, read(&mut stream)).await?? {
        let Some(answer) = answer(question, from, handler).await else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        let framed = [&length.to_be_bytes()[..], &answer].concat();
        timeout(IDLE, stream.write_all(&framed)).await??;
    }
    Ok(())
}

/// A message behind its length (RFC 1035 section 4.2.2); `None` at the end.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let length = match stream.read_u16().await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        length => usize::from(length?),
    };
    if !(HEADER..=MESSAGE).contains(&length) {
        return Err(io::Error::other(format!("a message of {length} bytes")));
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(Some(message))
}

/// `None`: it is not answered, as an answer is not.
async fn answer(question: Vec<u8>, from: SocketAddr, handler: &Handler) -> Option<Vec<u8>> {
    const RESPONSE: u8 = 0x80;
    const FORMAT_ERROR: u8 = 1;
    let head = [question[0], question[1], question[2] | RESPONSE, FORMAT_ERROR];
    if question[2] & RESPONSE != 0 {
        return None;
    }
    let Ok(request) = Request::from_bytes(question, from, Protocol::Tcp) else {
        return Some([&head[..], &[0; HEADER - 4]].concat());
    };
    let (sender, mut answers): (_, StreamReceiver) = BufDnsStreamHandle::new(from);
    let responses = ResponseHandle::new(from, sender, Protocol::Tcp);
    handler.handle_request::<_, TokioTime>(&request, responses).await;
    answers.next().await.map(|message| message.into_parts().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_network_and_an_address_have_their_share() {
        let subnet: Ipv4Net = "10.96.4.0/24".parse().unwrap();
        let mut tasks = JoinSet::new();
        let mut peers = HashMap::new();
        let mut taken = |last: u8, peers: &mut HashMap<Id, Ipv4Addr>| {
            let from = SocketAddr::from(([10, 96, 4, last], 4711));
            let peer = welcome(from, subnet, peers);
            peers.extend(peer.map(|peer| (tasks.spawn(std::future::pending::<()>()).id(), peer)));
            peer.is_some()
        };
        assert_eq!((0..20).filter(|_| taken(3, &mut peers)).count(), 8);
        assert!(taken(4, &mut peers));
        let others = (5..200).filter(|last| taken(*last, &mut peers)).count();
        assert_eq!((others, peers.len()), (55, 64));
        for stranger in ["10.77.0.1:1", "[::1]:1"] {
            assert_eq!(welcome(stranger.parse().unwrap(), subnet, &HashMap::new()), None);
        }
    }
}
