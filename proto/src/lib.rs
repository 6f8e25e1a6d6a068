//! The gRPC services of Shoal and how their messages become the types of [`shoal_types`].
//!
//! Generated types stop at the edge of a process: a server or client converts on arrival, and what cannot be converted is
//! an error that names the field. One file of definitions per speaker: `agent.proto` is what a coordinator asks of a host,
//! `coordinator.proto` what a client asks of a coordinator.

mod convert;
mod redacted;

pub use convert::FieldError;

/// Version 1 of the protocol, as generated from `proto/shoal/v1`.
pub mod v1 {
    #![expect(missing_docs, clippy::allow_attributes, reason = "generated; documented in the .proto files")]
    tonic::include_proto!("shoal.v1");
}

/// What `shoal agent connect` writes first: an exec answers before its process runs, and the failure of one arrives as
/// text in its place. The version follows, then a newline.
pub const GREETING_PREFIX: &str = "SHOAL/1 ";

/// Most bytes in one data frame of a stream: small enough to interleave, large enough to amortise a message.
pub const FRAME_BYTES: usize = 64 * 1024;
