//! Requests that are not bollard's: their answers are read piece by piece, or parsed element by element.
//!
//! bollard's own readers of streams gather a line or a frame until it is whole, however long, and take output of a terminal
//! that begins with a small byte for a frame.

use std::fmt;

use bollard::{BollardRequest, body_full, errors::Error};
use bytes::Bytes;
use http_body_util::{BodyDataStream, BodyExt as _, Collected, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header, http::request::Builder, upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use serde::{
    Deserialize, Serialize,
    de::{self, DeserializeOwned, SeqAccess, Visitor},
};

use super::{
    Docker,
    bounds::{ANSWER, Endless, Excess, WORDS},
    call::Call,
};
use crate::EngineError;

/// What an engine says of an error.
#[derive(Deserialize)]
struct Refused {
    message: String,
}

impl Docker {
    /// The beginning of a request; `path` is its engine's, with names that [`Docker::check`] has passed.
    pub(super) fn begin(
        &self,
        method: Method,
        path: &str,
        query: Option<impl Serialize>,
    ) -> Result<Builder, Error> {
        let query = query.map(serde_urlencoded::to_string).transpose()?.unwrap_or_default();
        let mark = if query.is_empty() { "" } else { "?" };
        let (address, api) = (self.transport.address(), &self.api_version);
        Ok(Request::builder().method(method).uri(format!("{address}/v{api}{path}{mark}{query}")))
    }

    /// Sends a request; its answer if it is not an error. The body may have any length.
    pub(super) async fn open(&self, mut request: BollardRequest) -> Result<Response<Incoming>, Error> {
        request.extensions_mut().insert(Endless);
        self.ask(request).await
    }

    /// Sends a request; its answer if it is not an error. The body is a call's, at most [`ANSWER`] long.
    pub(super) async fn ask(&self, request: BollardRequest) -> Result<Response<Incoming>, Error> {
        let answer = self.transport.send(request).await?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(answer);
        }
        let text = collected(answer.into_body(), WORDS).await?;
        let message = match serde_json::from_slice::<Refused>(&text) {
            Ok(refused) => refused.message,
            Err(_) => String::from_utf8_lossy(&text).into_owned(),
        };
        Err(Error::DockerResponseServerError { status_code: status.as_u16(), message })
    }

    /// Asks for a stream of bytes.
    pub(super) async fn stream(
        &self,
        path: &str,
        query: Option<impl Serialize>,
    ) -> Result<BodyDataStream<Incoming>, Error> {
        let request = self.begin(Method::GET, path, query)?.body(body_full(Bytes::new()))?;
        Ok(BodyDataStream::new(self.open(request).await?.into_body()))
    }

    /// Asks for an answer that is held whole; `limit` is at most [`ANSWER`].
    pub(super) async fn whole(
        &self,
        path: &str,
        query: Option<impl Serialize>,
        limit: usize,
    ) -> Result<Bytes, Error> {
        let request = self.begin(Method::GET, path, query)?.body(body_full(Bytes::new()))?;
        collected(self.ask(request).await?.into_body(), limit).await
    }

    /// Asks for a list; `make` turns each element into ours before the next is parsed. Thousands of times a few bytes that say
    /// nothing would otherwise become as many of the largest structs there are.
    pub(super) async fn list<T: DeserializeOwned, U>(
        &self,
        call: &Call,
        path: &str,
        query: Option<impl Serialize>,
        make: impl FnMut(T) -> Result<U, EngineError>,
    ) -> Result<Vec<U>, EngineError> {
        let limit = usize::try_from(ANSWER).unwrap_or(usize::MAX);
        let text = self.call(call, self.whole(path, query, limit)).await?;
        let mut elements = Elements { make, made: vec![], refused: None, element: std::marker::PhantomData };
        let parsed = de::Deserializer::deserialize_seq(
            &mut serde_json::Deserializer::from_slice(&text),
            &mut elements,
        );
        match (elements.refused, parsed) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(self.fault(call, error.into())),
            (None, Ok(())) => Ok(elements.made),
        }
    }

    /// Starts a command; the connection is its input and output from then on.
    pub(super) async fn hijack(&self, exec: &str, terminal: bool) -> Result<TokioIo<Upgraded>, Error> {
        let body = serde_json::json!({ "Detach": false, "Tty": terminal }).to_string();
        let request = self
            .begin(Method::POST, &format!("/exec/{exec}/start"), None::<()>)?
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "tcp")
            .body(body_full(body.into()))?;
        let answer = self.open(request).await?;
        Ok(TokioIo::new(hyper::upgrade::on(answer).await?))
    }
}

/// All of a body, up to a limit.
pub(super) async fn collected(body: Incoming, limit: usize) -> Result<Bytes, Error> {
    let whole = Limited::new(body, limit).collect().await;
    whole.map(Collected::to_bytes).map_err(|error| match error.downcast::<hyper::Error>() {
        Ok(broken) => (*broken).into(),
        Err(error) if error.is::<LengthLimitError>() => Excess::Answer(limit as u64).into(),
        Err(error) => std::io::Error::other(error).into(),
    })
}

/// A list that is being parsed.
struct Elements<T, U, F> {
    make: F,
    made: Vec<U>,
    refused: Option<EngineError>,
    element: std::marker::PhantomData<T>,
}

impl<'de, T, U, F> Visitor<'de> for &mut Elements<T, U, F>
where
    T: Deserialize<'de>,
    F: FnMut(T) -> Result<U, EngineError>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element()? {
            match (self.make)(element) {
                Ok(made) => self.made.push(made),
                Err(error) => {
                    self.refused = Some(error);
                    return Err(de::Error::custom("an element"));
                }
            }
        }
        Ok(())
    }
}
