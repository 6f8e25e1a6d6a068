//! The service that brings images to hosts: the archive is spooled once, then every host reads it at its own pace.

use std::{collections::BTreeSet, pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt, TryStreamExt};
use shoal_proto::{
    FieldError,
    v1::{self, load_image_request, load_image_response},
};
use shoal_storage::Host;
use shoal_types::{HostName, chain};
use tokio::{fs::File, io::AsyncWriteExt, sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::ReaderStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    drive::hosts,
    fleet::coordinator::Coordinator,
    observe::images,
    server::field,
    words::fault::{Fault, HostFault},
};

/// Size of a piece read from the spool.
const CHUNK: usize = 256 << 10;

type Out = mpsc::Sender<Result<v1::LoadImageResponse, Status>>;

/// Images.
#[derive(Debug)]
pub(crate) struct ImagesService(pub(crate) Arc<Coordinator>);

#[tonic::async_trait]
impl v1::images_server::Images for ImagesService {
    type LoadImageStream = Pin<Box<dyn Stream<Item = Result<v1::LoadImageResponse, Status>> + Send>>;

    async fn load_image(
        &self,
        request: Request<Streaming<v1::LoadImageRequest>>,
    ) -> Result<Response<Self::LoadImageStream>, Status> {
        let mut input = request.into_inner();
        let Some(load_image_request::Frame::Open(open)) = input.message().await?.and_then(|m| m.frame) else {
            return Err(Fault::from(FieldError::new("open", "must be the first message")).into());
        };
        let hosts = self.hosts(&open.hosts).await?;
        let spool = spool(&mut input).await?;
        let (out, steps) = mpsc::channel(hosts.len().max(1) * 2);
        for host in hosts {
            let (coordinator, out) = (self.0.clone(), out.clone());
            let spool = spool.clone();
            self.0.tasks.spawn(async move {
                let started = Instant::now();
                let loaded = tokio::select! {
                    loaded = load(&coordinator, &host, &spool, out.clone()) => loaded,
                    () = coordinator.stop.cancelled() => Err(Fault::Stopped),
                };
                let step = match loaded {
                    Ok(references) => load_image_response::Step::Loaded(v1::LoadedImage {
                        host: host.name.to_string(),
                        image_id: references
                            .iter()
                            .find(|r| r.starts_with("sha256:"))
                            .cloned()
                            .unwrap_or_default(),
                        references,
                        elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
                    }),
                    Err(fault) => load_image_response::Step::Failure(v1::LoadImageFailure {
                        host: host.name.to_string(),
                        error: chain(&fault),
                    }),
                };
                drop(spool);
                drop(out.send(Ok(v1::LoadImageResponse { step: Some(step) })).await);
            });
        }
        Ok(Response::new(Box::pin(ReceiverStream::new(steps))))
    }

    async fn list_images(
        &self,
        _: Request<v1::ListImagesRequest>,
    ) -> Result<Response<v1::ListImagesResponse>, Status> {
        Ok(Response::new(images::shown_images(&self.0).await?))
    }
}

impl ImagesService {
    async fn hosts(&self, names: &[String]) -> Result<Vec<Host>, Fault> {
        let mut all = self.0.store.read().await?.hosts().list().await?;
        if all.is_empty() {
            all.push(hosts::register_local(&self.0).await?);
        }
        if names.is_empty() {
            return Ok(all);
        }
        let wanted: BTreeSet<HostName> = names.iter().map(|n| field("hosts", n)).collect::<Result<_, _>>()?;
        if let Some(unknown) = wanted.iter().find(|w| !all.iter().any(|h| h.name == **w)) {
            return Err(Fault::Host(HostFault::Unknown { name: unknown.clone() }));
        }
        all.retain(|h| wanted.contains(&h.name));
        Ok(all)
    }
}

/// Writes the archive to a temporary file that goes with its last reader.
async fn spool(input: &mut Streaming<v1::LoadImageRequest>) -> Result<Arc<tempfile::TempPath>, Status> {
    let local = |source| Fault::Local { what: "spooling the image", source };
    let (file, path) = tempfile::NamedTempFile::new().map_err(local)?.into_parts();
    let mut file = File::from_std(file);
    while let Some(message) = input.message().await? {
        if let Some(load_image_request::Frame::Data(data)) = message.frame {
            file.write_all(&data).await.map_err(local)?;
        }
    }
    file.flush().await.map_err(local)?;
    Ok(Arc::new(path))
}

async fn load(
    coordinator: &Coordinator,
    host: &Host,
    path: &std::path::Path,
    out: Out,
) -> Result<Vec<String>, Fault> {
    let local = |source| Fault::Local { what: "reading the spooled image", source };
    let file = File::open(path).await.map_err(local)?;
    let total_bytes = file.metadata().await.map_err(local)?.len();
    let link = coordinator.fleet.link(&coordinator.store, host).await?;
    let (name, mut done_bytes, mut pace) = (host.name.to_string(), 0, Pace::default());
    let archive = ReaderStream::with_capacity(file, CHUNK).inspect_ok(move |chunk| {
        done_bytes += chunk.len() as u64;
        if pace.is_due(Instant::now()) || done_bytes == total_bytes {
            let progress = v1::LoadImageProgress { host: name.clone(), done_bytes, total_bytes };
            let step = Some(load_image_response::Step::Progress(progress));
            // A reader that is slow misses one, and no host waits for it.
            drop(out.try_send(Ok(v1::LoadImageResponse { step })));
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
