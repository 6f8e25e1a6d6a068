//! Byte streams to nodes.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener as StdTcpListener};

use anyhow::{Context, bail, ensure};
use shoal_proto::v1::{
    TunnelOpen, TunnelRequest, TunnelResponse, tunnel_request::Frame as Asked, tunnel_response::Frame as Told,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::{
    agent::{Agent, Fleet, block_on, eventually},
    lab::{GATEWAY, Namespace, Node},
};

const NODES: [Node; 2] = [Node { name: "w0", last: 3, host: 0 }, Node { name: "w1", last: 4, host: 1 }];
const PORT: u16 = 2222;

fn listen(node: &Namespace, address: Ipv4Addr) -> anyhow::Result<TcpListener> {
    let listener = node.enter(|| Ok(StdTcpListener::bind(SocketAddrV4::new(address, PORT))?))?;
    listener.set_nonblocking(true)?;
    Ok(TcpListener::from_std(listener)?)
}

/// Opens a tunnel: what can be sent, what comes back.
async fn open(
    agent: &Agent,
    address: &str,
    port: u32,
) -> Result<(mpsc::Sender<TunnelRequest>, Streaming<TunnelResponse>), Status> {
    let (sender, requests) = mpsc::channel(4);
    let open = Asked::Open(TunnelOpen { address: address.into(), port });
    let first = sender.send(TunnelRequest { frame: Some(open) });
    first.await.map_err(|_| Status::internal("the request stream is closed"))?;
    let responses = agent.client.clone().tunnel(ReceiverStream::new(requests)).await?.into_inner();
    Ok((sender, responses))
}

async fn send(sender: &mpsc::Sender<TunnelRequest>, bytes: &'static [u8]) -> anyhow::Result<()> {
    Ok(sender.send(TunnelRequest { frame: Some(Asked::Data(bytes.into())) }).await?)
}

async fn next(responses: &mut Streaming<TunnelResponse>) -> anyhow::Result<Told> {
    responses.message().await?.context("the stream has ended")?.frame.context("empty frame")
}

pub(crate) fn both_ways_end_by_themselves() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(1).await?;
        fleet.apply(&NODES[..1], 1).await?;
        let w0 = fleet.lab.hosts[0].start(&NODES[0])?;
        let listener = listen(&w0, NODES[0].address())?;

        // The caller ends first, the node answers after that.
        let (sender, mut responses) = open(&fleet.agents[0], "10.96.4.3", PORT.into()).await?;
        let (mut stream, from) = listener.accept().await?;
        ensure!(from.ip() == GATEWAY, "{from}");
        ensure!(matches!(next(&mut responses).await?, Told::Opened(_)));
        send(&sender, b"question").await?;
        drop(sender);
        let mut asked = String::new();
        stream.read_to_string(&mut asked).await?;
        ensure!(asked == "question");
        stream.write_all(b"answer").await?;
        drop(stream);
        ensure!(matches!(next(&mut responses).await?, Told::Data(d) if d == "answer"));
        ensure!(matches!(next(&mut responses).await?, Told::End(_)));
        ensure!(responses.message().await?.is_none(), "the call ends when both have ended");

        // The node ends first, the caller goes on.
        let (sender, mut responses) = open(&fleet.agents[0], "10.96.4.3", PORT.into()).await?;
        let (mut stream, _) = listener.accept().await?;
        stream.write_all(b"greeting").await?;
        stream.shutdown().await?;
        ensure!(matches!(next(&mut responses).await?, Told::Opened(_)));
        ensure!(matches!(next(&mut responses).await?, Told::Data(d) if d == "greeting"));
        ensure!(matches!(next(&mut responses).await?, Told::End(_)));
        send(&sender, b"late words").await?;
        drop(sender);
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await?;
        ensure!(heard == "late words");
        ensure!(responses.message().await?.is_none());

        // A caller that has ended its way and vanishes closes the connection, though the node says nothing.
        let (sender, responses) = open(&fleet.agents[0], "10.96.4.3", PORT.into()).await?;
        let (mut stream, _) = listener.accept().await?;
        drop(sender);
        ensure!(stream.read(&mut [0; 1]).await? == 0, "its end arrives");
        drop(responses);
        eventually("the connection is closed", async || stream.write_all(b"anybody?").await.is_err()).await?;

        // So does one that vanishes in the middle.
        let (sender, responses) = open(&fleet.agents[0], "10.96.4.3", PORT.into()).await?;
        let (mut stream, _) = listener.accept().await?;
        drop((sender, responses));
        ensure!(stream.read(&mut [0; 1]).await.unwrap_or(0) == 0);
        Ok(())
    })
}

pub(crate) fn only_nodes_of_this_host_are_reached() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(2).await?;
        fleet.apply(&NODES, 1).await?;
        let (w0, w1) = (fleet.lab.hosts[0].start(&NODES[0])?, fleet.lab.hosts[1].start(&NODES[1])?);
        let (_here, _there) = (listen(&w0, NODES[0].address())?, listen(&w1, NODES[1].address())?);
        let agent = &fleet.agents[0];
        open(agent, "10.96.4.3", PORT.into()).await?;
        for (address, port, code) in [
            ("10.96.4.4", u32::from(PORT), Code::PermissionDenied),
            ("10.96.4.1", 53, Code::PermissionDenied),
            ("10.77.0.1", 22, Code::PermissionDenied),
            ("127.0.0.1", 22, Code::PermissionDenied),
            ("10.96.4.3", 0, Code::InvalidArgument),
            ("w0", 22, Code::InvalidArgument),
            ("10.96.4.3", 9, Code::Unavailable),
        ] {
            let Err(refused) = open(agent, address, port).await else { bail!("{address}:{port} was opened") };
            ensure!(refused.code() == code, "{address}:{port}: {refused}");
        }
        Ok(())
    })
}
