//! A lab: several real Docker engines on one Linux machine, each a host with its own address, TLS and power
//! switch.
//!
//! A host is made of namespaces: network (its address in the lab's LAN), pid (its power switch), mount (its own
//! `/`) and host name. On it runs a `dockerd` of either kind ([`EngineKind`]). Hosts can lose power, their
//! engine or their cable, and come back, as real ones do.
//!
//! ```no_run
//! use shoal_lab::{Engines, Lab, Options};
//!
//! let mut options = Options::named("doc".parse()?);
//! options.hosts = Some(2);
//! options.engines = Some(Engines::Mixed);
//! let lab = Lab::up(&options)?.guard(); // taken down when dropped
//! for host in lab.hosts() {
//!     println!("{} {} {}", host.name, host.endpoint, host.tls_dir.display());
//! }
//! lab.cut_power(lab.hosts()[0].name)?;
//! # Ok::<(), shoal_lab::Error>(())
//! ```
//!
//! Where to read on: `boot.rs` (how a host comes to be), `root.rs` (what it sees), `lan.rs` (the network),
//! `cgroup.rs` (how its processes are found again), `down.rs` (how nothing is left). Beside the lab, `postgres.rs` is a database
//! server for tests and `authority.rs` a certificate authority.

mod api;
mod authority;
mod boot;
mod cgroup;
mod command;
mod daemon;
mod down;
mod engine;
mod error;
mod file;
mod init;
pub mod install;
mod lab;
mod lan;
mod layout;
mod lock;
mod machine;
mod name;
mod pki;
mod postgres;
mod power;
mod process;
mod program;
mod record;
mod root;
mod spec;
mod ssh;
mod status;
mod subnet;
mod up;
mod wait;

pub use api::ApiError;
pub use authority::Authority;
pub use boot::{BOOT_COMMAND, INIT_COMMAND, boot};
pub use command::CommandError;
pub use down::{down, purge};
pub use engine::{EngineKind, Engines};
pub use error::Error;
pub use init::init;
pub use install::InstallError;
pub use lab::{Lab, LabGuard, Options};
pub use name::{HOSTS_MAX, HostName, LabName, NameError};
pub use pki::PkiError;
pub use postgres::Postgres;
pub use ssh::SshDoor;
pub use status::{Host, HostState, HostStatus, Status};
pub use wait::until;
