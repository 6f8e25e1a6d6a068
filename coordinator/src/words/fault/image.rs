//! What goes wrong with the image of nodes, and on its way to hosts.

use shoal_types::HostName;

use super::{Class, Hint, Retry, SAID};

/// What is wrong with an image.
#[derive(Debug, thiserror::Error)]
pub enum ImageFault {
    /// No host has the image.
    #[error(
        "image {image} is on no usable host: load it with `shoal load image FILE`, or build it with `shoal build image`"
    )]
    NotFound {
        /// The reference.
        image: String,
    },
    /// No host has the image, and none could pull it.
    #[error(
        "image {image} is on no usable host and could not be pulled ({reasons}): give the registry's credentials with `shoal set registry`, load it with `shoal load image FILE`, or build it with `shoal build image`"
    )]
    NotPulled {
        /// The reference.
        image: String,
        /// What the hosts said.
        reasons: String,
    },
    /// The image has to come to a host, and nobody who has it answers.
    #[error(
        "image {image} is not on host {host}, and no host that has it answers: load it with `shoal load image FILE`"
    )]
    NoSource {
        /// The host that lacks it.
        host: HostName,
        /// The reference.
        image: String,
    },
    /// The image could not be read where it is.
    #[error("image {image} could not be read from host {host}: {reason}")]
    Unreadable {
        /// The reference.
        image: String,
        /// The host that has it.
        host: HostName,
        /// What happened.
        reason: String,
    },
    /// The image that was brought to a host is not there under its digest.
    #[error(
        "host {host} took image {image} and does not have it as {digest}: its engine names images otherwise; load the image there under another tag and create the cluster with that"
    )]
    Differs {
        /// The host.
        host: HostName,
        /// The reference.
        image: String,
        /// The digest that every node runs.
        digest: String,
    },
    /// No credentials are known for the registry.
    #[error("no credentials are known for registry {registry}: see `shoal get registries`")]
    NoCredentials {
        /// Its address.
        registry: String,
    },
    /// The image cannot be a node.
    #[error("image {image} cannot be a node: {reason}")]
    Unfit {
        /// The reference.
        image: String,
        /// Why.
        reason: String,
    },
}

impl ImageFault {
    pub(super) fn class(&self) -> Class {
        Class::of(match self {
            Self::NoSource { .. } | Self::Unreadable { .. } => Retry::Later,
            Self::Differs { .. } => Retry::Elsewhere,
            Self::NotFound { .. }
            | Self::NotPulled { .. }
            | Self::NoCredentials { .. }
            | Self::Unfit { .. } => Retry::Never,
        })
    }

    pub(super) fn hint(&self) -> Hint {
        match self {
            Self::Unfit { .. } => Ok("`shoal build image` makes one that can".into()),
            Self::Unreadable { .. } => {
                Ok("`shoal get images` shows who has it; the next try takes another".into())
            }
            Self::NotFound { .. }
            | Self::NotPulled { .. }
            | Self::NoSource { .. }
            | Self::Differs { .. }
            | Self::NoCredentials { .. } => Err(SAID),
        }
    }
}
