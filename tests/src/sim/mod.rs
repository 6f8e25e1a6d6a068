//! Simulation: the real coordinator on engines in memory, with agents and Slurm played, in simulated time.
//!
//! ```text
//! World (world.rs): Fleet of fake engines, Cast (cast.rs: agent.rs, mesh.rs, sinfo), store on disk, clock
//!   '- live --> Life --> Coordinator (coordinator.rs): real services, a process to be killed
//! Points (points.rs): every effect, recorded or met with a fault        still.rs: time waits for the store
//! problems (left.rs): where the store and the hosts disagree
//! ```

mod agent;
mod cast;
mod coordinator;
mod left;
mod mesh;
mod points;
mod still;
mod world;

pub use coordinator::{Coordinator, Wish};
pub use left::{Problem, Rows, forgotten, problems};
pub use mesh::{Device, HostMesh};
pub use points::{Choice, Fault, Point, Points};
pub use world::{IMAGE, Life, World, node_image_as};
