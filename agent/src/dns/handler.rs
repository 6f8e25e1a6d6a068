//! One question, one answer: what a server of a network does with a request.

use std::sync::Arc;

use hickory_proto::{
    op::{Edns, Header, HeaderCounts, MessageType, Metadata, OpCode, ResponseCode},
    rr::{DNSClass, Name, Record, RecordType},
};
use hickory_resolver::net::runtime::Time;
use hickory_server::{
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo},
    zone_handler::MessageResponseBuilder,
};
use tokio::sync::watch;

use super::{
    forward::Share,
    zone::{Answer, Zone},
};

/// Largest UDP answer: what fits an Ethernet frame everywhere (DNS flag day 2020).
const MAX_UDP: u16 = 1232;
/// Smallest a client may ask for (RFC 6891 section 6.2.3).
const MIN_UDP: u16 = 512;

/// Answers from the zone as it is now, or from the host's resolvers.
#[derive(Debug, Clone)]
pub(super) struct Handler {
    pub(super) zone: watch::Receiver<Arc<Zone>>,
    pub(super) forwarder: Share,
}

/// An answer before it is a message.
#[derive(Debug, Default)]
struct Draft {
    code: ResponseCode,
    authoritative: bool,
    answers: Vec<Record>,
    authorities: Vec<Record>,
    additionals: Vec<Record>,
}

impl Draft {
    fn refusal(code: ResponseCode) -> Self {
        Self { code, ..Self::default() }
    }
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut responses: R,
    ) -> ResponseInfo {
        let draft = self.draft(request).await;
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = draft.code;
        metadata.authoritative = draft.authoritative;
        metadata.recursion_available = true;
        let edns = request.edns.as_ref().map(|asked| {
            let mut edns = Edns::new();
            edns.set_max_payload(asked.max_payload().clamp(MIN_UDP, MAX_UDP));
            edns
        });
        let response = MessageResponseBuilder::new(&request.queries, edns.as_ref()).build(
            metadata,
            &draft.answers,
            &draft.authorities,
            [],
            &draft.additionals,
        );
        match responses.send_response(response).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!(%error, to = %request.src(), "cannot send an answer");
                metadata.response_code = ResponseCode::ServFail;
                Header { metadata, counts: HeaderCounts::default() }.into()
            }
        }
    }
}

impl Handler {
    async fn draft(&self, request: &Request) -> Draft {
        if request.metadata.message_type != MessageType::Query {
            return Draft::refusal(ResponseCode::FormErr);
        }
        if request.metadata.op_code != OpCode::Query {
            return Draft::refusal(ResponseCode::NotImp);
        }
        if request.edns.as_ref().is_some_and(|e| e.version() > 0) {
            return Draft::refusal(ResponseCode::BADVERS);
        }
        let Ok(info) = request.request_info() else { return Draft::refusal(ResponseCode::FormErr) };
        let wanted = info.query.query_type();
        let refused = matches!(wanted, RecordType::ANY | RecordType::AXFR | RecordType::IXFR);
        if refused || info.query.query_class() != DNSClass::IN {
            return Draft::refusal(ResponseCode::Refused);
        }
        let name: Name = info.query.name().into();
        let answer = self.zone.borrow().lookup(&name, wanted);
        let authoritative = true;
        match answer {
            Answer::Records { answers, additionals } => {
                Draft { authoritative, answers, additionals, ..Draft::default() }
            }
            Answer::NoData(soa) => {
                Draft { authoritative, authorities: soa.into_iter().collect(), ..Draft::default() }
            }
            Answer::NoName(soa) => Draft {
                code: ResponseCode::NXDomain,
                authoritative,
                authorities: soa.into_iter().collect(),
                ..Draft::default()
            },
            Answer::Elsewhere => {
                let said = self.forwarder.lookup(name, wanted).await;
                Draft {
                    code: said.code,
                    answers: said.answers,
                    authorities: said.authorities,
                    ..Draft::default()
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
