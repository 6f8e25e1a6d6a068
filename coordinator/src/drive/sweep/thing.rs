//! Things of ours on a host, as its engine and agent list them; in the order in which they can be removed.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeMap};

use shoal_api::ThingKind;
use shoal_docker::{ContainerSummary, ImageSummary, NetworkInfo, VolumeInfo};
use shoal_types::{HostId, HostName, NetworkId, Timestamp};

/// Something that carries our installation's label or name. The order of the variants is that of removal: a container
/// holds its network and volumes, and Docker would leave the tunnel port behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Thing {
    Container(ContainerSummary),
    /// What the agent keeps of a network: state, names, device, entries.
    Mesh {
        network: NetworkId,
        device: String,
        bridge: String,
    },
    /// A VXLAN device that belongs to no network the agent keeps.
    Device {
        name: String,
    },
    Network(NetworkInfo),
    Volume(VolumeInfo),
    Image(ImageSummary),
}

/// Everything of ours on one host.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    pub(crate) host: HostId,
    pub(crate) name: HostName,
    /// Build of the agent that belongs there, if its executable is at hand.
    pub(crate) build: Option<String>,
    pub(crate) things: Vec<Thing>,
    /// Whether the agent was asked; it is not brought where nothing else could need it.
    pub(crate) agent_asked: bool,
    /// When the list was begun.
    pub(crate) at: Timestamp,
}

impl Thing {
    /// What it is, in a word.
    pub(crate) fn kind(&self) -> ThingKind {
        match self {
            Self::Container(_) => ThingKind::Container,
            Self::Mesh { .. } => ThingKind::Mesh,
            Self::Device { .. } => ThingKind::Device,
            Self::Network(_) => ThingKind::Network,
            Self::Volume(_) => ThingKind::Volume,
            Self::Image(_) => ThingKind::Image,
        }
    }

    /// Its name; of an image a reference, if it has one.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Container(c) if c.name.is_empty() => &c.id,
            Self::Container(c) => &c.name,
            Self::Mesh { device, .. } => device,
            Self::Device { name } => name,
            Self::Network(n) => &n.name,
            Self::Volume(v) => &v.name,
            Self::Image(i) => i.repo_tags.first().unwrap_or(&i.id),
        }
    }

    /// What it is told apart by on its host.
    pub(crate) fn id(&self) -> Cow<'_, str> {
        match self {
            Self::Container(c) => Cow::from(&c.id),
            Self::Mesh { network, .. } => Cow::from(network.to_string()),
            Self::Device { name } => Cow::from(name),
            Self::Network(n) => Cow::from(&n.id),
            Self::Volume(v) => Cow::from(&v.name),
            Self::Image(i) => Cow::from(&i.id),
        }
    }

    /// A label of it.
    pub(crate) fn label(&self, key: &str) -> Option<&String> {
        self.labels().and_then(|labels| labels.get(key))
    }

    fn labels(&self) -> Option<&BTreeMap<String, String>> {
        match self {
            Self::Container(c) => Some(&c.labels),
            Self::Network(n) => Some(&n.labels),
            Self::Volume(v) => Some(&v.labels),
            Self::Image(i) => Some(&i.labels),
            Self::Mesh { .. } | Self::Device { .. } => None,
        }
    }

    /// When it was made, by its engine's clock.
    pub(crate) fn created(&self) -> Option<Timestamp> {
        match self {
            Self::Container(c) => c.created,
            Self::Network(n) => n.created,
            Self::Volume(v) => v.created,
            Self::Mesh { .. } | Self::Device { .. } | Self::Image(_) => None,
        }
    }

    /// Whether its kind has an age at all.
    pub(crate) fn has_age(&self) -> bool {
        match self {
            Self::Container(_) | Self::Network(_) | Self::Volume(_) => true,
            Self::Mesh { .. } | Self::Device { .. } | Self::Image(_) => false,
        }
    }

    /// The image it is a container of.
    pub(crate) fn image_id(&self) -> Option<&String> {
        match self {
            Self::Container(c) => Some(&c.image_id),
            Self::Mesh { .. } | Self::Device { .. } | Self::Network(_) | Self::Volume(_) | Self::Image(_) => {
                None
            }
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Container(_) => 0,
            Self::Mesh { .. } => 1,
            Self::Device { .. } => 2,
            Self::Network(_) => 3,
            Self::Volume(_) => 4,
            Self::Image(_) => 5,
        }
    }
}

impl Ord for Thing {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |thing: &Self| (thing.rank(), thing.name().to_owned(), thing.id().into_owned());
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Thing {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
