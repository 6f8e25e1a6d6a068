//! Brings an image to hosts: the archive is spooled once, then every host reads it at its own pace. The digests in it are computed
//! here and recorded, so that no host has to be believed about them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use shoal_docker::contents;
use shoal_proto::FieldError;
use shoal_storage::Host;
use shoal_types::{HostName, ImageRef};
use tempfile::TempPath;
use tokio::{fs::File, io::AsyncWriteExt, sync::OnceCell, time::Instant};
use tokio_util::io::ReaderStream;

use crate::{
    drive::hosts::register_local,
    fleet::coordinator::Coordinator,
    words::fault::{Fault, HostFault},
};

/// Size of a piece read from the spool.
const CHUNK: usize = 256 << 10;

/// The hosts of these names; all if none is named, and this machine where there is none at all and its own user asks.
///
/// # Errors
/// [`HostFault::Unknown`], [`HostFault::NoneRegistered`], and the store's.
pub(crate) async fn hosts(
    coordinator: &Coordinator,
    wanted: &BTreeSet<HostName>,
    is_here: bool,
) -> Result<Vec<Host>, Fault> {
    let mut all = coordinator.store.read().await?.hosts().list().await?;
    if all.is_empty() && !is_here {
        return Err(HostFault::NoneRegistered.into());
    }
    if all.is_empty() {
        all.push(register_local(coordinator).await?);
    }
    if wanted.is_empty() {
        return Ok(all);
    }
    if let Some(unknown) = wanted.iter().find(|w| !all.iter().any(|h| h.name == **w)) {
        return Err(HostFault::Unknown { name: unknown.clone() }.into());
    }
    all.retain(|h| wanted.contains(&h.name));
    Ok(all)
}

/// An archive on its way to hosts.
#[derive(Debug)]
pub(crate) struct Spool {
    path: TempPath,
    /// Reference -> content digest; `None` if it is no plain archive of Docker's.
    contents: Option<BTreeMap<String, String>>,
    /// Set once it is recorded.
    recorded: OnceCell<()>,
}

/// Writes the archive, of at most so many bytes, to a temporary file that goes with its last reader, and reads what is in it.
///
/// # Errors
/// The stream's; [`Fault::Field`]: it is larger; [`Fault::Local`].
pub(crate) async fn spool<E: From<Fault>>(
    data: impl Stream<Item = Result<Bytes, E>>,
    most: u64,
) -> Result<Arc<Spool>, E> {
    let local = |source| Fault::Local { what: "spooling the image", source };
    let (file, path) = tempfile::NamedTempFile::new().map_err(local)?.into_parts();
    let mut file = File::from_std(file);
    let mut data = std::pin::pin!(data);
    let mut bytes = 0_u64;
    while let Some(piece) = data.try_next().await? {
        bytes = bytes.saturating_add(piece.len() as u64);
        if bytes > most {
            let why = format!("is larger than {}: load it on the server's machine", shoal_types::Bytes(most));
            return Err(Fault::from(FieldError::new("archive", why)).into());
        }
        file.write_all(&piece).await.map_err(local)?;
    }
    file.flush().await.map_err(local)?;
    let mut file = file.into_std().await;
    let read = tokio::task::spawn_blocking(move || contents(&mut file)).await;
    let contents = read.map_err(|error| local(std::io::Error::other(error)))?.map_err(local)?;
    Ok(Arc::new(Spool { path, contents, recorded: OnceCell::new() }))
}

/// Loads a spooled archive on a host; `progress` is told of bytes done and of how many, about once a second. Returns what the
/// engine loaded.
///
/// # Errors
/// The engine's; [`Fault::Local`].
pub(crate) async fn load(
    coordinator: &Coordinator,
    host: &Host,
    spool: &Spool,
    progress: impl Fn(u64, u64) + Send + Sync + 'static,
) -> Result<Vec<String>, Fault> {
    let local = |source| Fault::Local { what: "reading the spooled image", source };
    let file = File::open(&spool.path).await.map_err(local)?;
    let total = file.metadata().await.map_err(local)?.len();
    let link = coordinator.fleet.link(&coordinator.store, host).await?;
    let (mut done, mut pace) = (0, Pace::default());
    let archive = ReaderStream::with_capacity(file, CHUNK).inspect_ok(move |chunk| {
        done += chunk.len() as u64;
        if pace.is_due(Instant::now()) || done == total {
            progress(done, total);
        }
    });
    let loaded = link.engine.load_image(archive.boxed()).await.map_err(Fault::engine(&host.name))?;
    // What is in it is the same for all hosts, and known to be an image since one has taken it.
    spool.recorded.get_or_try_init(|| record(coordinator, spool, &loaded)).await?;
    Ok(loaded)
}

/// Records what was loaded. Of an archive that could not be read it is known under which references, and no digest.
async fn record(coordinator: &Coordinator, spool: &Spool, loaded: &[String]) -> Result<(), Fault> {
    let now = coordinator.now();
    let mut tx = coordinator.store.begin().await?;
    match &spool.contents {
        Some(contents) => {
            for (reference, id) in contents {
                tx.images().set_loaded(reference, id, now).await?;
            }
        }
        None => {
            for reference in loaded {
                tx.images().forget_loaded(&ImageRef::listed(reference)).await?;
            }
        }
    }
    Ok(tx.commit().await?)
}

/// At most one a second.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Instant>,
}

impl Pace {
    /// Whether it is time again.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.last.is_none_or(|last| now.duration_since(last) >= Duration::from_secs(1));
        if due {
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second() {
        let (began, mut pace) = (Instant::now(), Pace::default());
        let due: Vec<u64> =
            (0..=2500).step_by(100).filter(|ms| pace.is_due(began + Duration::from_millis(*ms))).collect();
        assert_eq!(due, [0, 1000, 2000]);
    }
}
