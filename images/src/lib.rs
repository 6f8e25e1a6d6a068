//! The node image: its packages, its overlay, and its build on a Debian machine.
//!
//! ```text
//! packages.txt --+
//! overlay/ ------+--> mmdebstrap --layer.tar--> docker archive --> `docker load`, or `shoal load image` to every host
//! masked.txt ----+        \--> Dockerfile, overlay.tar --> `docker build`, for people with a registry
//! ```
//! One image serves every role: it holds all daemons and no secret, and a node becomes a certain one by its bootstrap archive.
//! Everything a node would otherwise do at each boot is done here once.

mod build;
mod dockerfile;
mod overlay;
mod package;
mod recipe;
mod stop;
mod suite;

pub use build::{BuildError, BuildRequest, Built, build};
pub use dockerfile::write_dockerfile;
pub use package::{Package, PackageError};
pub use stop::Stop;
pub use suite::{Suite, SuiteError};

/// The tag of the image nodes run when none is named.
pub const DEFAULT_TAG: &str = "shoal-node:bookworm";
/// Image label: Slurm's version, such as `22.05.8`.
pub const LABEL_SLURM_VERSION: &str = "shoal.slurm.version";
/// Image label: the Debian suite, such as `bookworm`.
pub const LABEL_SUITE: &str = "shoal.image.suite";
