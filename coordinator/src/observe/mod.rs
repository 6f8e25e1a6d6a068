//! What is: hosts, images and clusters as engines, agents and Slurm tell of them now, beside what the store says.
//!
//! ```text
//! store --> intent.rs     a cluster as it should be
//! hosts --> survey.rs     one look at each host, recorded; capacity.rs: how much of it there is
//!           image.rs      which content a reference means there
//!           cluster.rs    containers, agent and Slurm of one cluster; judge.rs: what that means for each node
//!           containers.rs the containers of nodes on one host
//!           slurm.rs      one `sinfo` for all nodes
//!           lists.rs, images.rs   what lists show
//! events -> follow.rs     what is happening, read from the store
//! ```
//! Uses `fleet/` and `words/`.

pub(crate) mod capacity;
pub(crate) mod cluster;
pub(crate) mod containers;
pub(crate) mod follow;
pub(crate) mod image;
pub(crate) mod images;
pub(crate) mod intent;
pub(crate) mod judge;
pub(crate) mod lists;
pub(crate) mod slurm;
pub(crate) mod survey;
