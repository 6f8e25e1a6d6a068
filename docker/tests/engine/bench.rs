//! One engine under test: connection, test image, names and labels of this run, and tidying up.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, stream::BoxStream};
use serde::Deserialize;
use shoal_docker::{
    ContainerEvent, ContainerNetwork, ContainerSpec, Created, Credential, Endpoint, Engine, EngineEvent,
    ExecSpec, FileContent, ImageArchive, ImageFile, LabelFilter, Layer, PackedImage, Timeouts, TlsMaterial,
    connect,
};
use shoal_docker_fake::Release;
use shoal_types::{Clock as _, SystemClock};

use crate::{containers::PATIENCE, fake};

/// Label of everything a run makes; its value is the run.
pub(crate) const LABEL: &str = "shoal.docker-test";

#[derive(Deserialize)]
struct Entry {
    socket: Option<PathBuf>,
    endpoint: Option<Endpoint>,
    tls_dir: Option<PathBuf>,
}

/// A way to an engine.
pub(crate) enum Target {
    /// `all`: it is not asked everything over another address.
    Real {
        endpoint: Endpoint,
        tls_dir: Option<PathBuf>,
        all: bool,
    },
    Fake(Release),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real { endpoint, .. } => endpoint.fmt(f),
            Self::Fake(Release::V20_10) => f.write_str("fake-20.10"),
            Self::Fake(Release::V28_5) => f.write_str("fake-28.5"),
        }
    }
}

impl Target {
    /// Whether every behaviour is asked of it.
    pub(crate) fn is_asked_all(&self) -> bool {
        match self {
            Self::Real { all, .. } => *all,
            Self::Fake(_) => true,
        }
    }
}

/// The targets of `SHOAL_TEST_ENGINES`.
pub(crate) fn targets(list: &str) -> Vec<Target> {
    let entries: Vec<Entry> = serde_json::from_str(list).unwrap();
    let both = |entry: Entry| {
        let all = entry.endpoint.is_none();
        let unix =
            entry.socket.map(|path| Target::Real { endpoint: Endpoint::Unix(path), tls_dir: None, all });
        let tls_dir = entry.tls_dir;
        let tcp = entry.endpoint.map(|endpoint| Target::Real { endpoint, tls_dir, all: true });
        unix.into_iter().chain(tcp)
    };
    let targets: Vec<Target> = entries.into_iter().flat_map(both).collect();
    assert!(!targets.is_empty(), "SHOAL_TEST_ENGINES names no engine");
    targets
}

/// Of a client, as Docker's own client keeps it.
fn material(dir: &Path) -> Credential {
    let [ca, cert, key] =
        ["ca.pem", "cert.pem", "key.pem"].map(|name| fs::read_to_string(dir.join(name)).unwrap());
    Credential::Tls(TlsMaterial::from_pem(ca, cert, key, SystemClock.now()).unwrap())
}

/// An engine under test.
pub(crate) struct Bench {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) tls_dir: Option<PathBuf>,
    pub(crate) image: String,
    pub(crate) packed: PackedImage,
    run: String,
    numbers: AtomicU32,
}

impl Bench {
    pub(crate) async fn open(target: &Target) -> Self {
        let (engine, tls_dir, program): (Arc<dyn Engine>, _, _) = match target {
            Target::Real { endpoint, tls_dir, .. } => {
                let tls = tls_dir.as_deref().map(material);
                let engine = connect(endpoint, tls.as_ref(), Timeouts::default()).await.unwrap();
                (engine, tls_dir.clone(), FileContent::File("/proc/self/exe".into()))
            }
            Target::Fake(release) => {
                (fake::engine(*release).await, None, FileContent::Bytes(vec![0; 2000].into()))
            }
        };
        let run = format!("dt{}", std::process::id());
        let packed = image(&run, &run, program);
        engine.load_image(packed.clone().stream()).await.unwrap();
        let image = packed.reference().to_owned();
        Self { engine, tls_dir, image, packed, run, numbers: AtomicU32::new(0) }
    }

    /// A name nobody else uses.
    pub(crate) fn name(&self, word: &str) -> String {
        format!("shoal-{}-{word}-{}", self.run, self.number())
    }

    /// A number nobody else in this run uses.
    pub(crate) fn number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        [(LABEL.to_owned(), self.run.clone())].into()
    }

    pub(crate) fn ours(&self) -> LabelFilter {
        LabelFilter::all().with(LABEL, &self.run)
    }

    /// A container that waits for SIGTERM, not yet made.
    pub(crate) fn sleeper(&self, word: &str) -> ContainerSpec {
        ContainerSpec {
            name: self.name(word),
            image: self.image.clone(),
            labels: self.labels(),
            cmd: Some(vec!["sleep".into()]),
            network: ContainerNetwork::None,
            ..ContainerSpec::default()
        }
    }

    /// An image that nobody else has and nobody can run.
    pub(crate) fn small(&self, word: &str) -> PackedImage {
        let name = self.name(word);
        image(&name, &self.run, FileContent::Bytes(name.clone().into()))
    }

    /// Makes a container that must not have been there.
    pub(crate) async fn create(&self, spec: &ContainerSpec) -> String {
        match self.engine.create_container(spec).await.unwrap() {
            Created::New { id } => id,
            Created::Exists(detail) => panic!("{} exists already", detail.name),
        }
    }

    /// A container that runs and waits for SIGTERM.
    pub(crate) async fn running(&self, word: &str) -> String {
        let id = self.create(&self.sleeper(word)).await;
        self.start(&id).await;
        id
    }

    /// Starts a sleeper; returns when it waits. The first process of a container ignores a signal that it has not asked for.
    pub(crate) async fn start(&self, id: &str) {
        self.engine.start(id).await.unwrap();
        let waits = async {
            while !self.engine.logs_tail(id, 1).await.unwrap().contains("waiting") {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waits).await.unwrap();
    }

    /// What happens to a container, from now on.
    pub(crate) async fn events_of(&self, id: &str) -> BoxStream<'static, ContainerEvent> {
        let (id, events) = (id.to_owned(), self.engine.events(&self.ours()).await.unwrap());
        let mine = events.map(Result::unwrap).filter_map(move |event| {
            std::future::ready(match event {
                EngineEvent::Container(event) if event.id == id => Some(event),
                EngineEvent::Container(_) | EngineEvent::Network(_) => None,
            })
        });
        mine.boxed()
    }

    /// Removes everything this run made, whatever failed before.
    pub(crate) async fn clean(&self) {
        for container in self.engine.list_containers(&self.ours()).await.unwrap() {
            self.engine.remove_container(&container.id).await.unwrap();
        }
        for network in self.engine.list_networks(&self.ours()).await.unwrap() {
            self.engine.remove_network(&network.id).await.unwrap();
        }
        for volume in self.engine.list_volumes(&self.ours()).await.unwrap() {
            self.engine.remove_volume(&volume.name).await.unwrap();
        }
        for image in self.engine.list_images(&self.ours()).await.unwrap() {
            for reference in image.repo_tags {
                self.engine.remove_image(&reference).await.unwrap();
            }
        }
    }
}

/// An image with a probe.
pub(crate) fn image(tag: &str, run: &str, program: FileContent) -> PackedImage {
    let file = |path: &str, content| ImageFile { path: path.into(), mode: 0o755, content };
    let archive = ImageArchive {
        reference: format!("shoal-docker-test:{tag}"),
        architecture: ImageArchive::architecture_of(std::env::consts::ARCH).into(),
        entrypoint: vec!["/probe".into(), "probe".into()],
        cmd: vec![],
        env: BTreeMap::new(),
        labels: [(LABEL.to_owned(), run.to_owned())].into(),
        stop_signal: None,
        layer: Layer::Files(vec![
            file("etc", FileContent::Directory),
            file("tmp", FileContent::Directory),
            file("probe", program),
        ]),
    };
    archive.pack().unwrap()
}

/// A command of the probe.
pub(crate) fn probe(words: &[&str]) -> ExecSpec {
    ExecSpec::new(["/probe", "probe"].into_iter().chain(words.iter().copied()))
}
