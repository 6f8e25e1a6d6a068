//! The door for users elsewhere: TCP, TLS 1.3, and a certificate of the installation's authority on both sides.
//!
//! ```text
//! accept -> room? -> handshake, 10 s -> whose certificate? -> connection -> HTTP/2 -> gate
//!             `- no: closed                `- nobody's: closed     `- its user is revoked, or another now: ended within 1 s
//! ```
//! `tls.rs` has the server's certificate and replaces it, `peers.rs` knows who is connected, `listener.rs` lets them in.

mod listener;
mod peers;
mod tls;

pub(crate) use self::{listener::listen, peers::Peer};
