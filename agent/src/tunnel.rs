//! A byte stream to a TCP port of a node of this host.
//!
//! ```text
//! caller: open, data ..., (its stream ends)  -->  connect, bytes ..., end of input
//! caller: opened, data ..., end              <--  bytes ..., end of output
//! ```
//!
//! Each way ends by itself, as in TCP; the call ends when both have. A gRPC server that ends its stream ends the call, so
//! the node's end is a message of its own. Only nodes of networks that are kept can be reached: the agent is in the
//! host's namespace and must not be a way to anything else.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use bytes::BytesMut;
use futures_util::{Stream, StreamExt};
use shoal_proto::{
    FRAME_BYTES, FieldError,
    v1::{self, tunnel_request, tunnel_response},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::Status;

use crate::{
    network::{parse, port},
    reconciler::Networks,
};

/// How long a node has to accept: it is on this host, so longer means it is stopped or full.
const DIAL: Duration = Duration::from_secs(5);
/// Frames on their way to the caller, of one tunnel: 256 KiB.
const FRAMES: usize = 4;

/// A tunnel that cannot be opened, or broke.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TunnelError {
    /// The first message does not open.
    #[error("the first message must open the tunnel")]
    NotOpened,
    /// A message after the first is not data.
    #[error("only data may follow after the first message")]
    NotData,
    /// The address or port is none.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// No kept network has a node of this address on this host.
    #[error("{0} is not a node of this host")]
    NotLocal(Ipv4Addr),
    /// Nothing listens there, or the node is unreachable.
    #[error("cannot connect to {to}")]
    Dial { to: SocketAddrV4, source: io::Error },
    /// The node does not answer.
    #[error("{to} does not answer")]
    DialTimeout { to: SocketAddrV4 },
    /// The connection broke.
    #[error("connection to {to} broke")]
    Broken { to: SocketAddrV4, source: io::Error },
    /// The caller went away.
    #[error("the caller is gone")]
    CallerGone,
}

/// What the caller reads.
pub(crate) type Responses = ReceiverStream<Result<v1::TunnelResponse, Status>>;

/// Opens the tunnel the first of `requests` asks for, and lets it run as one of `tunnels`.
///
/// # Errors
/// Every one of [`TunnelError`] up to [`TunnelError::DialTimeout`]; later failures end the stream.
pub(crate) async fn open(
    mut requests: impl Stream<Item = Result<v1::TunnelRequest, Status>> + Send + Unpin + 'static,
    networks: Networks,
    tunnels: &TaskTracker,
) -> Result<Responses, TunnelError> {
    let first = requests.next().await.and_then(Result::ok).and_then(|r| r.frame);
    let Some(tunnel_request::Frame::Open(open)) = first else { return Err(TunnelError::NotOpened) };
    let address: Ipv4Addr = parse("open.address", &open.address)?;
    let to = SocketAddrV4::new(address, port("open.port", open.port)?.get());
    if !networks.values().any(|n| n.local_addresses().any(|a| a == address)) {
        return Err(TunnelError::NotLocal(address));
    }
    let stream = dial(to).await?;
    tracing::debug!(%to, "tunnel opened");
    let (sender, responses) = mpsc::channel(FRAMES);
    tunnels.spawn(async move {
        if let Err(error) = relay(stream, to, requests, &sender).await {
            tracing::debug!(%to, error = shoal_types::chain(&error), "tunnel ended");
            // A caller that is gone reads nothing.
            let _ = sender.send(Err(error.into())).await;
        }
    });
    Ok(ReceiverStream::new(responses))
}

async fn dial(to: SocketAddrV4) -> Result<TcpStream, TunnelError> {
    let stream = match timeout(DIAL, TcpStream::connect(to)).await {
        Ok(answer) => answer.map_err(|source| TunnelError::Dial { to, source })?,
        Err(_) => return Err(TunnelError::DialTimeout { to }),
    };
    stream.set_nodelay(true).map_err(|source| TunnelError::Dial { to, source })?;
    Ok(stream)
}

async fn relay(
    stream: TcpStream,
    to: SocketAddrV4,
    requests: impl Stream<Item = Result<v1::TunnelRequest, Status>> + Unpin,
    responses: &mpsc::Sender<Result<v1::TunnelResponse, Status>>,
) -> Result<(), TunnelError> {
    let (from_node, to_node) = stream.into_split();
    send(responses, tunnel_response::Frame::Opened(v1::TunnelOpened {})).await?;
    let both = async { tokio::try_join!(up(requests, to_node, to), down(from_node, responses, to)) };
    tokio::select! {
        ended = both => ended.map(drop),
        // A caller that has said all it has to say is missed only here.
        () = responses.closed() => Err(TunnelError::CallerGone),
    }
}

async fn up(
    mut requests: impl Stream<Item = Result<v1::TunnelRequest, Status>> + Unpin,
    mut node: OwnedWriteHalf,
    to: SocketAddrV4,
) -> Result<(), TunnelError> {
    let broken = |source| TunnelError::Broken { to, source };
    while let Some(request) = requests.next().await {
        match request.map_err(|_| TunnelError::CallerGone)?.frame {
            Some(tunnel_request::Frame::Data(data)) => node.write_all(&data).await.map_err(broken)?,
            Some(tunnel_request::Frame::Open(_)) | None => return Err(TunnelError::NotData),
        }
    }
    match node.shutdown().await {
        // The node has closed both ways already.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        answer => answer.map_err(broken),
    }
}

async fn down(
    mut node: OwnedReadHalf,
    responses: &mpsc::Sender<Result<v1::TunnelResponse, Status>>,
    to: SocketAddrV4,
) -> Result<(), TunnelError> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(FRAME_BYTES);
        let read = node.read_buf(&mut buffer).await.map_err(|source| TunnelError::Broken { to, source })?;
        if read == 0 {
            return send(responses, tunnel_response::Frame::End(v1::TunnelEnd {})).await;
        }
        send(responses, tunnel_response::Frame::Data(buffer.split().freeze())).await?;
    }
}

async fn send(
    responses: &mpsc::Sender<Result<v1::TunnelResponse, Status>>,
    frame: tunnel_response::Frame,
) -> Result<(), TunnelError> {
    let response = v1::TunnelResponse { frame: Some(frame) };
    responses.send(Ok(response)).await.map_err(|_| TunnelError::CallerGone)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shoal_proto::v1::TunnelRequest;
    use tonic::codegen::tokio_stream::iter;

    use super::*;

    fn frame() -> impl Strategy<Value = Option<tunnel_request::Frame>> {
        let open = ("\\PC{0,40}|[0-9.]{0,20}|10\\.96\\.4\\.[0-9]{1,3}", any::<u32>())
            .prop_map(|(address, port)| tunnel_request::Frame::Open(v1::TunnelOpen { address, port }));
        let data = prop::collection::vec(any::<u8>(), 0..64)
            .prop_map(|data| tunnel_request::Frame::Data(data.into()));
        prop::option::of(prop_oneof![open, data])
    }

    proptest! {
        /// An agent that keeps no network has no node: whatever comes, nothing is dialled, and the answer says why.
        #[test]
        fn no_frames_open_a_way_to_nothing(frames in prop::collection::vec(frame(), 0..4)) {
            let requests = frames.into_iter().map(|frame| Ok(TunnelRequest { frame }));
            let requests = iter(requests.collect::<Vec<_>>());
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let answer = runtime.block_on(open(requests, Networks::default(), &TaskTracker::new()));
            let refused = matches!(
                answer,
                Err(TunnelError::NotOpened | TunnelError::Field(_) | TunnelError::NotLocal(_))
            );
            prop_assert!(refused);
        }
    }
}
