//! TLS against the engine's own listener: what it says to strangers.

use rcgen::CertificateParams;
use shoal_docker::{Credential, EngineError, Timeouts, TlsMaterial, TlsProblem, connect};
use shoal_lab::Authority;
use shoal_types::{Clock as _, SystemClock};

use crate::bench::Bench;

struct Stranger {
    ca: String,
    cert: String,
    key: String,
}

fn stranger() -> Stranger {
    let ca = Authority::named("stranger").unwrap();
    let (cert, key) = ca.signed(&CertificateParams::new(vec!["stranger".to_owned()]).unwrap()).unwrap();
    Stranger { ca: ca.pem(), cert, key }
}

async fn problem(bench: &Bench, ca: String, cert: String, key: String) -> TlsProblem {
    let material = Credential::Tls(TlsMaterial::from_pem(ca, cert, key, SystemClock.now()).unwrap());
    match connect(bench.engine.endpoint(), Some(&material), Timeouts::default()).await {
        Err(EngineError::Tls { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn a_foreign_client_certificate_is_told_apart(bench: &Bench) {
    let dir = bench.tls_dir.as_deref().unwrap();
    let stranger = stranger();
    let ca = std::fs::read_to_string(dir.join("ca.pem")).unwrap();
    // Again and again: the engine's alert races with its closing of the connection.
    for _ in 0..10 {
        let problem = problem(bench, ca.clone(), stranger.cert.clone(), stranger.key.clone()).await;
        assert!(matches!(problem, TlsProblem::ClientRejected(_)), "{problem:?}");
    }
}

pub(crate) async fn a_foreign_ca_is_told_apart(bench: &Bench) {
    let dir = bench.tls_dir.as_deref().unwrap();
    let [cert, key] = ["cert.pem", "key.pem"].map(|file| std::fs::read_to_string(dir.join(file)).unwrap());
    let problem = problem(bench, stranger().ca, cert, key).await;
    assert!(matches!(problem, TlsProblem::UnknownIssuer { .. }), "{problem:?}");
}
