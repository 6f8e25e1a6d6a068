//! What connecting says of everything that is not an engine we can use.

use std::{io, sync::Arc, time::Duration};

use rcgen::{CertificateParams, date_time_ymd};

use super::{
    stub::{Authority, Manner, Stub},
    *,
};
use crate::{LabelFilter, TlsProblem};
use shoal_types::{Clock as _, SystemClock};

const SHORT: Timeouts = Timeouts {
    connect: Duration::from_millis(300),
    read: Duration::from_millis(300),
    write: Duration::from_millis(300),
    start: Duration::from_millis(300),
    exec: Duration::from_millis(300),
    transfer: Duration::from_millis(300),
};

async fn error_of(stub: &Stub, tls: Option<&Credential>, timeouts: Timeouts) -> EngineError {
    connect(&stub.endpoint, tls, timeouts).await.unwrap_err()
}

async fn answer(status: u16, body: &str) -> String {
    let stub = Stub::unix(Manner::Answer(status, body.into()));
    let error = error_of(&stub, None, Timeouts::default()).await;
    let EngineError::NotDocker { answer, .. } = error else { panic!("{error:?}") };
    answer
}

#[tokio::test]
async fn requests_name_the_agreed_version_and_share_a_connection() {
    let stub = Stub::unix(Manner::engine("1.41"));
    let engine = connect(&stub.endpoint, None, Timeouts::default()).await.unwrap();
    for _ in 0..3 {
        engine.ping().await.unwrap();
    }
    // Its answer is no list: the path is what counts.
    let list = engine.list_containers(&LabelFilter::all().with("a", "b c")).await.unwrap_err();
    assert!(matches!(list, EngineError::BadAnswer { .. }), "{list:?}");
    let seen = stub.seen();
    assert_eq!(seen.len(), 1, "one connection: {seen:?}");
    assert_eq!(seen[0][..4], ["/_ping", "/v1.41/_ping", "/v1.41/_ping", "/v1.41/_ping"]);
    assert!(seen[0][4].starts_with("/v1.41/containers/json?all=true"), "{seen:?}");

    let newer = Stub::unix(Manner::engine("1.99"));
    connect(&newer.endpoint, None, Timeouts::default()).await.unwrap().ping().await.unwrap();
    assert_eq!(newer.seen()[0][1], "/v1.53/_ping", "the newest API bollard's types are made for");
}

#[tokio::test]
async fn every_answer_is_a_sign_of_life_and_silence_is_none() {
    let stub = Stub::unix(Manner::engine("1.41"));
    let engine = connect(&stub.endpoint, None, Timeouts::default()).await.unwrap();
    let first = engine.pulse().answered().expect("the engine answered the connect");
    // An answer that is of no use is one all the same.
    engine.facts().await.unwrap_err();
    let second = engine.pulse().answered().unwrap();
    assert!(second > first);
    drop(stub);
    engine.ping().await.unwrap_err();
    assert_eq!(engine.pulse().answered(), Some(second));
}

#[tokio::test]
async fn an_old_engine_is_refused() {
    let stub = Stub::unix(Manner::engine("1.40"));
    let error = error_of(&stub, None, Timeouts::default()).await;
    assert!(matches!(error, EngineError::TooOld { .. }), "{error:?}");
    assert!(
        error.to_string().ends_with("runs engine 20.10.24 (API 1.40): 20.10 (API 1.41) or newer is needed")
    );
}

/// An engine whose ping lacks the header, or a proxy that strips headers.
#[tokio::test]
async fn an_engine_that_does_not_say_it_at_once_is_asked() {
    let Manner::Engine(_, body) = Manner::engine("1.41") else { panic!("no engine") };
    let stub = Stub::unix(Manner::Answer(200, body));
    connect(&stub.endpoint, None, Timeouts::default()).await.unwrap().ping().await.unwrap();
    assert_eq!(stub.seen(), [["/_ping", "/version", "/v1.41/_ping"]]);
}

#[tokio::test]
async fn what_is_not_docker_says_what_it_is() {
    assert!(answer(200, "<html>hello</html>").await.contains("expected value"));
    assert_eq!(answer(200, r#"{"name":"other"}"#).await, "a version without `ApiVersion`");
    assert_eq!(answer(404, "404 page not found").await, "404 page not found");
    assert!(answer(301, "moved").await.contains("status 301"));
    let podman = r#"{"ApiVersion":"1.41","Components":[{"Name":"Podman Engine","Version":"4.9.3"}]}"#;
    assert_eq!(answer(200, podman).await, "Podman Engine 4.9.3");

    let ssh = Stub::unix(Manner::Say(b"SSH-2.0-OpenSSH_9.2\r\n"));
    let error = error_of(&ssh, None, Timeouts::default()).await;
    assert!(matches!(error, EngineError::NotDocker { .. }), "{error:?}");
}

#[tokio::test]
async fn nobody_there() {
    let missing = Endpoint::Unix("/nowhere/docker.sock".into());
    let error = connect(&missing, None, Timeouts::default()).await.unwrap_err();
    let EngineError::Refused { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), io::ErrorKind::NotFound);
    assert_eq!(error.to_string(), "unix:///nowhere/docker.sock refused the connection");

    let authority = Authority::named("ca");
    let material = authority.client(&authority);
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let endpoint = Endpoint::Tcp { host: "127.0.0.1".into(), port };
    let error = connect(&endpoint, Some(&material), Timeouts::default()).await.unwrap_err();
    assert!(matches!(error, EngineError::Refused { .. }), "{error:?}");

    let nowhere = "tcp://nobody.invalid:1".parse().unwrap();
    let error = connect(&nowhere, Some(&material), Timeouts::default()).await.unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
    assert!(error.blames_host());
}

#[tokio::test]
async fn silence_ends_at_the_limit() {
    let hung = Stub::unix(Manner::Hang);
    let error = error_of(&hung, None, SHORT).await;
    assert!(matches!(error, EngineError::Timeout { call: "version", .. }), "{error:?}");

    // It accepts and never shakes hands.
    let authority = Authority::named("ca");
    let stub = Stub::tcp(Manner::Hang, None).await;
    let patient = Timeouts { read: Duration::from_secs(60), ..SHORT };
    let error = error_of(&stub, Some(&authority.client(&authority)), patient).await;
    let EngineError::Unreachable { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), io::ErrorKind::TimedOut);

    let closing = Stub::unix(Manner::Close);
    let error = error_of(&closing, None, Timeouts::default()).await;
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_silent_host_is_dialled_once() {
    let authority = Authority::named("ca");
    let material = authority.client(&authority);
    let patient = Timeouts { read: Duration::from_secs(60), ..SHORT };
    let silent = Stub::tcp(Manner::Hang, None).await;
    error_of(&silent, Some(&material), patient).await;
    assert_eq!(silent.seen().len(), 1, "connections");

    // Of one that hung up, the second dial may hear why.
    let closing = Stub::tcp(Manner::Say(b""), None).await;
    let error = error_of(&closing, Some(&material), patient).await;
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
    assert_eq!(closing.seen().len(), 2, "connections");
}

#[tokio::test]
async fn tcp_needs_tls() {
    let endpoint: Endpoint = "tcp://127.0.0.1:2375".parse().unwrap();
    let error = connect(&endpoint, None, Timeouts::default()).await.unwrap_err();
    assert!(matches!(error, EngineError::TlsRequired { .. }), "{error:?}");
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap()
}

/// What becomes of a handshake with a server whose certificate is `server`, both sides of one authority.
async fn problem(server: &CertificateParams) -> TlsProblem {
    let authority = Authority::named("ca");
    let stub = Stub::tcp(Manner::engine("1.41"), Some(authority.server(server))).await;
    tls(error_of(&stub, Some(&authority.client(&authority)), Timeouts::default()).await)
}

fn tls(error: EngineError) -> TlsProblem {
    let EngineError::Tls { problem, .. } = error else { panic!("{error:?}") };
    problem
}

#[tokio::test]
async fn a_good_handshake_is_kept() {
    let authority = Authority::named("ca");
    let stub = Stub::tcp(Manner::engine("1.41"), Some(authority.server(&params(&["127.0.0.1"])))).await;
    let material = authority.client(&authority);
    let engine = connect(&stub.endpoint, Some(&material), Timeouts::default()).await.unwrap();
    engine.ping().await.unwrap();
    assert_eq!(stub.seen(), [["/_ping", "/v1.41/_ping"]]);
}

#[tokio::test]
async fn the_servers_certificate_is_checked() {
    let mismatch = TlsProblem::NameMismatch {
        host: "127.0.0.1".into(),
        presented: vec!["DNS:other.example".into(), "IP:127.0.0.2".into()],
    };
    assert_eq!(problem(&params(&["other.example", "127.0.0.2"])).await, mismatch);
    let said = mismatch.to_string();
    assert!(
        said.starts_with(
            "the engine's certificate is not for `127.0.0.1` (it names DNS:other.example, IP:127.0.0.2): "
        ),
        "{said}"
    );
    assert!(said.ends_with("-extfile <(echo subjectAltName=IP:127.0.0.1)`"), "{said}");

    let mut expired = params(&["127.0.0.1"]);
    (expired.not_before, expired.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    assert_eq!(problem(&expired).await, TlsProblem::ServerExpired);

    let mut early = params(&["127.0.0.1"]);
    (early.not_before, early.not_after) = (date_time_ymd(2101, 1, 1), date_time_ymd(2102, 1, 1));
    assert_eq!(problem(&early).await, TlsProblem::ServerNotYetValid);
}

#[tokio::test]
async fn authorities_are_told_apart() {
    // A CA made anew often has the name of the old one: then it is the signature that does not fit.
    for names in [["one", "two"], ["same", "same"]] {
        let [ours, theirs] = names.map(Authority::named);
        let stub = Stub::tcp(Manner::engine("1.41"), Some(theirs.server(&params(&["127.0.0.1"])))).await;
        let stranger = error_of(&stub, Some(&ours.client(&ours)), Timeouts::default()).await;
        let problem = tls(stranger);
        let TlsProblem::UnknownIssuer { issuer, given } = &problem else { panic!("{problem:?}") };
        assert_eq!(
            (issuer.as_str(), given.as_slice()),
            (&*format!("CN={}", names[1]), &[format!("CN={}", names[0])][..])
        );
        assert_eq!(problem.to_string().contains("with the same name"), names[0] == names[1], "{problem}");
        let rejected = tls(error_of(&stub, Some(&ours.client(&theirs)), Timeouts::default()).await);
        assert!(matches!(rejected, TlsProblem::ClientRejected(_)), "{rejected:?}");
    }
}

/// A file that openssl(1) wrote: `tls/made/make.sh` has the lines.
macro_rules! made {
    ($name:literal) => {
        include_str!(concat!("../../tls/made/", $name, ".pem"))
    };
}

/// A server that shows these certificates and asks nobody for one, as seen with this CA.
async fn shown(ca: &str, chain: &str, key: &str) -> Result<(), TlsProblem> {
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = provider.key_provider.load_private_key(key).unwrap();
    let certified = rustls::sign::CertifiedKey::new(chain, key);
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    let stub = Stub::tcp(Manner::engine("1.41"), Some(server)).await;
    let (cert, key) = (made!("v1").into(), made!("v1-key").into());
    let material = Credential::Tls(TlsMaterial::from_pem(ca.into(), cert, key, SystemClock.now()).unwrap());
    match connect(&stub.endpoint, Some(&material), Timeouts::default()).await {
        Ok(_) => Ok(()),
        Err(EngineError::Tls { problem, .. }) => Err(problem),
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn engines_of_people_with_openssl() {
    let ca = made!("ca");
    shown(ca, made!("server"), made!("server-key")).await.unwrap();
    // One certificate for everything.
    shown(made!("single"), made!("single"), made!("single-key")).await.unwrap();
    for (what, chain, key, part) in [
        ("a common name alone", made!("cn-only"), made!("cn-only-key"), "it has no subjectAltName"),
        ("version 1", made!("server-v1"), made!("server-v1-key"), "it has no subjectAltName"),
        ("SHA-1", made!("server-sha1"), made!("server-sha1-key"), "signed with SHA-1"),
        ("for clients", made!("clients-only"), made!("clients-only-key"), "extendedKeyUsage=serverAuth"),
        ("another authority's own", made!("single"), made!("single-key"), "is an authority's (CA:TRUE)"),
    ] {
        let problem = shown(ca, chain, key).await.unwrap_err().to_string();
        assert!(problem.contains(part), "{what}: {problem}");
    }
}

#[tokio::test]
async fn addresses_of_the_other_family_and_names_are_endpoints() {
    let authority = Authority::named("ca");
    let material = authority.client(&authority);
    for name in ["::1", "localhost"] {
        let stub = Stub::tcp_at(name, Manner::engine("1.41"), Some(authority.server(&params(&[name])))).await;
        assert_eq!(stub.endpoint.to_string().contains("[::1]"), name == "::1");
        let engine = connect(&stub.endpoint, Some(&material), Timeouts::default()).await.unwrap();
        engine.ping().await.unwrap();
        server_expiry(&stub.endpoint, Some(&material), Timeouts::default()).await.unwrap().unwrap();
        let stranger = Authority::named("other");
        let error = error_of(&stub, Some(&authority.client(&stranger)), Timeouts::default()).await;
        assert!(matches!(tls(error), TlsProblem::UnknownIssuer { .. }));
    }
}

#[tokio::test]
async fn a_port_without_tls() {
    let authority = Authority::named("ca");
    let stub = Stub::tcp(Manner::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), None).await;
    let error = error_of(&stub, Some(&authority.client(&authority)), Timeouts::default()).await;
    assert_eq!(tls(error), TlsProblem::NotTls);
}
