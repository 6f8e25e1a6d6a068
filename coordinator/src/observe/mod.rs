//! What is: hosts, images and clusters as engines, agents and Slurm tell of them now, beside what the store says.
//!
//! ```text
//! store --> intent.rs     a cluster as it should be
//! hosts --> survey.rs     one look at each host, recorded; capacity.rs: how much of it there is
//!           image.rs      which content a reference means there
//!           containers.rs the containers of ours on one host, by node
//!           docker_network.rs   the Docker network of a cluster on one host
//!           slurm.rs      one `sinfo` for all nodes
//!           cluster.rs    containers, agents and Slurm of clusters, all hosts at once
//!                          |-> status.rs   how one is; judge.rs: what was heard means for each node;
//!                          |                failing.rs: of one that ends again and again
//!                          `-> lists.rs    what lists show; host.rs, images.rs: the other lists
//! ways  --> paths/        tunnel packets from every host to every other, and what came of them
//! events -> follow.rs     what is happening, read from the store
//! ```
//! Uses `fleet/` and `words/`.

pub(crate) mod capacity;
pub(crate) mod cluster;
pub(crate) mod containers;
pub(crate) mod docker_network;
pub(crate) mod failing;
pub(crate) mod follow;
pub(crate) mod happened;
pub(crate) mod host;
pub(crate) mod image;
pub(crate) mod images;
pub(crate) mod intent;
pub(crate) mod judge;
pub(crate) mod lists;
pub(crate) mod paths;
pub(crate) mod slurm;
pub(crate) mod status;
pub(crate) mod survey;
