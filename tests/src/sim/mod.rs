//! Simulation: the real coordinator on engines in memory, with agents and Slurm played, in simulated time.
//!
//! ```text
//! World (world.rs): Fleet of fake engines, NodePrograms (node_programs.rs: agent.rs, mesh.rs, sinfo), store on disk, clock
//!   '- live --> Life --> Coordinator (coordinator.rs): real services, a process to be killed
//!        command (command.rs): one command by a coordinator of its own
//! Points (points.rs): every effect, recorded or met with a fault        time_lock.rs: time waits for the store
//! api.rs: the engines on sockets, for a coordinator in another process
//! problems (consistency.rs): where the store and the hosts disagree
//! ```

mod agent;
mod api;
mod command;
mod consistency;
mod coordinator;
mod mesh;
mod node_programs;
mod points;
mod slurm;
mod time_lock;
mod world;

pub use consistency::{Problem, Rows, forgotten, none, nothing_wrong, problems};
pub use coordinator::{Coordinator, Wish};
pub use mesh::{Device, HostMesh};
pub use points::{Choice, Fault, Point, Points};
pub use world::{IMAGE, Life, World, node_image_as};
