//! Which calls there are, by the names the real adapter gives them, and what one call is about.

use std::{fmt, sync::Arc};

use shoal_docker::{CallClass, Subject};

macro_rules! methods {
    ($($(#[$doc:meta])* $method:ident $name:literal $class:ident $changes:literal,)*) => {
        /// What is asked of an engine.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Method {
            $($(#[$doc])* $method,)*
        }

        impl Method {
            /// Every method.
            pub const ALL: &[Self] = &[$(Self::$method),*];

            /// Its name in errors, as the real adapter has it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$method => $name,)*
                }
            }

            /// The class of its time limit and latency.
            #[must_use]
            pub fn class(self) -> CallClass {
                match self {
                    $(Self::$method => CallClass::$class,)*
                }
            }

            /// Whether it changes what is on the host.
            #[must_use]
            pub fn changes(self) -> bool {
                match self {
                    $(Self::$method => $changes,)*
                }
            }
        }
    };
}

methods! {
    /// [`crate::Fleet::connect`].
    Connect "version" Read false,
    /// [`shoal_docker::Engine::ping`].
    Ping "ping" Read false,
    /// [`shoal_docker::Engine::facts`].
    Facts "info" Read false,
    /// [`shoal_docker::Engine::list_containers`].
    ListContainers "list containers" Read false,
    /// [`shoal_docker::Engine::create_container`].
    CreateContainer "create container" Write true,
    /// [`shoal_docker::Engine::inspect_container`].
    InspectContainer "inspect container" Read false,
    /// [`shoal_docker::Engine::put_archive`].
    PutArchive "put archive" Write true,
    /// [`shoal_docker::Engine::get_archive`].
    GetArchive "get archive" Write false,
    /// [`shoal_docker::Engine::stat_path`].
    StatPath "stat path" Read false,
    /// [`shoal_docker::Engine::start`].
    Start "start" Start true,
    /// [`shoal_docker::Engine::stop`].
    Stop "stop" Start true,
    /// [`shoal_docker::Engine::kill`].
    Kill "kill" Write true,
    /// [`shoal_docker::Engine::remove_container`].
    RemoveContainer "remove container" Write true,
    /// [`shoal_docker::Engine::exec`] and [`shoal_docker::Engine::attach_exec`].
    Exec "exec" Exec false,
    /// [`shoal_docker::Engine::logs_tail`].
    LogsTail "logs" Read false,
    /// [`shoal_docker::Engine::list_networks`].
    ListNetworks "list networks" Read false,
    /// [`shoal_docker::Engine::create_network`].
    CreateNetwork "create network" Write true,
    /// [`shoal_docker::Engine::remove_network`].
    RemoveNetwork "remove network" Write true,
    /// [`shoal_docker::Engine::list_volumes`].
    ListVolumes "list volumes" Read false,
    /// [`shoal_docker::Engine::create_volume`].
    CreateVolume "create volume" Write true,
    /// [`shoal_docker::Engine::remove_volume`].
    RemoveVolume "remove volume" Write true,
    /// [`shoal_docker::Engine::list_images`].
    ListImages "list images" Read false,
    /// [`shoal_docker::Engine::inspect_image`].
    InspectImage "inspect image" Read false,
    /// [`shoal_docker::Engine::load_image`].
    LoadImage "load image" Transfer true,
    /// [`shoal_docker::Engine::save_image`].
    SaveImage "save image" Transfer false,
    /// [`shoal_docker::Engine::tag_image`].
    TagImage "tag image" Write true,
    /// [`shoal_docker::Engine::remove_image`].
    RemoveImage "remove image" Write true,
    /// [`shoal_docker::Engine::pull_image`].
    PullImage "pull image" Transfer true,
    /// [`shoal_docker::Engine::events`].
    Events "events" Read false,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Which engine is asked.
    pub engine: Arc<str>,
    /// Who asks.
    pub client: Arc<str>,
    /// What.
    pub method: Method,
    /// About what.
    pub subject: Subject,
}

impl fmt::Display for Call {
    /// `h1: start container n3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.engine, self.method.name(), self.subject)
    }
}

impl Call {
    /// Whether the subject can be part of a request; the real adapter asks no engine otherwise.
    pub(crate) fn is_well_formed(&self) -> bool {
        match &self.subject {
            Subject::Engine => true,
            Subject::Container(name) | Subject::Network(name) | Subject::Volume(name) => is_name(name),
            Subject::Path { container, .. } => is_name(container),
            Subject::Image(reference) => reference.split('/').all(is_image_part),
        }
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn is_image_part(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b':' | b'@'))
}
