//! The gate before every service: who calls, whether they may, for how long, and what is noted of it.
//!
//! ```text
//! call -> its row (rules.rs) -> who? -> too often? -> role -> realm, which the first message names -> service, in time -> note
//!           `- none: not served   `- revoked    `------------- refused: the service is not reached ----------------------'
//! ```
//! Within one process nobody is in between: what a user does to a store of their own is not noted. Whoever has a socket of this
//! machine may do everything, and it is noted.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use shoal_api::{Caller, hinted};
use shoal_types::{RealmName, UserRole};
use tonic::{
    Status,
    body::Body,
    codegen::http::{Request, Response},
    metadata::MetadataMap,
};
use tower::{Layer, Service};

use crate::{
    fleet::coordinator::Coordinator,
    server::{
        note::{Note, Outcome},
        rates::Rates,
        remote::Peer,
        rules::{Named, Rule, Scope, rule},
        who::{From, Who},
    },
    words::{MESSAGE_LIMIT, fault::Fault},
};

/// How long somebody may take to send the first message of a call.
const FIRST_MESSAGE: Duration = Duration::from_secs(30);
/// Bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// A gate; clones share what it counts.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    coordinator: Arc<Coordinator>,
    /// Those who connect from a socket, uid -> name.
    users: BTreeMap<u32, Caller>,
    rates: Rates,
}

impl Gate {
    /// A gate for those who connect from a socket, uid -> name, for this process, and for users elsewhere, each of whom may make so
    /// many calls a second.
    pub(crate) fn new(
        coordinator: &Arc<Coordinator>,
        users: BTreeMap<u32, Caller>,
        calls_a_second: u32,
    ) -> Self {
        let rates = Rates::new(calls_a_second);
        Self(Arc::new(Inner { coordinator: coordinator.clone(), users, rates }))
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { gate: self.0.clone(), inner }
    }
}

/// Services behind a gate.
#[derive(Debug, Clone)]
pub(crate) struct Gated<S> {
    gate: Arc<Inner>,
    inner: S,
}

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let gate = self.gate.clone();
        // The one that is ready is taken.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move { Ok(gate.pass(request, inner).await.unwrap_or_else(Status::into_http)) })
    }
}

impl Inner {
    /// Passes a call on, or says why not.
    async fn pass<S>(&self, mut request: Request<Body>, mut inner: S) -> Result<Response<Body>, Status>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let Some(rule) = rule(request.uri().path()) else {
            return Err(Status::unimplemented("this server has no such method"));
        };
        let who = match request.extensions().get::<Peer>().cloned() {
            Some(peer) => self.elsewhere(&peer).await?,
            None => {
                let metadata = MetadataMap::from_headers(request.headers().clone());
                Who::here(request.extensions(), &metadata, &self.users)
            }
        };
        tracing::Span::current().record("caller", tracing::field::display(who.name()));
        if who.from == From::Inside {
            request.extensions_mut().insert(who);
            let Ok(answer) = inner.call(request).await;
            return Ok(answer);
        }
        if let From::Elsewhere(user) = who.from {
            self.rates.take(user, tokio::time::Instant::now()).map_err(|wait| too_often(&who, wait))?;
        }
        let (mut request, named) = named(request, rule).await?;
        let mut note = rule.noted.then(|| Note::begin(&self.coordinator, rule, &who, &named));
        if let Err(status) = allowed(&who, rule, &named) {
            if let Some(note) = note.take() {
                note.end(Outcome::Refused).await;
            }
            return Err(status);
        }
        request.extensions_mut().insert(who);
        let answered = match rule.limit {
            Some(limit) => tokio::time::timeout(limit, inner.call(request)).await,
            None => Ok(inner.call(request).await),
        };
        let answer = match answered {
            Ok(Ok(answer)) => answer,
            Err(_) => too_long(rule).into_http(),
        };
        if let Some(note) = note {
            note.end(Outcome::of(&answer)).await;
        }
        Ok(answer)
    }

    /// A user from elsewhere, looked up anew: a role holds for as long as the store says so.
    async fn elsewhere(&self, peer: &Peer) -> Result<Who, Status> {
        if let Some(why) = peer.refused() {
            let status = shoal_api::retried(Status::resource_exhausted(why), AGAIN_MS);
            return Err(hinted(status, "try again when others have ended"));
        }
        let user = async { self.coordinator.store.read().await?.users().get(peer.user()).await };
        match user.await.map_err(Fault::from)? {
            Some(user) if user.revoked.is_none() => Ok(Who {
                caller: Some(Caller::new(user.name.as_str())),
                role: user.role,
                realms: user.realms,
                from: From::Elsewhere(user.id),
            }),
            Some(user) => {
                let why = format!("user {} was revoked", user.name);
                Err(hinted(Status::unauthenticated(why), ASK))
            }
            None => Err(hinted(Status::unauthenticated("this certificate is of no user"), ASK)),
        }
    }
}

/// When to come again where there were too many, in milliseconds.
const AGAIN_MS: u64 = 5000;
/// What to do about a certificate that is not taken.
const ASK: &str = "ask an administrator of the installation for another context: `shoal create user`";

/// Whether a call may be made. Nothing that is said tells whether what is named is there.
fn allowed(who: &Who, rule: &Rule, named: &Named) -> Result<(), Status> {
    if who.role < rule.least {
        let (name, role, words, least) = (who.name(), who.role, rule.words(), rule.least);
        let status =
            Status::permission_denied(format!("{name} is {role}, and `{words}` is for {}", plural(least)));
        return Err(hinted(
            status,
            "an administrator makes users, and gives them roles: `shoal create user`",
        ));
    }
    match rule.scope {
        Scope::Installation => Ok(()),
        Scope::Realm => match named.realm.parse::<RealmName>() {
            Ok(realm) if who.has(&realm) => Ok(()),
            // What is no name is the service's to refuse, for those who may name any.
            Err(_) if who.is_here() || who.is_admin() => Ok(()),
            Ok(_) | Err(_) => {
                let name = who.name();
                let shown: String = named.realm.chars().take(64).flat_map(char::escape_default).collect();
                let status = Status::permission_denied(format!("realm {shown} is none of {name}'s"));
                let hint = format!("{name} may name {}: --realm, SHOAL_REALM", who.realms.names().join(", "));
                Err(hinted(status, &hint))
            }
        },
    }
}

fn plural(least: UserRole) -> &'static str {
    match least {
        UserRole::Viewer => "everybody",
        UserRole::Operator => "operators and administrators",
        UserRole::Admin => "administrators",
    }
}

fn too_often(who: &Who, wait: Duration) -> Status {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
    let text = format!("{} calls too often; the next one may come in {wait_ms} ms", who.name());
    shoal_api::retried(Status::resource_exhausted(text), wait_ms)
}

fn too_long(rule: &Rule) -> Status {
    let seconds = rule.limit.unwrap_or_default().as_secs();
    Status::deadline_exceeded(format!("`{}` took longer than {seconds} s", rule.words()))
}

/// What the first message of a call names; the call is as it was.
async fn named(request: Request<Body>, rule: &Rule) -> Result<(Request<Body>, Named), Status> {
    let (head, body) = request.into_parts();
    let (message, body) = tokio::time::timeout(FIRST_MESSAGE, first_message(body))
        .await
        .map_err(|_| Status::deadline_exceeded("the first message of the call did not come in time"))??;
    let named = (rule.named)(&message)
        .map_err(|error| Status::invalid_argument(format!("the message cannot be read: {error}")))?;
    Ok((Request::from_parts(head, body), named))
}

/// The first message of a body, empty if there is none, and the same body.
async fn first_message(mut body: Body) -> Result<(Bytes, Body), Status> {
    let (mut frames, mut read) = (Vec::new(), BytesMut::new());
    let message = loop {
        if let Some(message) = message_in(&read)? {
            break message;
        }
        let Some(frame) = body.frame().await else { break Bytes::new() };
        let frame = frame?;
        if let Some(data) = frame.data_ref() {
            read.extend_from_slice(data);
        }
        frames.push(Ok::<_, Status>(frame));
    };
    let body = StreamBody::new(stream::iter(frames).chain(BodyStream::new(body)));
    Ok((message, Body::new(body)))
}

/// The message that begins here, once it is whole.
fn message_in(read: &[u8]) -> Result<Option<Bytes>, Status> {
    let Some((mut prefix, rest)) = read.split_at_checked(PREFIX) else { return Ok(None) };
    if prefix.get_u8() != 0 {
        return Err(Status::unimplemented("compressed messages are not read"));
    }
    let length = usize::try_from(prefix.get_u32()).unwrap_or(usize::MAX);
    if length > MESSAGE_LIMIT {
        let text = format!("a message of {length} bytes is too large: at most {MESSAGE_LIMIT}");
        return Err(Status::out_of_range(text));
    }
    Ok(rest.get(..length).map(Bytes::copy_from_slice))
}

#[cfg(test)]
mod tests;
