//! Images: list, look at, move, tag, remove.

use std::collections::BTreeMap;

use bollard::{
    body_try_stream,
    errors::Error,
    query_parameters::{
        CreateImageOptionsBuilder, ImportImageOptions, ListImagesOptionsBuilder, RemoveImageOptions,
        TagImageOptionsBuilder,
    },
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use shoal_types::Bytes;

use super::{Docker, call::Call, containers::removal};
use crate::{
    ByteStream, CallClass, EngineError, ImageInfo, ImageSummary, LabelFilter, Removal, Subject, UploadStream,
};

/// What the engine prefixes to what it loaded: a reference, or an id for an image without one.
const LOADED: [&str; 2] = ["Loaded image: ", "Loaded image ID: "];

fn image(name: &'static str, reference: &str, class: CallClass) -> Call {
    Call::new(name, Subject::Image(reference.to_owned()), class)
}

impl Docker {
    pub(super) async fn images(&self, filter: &LabelFilter) -> Result<Vec<ImageSummary>, EngineError> {
        let call = Call::new("list images", Subject::Engine, CallClass::Read);
        let options =
            filter.to_query().map(|filters| ListImagesOptionsBuilder::default().filters(&filters).build());
        let listed = self.call(&call, self.bollard.list_images(options)).await?;
        let summary = |image: bollard::models::ImageSummary| ImageSummary {
            id: image.id,
            labels: image.labels.into_iter().collect(),
            repo_tags: image.repo_tags,
            size: size(Some(image.size)),
        };
        Ok(listed.into_iter().map(summary).collect())
    }

    pub(super) async fn image(&self, reference: &str) -> Result<Option<ImageInfo>, EngineError> {
        let call = image("inspect image", reference, CallClass::Read);
        let found = match self.call(&call, self.bollard.inspect_image(reference)).await {
            Ok(found) => found,
            Err(EngineError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let labels: BTreeMap<_, _> =
            found.config.and_then(|config| config.labels).unwrap_or_default().into_iter().collect();
        Ok(Some(ImageInfo {
            id: self.need(&call, "Id", found.id)?,
            architecture: self.need(&call, "Architecture", found.architecture)?,
            labels,
            repo_tags: found.repo_tags.unwrap_or_default(),
            size: size(found.size),
        }))
    }

    pub(super) async fn load(&self, archive: UploadStream) -> Result<Vec<String>, EngineError> {
        let call = Call::new("load image", Subject::Engine, CallClass::Transfer);
        let body = body_try_stream(archive);
        let mut lines = self
            .bollard
            .import_image(ImportImageOptions { quiet: true, ..Default::default() }, body, None)
            .boxed();
        let loaded = async {
            let mut loaded = Vec::new();
            while let Some(line) = lines.try_next().await? {
                let text = line.stream.unwrap_or_default();
                loaded.extend(
                    LOADED.iter().filter_map(|mark| text.trim().strip_prefix(mark)).map(str::to_owned),
                );
            }
            Ok::<_, Error>(loaded)
        };
        self.call(&call, loaded).await
    }

    pub(super) async fn save(&self, reference: &str) -> Result<ByteStream, EngineError> {
        let call = image("save image", reference, CallClass::Transfer);
        let mut chunks = self.bollard.export_image(reference).boxed();
        // The first chunk tells whether there is such an image.
        let first = self.call(&call, chunks.try_next()).await?;
        let rest =
            stream::try_unfold((self.clone(), call, chunks), |(docker, call, mut chunks)| async move {
                let next = docker.call(&call, chunks.try_next()).await?;
                Ok(next.map(|chunk| (chunk, (docker, call, chunks))))
            });
        Ok(stream::iter(first.map(Ok)).chain(rest).boxed())
    }

    pub(super) async fn tag(&self, reference: &str, repository: &str, tag: &str) -> Result<(), EngineError> {
        let call = image("tag image", reference, CallClass::Write);
        let options = TagImageOptionsBuilder::default().repo(repository).tag(tag).build();
        self.call(&call, self.bollard.tag_image(reference, Some(options))).await
    }

    pub(super) async fn drop_image(&self, reference: &str) -> Result<Removal, EngineError> {
        let call = image("remove image", reference, CallClass::Write);
        removal(
            self.call(&call, self.bollard.remove_image(reference, None::<RemoveImageOptions>, None)).await,
        )
    }

    pub(super) async fn pull(&self, reference: &str) -> Result<(), EngineError> {
        let call = image("pull image", reference, CallClass::Transfer);
        let options = CreateImageOptionsBuilder::default().from_image(reference).build();
        let progress = self.bollard.create_image(Some(options), None, None);
        match self.call(&call, progress.try_for_each(|_| async { Ok(()) })).await {
            // The engine passes on what its registry did: nothing of that speaks against the host.
            Err(EngineError::ServerError { endpoint, subject, message, .. }) => {
                Err(EngineError::Registry { endpoint, subject, message })
            }
            pulled => pulled,
        }
    }
}

fn size(bytes: Option<i64>) -> Bytes {
    Bytes(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
}
