//! Image references, `registry.example:5000/team/node:1.2`, as engines read them (distribution `reference.ParseNormalizedNamed`).

/// The registry of a reference that names none.
const DOCKER_HUB: &str = "docker.io";

/// An image reference taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageRef<'a> {
    /// The registry, `registry.example:5000`; `docker.io` if none is named.
    pub registry: &'a str,
    /// Everything before the tag or digest: `registry.example:5000/team/node`.
    pub repository: &'a str,
    /// The tag; `None` if it has none or names content.
    pub tag: Option<&'a str>,
    /// Whether it names content, by digest (`node@sha256:0a`) or id (`sha256:0a`): no image can be given that name.
    pub names_content: bool,
    /// Whether a registry may be asked for it. A bare name such as `shoal-node:bookworm` is this machine park's own: nobody
    /// on the internet is asked who might answer to it.
    pub is_remote: bool,
}

impl<'a> ImageRef<'a> {
    /// Takes a reference apart: what comes before the first slash is a registry if it has a dot or a colon or is `localhost`.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        let is_id = text.starts_with("sha256:");
        let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let colon = name[last..].find(':').map(|colon| last + colon);
        let (repository, tag) = colon.map_or((name, None), |at| (&name[..at], Some(&name[at + 1..])));
        let registry = match repository.split_once('/') {
            Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
            Some(_) | None => DOCKER_HUB,
        };
        let names_content = digest.is_some() || is_id;
        let is_remote = repository.contains('/') && !is_id;
        Self { registry, repository, tag: tag.filter(|_| !names_content), names_content, is_remote }
    }

    /// The reference as engines list it: with its tag, and without a registry that is the usual one.
    #[must_use]
    pub fn listed(text: &'a str) -> String {
        let bare = text.strip_prefix("docker.io/library/").or_else(|| text.strip_prefix("docker.io/"));
        let bare = bare.unwrap_or(text);
        let Self { tag, names_content, .. } = Self::of(bare);
        if tag.is_some() || names_content { bare.to_owned() } else { format!("{bare}:latest") }
    }

    /// Whether a text can be a reference or an id: path components of names, a tag and a digest, without anything that has
    /// a meaning in a URL's path.
    #[must_use]
    pub fn is_valid(text: &str) -> bool {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b':' | b'@');
        let part =
            |part: &str| part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.bytes().all(plain);
        text.len() <= 512 && text.split('/').all(part)
    }

    /// Whether a text is the address of a registry as references name it: a host, and a port if it needs one.
    #[must_use]
    pub fn is_registry(text: &str) -> bool {
        let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
        let label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !label.starts_with('-')
        };
        let is_host =
            host.split('.').all(label) && (host.contains('.') || port.is_some() || host == "localhost");
        let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        text.len() <= 255 && is_host && is_port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_registry_a_reference_names() {
        let of = |text| {
            let ImageRef { registry, repository, tag, names_content, is_remote } = ImageRef::of(text);
            (registry, repository, tag, names_content, is_remote)
        };
        assert_eq!(
            of("reg.example:5000/team/node:1.2"),
            ("reg.example:5000", "reg.example:5000/team/node", Some("1.2"), false, true)
        );
        assert_eq!(of("localhost/node"), ("localhost", "localhost/node", None, false, true));
        assert_eq!(of("team/node:1"), ("docker.io", "team/node", Some("1"), false, true));
        assert_eq!(of("shoal-node:bookworm"), ("docker.io", "shoal-node", Some("bookworm"), false, false));
        assert_eq!(of("10.0.0.1:5000/n@sha256:0a"), ("10.0.0.1:5000", "10.0.0.1:5000/n", None, true, true));
        let id = ImageRef::of("sha256:0a");
        assert!(id.names_content && !id.is_remote && id.tag.is_none());
    }

    #[test]
    fn references_as_engines_list_them() {
        for (text, listed) in [
            ("node", "node:latest"),
            ("node:1", "node:1"),
            ("docker.io/library/node", "node:latest"),
            ("docker.io/team/node:1", "team/node:1"),
            ("r.example:5000/node", "r.example:5000/node:latest"),
            ("sha256:0a", "sha256:0a"),
            ("node@sha256:0a", "node@sha256:0a"),
        ] {
            assert_eq!(ImageRef::listed(text), listed);
        }
    }

    #[test]
    fn nothing_leaves_its_place_in_a_path() {
        for good in ["shoal/node:1", "sha256:0a", "reg:5000/a/b:c", "a@sha256:0a"] {
            assert!(ImageRef::is_valid(good), "{good}");
        }
        for bad in ["", "../x", "a//b", "/a", "a/../b", "a?x=1", "a/", "a b", "-x", "a\u{1b}", "ä"] {
            assert!(!ImageRef::is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn addresses_are_those_in_references() {
        for good in
            ["docker.io", "registry.example:5000", "localhost", "localhost:5000", "10.77.0.9:5000", "r:1"]
        {
            assert!(ImageRef::is_registry(good), "{good}");
        }
        for bad in [
            "",
            "registry",
            "https://r.example",
            "r.example/team",
            "r.example:",
            "r.example:0",
            "R.example",
            "a..b",
            "-a.b",
        ] {
            assert!(!ImageRef::is_registry(bad), "{bad}");
        }
    }
}
