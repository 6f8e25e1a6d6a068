//! Brings an image to hosts: the archive is spooled once, then every host reads it at its own pace.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use shoal_storage::Host;
use shoal_types::HostName;
use tempfile::TempPath;
use tokio::{fs::File, io::AsyncWriteExt, time::Instant};
use tokio_util::io::ReaderStream;

use crate::{
    drive::hosts::register_local,
    fleet::coordinator::Coordinator,
    words::fault::{Fault, HostFault},
};

/// Size of a piece read from the spool.
const CHUNK: usize = 256 << 10;

/// The hosts of these names; all if none is named, and this machine where there is none at all.
///
/// # Errors
/// [`HostFault::Unknown`], and the store's.
pub(crate) async fn hosts(
    coordinator: &Coordinator,
    wanted: &BTreeSet<HostName>,
) -> Result<Vec<Host>, Fault> {
    let mut all = coordinator.store.read().await?.hosts().list().await?;
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

/// Writes the archive to a temporary file that goes with its last reader.
///
/// # Errors
/// The stream's; [`Fault::Local`].
pub(crate) async fn spool<E: From<Fault>>(
    data: impl Stream<Item = Result<Bytes, E>>,
) -> Result<Arc<TempPath>, E> {
    let local = |source| Fault::Local { what: "spooling the image", source };
    let (file, path) = tempfile::NamedTempFile::new().map_err(local)?.into_parts();
    let mut file = File::from_std(file);
    let mut data = std::pin::pin!(data);
    while let Some(piece) = data.try_next().await? {
        file.write_all(&piece).await.map_err(local)?;
    }
    file.flush().await.map_err(local)?;
    Ok(Arc::new(path))
}

/// Loads a spooled archive on a host; `progress` is told of bytes done and of how many, about once a second. Returns what the
/// engine loaded.
///
/// # Errors
/// The engine's; [`Fault::Local`].
pub(crate) async fn load(
    coordinator: &Coordinator,
    host: &Host,
    path: &Path,
    progress: impl Fn(u64, u64) + Send + Sync + 'static,
) -> Result<Vec<String>, Fault> {
    let local = |source| Fault::Local { what: "reading the spooled image", source };
    let file = File::open(path).await.map_err(local)?;
    let total = file.metadata().await.map_err(local)?.len();
    let link = coordinator.fleet.link(&coordinator.store, host).await?;
    let (mut done, mut pace) = (0, Pace::default());
    let archive = ReaderStream::with_capacity(file, CHUNK).inspect_ok(move |chunk| {
        done += chunk.len() as u64;
        if pace.is_due(Instant::now()) || done == total {
            progress(done, total);
        }
    });
    link.engine.load_image(archive.boxed()).await.map_err(Fault::engine(&host.name))
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
