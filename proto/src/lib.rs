//! The gRPC services of Shoal and how their messages become the types of [`shoal_types`].
//!
//! Generated types stop at the edge of a process: a server or client converts on arrival, and what cannot be converted is
//! an error that names the field. One file of definitions per service; `cluster.proto` and `amounts.proto` are what several
//! speak of. What a client is answered has its types in the crate `shoal-api`; only a specification and an event, whose types
//! are not that crate's own, are converted here.

mod convert;
mod redacted;
mod word;

pub use convert::FieldError;
pub use word::Word;

/// Version 1 of the protocol, as generated from `proto/shoal/v1`.
pub mod v1 {
    #![expect(missing_docs, clippy::allow_attributes, reason = "generated; documented in the .proto files")]
    tonic::include_proto!("shoal.v1");
}

/// All messages and services, as a `FileDescriptorSet`: what tests walk.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// What `shoal agent connect` writes first: an exec answers before its process runs, and the failure of one arrives as
/// text in its place. The version follows, then a newline.
pub const GREETING_PREFIX: &str = "SHOAL/1 ";

/// Most bytes in one data frame of a stream: small enough to interleave, large enough to amortise a message.
pub const FRAME_BYTES: usize = 64 * 1024;

/// Bytes of one stream that may wait for its reader, at each hop: what a tunnel whose reader has stopped holds in memory. A
/// round trip through an exec takes up to 1 ms (measured 2026-11-21): enough for 500 MB/s.
pub const STREAM_WINDOW: u32 = 512 * 1024;
/// Bytes of all streams of a connection that may wait: the most there can be (RFC 9113 6.9.1). Streams do not share: some that
/// nobody reads would stop all others.
pub const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// Largest HTTP/2 frame: a data frame of ours with what gRPC puts around it is not split.
pub const HTTP2_FRAME: u32 = 2 * 64 * 1024;
/// Calls at once on one connection: hyper's own limit is 200, and tunnels are calls.
pub const MAX_STREAMS: u32 = 10_000;
