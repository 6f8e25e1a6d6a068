//! The service that brings images to hosts and lists them.

use std::{collections::BTreeSet, future::ready, pin::Pin, sync::Arc};

use futures_util::{Stream, TryStreamExt};
use shoal_api::{LoadStep, Loaded, millis};
use shoal_proto::{
    FieldError,
    v1::{self, load_image_request},
};
use shoal_types::{HostName, chain};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    drive::load,
    fleet::coordinator::Coordinator,
    observe::images::node_images,
    server::{field, who::Who},
    words::fault::Fault,
};

/// Largest archive that is taken from elsewhere: it is spooled to this machine's disk.
const MOST_BYTES: u64 = 32 << 30;

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
        let is_here = Who::of(&request).is_here();
        let mut input = request.into_inner();
        let Some(load_image_request::Frame::Open(open)) = input.message().await?.and_then(|m| m.frame) else {
            return Err(Fault::from(FieldError::new("open", "must be the first message")).into());
        };
        let wanted: BTreeSet<HostName> = open
            .hosts
            .iter()
            .map(|name| field("hosts", name))
            .collect::<Result<_, _>>()
            .map_err(Fault::from)?;
        let hosts = load::hosts(&self.0, &wanted, is_here).await?;
        let data = input.try_filter_map(|message| {
            ready(Ok(match message.frame {
                Some(load_image_request::Frame::Data(data)) => Some(data),
                Some(load_image_request::Frame::Open(_)) | None => None,
            }))
        });
        let most = if is_here { u64::MAX } else { MOST_BYTES };
        let spool = load::spool(data, most).await?;
        let (out, steps) = mpsc::channel(hosts.len().max(1) * 2);
        for host in hosts {
            let (coordinator, out) = (self.0.clone(), out.clone());
            let spool = spool.clone();
            self.0.tasks.spawn(async move {
                let started = Instant::now();
                let (name, told) = (host.name.clone(), out.clone());
                let progress = move |done_bytes, total_bytes| {
                    let step = LoadStep::Progress { host: name.clone(), done_bytes, total_bytes };
                    // A reader that is slow misses one, and no host waits for it.
                    drop(told.try_send(Ok(step.into())));
                };
                let loaded = tokio::select! {
                    loaded = load::load(&coordinator, &host, &spool, progress) => loaded,
                    () = coordinator.stop.cancelled() => Err(Fault::Stopped),
                };
                let host = host.name.to_string();
                let ended = match loaded {
                    Ok(references) => Loaded {
                        host,
                        image_id: references.iter().find(|r| r.starts_with("sha256:")).cloned(),
                        references,
                        elapsed_ms: Some(millis(started.elapsed())),
                        error: None,
                    },
                    Err(fault) => Loaded {
                        host,
                        image_id: None,
                        references: vec![],
                        elapsed_ms: None,
                        error: Some(chain(&fault)),
                    },
                };
                drop(spool);
                drop(out.send(Ok(LoadStep::Ended(ended).into())).await);
            });
        }
        Ok(Response::new(Box::pin(ReceiverStream::new(steps))))
    }

    async fn list_images(
        &self,
        request: Request<v1::ListImagesRequest>,
    ) -> Result<Response<v1::ListImagesResponse>, Status> {
        let who = Who::of(&request);
        Ok(Response::new(node_images(&self.0, &who.realms).await?.into()))
    }
}
