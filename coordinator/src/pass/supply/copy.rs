//! One read of a host that has the image, to several that lack it.
//!
//! ```text
//! source --save--> feeder --queue (bounded)--> load --> host 1
//!                     |-----queue (bounded)--> load --> host 2
//! ```
//! The slowest host sets the pace as long as it takes anything; one that takes nothing for a while is cut off and tried
//! again by itself. A load that is not told the archive's end is an error to its engine, never a shorter image. A source decides
//! nothing but the content that was asked for: the archive is let through as one image without names, of bounded size.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::join_all, stream};
use shoal_docker::{ByteStream, OneImage, UploadStream};
use shoal_types::{HostId, Progress};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use crate::{
    fleet::{HostLink, liveness::silent_without},
    observe::intent::Intent,
    pass::{
        supply::{Claim, Source, Transfer},
        work::Work,
    },
    words::fault::{Fault, ImageFault},
};

/// Pieces that wait for one host: an engine's pieces are 32 to 400 KiB.
const QUEUE: usize = 16;
/// How long a host may take nothing, or a source give nothing, before it is cut off.
const STALL: Duration = Duration::from_secs(30);
/// How often it is told how far the image has come.
const TELL: Duration = Duration::from_secs(1);
/// After how many tellings the leases are renewed.
const RENEW: u32 = 10;

/// What came of one read.
#[derive(Debug, Default)]
pub(super) struct Copied {
    pub(super) outcomes: Vec<(HostId, Transfer)>,
    /// The source, if it failed.
    pub(super) spoiled: Option<HostId>,
    pub(super) stopped: bool,
}

/// A host on its way to having the image.
#[derive(Debug)]
struct Sink {
    link: Arc<HostLink>,
    claim: Claim,
    /// Bytes it has taken.
    taken: Arc<AtomicU64>,
}

impl Work {
    pub(super) async fn copy(
        &self,
        intent: &Intent,
        source: &Source,
        claims: Vec<(Arc<HostLink>, Claim)>,
    ) -> Copied {
        let sink = |(link, claim)| Sink { link, claim, taken: Arc::default() };
        let sinks: Vec<Sink> = claims.into_iter().map(sink).collect();
        let (mut copied, mut fed) = (Copied::default(), Ok(()));
        let whole = Arc::new(AtomicBool::new(false));
        let mut loads = Vec::new();
        let mut queues = Vec::new();
        for sink in &sinks {
            let (queue, waiting) = mpsc::channel(QUEUE);
            queues.push(queue);
            let archive = upload(waiting, whole.clone(), sink.taken.clone());
            loads.push(self.load(sink, archive).boxed());
        }
        let feeding = feed(source, &intent.cluster.image_id, queues, &whole);
        let telling = self.tell(intent, source, &sinks);
        let loaded = tokio::select! {
            (end, loaded) = async { tokio::join!(feeding, join_all(loads)) } => {
                fed = end;
                loaded
            }
            () = telling => Vec::new(),
            // The uploads end in the middle, which is nothing to their engines.
            () = self.stop.cancelled() => {
                copied.stopped = true;
                Vec::new()
            }
        };
        if fed.is_err() {
            copied.spoiled = Some(source.link.id);
        }
        for (sink, outcome) in sinks.iter().zip(loaded) {
            let brought = match (outcome, &fed) {
                (Ok(()), _) => {
                    let brought = self.named(intent, &sink.link).await;
                    if matches!(brought, Transfer::There) {
                        let bytes = sink.taken.load(Ordering::Relaxed);
                        let progress = Progress { done_bytes: bytes, total_bytes: Some(bytes) };
                        let message = format!("image {} is there", intent.cluster.spec.image);
                        self.told(intent, &sink.link, message, progress).await;
                    }
                    brought
                }
                (Err(fault), Ok(())) => Transfer::Failed(fault),
                (Err(_), Err(why)) => Transfer::NotRead(Fault::Image(ImageFault::Unreadable {
                    image: intent.cluster.spec.image.clone(),
                    host: source.link.name.clone(),
                    reason: why.clone(),
                })),
            };
            copied.outcomes.push((sink.link.id, brought));
        }
        for sink in sinks {
            sink.claim.release().await;
        }
        copied
    }

    async fn load(&self, sink: &Sink, archive: UploadStream) -> Result<(), Fault> {
        let taken = || sink.taken.load(Ordering::Relaxed);
        tokio::select! {
            biased;
            loaded = sink.link.engine.load_image(archive) => {
                loaded.map(drop).map_err(Fault::engine(&sink.link.name))
            }
            fault = silent_without(&sink.link, self.short_patience(), taken) => Err(fault),
        }
    }

    /// Tells how far every host is, and keeps the leases; does not end.
    async fn tell(&self, intent: &Intent, source: &Source, sinks: &[Sink]) {
        let (mut last, began) = (vec![0; sinks.len()], Instant::now());
        for round in 1_u32.. {
            sleep(TELL).await;
            for (sink, last) in sinks.iter().zip(&mut last) {
                let done = sink.taken.load(Ordering::Relaxed);
                if done == *last {
                    continue;
                }
                *last = done;
                let total = source.info.size.0.max(done);
                let progress = Progress { done_bytes: done, total_bytes: Some(total) };
                let message = format!(
                    "image {} from {}, {} s",
                    intent.cluster.spec.image,
                    source.link.name,
                    began.elapsed().as_secs()
                );
                self.told(intent, &sink.link, message, progress).await;
            }
            if round.is_multiple_of(RENEW) {
                for sink in sinks {
                    sink.claim.renew().await;
                }
            }
        }
    }
}

/// Reads the source once and hands the image in it to every queue. Why it could not be read to its end, if it could not.
async fn feed(
    source: &Source,
    image_id: &str,
    mut queues: Vec<mpsc::Sender<Bytes>>,
    whole: &AtomicBool,
) -> Result<(), String> {
    let link = &source.link;
    let opened = timeout(STALL, link.engine.save_image(&source.info.id)).await;
    let mut archive: ByteStream = match opened {
        Ok(Ok(archive)) => archive,
        Ok(Err(error)) => return Err(shoal_types::chain(&error)),
        Err(_) => return Err(format!("nothing came for {} s", STALL.as_secs())),
    };
    let mut one = OneImage::new(image_id, source.limit);
    loop {
        let piece = match timeout(STALL, archive.next()).await {
            Ok(Some(Ok(piece))) => piece,
            Ok(Some(Err(error))) => return Err(shoal_types::chain(&error)),
            Ok(None) => break,
            Err(_) => return Err(format!("nothing came for {} s", STALL.as_secs())),
        };
        for part in one.pass(piece).map_err(|error| error.to_string())? {
            hand(&mut queues, &part).await;
        }
        if queues.is_empty() {
            return Ok(());
        }
    }
    hand(&mut queues, &one.end().map_err(|error| error.to_string())?).await;
    whole.store(true, Ordering::Release);
    Ok(())
}

/// Gives a piece to every load. One whose load has ended is gone; one that takes nothing is cut off.
async fn hand(queues: &mut Vec<mpsc::Sender<Bytes>>, piece: &Bytes) {
    let mut taking = Vec::with_capacity(queues.len());
    for queue in queues.drain(..) {
        if let Ok(Ok(())) = timeout(STALL, queue.send(piece.clone())).await {
            taking.push(queue);
        }
    }
    *queues = taking;
}

/// What a load reads: pieces until the queue ends, which is the archive's end only if `whole` says so.
fn upload(queue: mpsc::Receiver<Bytes>, whole: Arc<AtomicBool>, taken: Arc<AtomicU64>) -> UploadStream {
    let pieces = stream::unfold(Some(queue), move |queue| {
        let (whole, taken) = (whole.clone(), taken.clone());
        async move {
            let mut queue = queue?;
            match queue.recv().await {
                Some(piece) => {
                    taken.fetch_add(piece.len() as u64, Ordering::Relaxed);
                    Some((Ok(piece), Some(queue)))
                }
                None if whole.load(Ordering::Acquire) => None,
                None => Some((Err(io::Error::other("the image's source failed")), None)),
            }
        }
    });
    pieces.boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_source_that_ends_early_is_an_error_to_who_loads() {
        for whole in [true, false] {
            let (queue, waiting) = mpsc::channel(QUEUE);
            let taken = Arc::new(AtomicU64::new(0));
            let upload = upload(waiting, Arc::new(AtomicBool::new(whole)), taken.clone());
            queue.send(Bytes::from_static(b"piece")).await.unwrap();
            drop(queue);
            let pieces: Vec<_> = upload.collect().await;
            assert_eq!(pieces.iter().filter(|piece| piece.is_err()).count(), usize::from(!whole));
            assert_eq!(taken.load(Ordering::Relaxed), 5);
        }
    }
}
