//! `shoal port-forward`: ports of this machine that lead to ports of a node.
//!
//! ```text
//! client -- TCP --> 127.0.0.1:LOCAL == gRPC ==> coordinator == agent -- TCP --> node:REMOTE
//! ```
//! Each connection is a tunnel of its own; each way of it ends by itself.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU16,
    str::FromStr,
    time::Duration,
};

use clap::Args;
use clap_complete::ArgValueCandidates;
use shoal_api::{Answers, Client, Forward as ForwardShown, ProxyFrame, ProxyOpen, ProxyOutput};
use shoal_types::{RealmName, chain};
use tokio::{
    io::{AsyncWriteExt, stderr},
    net::{TcpListener, TcpStream, tcp::OwnedWriteHalf},
    task::JoinSet,
};

use super::frames::Pump;
use crate::{
    args::Global, complete, connect::Session, error::CliError, escape, exit::Exit, interrupt::Interrupt,
    node_ref::NodeRef, parse::word,
};

/// How long to wait when the machine has no room for a connection.
const NO_ROOM: Duration = Duration::from_millis(200);

/// Arguments of `port-forward`.
#[derive(Debug, Args)]
pub(crate) struct PortForward {
    /// The node; of the cluster `default` if none is named
    #[arg(value_name = "NODE[.CLUSTER]", value_parser = word::<NodeRef>, add = ArgValueCandidates::new(complete::nodes))]
    target: NodeRef,
    /// Local port and port of the node; without LOCAL, or with 0, Shoal chooses a free port
    #[arg(value_name = "[LOCAL:]REMOTE", required = true, value_parser = word::<Ports>)]
    ports: Vec<Ports>,
    /// Address to listen on; beyond loopback, other machines reach the node too
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
}

/// A port here, 0 for any free one, and a port of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ports {
    local: u16,
    remote: NonZeroU16,
}

/// A text that is no pair of ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not [LOCAL:]REMOTE: ports are whole numbers up to 65535, REMOTE from 1, as in 8080:80 or 6817")]
struct PortsError;

impl FromStr for Ports {
    type Err = PortsError;

    fn from_str(text: &str) -> Result<Self, PortsError> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let (local, remote) = text.split_once(':').unwrap_or(("", text));
        let local = match local {
            "" => 0,
            local if digits(local) => local.parse().map_err(|_| PortsError)?,
            _ => return Err(PortsError),
        };
        match digits(remote) {
            true => Ok(Self { local, remote: remote.parse().map_err(|_| PortsError)? }),
            false => Err(PortsError),
        }
    }
}

/// A port that is listened on, and where it leads.
struct Forward {
    listener: TcpListener,
    at: SocketAddr,
    open: ProxyOpen,
}

impl PortForward {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let realm = self.target.realm(global)?;
        let ended = Session::within(global, interrupt, async |client| {
            self.check_node(client, &realm).await?;
            let forwards = self.listen(&realm).await?;
            let shown: Vec<ForwardShown> = forwards.iter().map(|forward| self.shown(forward)).collect();
            global.screen().result(&shown, |_| {
                shown.iter().map(|f| format!("{} -> {}:{}\n", f.listen, f.node, f.port)).collect()
            })?;
            serve(client, forwards).await
        })
        .await;
        match ended {
            // That is how one ends it.
            Err(CliError::Interrupted) => Ok(Exit::Ok),
            Err(error) => Err(error),
            Ok(never) => match never {},
        }
    }

    async fn check_node(&self, client: &Client, realm: &RealmName) -> Result<(), CliError> {
        let nodes = client.list_nodes(realm, Some(&self.target.cluster)).await?;
        match nodes.iter().any(|node| node.name == self.target.node.as_str()) {
            true => Ok(()),
            false => Err(CliError::NoNode { target: self.target.clone() }),
        }
    }

    /// Listens on all of them, or on none.
    async fn listen(&self, realm: &RealmName) -> Result<Vec<Forward>, CliError> {
        let mut forwards = Vec::new();
        for Ports { local, remote } in &self.ports {
            let address = SocketAddr::new(self.address, *local);
            let failed = |source| CliError::Listen { address, source };
            let listener = TcpListener::bind(address).await.map_err(failed)?;
            let open = ProxyOpen {
                realm: realm.clone(),
                cluster: self.target.cluster.clone(),
                node: self.target.node.clone(),
                port: remote.get(),
            };
            forwards.push(Forward { at: listener.local_addr().map_err(failed)?, listener, open });
        }
        Ok(forwards)
    }

    fn shown(&self, forward: &Forward) -> ForwardShown {
        let (listen, node) = (forward.at.to_string(), self.target.to_string());
        ForwardShown { listen, node, port: forward.open.port.into() }
    }
}

/// What does not end by itself.
enum Never {}

async fn serve(client: &Client, forwards: Vec<Forward>) -> Result<Never, CliError> {
    let mut listeners = JoinSet::new();
    for forward in forwards {
        listeners.spawn(accept(client.clone(), forward));
    }
    match listeners.join_next().await {
        Some(Ok(never)) => match never {},
        Some(Err(error)) => Err(CliError::Runtime(io::Error::other(error))),
        None => std::future::pending().await,
    }
}

async fn accept(client: Client, forward: Forward) -> Never {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = forward.listener.accept() => match accepted {
                Ok((stream, from)) => {
                    let (client, open) = (client.clone(), forward.open.clone());
                    connections.spawn(async move {
                        if let Err(error) = carry(client, open, stream).await {
                            say(&format!("connection from {from}: {}", chain(&error))).await;
                        }
                    });
                }
                Err(error) => {
                    say(&format!("cannot accept on {}: {error}", forward.at)).await;
                    tokio::time::sleep(NO_ROOM).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn say(line: &str) {
    // Who closed standard error does not want to know.
    let _ = stderr().write_all(format!("{}\n", escape::line(line)).as_bytes()).await;
}

/// Carries one connection until both ways have ended.
async fn carry(client: Client, open: ProxyOpen, stream: TcpStream) -> Result<(), CliError> {
    let broken = |source| CliError::Connection { source };
    stream.set_nodelay(true).map_err(broken)?;
    let (from_peer, to_peer) = stream.into_split();
    let (frames, pump) = Pump::start(ProxyFrame::Open(open), from_peer, ProxyFrame::Data);
    let work = async { answer(client.proxy(frames).await?, to_peer).await };
    pump.during(work, broken).await
}

async fn answer(mut answers: Answers<ProxyOutput>, mut peer: OwnedWriteHalf) -> Result<(), CliError> {
    let broken = |source| CliError::Connection { source };
    while let Some(output) = answers.next().await? {
        match output {
            ProxyOutput::Data(bytes) => peer.write_all(&bytes).await.map_err(broken)?,
            ProxyOutput::End => match peer.shutdown().await {
                // The peer has closed both ways already.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
                ended => ended.map_err(broken)?,
            },
            ProxyOutput::Opened => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let ports = |local, remote| Ok(Ports { local, remote: NonZeroU16::new(remote).unwrap() });
        assert_eq!("8080:80".parse(), ports(8080, 80));
        assert_eq!("0:80".parse(), ports(0, 80));
        assert_eq!(":80".parse(), ports(0, 80));
        assert_eq!("80".parse(), ports(0, 80));
        for bad in
            ["", ":", "80:", "a:80", "80:0", "0", "65536:1", "1:65536", "-1:80", "+1:80", "1:2:3", "1: 2"]
        {
            assert_eq!(bad.parse::<Ports>(), Err(PortsError), "{bad}");
        }
    }
}
