//! A PostgreSQL server that is not of this machine: who it is must be proven by TLS, unless the URL says otherwise.
//!
//! ```text
//! Store::open --TLS--> a door with a certificate --in clear--> the server's unix socket
//! ```
//! The door's address is 0.0.0.0: of this machine on Linux, and none that looks so.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rand::{SeedableRng, rngs::StdRng};
use rcgen::CertificateParams;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use shoal_lab::Authority;
use shoal_storage::{SealingKey, Store, StoreError, StoreUrl};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::bed::{Bed, START, USER};

/// A way into the server; it closes when dropped.
struct Door {
    port: u16,
    /// How many came through, who trusted the certificate.
    entered: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Door {
    async fn open(authority: &Authority, name: &str, socket: &Path) -> Self {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let (certificate, key) = authority.signed(&params).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (acceptor, socket) = (TlsAcceptor::from(Arc::new(config)), socket.join(".s.PGSQL.5432"));
        let entered = Arc::new(AtomicUsize::new(0));
        let (counted, mut task) = (Arc::clone(&entered), JoinSet::new());
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, socket, counted) = (acceptor.clone(), socket.clone(), Arc::clone(&counted));
                connections.spawn(async move {
                    // Whoever hangs up in the middle does not trust the certificate.
                    drop(pass(stream, &acceptor, &socket, &counted).await);
                });
            }
        });
        Self { port, entered, _task: task }
    }
}

/// Shakes hands as a server of PostgreSQL does (its manual, "SSL Session Encryption"), then passes bytes.
async fn pass(
    mut stream: TcpStream,
    acceptor: &TlsAcceptor,
    socket: &Path,
    entered: &AtomicUsize,
) -> std::io::Result<()> {
    let mut request = [0; 8];
    stream.read_exact(&mut request).await?;
    assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47], "asked for TLS");
    stream.write_all(b"S").await?;
    let mut stream = acceptor.accept(stream).await?;
    // In TLS 1.3 a client that does not trust the certificate says so after the server is done.
    let mut first = [0; 1];
    stream.read_exact(&mut first).await?;
    entered.fetch_add(1, Ordering::Relaxed);
    let mut server = UnixStream::connect(socket).await?;
    server.write_all(&first).await?;
    copy_bidirectional(&mut stream, &mut server).await.map(drop)
}

#[tokio::test]
async fn a_server_elsewhere_is_told_nothing_before_it_has_proven_who_it_is() {
    let Some(bed) = Bed::postgres().await else { return };
    let server = crate::bed::server().unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| Authority::named(name).unwrap());
    let file = |name: &str, authority: &Authority| {
        let path = bed.directory().join(name);
        std::fs::write(&path, authority.pem()).unwrap();
        path.display().to_string()
    };
    let (ca, other) = (file("ca.pem", &ours), file("other.pem", &theirs));
    let database = bed.text().split_once("localhost/").unwrap().1.split_once('?').unwrap().0;
    let door = Door::open(&ours, "0.0.0.0", server.socket()).await;
    let misnamed = Door::open(&ours, "db.example", server.socket()).await;
    let open = async |door: &Door, more: &str| {
        let text = format!("postgres://{USER}:hunter2@0.0.0.0:{}/{database}{more}", door.port);
        let url: StoreUrl = text.parse().unwrap();
        let key = SealingKey::load(&bed.key_file()).unwrap();
        Store::open(&url, key, START, &mut StdRng::seed_from_u64(2)).await
    };

    let refused = [
        (&door, String::new()),
        (&door, format!("?sslrootcert={other}")),
        (&door, format!("?sslmode=verify-ca&sslrootcert={other}")),
        (&door, "?sslrootcert=/nowhere/ca.pem".into()),
        (&misnamed, format!("?sslrootcert={ca}")),
    ];
    for (door, more) in refused {
        let error = open(door, &more).await.unwrap_err();
        assert!(matches!(error, StoreError::Unproven { .. }), "{more}: {error:?}");
        for word in ["sslrootcert=FILE", "sslmode=MODE", "0.0.0.0"] {
            assert!(error.to_string().contains(word), "{word} in {error}");
        }
        assert_eq!(door.entered.load(Ordering::Relaxed), 0, "{more}: it was told something");
    }

    let opened = [
        (&door, format!("?sslrootcert={ca}")),
        (&door, format!("?sslmode=verify-full&sslrootcert={ca}")),
        (&misnamed, format!("?sslmode=verify-ca&sslrootcert={ca}")),
        (&misnamed, "?sslmode=require".into()),
    ];
    for (door, more) in opened {
        let store = open(door, &more).await.unwrap_or_else(|error| panic!("{more}: {error:?}"));
        assert_eq!(store.installation(), bed.store.installation());
        assert!(door.entered.load(Ordering::Relaxed) > 0);
        store.close().await;
    }
}
