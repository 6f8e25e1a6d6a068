//! The gRPC services of a coordinator: conversions at the edge, nothing else. One file per service.

mod access;
mod attach;
mod clusters;
mod creates;
mod exec;
mod follow;
mod hosts;
mod images;
mod insight;
mod installation;
mod listing;
mod registries;
mod status;
mod sweep;

use std::{collections::BTreeMap, sync::Arc};

use shoal_api::Caller;
use shoal_proto::{
    CONNECTION_WINDOW, FieldError, HTTP2_FRAME, MAX_STREAMS, STREAM_WINDOW,
    v1::{
        access_server::AccessServer, clusters_server::ClustersServer, hosts_server::HostsServer,
        images_server::ImagesServer, insight_server::InsightServer, installation_server::InstallationServer,
        registries_server::RegistriesServer, upkeep_server::UpkeepServer,
    },
};
use tonic::{
    codegen::http::Request,
    metadata::MetadataMap,
    transport::server::{Router, UdsConnectInfo},
};

use crate::{fleet::coordinator::Coordinator, words::MESSAGE_LIMIT};

/// All services of a coordinator.
/// `users` are those who connect from a socket, uid -> name.
pub(crate) fn router(coordinator: &Arc<Coordinator>, users: BTreeMap<u32, Caller>) -> Router {
    let limit = MESSAGE_LIMIT;
    tonic::transport::Server::builder()
        .trace_fn(move |request| span(request, &users))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME)
        .max_concurrent_streams(MAX_STREAMS)
        .add_service(
            HostsServer::new(hosts::HostsService(coordinator.clone())).max_decoding_message_size(limit),
        )
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
}

/// The span of a call: what is called, and by whom. From a socket that is what the kernel says, else what the caller does.
fn span(request: &Request<()>, users: &BTreeMap<u32, Caller>) -> tracing::Span {
    let caller = caller(request, users);
    let caller = caller.as_ref().map(tracing::field::display);
    tracing::debug_span!("request", rpc.method = request.uri().path().trim_start_matches('/'), caller)
}

fn caller(request: &Request<()>, users: &BTreeMap<u32, Caller>) -> Option<Caller> {
    match request.extensions().get::<UdsConnectInfo>() {
        Some(socket) => socket.peer_cred.and_then(|peer| users.get(&peer.uid()).cloned()),
        None => Caller::of(&MetadataMap::from_headers(request.headers().clone())),
    }
}

/// A field read as a type of ours.
pub(crate) fn field<T: std::str::FromStr<Err: std::fmt::Display>>(
    name: &'static str,
    text: &str,
) -> Result<T, FieldError> {
    text.parse().map_err(|reason| FieldError::new(name, reason))
}

#[cfg(test)]
mod tests {
    use shoal_api::Introduce;
    use tonic::service::Interceptor;

    use super::*;

    #[tokio::test]
    async fn a_caller_from_a_socket_is_who_the_kernel_says() {
        let (socket, _other) = tokio::net::UnixStream::pair().unwrap();
        let peer_cred = socket.peer_cred().ok();
        let uid = peer_cred.unwrap().uid();
        let said = Introduce::new(&Caller::new("mallory")).call(tonic::Request::new(())).unwrap();
        let mut request = Request::new(());
        *request.headers_mut() = said.into_parts().0.into_headers();
        let users = BTreeMap::from([(uid, Caller::new("ann")), (uid + 1, Caller::new("bob"))]);
        assert_eq!(caller(&request, &users), Some(Caller::new("mallory")), "in one process, its word counts");
        request.extensions_mut().insert(UdsConnectInfo { peer_addr: None, peer_cred });
        assert_eq!(caller(&request, &users), Some(Caller::new("ann")));
        assert_eq!(caller(&request, &BTreeMap::new()), None);
    }
}
