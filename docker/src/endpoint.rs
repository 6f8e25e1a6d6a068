//! Where an engine is: `unix:///path`, `tcp://host[:port]` or `ssh://[user@]host[:port][/path]`.

use std::{fmt, net::Ipv6Addr, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

/// Port of the Docker API with TLS (IANA: docker-s).
pub const DEFAULT_TLS_PORT: u16 = 2376;

/// A path of a unix socket is shorter than this (`sun_path` in unix(7)).
const SOCKET_PATH_MAX: usize = 108;

/// Where an engine's API is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Endpoint {
    /// A unix socket of this machine.
    Unix(PathBuf),
    /// TCP with mutual TLS.
    Tcp {
        /// Name or address; IPv6 without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// A unix socket of a machine that the user's OpenSSH client reaches.
    Ssh(Box<SshDestination>),
}

/// Where the user's OpenSSH client goes, and to which socket there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SshDestination {
    /// The account there; `None`: as that client's configuration says.
    pub user: Option<String>,
    /// Name, address (IPv6 without brackets), or alias of that configuration.
    pub host: String,
    /// Port; `None`: as that configuration says.
    pub port: Option<u16>,
    /// The engine's socket there.
    pub socket: String,
}

/// The engine's usual socket.
const SOCKET: &str = "/var/run/docker.sock";

/// A text that is no endpoint Shoal can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Nothing was given.
    #[error("an endpoint must not be empty: unix:///path, tcp://host:port or ssh://user@host")]
    Empty,
    /// No `scheme://`.
    #[error("endpoint `{0}` has no scheme: unix:///path, tcp://host:port or ssh://user@host")]
    NoScheme(String),
    /// `http://` or `https://`.
    #[error("endpoint `{0}`: write tcp://host:port, Shoal always speaks TLS with a client certificate to it")]
    Http(String),
    /// An account, or a password, where `ssh://` cannot have one.
    #[error(
        "endpoint `{0}` has no usable user: ssh://user@host, and no password: keys and agent are the SSH client's"
    )]
    User(String),
    /// A socket path that cannot be forwarded.
    #[error(
        "endpoint `{0}` has no usable path of a socket: letters, digits and /._-+@,= only, such as /run/docker.sock"
    )]
    SocketPath(String),
    /// `npipe://`, `fd://`: ways of other systems or of the engine itself.
    #[error("endpoint `{0}` is not reachable from here: unix:///path, tcp://host:port or ssh://user@host")]
    Foreign(String),
    /// A scheme nobody knows.
    #[error("endpoint `{0}` has an unknown scheme: unix:///path, tcp://host:port or ssh://user@host")]
    UnknownScheme(String),
    /// A socket path that is not absolute.
    #[error("endpoint `{0}`: the path of the socket must be absolute, with three slashes: unix:///path")]
    RelativePath(String),
    /// No host, or one that is neither a name nor an address.
    #[error("endpoint `{0}` has no usable host name or address")]
    Host(String),
    /// A port that is not 1 to 65535.
    #[error("endpoint `{0}` has no usable port: 1 to 65535")]
    Port(String),
    /// Something after the port.
    #[error("endpoint `{0}` must end after the port")]
    Trailing(String),
}

impl Endpoint {
    /// The engine's usual socket on this machine.
    #[must_use]
    pub fn local() -> Self {
        Self::Unix(SOCKET.into())
    }
}

fn is_host(host: &str) -> bool {
    if host.contains(':') {
        return host.parse::<Ipv6Addr>().is_ok();
    }
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !l.starts_with('-')
    };
    host.len() <= 253 && host.split('.').all(label)
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let shown =
            || without_password(text).chars().take(200).flat_map(char::escape_default).collect::<String>();
        if text.is_empty() {
            return Err(EndpointError::Empty);
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| EndpointError::NoScheme(shown()))?;
        match scheme {
            "unix" if rest.starts_with('/') && rest.len() > 1 && !rest.contains('\0') => {
                Ok(Self::Unix(rest.into()))
            }
            "unix" => Err(EndpointError::RelativePath(shown())),
            "tcp" => tcp(rest, &shown),
            "http" | "https" => Err(EndpointError::Http(shown())),
            "ssh" => ssh(rest, &shown),
            "npipe" | "fd" => Err(EndpointError::Foreign(shown())),
            _ => Err(EndpointError::UnknownScheme(shown())),
        }
    }
}

/// An endpoint as told back: without a password, which it may not have anyway.
fn without_password(text: &str) -> String {
    let from = text.find("://").map_or(0, |scheme| scheme + 3);
    let secret = text[from..].rfind('@').and_then(|at| Some((text[from..from + at].find(':')?, at)));
    match secret {
        Some((colon, at)) => format!("{}:***{}", &text[..from + colon], &text[from + at..]),
        None => text.to_owned(),
    }
}

fn tcp(rest: &str, shown: &dyn Fn() -> String) -> Result<Endpoint, EndpointError> {
    let (host, port) = place(rest.strip_suffix('/').unwrap_or(rest), shown)?;
    Ok(Endpoint::Tcp { host, port: port.unwrap_or(DEFAULT_TLS_PORT) })
}

fn ssh(rest: &str, shown: &dyn Fn() -> String) -> Result<Endpoint, EndpointError> {
    let (rest, socket) = match rest.split_once('/') {
        None | Some((_, "")) => (rest.trim_end_matches('/'), SOCKET.to_owned()),
        Some((rest, path)) => (rest, format!("/{path}")),
    };
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+@,=".contains(&b);
    if socket.len() >= SOCKET_PATH_MAX || !socket.bytes().all(is_plain) {
        return Err(EndpointError::SocketPath(shown()));
    }
    let (user, rest) = match rest.rsplit_once('@') {
        None => (None, rest),
        Some((user, rest)) => (Some(user.to_owned()), rest),
    };
    let is_of_user = |b: u8| b.is_ascii_alphanumeric() || b"._-+@\\".contains(&b);
    let is_user = |user: &String| !user.is_empty() && !user.starts_with('-') && user.bytes().all(is_of_user);
    if !user.as_ref().is_none_or(is_user) {
        return Err(EndpointError::User(shown()));
    }
    let (host, port) = place(rest, shown)?;
    Ok(Endpoint::Ssh(SshDestination { user, host, port, socket }.into()))
}

/// Host and port.
fn place(rest: &str, shown: &dyn Fn() -> String) -> Result<(String, Option<u16>), EndpointError> {
    if rest.contains(['/', '?', '#']) {
        return Err(EndpointError::Trailing(shown()));
    }
    let (host, port) = if let Some(bracketed) = rest.strip_prefix('[') {
        let (host, port) = bracketed.split_once(']').ok_or_else(|| EndpointError::Host(shown()))?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err(EndpointError::Host(shown()));
        }
        match port.strip_prefix(':') {
            None if port.is_empty() => (host, None),
            None => return Err(EndpointError::Trailing(shown())),
            Some(port) => (host, Some(port)),
        }
    } else {
        match rest.split_once(':') {
            None => (rest, None),
            Some((host, port)) => (host, Some(port)),
        }
    };
    if !is_host(host) {
        return Err(EndpointError::Host(shown()));
    }
    let port = match port {
        None => None,
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => {
            let port = port.parse().ok().filter(|p| *p != 0);
            Some(port.ok_or_else(|| EndpointError::Port(shown()))?)
        }
        Some(_) => return Err(EndpointError::Port(shown())),
    };
    Ok((host.to_owned(), port))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } => write!(f, "tcp://{}:{port}", bracketed(host)),
            Self::Ssh(to) => {
                let SshDestination { user, host, port, socket } = to.as_ref();
                let user = user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                let socket = if socket == SOCKET { "" } else { socket };
                write!(f, "ssh://{user}{}{port}{socket}", bracketed(host))
            }
        }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> String {
        endpoint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, shown) in [
            ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
            ("tcp://10.77.0.2:2376", "tcp://10.77.0.2:2376"),
            ("tcp://node-1.lab.example/", "tcp://node-1.lab.example:2376"),
            ("tcp://[fd00::1]", "tcp://[fd00::1]:2376"),
            ("tcp://[fd00::1]:1", "tcp://[fd00::1]:1"),
            ("ssh://gpu1", "ssh://gpu1"),
            ("ssh://gpu1/", "ssh://gpu1"),
            ("ssh://gpu1/var/run/docker.sock", "ssh://gpu1"),
            (
                "ssh://ann@gpu1.lab.example:2222/run/user/1000/docker.sock",
                "ssh://ann@gpu1.lab.example:2222/run/user/1000/docker.sock",
            ),
            ("ssh://ann@corp@[fd00::1]:22", "ssh://ann@corp@[fd00::1]:22"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.to_string(), shown);
            assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
        }
    }

    #[test]
    fn a_password_is_not_told_back() {
        for text in
            ["tcp://u:hunter2@x:2376", "postgres://u:hunter2@h/db", "u:hunter2@x", "ssh://u:hunter2@x:y"]
        {
            let told = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(!told.contains("hunter2") && told.contains("u:***@"), "{told}");
        }
    }

    #[test]
    fn each_mistake_is_told_apart() {
        use EndpointError as E;
        type Make = fn(String) -> EndpointError;
        let cases: [(&str, Make); 24] = [
            ("/var/run/docker.sock", E::NoScheme),
            ("host:2376", E::NoScheme),
            ("http://h:1", E::Http),
            ("https://h:1", E::Http),
            ("ssh://", E::Host),
            ("ssh://-oProxyCommand=x", E::Host),
            ("ssh://me@", E::Host),
            ("ssh://@h", E::User),
            ("ssh://-l@h", E::User),
            ("ssh://h:x", E::Port),
            ("ssh://h/a b", E::SocketPath),
            ("ssh://h/a:b", E::SocketPath),
            ("npipe:////./pipe/docker_engine", E::Foreign),
            ("ftp://h", E::UnknownScheme),
            ("unix://run/docker.sock", E::RelativePath),
            ("unix:///", E::RelativePath),
            ("tcp://", E::Host),
            ("tcp://-h", E::Host),
            ("tcp://a b:1", E::Host),
            ("tcp://[zz]:1", E::Host),
            ("tcp://h:0", E::Port),
            ("tcp://h:65536", E::Port),
            ("tcp://h:+1", E::Port),
            ("tcp://h:1/x", E::Trailing),
        ];
        for (text, make) in cases {
            assert_eq!(text.parse::<Endpoint>(), Err(make(text.to_owned())), "{text}");
        }
        assert_eq!("".parse::<Endpoint>(), Err(E::Empty));
    }

    #[test]
    fn control_characters_are_escaped_in_errors() {
        let error = "tcp://\u{1b}[31m".parse::<Endpoint>().unwrap_err().to_string();
        assert!(!error.contains('\u{1b}'), "{error}");
    }
}
