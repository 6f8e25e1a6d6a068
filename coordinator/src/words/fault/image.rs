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
    /// Hosts have different contents under one reference.
    #[error(
        "hosts disagree about image {image} ({claims}): name the one you mean with `--image sha256:...`, or load it again with `shoal load image FILE`"
    )]
    Disagreed {
        /// The reference.
        image: String,
        /// Digests and who has them.
        claims: String,
    },
    /// Every host that has something under the reference has another content than was loaded.
    #[error(
        "image {image} was loaded as {digest}, which no usable host has ({claims}): load it again with `shoal load image FILE`, or name the one you mean with `--image sha256:...`"
    )]
    NotAsLoaded {
        /// The reference.
        image: String,
        /// What was loaded under it.
        digest: String,
        /// Digests and who has them.
        claims: String,
    },
    /// Asked for content by its digest, engines answer with another.
    #[error("image {image} is on no usable host: asked for it, {claims} instead")]
    Mistaken {
        /// The reference.
        image: String,
        /// Who answers with what.
        claims: String,
    },
    /// Two hosts read different accounts out of one image.
    #[error(
        "hosts read different accounts in image {image} ({claims}): one of them does not have the content that its engine says it has"
    )]
    AccountsDiffer {
        /// The reference.
        image: String,
        /// Both hosts and what each read.
        claims: String,
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
            | Self::Disagreed { .. }
            | Self::NotAsLoaded { .. }
            | Self::Mistaken { .. }
            | Self::AccountsDiffer { .. }
            | Self::NoCredentials { .. }
            | Self::Unfit { .. } => Retry::Never,
        })
    }

    pub(super) fn hint(&self) -> Hint {
        match self {
            Self::Unfit { .. } => Ok("`shoal build image` makes one that can".into()),
            Self::Mistaken { .. } => Ok("these engines cannot be trusted with images: see who administers their hosts".into()),
            Self::AccountsDiffer { .. } => Ok("`docker run --rm IMAGE cat /etc/passwd` on both shows which; load the image again there, or unregister the host".into()),
            Self::Unreadable { .. } => {
                Ok("`shoal get images` shows who has it; the next try takes another".into())
            }
            Self::NotFound { .. }
            | Self::NotPulled { .. }
            | Self::NoSource { .. }
            | Self::Differs { .. }
            | Self::Disagreed { .. }
            | Self::NotAsLoaded { .. }
            | Self::NoCredentials { .. } => Err(SAID),
        }
    }
}
