//! The one place where errors of bollard, hyper and rustls, and the engines' own words, become [`EngineError`]s.
//!
//! Engines of different versions say the same thing with different statuses (an overlapping subnet is 403 on 20.10 and
//! 400 or 500 later), so what has a meaning for us is recognised by its words first and by its status second. The words
//! are those of moby 20.10 to 29; the integration tests provoke each on every engine they are given.

#![expect(clippy::wildcard_enum_match_arm, reason = "the enums of bollard, rustls and the system are open")]

use std::{error::Error as StdError, io};

use bollard::errors::Error;

use super::{bounds::Excess, call::Call};
use crate::{Endpoint, EngineError, SshProblem, Subject, TlsProblem};

/// Longest piece of a foreign answer shown.
const SHOWN: usize = 300;

/// Words about an archive that the caller sent.
const NOT_AN_ARCHIVE: [&str; 4] =
    ["invalid tar header", "unexpected eof", "unrecognized image", "with non-directory"];

/// Maps an error of a call.
pub(super) fn fault(endpoint: &Endpoint, call: &Call, error: Error) -> EngineError {
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            answered(endpoint, call, status_code, &message)
        }
        Error::DockerStreamError { error } => answered(endpoint, call, 200, &error),
        Error::RequestTimeoutError => unreachable(endpoint, io::ErrorKind::TimedOut, "no answer"),
        Error::JsonDataError { message, .. } => bad_answer(endpoint, call, &message),
        Error::JsonSerdeError { err } => bad_answer(endpoint, call, &err.to_string()),
        Error::StrParseError { err } => bad_answer(endpoint, call, &err.to_string()),
        other => connection(endpoint, call, &other),
    }
}

/// An answer with an error status, or (status 200) an error inside a stream.
fn answered(endpoint: &Endpoint, call: &Call, status: u16, message: &str) -> EngineError {
    let endpoint = endpoint.clone();
    let (name, subject) = (call.name, call.subject.clone());
    let text = message.to_ascii_lowercase();
    let has = |words: &str| text.contains(words);
    let message = shorten(message);

    if has("no space left on device") {
        return EngineError::DiskFull { endpoint, call: name, subject };
    }
    if has("address already in use") {
        return EngineError::AddressInUse { endpoint, subject };
    }
    if has("pool overlaps") || has("networks have overlapping ipv4") {
        return EngineError::PoolOverlap { endpoint, subject };
    }
    if let Some(subject) = missing(call, status, &text, &message) {
        return EngineError::NotFound { endpoint, subject };
    }
    if has("is already in use by container") || (has("network with name") && has("already exists")) {
        return EngineError::NameInUse { endpoint, subject };
    }
    if has("is already in progress") || has("marked for removal") {
        return EngineError::RemovalInProgress { endpoint, subject };
    }
    let about_an_archive = status == 200 || matches!(subject, Subject::Path { .. });
    match status {
        409 => EngineError::Conflict { endpoint, call: name, subject, message },
        // Engines give 500 for a malformed archive, and for one that conflicts with the container's files.
        200 | 500..=599 if about_an_archive && NOT_AN_ARCHIVE.iter().any(|words| has(words)) => {
            EngineError::BadRequest { endpoint, call: name, subject, message }
        }
        403 if has("active endpoints") || has("same bridge name") => {
            EngineError::Conflict { endpoint, call: name, subject, message }
        }
        404 => bad_answer(&endpoint, call, &message),
        400..=499 => EngineError::BadRequest { endpoint, call: name, subject, message },
        500..=599 if has("same bridge name") => {
            EngineError::Conflict { endpoint, call: name, subject, message }
        }
        200 | 500..=599 => EngineError::ServerError { endpoint, call: name, subject, status, message },
        _ => EngineError::NotDocker { endpoint, answer: format!("status {status}: {message}") },
    }
}

/// What is missing, if the answer says so. `text` is `message` in lower case.
fn missing(call: &Call, status: u16, text: &str, message: &str) -> Option<Subject> {
    let after = |mark: &str| {
        let start = text.find(mark)? + mark.len();
        let name = message.get(start..)?.split([' ', ',']).find(|word| !word.is_empty())?;
        Some(name.trim_end_matches(':').to_owned())
    };
    if let Some(name) = after("no such container:") {
        return Some(Subject::Container(name));
    }
    if let Some(name) = after("no such image:") {
        return Some(Subject::Image(name));
    }
    let about_the_subject = [
        "no such volume",
        "no such exec",
        "no such container",
        "no such image",
        "reference does not exist",
        "could not find the file",
    ];
    if text.contains("pull access denied")
        || text.contains("manifest unknown")
        || (status == 404 && about_the_subject.iter().any(|words| text.contains(words)))
    {
        return Some(call.subject.clone());
    }
    match after("network ") {
        Some(name) if status == 404 && text.contains("not found") => Some(Subject::Network(name)),
        _ => None,
    }
}

/// Whether this is the engine's way to say that the container does not run.
pub(super) fn is_not_running(error: &EngineError) -> bool {
    matches!(error, EngineError::Conflict { message, .. } if message.contains("is not running"))
}

fn bad_answer(endpoint: &Endpoint, call: &Call, message: &str) -> EngineError {
    EngineError::BadAnswer {
        endpoint: endpoint.clone(),
        call: call.name,
        subject: call.subject.clone(),
        message: shorten(message),
    }
}

fn unreachable(endpoint: &Endpoint, kind: io::ErrorKind, text: impl Into<String>) -> EngineError {
    EngineError::Unreachable { endpoint: endpoint.clone(), source: io::Error::new(kind, text.into()) }
}

/// No answer: the way to the engine is at fault. Looks through the chain of sources for the cause.
fn connection(endpoint: &Endpoint, call: &Call, error: &Error) -> EngineError {
    let mut kind = io::ErrorKind::Other;
    // bollard's transparent variants hide the error they hold behind its source.
    let mut next: Option<&(dyn StdError + 'static)> = Some(match error {
        Error::IOError { err } => err,
        Error::HyperResponseError { err } => err,
        other => other,
    });
    let mut deepest = error.to_string();
    while let Some(cause) = next {
        deepest = cause.to_string();
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return EngineError::Tls { endpoint: endpoint.clone(), problem: tls_problem(endpoint, tls) };
        }
        if let Some(problem) = cause.downcast_ref::<SshProblem>() {
            return ssh(endpoint, problem.clone());
        }
        if let Some(excess) = cause.downcast_ref::<Excess>() {
            return bad_answer(endpoint, call, &excess.to_string());
        }
        if let Some(hyper) = cause.downcast_ref::<hyper::Error>() {
            if is_not_http(hyper) {
                return EngineError::NotDocker {
                    endpoint: endpoint.clone(),
                    answer: "something that is not HTTP".into(),
                };
            }
            if hyper.is_incomplete_message() || hyper.is_closed() {
                kind = io::ErrorKind::UnexpectedEof;
            }
        }
        next = match cause.downcast_ref::<io::Error>() {
            Some(io) => {
                if io.kind() != io::ErrorKind::Other {
                    kind = io.kind();
                }
                // `source` of an io::Error skips the error it wraps.
                io.get_ref().map(|inner| inner as &(dyn StdError + 'static))
            }
            None => cause.source(),
        };
    }
    match kind {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
            EngineError::Refused { endpoint: endpoint.clone(), source: io::Error::new(kind, deepest) }
        }
        io::ErrorKind::InvalidInput => bad_answer(endpoint, call, &deepest),
        io::ErrorKind::UnexpectedEof => {
            unreachable(endpoint, kind, "the connection was closed in the middle")
        }
        _ => unreachable(endpoint, kind, deepest),
    }
}

/// No way through ssh: what may pass by itself is as any other engine out of reach.
pub(super) fn ssh(endpoint: &Endpoint, problem: SshProblem) -> EngineError {
    match problem {
        SshProblem::Ended(said) => unreachable(endpoint, io::ErrorKind::NotConnected, said),
        // An engine that is stopped, as on any other way to it.
        absent @ SshProblem::NoSocket { .. } => EngineError::Refused {
            endpoint: endpoint.clone(),
            source: io::Error::new(io::ErrorKind::ConnectionRefused, absent),
        },
        problem => EngineError::Ssh { endpoint: endpoint.clone(), problem },
    }
}

/// Whether what came is no HTTP. Bytes that come before a request was sent have no predicate of their own in hyper: they
/// are what is left when every other one says no and nothing lies beneath.
fn is_not_http(error: &hyper::Error) -> bool {
    let other = error.is_user()
        || error.is_canceled()
        || error.is_closed()
        || error.is_incomplete_message()
        || error.is_body_write_aborted()
        || error.is_timeout()
        || error.is_shutdown();
    error.is_parse() || (!other && error.source().is_none())
}

fn tls_problem(endpoint: &Endpoint, error: &rustls::Error) -> TlsProblem {
    use rustls::{AlertDescription as Alert, CertificateError as Bad, Error as Tls, InvalidMessage};

    let host = match endpoint {
        Endpoint::Tcp { host, .. } => host.clone(),
        Endpoint::Unix(_) | Endpoint::Ssh(_) => endpoint.to_string(),
    };
    match error {
        Tls::InvalidCertificate(bad) => match bad {
            // What the verifier found out about the certificate.
            Bad::Other(other) if let Some(problem) = other.0.downcast_ref::<TlsProblem>() => problem.clone(),
            Bad::UnknownIssuer | Bad::BadSignature => {
                TlsProblem::UnknownIssuer { issuer: "unknown".into(), given: vec![] }
            }
            Bad::Expired | Bad::ExpiredContext { .. } => TlsProblem::ServerExpired,
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => TlsProblem::ServerNotYetValid,
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                TlsProblem::NameMismatch { host, presented: vec![] }
            }
            other => TlsProblem::ServerCertificate(other.to_string()),
        },
        Tls::AlertReceived(
            alert @ (Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::CertificateRequired),
        ) => TlsProblem::ClientRejected(format!("alert {alert:?}")),
        Tls::AlertReceived(Alert::HandshakeFailure) => TlsProblem::NothingInCommon,
        Tls::InvalidMessage(InvalidMessage::InvalidContentType) => TlsProblem::NotTls,
        other => TlsProblem::Other(other.to_string()),
    }
}

/// Foreign text for an error message: one line, without control characters, not too long.
pub(super) fn shorten(text: &str) -> String {
    let line: String =
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    if text.trim().chars().count() > SHOWN { format!("{line}...") } else { line }
}

#[cfg(test)]
mod tests;
