//! The service that brings images to hosts: the archive is spooled once, then every host reads it at its own pace.

use std::{collections::BTreeSet, pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt};
use shoal_proto::{
    FieldError,
    v1::{self, load_image_request, load_image_response},
};
use shoal_storage::Host;
use shoal_types::HostName;
use tokio::{fs::File, io::AsyncWriteExt, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::ReaderStream;
use tonic::{Request, Response, Status, Streaming};

use super::{field, text};
use crate::{Fault, coordinator::Coordinator};

/// Size of a piece read from the spool.
const CHUNK: usize = 256 << 10;

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
        let (out, steps) = mpsc::channel(hosts.len().max(1));
        for host in hosts {
            let (coordinator, out) = (self.0.clone(), out.clone());
            let spool = spool.clone();
            self.0.tasks.spawn(async move {
                let started = tokio::time::Instant::now();
                let loaded = tokio::select! {
                    loaded = load(&coordinator, &host, &spool) => loaded,
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
                        error: text(&fault),
                    }),
                };
                drop(spool);
                drop(out.send(Ok(v1::LoadImageResponse { step: Some(step) })).await);
            });
        }
        Ok(Response::new(Box::pin(ReceiverStream::new(steps))))
    }
}

impl ImagesService {
    async fn hosts(&self, names: &[String]) -> Result<Vec<Host>, Fault> {
        let mut all = self.0.store.read().await?.hosts().list().await?;
        if all.is_empty() {
            all.push(self.0.register_local().await?);
        }
        if names.is_empty() {
            return Ok(all);
        }
        let wanted: BTreeSet<HostName> = names.iter().map(|n| field("hosts", n)).collect::<Result<_, _>>()?;
        if let Some(unknown) = wanted.iter().find(|w| !all.iter().any(|h| h.name == **w)) {
            return Err(Fault::NoHost { name: unknown.clone() });
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

async fn load(coordinator: &Coordinator, host: &Host, path: &std::path::Path) -> Result<Vec<String>, Fault> {
    let local = |source| Fault::Local { what: "reading the spooled image", source };
    let file = File::open(path).await.map_err(local)?;
    let link = coordinator.fleet.link(&coordinator.store, host).await?;
    let archive = ReaderStream::with_capacity(file, CHUNK).boxed();
    link.engine.load_image(archive).await.map_err(Fault::engine(&host.name))
}
