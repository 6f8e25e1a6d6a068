//! The gRPC services of a coordinator: conversions at the edge, nothing else. One file per service.

mod access;
mod attach;
mod clusters;
mod creates;
mod exec;
mod follow;
mod gate;
mod hosts;
mod images;
mod insight;
mod installation;
mod listing;
mod note;
mod rates;
mod registries;
pub(crate) mod remote;
mod rules;
mod status;
mod sweep;
mod users;
mod who;

use std::sync::Arc;

use shoal_proto::{
    CONNECTION_WINDOW, FieldError, HTTP2_FRAME, MAX_STREAMS, STREAM_WINDOW,
    v1::{
        access_server::AccessServer, clusters_server::ClustersServer, hosts_server::HostsServer,
        images_server::ImagesServer, insight_server::InsightServer, installation_server::InstallationServer,
        registries_server::RegistriesServer, upkeep_server::UpkeepServer, users_server::UsersServer,
    },
};
use tonic::{
    codegen::http::Request,
    service::Routes,
    transport::server::{Router, Server},
};
use tower::layer::util::{Identity, Stack};

use crate::{fleet::coordinator::Coordinator, words::MESSAGE_LIMIT};

pub(crate) use self::gate::Gate;

/// All services of a coordinator, once: however many doors lead there.
pub(crate) fn services(coordinator: &Arc<Coordinator>) -> Routes {
    let limit = MESSAGE_LIMIT;
    Routes::new(HostsServer::new(hosts::HostsService(coordinator.clone())).max_decoding_message_size(limit))
        .add_service(
            ClustersServer::new(clusters::ClustersService::new(coordinator.clone()))
                .max_decoding_message_size(limit),
        )
        .add_service(
            AccessServer::new(access::AccessService(coordinator.clone())).max_decoding_message_size(limit),
        )
        .add_service(
            ImagesServer::new(images::ImagesService(coordinator.clone())).max_decoding_message_size(limit),
        )
        .add_service(
            RegistriesServer::new(registries::RegistriesService(coordinator.clone()))
                .max_decoding_message_size(limit),
        )
        .add_service(
            InstallationServer::new(installation::InstallationService(coordinator.clone()))
                .max_decoding_message_size(limit),
        )
        .add_service(
            UpkeepServer::new(sweep::UpkeepService(coordinator.clone())).max_decoding_message_size(limit),
        )
        .add_service(
            InsightServer::new(insight::InsightService(coordinator.clone())).max_decoding_message_size(limit),
        )
        .add_service(
            UsersServer::new(users::UsersService(coordinator.clone())).max_decoding_message_size(limit),
        )
}

/// A door to services: every call goes through its gate.
pub(crate) type Door = Router<Stack<Gate, Identity>>;

/// A door for this process, or for a socket of this machine.
pub(crate) fn door(services: Routes, gate: Gate) -> Door {
    opened(Server::builder().max_concurrent_streams(MAX_STREAMS), services, gate)
}

/// Calls at once on one connection from elsewhere; a port that is forwarded takes one for each connection.
const MAX_STREAMS_ELSEWHERE: u32 = 1000;
/// How often a silent connection from elsewhere is asked whether it lives, and how long it may take to say so.
const KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(20);

/// A door for users elsewhere.
pub(crate) fn door_elsewhere(services: Routes, gate: Gate) -> Door {
    let builder = Server::builder()
        .max_concurrent_streams(MAX_STREAMS_ELSEWHERE)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE));
    opened(builder, services, gate)
}

fn opened(builder: Server, services: Routes, gate: Gate) -> Door {
    builder
        .trace_fn(span)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME)
        .layer(gate)
        .add_routes(services)
}

/// The span of a call: what is called, and by whom, which the gate finds.
fn span(request: &Request<()>) -> tracing::Span {
    let caller = tracing::field::Empty;
    tracing::debug_span!("request", rpc.method = request.uri().path().trim_start_matches('/'), caller)
}

/// A field read as a type of ours.
pub(crate) fn field<T: std::str::FromStr<Err: std::fmt::Display>>(
    name: &'static str,
    text: &str,
) -> Result<T, FieldError> {
    text.parse().map_err(|reason| FieldError::new(name, reason))
}
