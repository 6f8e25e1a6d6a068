//! Docker engines in memory, behind the seam of [`shoal_docker::Engine`], for tests: with state, latency and faults,
//! deterministic under a seed and tokio's paused time.
//!
//! ```text
//! test --levers, truth--> FakeEngine --.
//!                                      +-- one Machine per host: State behind a std lock, outside any runtime
//! coordinator --dyn Engine--> Client --'        |
//!                                               +-- Shared by the Fleet: clock, seed, rules, observer, programs
//! ```
//!
//! - **As real ones.** The behaviour suite `docker/tests/engine` runs on this engine as each [`Release`] and on real engines of
//!   both, and must agree.
//! - **Faults.** [`Rule`]s say which call meets which [`Action`]; an [observer](Fleet::observe) sees every call before and
//!   after its effect and may decide alone: count effects in one run, fail the k-th in the next. Whole engines are
//!   [killed](FakeEngine::kill), [restarted](FakeEngine::restart), [cut off](FakeEngine::cut), [hung](FakeEngine::hang),
//!   [emptied](FakeEngine::forget), [parted](FakeEngine::part) from one client.
//! - **A dropped future is a vanished client.** The engine finishes what it was asked for, or does nothing, never half of it;
//!   see [`Vanished`]. What it finishes waits in the state for its time, so a whole runtime may be dropped (a crash of the
//!   coordinator) and another go on with the same engines: the [`VirtualClock`] goes on too.
//! - **Programs.** What runs inside containers is played by the test: [`Programs`].
//! - **Floods.** What an engine can do to whoever reads its answers happens on the wire, below this seam: [`babbler`] serves it.
//! - **Truth.** [`FakeEngine::truth`] tells what is there whatever the engine says; [`Fleet::violations`] what must never be.
//!
//! ```
//! use std::sync::Arc;
//!
//! use shoal_docker::{ContainerSpec, Created, Engine, FileContent, ImageArchive, ImageFile, Layer};
//! use shoal_docker_fake::{Action, Fleet, HostSpec, Image, Method, Release, Rule, VirtualClock};
//! use shoal_types::Timestamp;
//!
//! let clock = VirtualClock::new(Timestamp(0));
//! let fleet = Fleet::new(42, Arc::new(clock.clone()));
//! let h1 = fleet.add(&HostSpec::new("h1", Release::V20_10));
//! let passwd = FileContent::Bytes("root:x:0:0::/root:/bin/sh\n".into());
//! let node = ImageArchive {
//!     reference: "node:1".into(),
//!     architecture: "amd64".into(),
//!     entrypoint: vec!["/sbin/init".into()],
//!     cmd: vec![],
//!     env: Default::default(),
//!     labels: Default::default(),
//!     stop_signal: None,
//!     layer: Layer::Files(vec![ImageFile { path: "etc/passwd".into(), mode: 0o644, content: passwd }]),
//! };
//! h1.add_image(&Image::packed(&node.pack().unwrap()).unwrap());
//! // The answer to the first create is lost.
//! fleet.rule(Rule::on(Method::CreateContainer, Action::DropAfter).engine("h1").nth(1));
//!
//! let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
//! let spec = ContainerSpec { name: "n1".into(), image: "node:1".into(), ..ContainerSpec::default() };
//! runtime().block_on(async {
//!     clock.enter();
//!     let docker = fleet.connect("coordinator", h1.endpoint(), None).await.unwrap();
//!     docker.create_container(&spec).await.unwrap_err();
//!     clock.leave();
//! });
//! // Another runtime, as after a crash: the same engines, a little later.
//! runtime().block_on(async {
//!     clock.enter();
//!     let docker = fleet.connect("coordinator", h1.endpoint(), None).await.unwrap();
//!     assert!(matches!(docker.create_container(&spec).await.unwrap(), Created::Exists(_)));
//!     docker.start("n1").await.unwrap();
//! });
//! assert_eq!(h1.truth().container("n1").unwrap().runs, 1);
//! assert_eq!(fleet.violations(), []);
//! ```

#![expect(clippy::result_large_err, reason = "the seam's error is as large as it is")]

mod babble;
mod call;
mod client;
mod clock;
mod fault;
mod files;
mod fleet;
mod flight;
mod image;
mod latency;
mod machine;
mod program;
mod refusal;
mod session;
mod state;
mod truth;

pub use babble::{Babble, GIANT, babbler};
pub use call::{Call, Method};
pub use clock::VirtualClock;
pub use fault::{Action, Rule};
pub use fleet::{Fleet, Moment, Observer, Phase, Vanished};
pub use image::{Image, NotAnImage, Saves};
pub use latency::Latency;
pub use machine::{FakeEngine, HostSpec, Release};
pub use program::{ContainerView, End, Inside, Main, NoPrograms, Programs, Stdio, not_found};
pub use refusal::Refusal;
pub use state::Condition;
pub use truth::{ContainerTruth, Truth, Violation};
