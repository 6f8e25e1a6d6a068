//! The ways into nodes: commands, byte streams, and what an SSH client needs.

use std::fmt;

use bytes::Bytes;
use shoal_proto::{
    FieldError,
    v1::{self, exec_request, exec_response, proxy_request, proxy_response},
};
use shoal_types::{ClusterName, NodeName, RealmName};

use crate::{
    Node,
    value::{all, messages, need},
};

/// Size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters of a line.
    pub columns: u16,
}

impl From<TerminalSize> for v1::TerminalSize {
    fn from(TerminalSize { rows, columns }: TerminalSize) -> Self {
        Self { rows: rows.into(), columns: columns.into() }
    }
}

/// A command to be run in a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOpen {
    /// The cluster's realm.
    pub realm: RealmName,
    /// The cluster.
    pub cluster: ClusterName,
    /// `None`: the submitter if there is one, else the controller.
    pub node: Option<NodeName>,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// With a terminal of this size: all output is then standard output.
    pub terminal: Option<TerminalSize>,
    /// Kind of the user's terminal, for TERM; empty if not known.
    pub term: String,
    /// Account of the node that runs it; empty: root.
    pub user: String,
}

/// What is sent to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecFrame {
    /// The command: the first.
    Open(ExecOpen),
    /// Standard input; the end of the stream is its end.
    Stdin(Bytes),
    /// The terminal has a new size.
    Resize(TerminalSize),
}

impl From<ExecFrame> for v1::ExecRequest {
    fn from(frame: ExecFrame) -> Self {
        let frame = match frame {
            ExecFrame::Open(open) => exec_request::Frame::Open(v1::ExecOpen {
                realm: open.realm.to_string(),
                cluster: open.cluster.to_string(),
                command: open.command,
                node: open.node.map(|node| node.to_string()).unwrap_or_default(),
                terminal: open.terminal.map(Into::into),
                term: open.term,
                user: open.user,
            }),
            ExecFrame::Stdin(bytes) => exec_request::Frame::Stdin(bytes),
            ExecFrame::Resize(size) => exec_request::Frame::Resize(size.into()),
        };
        Self { frame: Some(frame) }
    }
}

/// What a command says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecOutput {
    /// On standard output.
    Stdout(Bytes),
    /// On standard error.
    Stderr(Bytes),
    /// Its exit status: the last.
    ExitStatus(i32),
}

impl TryFrom<v1::ExecResponse> for ExecOutput {
    type Error = FieldError;

    fn try_from(answer: v1::ExecResponse) -> Result<Self, FieldError> {
        Ok(match need("frame", answer.frame)? {
            exec_response::Frame::Stdout(bytes) => Self::Stdout(bytes),
            exec_response::Frame::Stderr(bytes) => Self::Stderr(bytes),
            exec_response::Frame::ExitStatus(status) => Self::ExitStatus(status),
        })
    }
}

impl From<ExecOutput> for v1::ExecResponse {
    fn from(output: ExecOutput) -> Self {
        let frame = match output {
            ExecOutput::Stdout(bytes) => exec_response::Frame::Stdout(bytes),
            ExecOutput::Stderr(bytes) => exec_response::Frame::Stderr(bytes),
            ExecOutput::ExitStatus(status) => exec_response::Frame::ExitStatus(status),
        };
        Self { frame: Some(frame) }
    }
}

/// A TCP port of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyOpen {
    /// The cluster's realm.
    pub realm: RealmName,
    /// The cluster.
    pub cluster: ClusterName,
    /// The node.
    pub node: NodeName,
    /// The port.
    pub port: u16,
}

/// What is sent to a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyFrame {
    /// The port: the first.
    Open(ProxyOpen),
    /// Bytes; the end of the stream is their end.
    Data(Bytes),
}

impl From<ProxyFrame> for v1::ProxyRequest {
    fn from(frame: ProxyFrame) -> Self {
        let frame = match frame {
            ProxyFrame::Open(open) => proxy_request::Frame::Open(v1::ProxyOpen {
                realm: open.realm.to_string(),
                cluster: open.cluster.to_string(),
                node: open.node.to_string(),
                port: open.port.into(),
            }),
            ProxyFrame::Data(bytes) => proxy_request::Frame::Data(bytes),
        };
        Self { frame: Some(frame) }
    }
}

/// What comes from a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyOutput {
    /// The connection stands: the first.
    Opened,
    /// Bytes.
    Data(Bytes),
    /// The last byte has come; one may go on sending.
    End,
}

impl TryFrom<v1::ProxyResponse> for ProxyOutput {
    type Error = FieldError;

    fn try_from(answer: v1::ProxyResponse) -> Result<Self, FieldError> {
        Ok(match need("frame", answer.frame)? {
            proxy_response::Frame::Opened(v1::ProxyOpened {}) => Self::Opened,
            proxy_response::Frame::Data(bytes) => Self::Data(bytes),
            proxy_response::Frame::End(v1::ProxyEnd {}) => Self::End,
        })
    }
}

impl From<ProxyOutput> for v1::ProxyResponse {
    fn from(output: ProxyOutput) -> Self {
        let frame = match output {
            ProxyOutput::Opened => proxy_response::Frame::Opened(v1::ProxyOpened {}),
            ProxyOutput::Data(bytes) => proxy_response::Frame::Data(bytes),
            ProxyOutput::End => proxy_response::Frame::End(v1::ProxyEnd {}),
        };
        Self { frame: Some(frame) }
    }
}

/// What an SSH client needs to reach a cluster's nodes.
#[derive(Clone, PartialEq, Eq)]
pub struct SshAccess {
    /// The cluster's realm.
    pub realm: String,
    /// The cluster.
    pub cluster: String,
    /// known_hosts lines of every node.
    pub known_hosts: String,
    /// The cluster's private key in OpenSSH form.
    pub private_key: String,
    /// The nodes.
    pub nodes: Vec<Node>,
}

impl fmt::Debug for SshAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { realm, cluster, known_hosts, private_key: _, nodes } = self;
        f.debug_struct("SshAccess")
            .field("realm", realm)
            .field("cluster", cluster)
            .field("known_hosts", known_hosts)
            .field("nodes", nodes)
            .finish_non_exhaustive()
    }
}

impl TryFrom<v1::GetSshAccessResponse> for SshAccess {
    type Error = FieldError;

    fn try_from(answer: v1::GetSshAccessResponse) -> Result<Self, FieldError> {
        let v1::GetSshAccessResponse { realm, cluster, known_hosts, private_key, nodes } = answer;
        Ok(Self { realm, cluster, known_hosts, private_key, nodes: all(nodes)? })
    }
}

impl From<SshAccess> for v1::GetSshAccessResponse {
    fn from(SshAccess { realm, cluster, known_hosts, private_key, nodes }: SshAccess) -> Self {
        Self { realm, cluster, known_hosts, private_key, nodes: messages(nodes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_says_nothing_known_is_refused() {
        assert_eq!(ExecOutput::try_from(v1::ExecResponse { frame: None }).unwrap_err().field, "frame");
        assert_eq!(ProxyOutput::try_from(v1::ProxyResponse { frame: None }).unwrap_err().field, "frame");
        let nodes = vec![v1::Node::default()];
        let answer = v1::GetSshAccessResponse { nodes, ..v1::GetSshAccessResponse::default() };
        assert_eq!(SshAccess::try_from(answer).unwrap_err().field, "node.role");
    }

    fn access() -> SshAccess {
        SshAccess {
            realm: "lab".into(),
            cluster: "dev".into(),
            known_hosts: "k".into(),
            private_key: "hunter2".into(),
            nodes: vec![],
        }
    }

    #[test]
    fn answers_survive_the_wire() {
        let bytes = || Bytes::from_static(b"x");
        for output in [ExecOutput::Stdout(bytes()), ExecOutput::Stderr(bytes()), ExecOutput::ExitStatus(-1)] {
            assert_eq!(ExecOutput::try_from(v1::ExecResponse::from(output.clone())), Ok(output));
        }
        for output in [ProxyOutput::Opened, ProxyOutput::Data(bytes()), ProxyOutput::End] {
            assert_eq!(ProxyOutput::try_from(v1::ProxyResponse::from(output.clone())), Ok(output));
        }
        assert_eq!(SshAccess::try_from(v1::GetSshAccessResponse::from(access())), Ok(access()));
    }

    #[test]
    fn a_key_is_not_shown() {
        let access = access();
        assert!(!format!("{access:?}").contains("hunter2"));
    }
}
