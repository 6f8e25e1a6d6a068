//! Registries: which one a reference names, and what a user says there.

use std::fmt;

use zeroize::Zeroizing;

/// The registry of a reference that names none.
const DOCKER_HUB: &str = "docker.io";

/// An image reference taken apart: `registry.example:5000/team/node:1.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The registry, `registry.example:5000`; `docker.io` if none is named.
    pub registry: &'a str,
    /// Everything before the tag or digest: `registry.example:5000/team/node`.
    pub repository: &'a str,
    /// The tag; `None` if it has none or names a digest.
    pub tag: Option<&'a str>,
    /// Whether a registry may be asked for it. A bare name such as `shoal-node:bookworm` is this machine park's own: nobody
    /// on the internet is asked who might answer to it.
    pub is_remote: bool,
}

impl<'a> Reference<'a> {
    /// Takes a reference apart, as engines do (distribution `reference.ParseNormalizedNamed`): what comes before the first
    /// slash is a registry if it has a dot or a colon or is `localhost`.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let colon = name[last..].find(':').map(|colon| last + colon);
        let (repository, tag) = colon.map_or((name, None), |at| (&name[..at], Some(&name[at + 1..])));
        let registry = match repository.split_once('/') {
            Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
            Some(_) | None => DOCKER_HUB,
        };
        let is_id = text.starts_with("sha256:");
        let tag = tag.filter(|_| digest.is_none() && !is_id);
        Self { registry, repository, tag, is_remote: repository.contains('/') && !is_id }
    }
}

/// Who asks a registry for an image. Goes to engines in the `X-Registry-Auth` header, and is shown nowhere.
#[derive(Clone)]
pub struct RegistryAuth {
    /// The registry's address, as references name it.
    pub registry: String,
    /// The user's name there.
    pub username: String,
    /// The password or token.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { registry, username, password: _ } = self;
        f.debug_struct("RegistryAuth")
            .field("registry", registry)
            .field("username", username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_registry_a_reference_names() {
        let of = |text| {
            let Reference { registry, repository, tag, is_remote } = Reference::of(text);
            (registry, repository, tag, is_remote)
        };
        assert_eq!(
            of("reg.example:5000/team/node:1.2"),
            ("reg.example:5000", "reg.example:5000/team/node", Some("1.2"), true)
        );
        assert_eq!(of("localhost/node"), ("localhost", "localhost/node", None, true));
        assert_eq!(of("team/node:1"), ("docker.io", "team/node", Some("1"), true));
        assert_eq!(of("shoal-node:bookworm"), ("docker.io", "shoal-node", Some("bookworm"), false));
        assert_eq!(of("10.0.0.1:5000/n@sha256:0a"), ("10.0.0.1:5000", "10.0.0.1:5000/n", None, true));
        assert!(!of("sha256:0a").3);
    }

    #[test]
    fn a_password_is_not_shown() {
        let auth = RegistryAuth {
            registry: "r.example".into(),
            username: "ann".into(),
            password: Zeroizing::new("hunter2".into()),
        };
        let shown = format!("{auth:?}");
        assert!(shown.contains("ann") && !shown.contains("hunter2"), "{shown}");
    }
}
