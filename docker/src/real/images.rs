//! Images: list, look at, move, tag, remove.

use std::{collections::BTreeMap, pin::pin};

use base64::prelude::{BASE64_URL_SAFE, Engine as _};
use bollard::{
    auth::DockerCredentials,
    body_full, body_try_stream,
    errors::Error,
    models::{CreateImageInfo, ErrorDetail},
    query_parameters::{
        CreateImageOptionsBuilder, ImportImageOptions, ListImagesOptionsBuilder, RemoveImageOptions,
        TagImageOptionsBuilder,
    },
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::BodyDataStream;
use hyper::{Method, header};
use serde::Deserialize;
use shoal_types::Bytes;

use super::{Docker, call::Call, containers::removal, lines::values};
use crate::{
    ByteStream, CallClass, EngineError, ImageInfo, ImageSummary, LabelFilter, PullProgress, RegistryAuth,
    Removal, Subject, UploadStream,
};

/// Header with the credentials of a registry: JSON in base64 for URLs (docs.docker.com, API reference, "Authentication").
const AUTH: &str = "X-Registry-Auth";
/// The engine's prefixes for a loaded image: its reference, or its id without one.
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
            repo_digests: found.repo_digests.unwrap_or_default(),
            size: size(found.size),
        }))
    }

    pub(super) async fn load(&self, archive: UploadStream) -> Result<Vec<String>, EngineError> {
        let call = Call::new("load image", Subject::Engine, CallClass::Transfer);
        let options = ImportImageOptions { quiet: true, ..Default::default() };
        let loaded = async {
            let request = self
                .begin(Method::POST, "/images/load", Some(options))?
                .header(header::CONTENT_TYPE, "application/x-tar")
                .body(body_try_stream(archive))?;
            let body = BodyDataStream::new(self.open(request).await?.into_body());
            let (mut lines, mut loaded) = (pin!(values::<LoadLine, _, _>(body)), Vec::new());
            while let Some(line) = lines.try_next().await? {
                gone_wrong(line.error_detail)?;
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
        let chunks = self.call(&call, self.stream(&format!("/images/{reference}/get"), None::<()>)).await?;
        let mut chunks = chunks.map_err(Error::from);
        // The first chunk tells whether the engine can read the image.
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

    pub(super) async fn pull(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
        progress: PullProgress<'_>,
    ) -> Result<(), EngineError> {
        let call = image("pull image", reference, CallClass::Transfer);
        let options = CreateImageOptionsBuilder::default().from_image(reference).build();
        let credentials = auth.map(|auth| DockerCredentials {
            username: Some(auth.username.clone()),
            password: Some((*auth.password).clone()),
            serveraddress: Some(auth.registry.clone()),
            ..DockerCredentials::default()
        });
        let pulled = async {
            let mut request = self.begin(Method::POST, "/images/create", Some(options))?;
            if let Some(credentials) = credentials {
                request = request.header(AUTH, auth_header(&credentials)?);
            }
            let body = self.open(request.body(body_full(bytes::Bytes::new()))?).await?.into_body();
            let mut lines = pin!(values::<CreateImageInfo, _, _>(BodyDataStream::new(body)));
            let mut layers = Layers::default();
            while let Some(line) = lines.try_next().await? {
                if layers.hear(&line) {
                    let (done, total) = layers.sum();
                    progress(done, total);
                }
                gone_wrong(line.error_detail)?;
            }
            Ok::<_, Error>(())
        };
        match self.call(&call, pulled).await {
            // The engine passes on what its registry did: nothing of that speaks against the host.
            Err(EngineError::ServerError { endpoint, subject, message, .. }) => {
                Err(EngineError::Registry { endpoint, subject, message })
            }
            pulled => pulled,
        }
    }
}

/// The value of [`AUTH`]. Engines know the alphabet of URLs alone.
fn auth_header(credentials: &DockerCredentials) -> Result<String, Error> {
    Ok(BASE64_URL_SAFE.encode(serde_json::to_vec(credentials)?))
}

/// What an engine says while it loads an image.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoadLine {
    stream: Option<String>,
    error_detail: Option<ErrorDetail>,
}

/// The error with which a stream ends that had begun well.
fn gone_wrong(detail: Option<ErrorDetail>) -> Result<(), Error> {
    match detail.and_then(|detail| detail.message) {
        Some(error) => Err(Error::DockerStreamError { error }),
        None => Ok(()),
    }
}

/// What a pull has said of its layers so far: layer -> bytes downloaded, bytes in all.
#[derive(Debug, Default)]
struct Layers(BTreeMap<String, (u64, u64)>);

impl Layers {
    /// Takes in a line; whether it told of bytes. The same layer is told of once more while it is unpacked.
    fn hear(&mut self, line: &CreateImageInfo) -> bool {
        let (Some(id), Some(detail)) = (&line.id, &line.progress_detail) else { return false };
        let count = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
        let (Some(done), Some(total)) = (count(detail.current), count(detail.total)) else { return false };
        if line.status.as_deref() != Some("Downloading") {
            return false;
        }
        self.0.insert(id.clone(), (done, total.max(done)));
        true
    }

    fn sum(&self) -> (u64, u64) {
        self.0.values().fold((0, 0), |(done, total), layer| (done + layer.0, total + layer.1))
    }
}

fn size(bytes: Option<i64>) -> Bytes {
    Bytes(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_in_the_alphabet_of_urls() {
        let password = Some("\u{bf}\u{ff}~~~???".to_owned());
        let credentials = DockerCredentials { password, ..DockerCredentials::default() };
        let value = auth_header(&credentials).unwrap();
        assert!(value.contains(['-', '_']) && !value.contains(['+', '/']), "{value}");
        let back = BASE64_URL_SAFE.decode(value).unwrap();
        assert_eq!(serde_json::from_slice::<DockerCredentials>(&back).unwrap(), credentials);
    }

    #[test]
    fn bytes_of_a_pull_are_counted_while_they_come() {
        let line = |text: &str| serde_json::from_str::<CreateImageInfo>(text).unwrap();
        let mut layers = Layers::default();
        assert!(!layers.hear(&line(r#"{"status":"Pulling fs layer","progressDetail":{},"id":"a"}"#)));
        for (layer, done) in [("a", 5), ("b", 1), ("a", 9)] {
            let text = format!(
                r#"{{"status":"Downloading","progressDetail":{{"current":{done},"total":10}},"id":"{layer}"}}"#
            );
            assert!(layers.hear(&line(&text)));
        }
        let again = r#"{"status":"Extracting","progressDetail":{"current":1,"total":10},"id":"a"}"#;
        assert!(!layers.hear(&line(again)));
        assert_eq!(layers.sum(), (10, 20));
    }
}
