//! A registry that gives one image to who says the right name and password: the reading half of the OCI distribution
//! specification (v1.1, sections "Pulling manifests" and "Pulling blobs") over plain HTTP on hosts' own loopback.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context, ensure};
use nix::sched::{CloneFlags, setns};
use serde_json::{Value, json};

use crate::{Call, Machine};

/// Media type of what is served: one image, its layers as plain tar archives.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry that serves until the process ends; its listeners are in the hosts' network namespaces.
#[derive(Debug)]
pub struct Registry {
    content: Arc<Content>,
}

#[derive(Debug)]
struct Content {
    /// Files named by their digest's hexadecimal digits.
    blobs: PathBuf,
    manifest: String,
    /// What the `Authorization` header must say.
    authorization: String,
    manifests_given: AtomicUsize,
    _directory: tempfile::TempDir,
}

impl Registry {
    /// Serves the image that `owner`'s engine (25 or newer) has under `reference`, on the loopback address and port in it, on
    /// each of these hosts.
    ///
    /// # Errors
    /// The image cannot be saved, or the port is taken.
    pub fn of(
        owner: &Machine,
        reference: &str,
        machines: &[Machine],
        username: &str,
        password: &str,
    ) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let archive = directory.path().join("image.tar");
        owner.docker(&["save", "--output", &archive.display().to_string(), reference])?.ok()?;
        let into = directory.path().display().to_string();
        Call::new("tar").words(["-xf", &archive.display().to_string(), "-C", &into]).end()?.ok()?;
        std::fs::remove_file(&archive)?;
        let blobs = directory.path().join("blobs/sha256");
        let listed: Value = serde_json::from_slice(&std::fs::read(directory.path().join("manifest.json"))?)?;
        let blob = |path: &Value, kind: &str| -> anyhow::Result<Value> {
            let name = path.as_str().and_then(|path| path.rsplit('/').next()).context("no blob's path")?;
            let size = std::fs::metadata(blobs.join(name))?.len();
            Ok(json!({ "mediaType": kind, "digest": format!("sha256:{name}"), "size": size }))
        };
        let layers = listed[0]["Layers"].as_array().context("no layers")?;
        let layer = |path| blob(path, "application/vnd.oci.image.layer.v1.tar");
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": blob(&listed[0]["Config"], "application/vnd.oci.image.config.v1+json")?,
            "layers": layers.iter().map(layer).collect::<anyhow::Result<Vec<_>>>()?,
        });
        let encoded =
            Call::new("base64").words(["-w0"]).input(format!("{username}:{password}")).end()?.ok()?;
        let content = Arc::new(Content {
            blobs,
            manifest: manifest.to_string(),
            authorization: format!("Basic {}", encoded.trim()),
            manifests_given: AtomicUsize::new(0),
            _directory: directory,
        });
        let address = reference.split('/').next().context("no registry")?.to_owned();
        for machine in machines {
            let listener = listen_in(Path::new("/run/netns").join(&machine.host().netns), address.clone())?;
            let content = content.clone();
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let content = content.clone();
                    // A client that goes away is its own matter.
                    thread::spawn(move || drop(content.serve(&stream)));
                }
            });
        }
        Ok(Self { content })
    }

    /// How often a manifest was given to somebody who may have it.
    #[must_use]
    pub fn pulls(&self) -> usize {
        self.content.manifests_given.load(Ordering::Relaxed)
    }
}

/// A listener in another network namespace: the thread that makes it is there, and the socket stays there.
fn listen_in(netns: PathBuf, address: String) -> anyhow::Result<TcpListener> {
    let made = thread::spawn(move || -> anyhow::Result<TcpListener> {
        let file = File::open(&netns).with_context(|| netns.display().to_string())?;
        setns(file, CloneFlags::CLONE_NEWNET)?;
        TcpListener::bind(&address).with_context(|| address.clone())
    });
    made.join().map_err(|_| anyhow::anyhow!("the thread that listens panicked"))?
}

impl Content {
    fn serve(&self, stream: &TcpStream) -> anyhow::Result<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let mut words = line.split_whitespace();
            let (method, path) =
                (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
            let mut known = false;
            loop {
                let mut header = String::new();
                ensure!(reader.read_line(&mut header)? > 0, "the request ends in its headers");
                if header.trim().is_empty() {
                    break;
                }
                let (name, value) = header.split_once(':').unwrap_or_default();
                known |= name.eq_ignore_ascii_case("authorization") && value.trim() == self.authorization;
            }
            self.answer(stream, &method, &path, known)?;
        }
    }

    fn answer(&self, mut to: &TcpStream, method: &str, path: &str, known: bool) -> anyhow::Result<()> {
        let head = |status: &str, kind: &str, length: u64, more: &str| {
            format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}\r\n")
        };
        if !known {
            let ask = "WWW-Authenticate: Basic realm=\"test\"\r\n";
            to.write_all(head("401 Unauthorized", "text/plain", 0, ask).as_bytes())?;
            return Ok(());
        }
        let last = path.rsplit('/').next().unwrap_or_default();
        if path.contains("/manifests/") {
            to.write_all(head("200 OK", MANIFEST, self.manifest.len() as u64, "").as_bytes())?;
            if method != "HEAD" {
                self.manifests_given.fetch_add(1, Ordering::Relaxed);
                to.write_all(self.manifest.as_bytes())?;
            }
            return Ok(());
        }
        let file = last.strip_prefix("sha256:").filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match file.map(|hex| File::open(self.blobs.join(hex))) {
            Some(Ok(file)) => {
                let length = file.metadata()?.len();
                to.write_all(head("200 OK", "application/octet-stream", length, "").as_bytes())?;
                if method != "HEAD" {
                    std::io::copy(&mut file.take(length), &mut to)?;
                }
            }
            Some(Err(_)) => to.write_all(head("404 Not Found", "text/plain", 0, "").as_bytes())?,
            None => to.write_all(head("200 OK", "text/plain", 0, "").as_bytes())?,
        }
        Ok(())
    }
}
