//! Names of others: asked of the host's resolvers, within a time and a number of questions.
//!
//! A resolver that is dead must cost neither the asker its patience (a stub resolver waits 5 s) nor others their answers: a
//! question waits at most [`DEADLINE`], at most [`IN_FLIGHT`] wait, [`IN_FLIGHT_OF_ONE`] of them of one network, and more are
//! refused at once.

use std::{sync::Arc, time::Duration};

use hickory_proto::{
    op::ResponseCode,
    rr::{Name, RData, Record, RecordType},
};
use hickory_resolver::{
    TokioResolver,
    config::ResolveHosts,
    net::{DnsError, NetError},
};
use tokio::{sync::Semaphore, time::timeout};

/// For one try at one resolver.
const TRY: Duration = Duration::from_millis(1200);
/// For all tries: less than the 5 s after which a stub resolver asks again (resolv.conf(5), `timeout`).
const DEADLINE: Duration = Duration::from_secs(3);
/// Questions at a time, of all networks together.
const IN_FLIGHT: usize = 256;
/// Questions at a time, of one network: names that nobody answers are not to keep others from theirs.
const IN_FLIGHT_OF_ONE: usize = 64;
/// Answers remembered: most names are asked by many nodes at once when they boot.
const CACHED: u64 = 256;

/// The host's resolvers.
#[derive(Debug)]
pub(super) struct Forwarder {
    /// None if `/etc/resolv.conf` names none.
    resolver: Option<TokioResolver>,
    slots: Semaphore,
}

/// A network's way to them.
#[derive(Debug, Clone)]
pub(super) struct Share {
    forwarder: Arc<Forwarder>,
    slots: Arc<Semaphore>,
}

impl Share {
    pub(super) fn of(forwarder: Arc<Forwarder>) -> Self {
        Self { forwarder, slots: Arc::new(Semaphore::new(IN_FLIGHT_OF_ONE)) }
    }

    /// Asks for a name as it stands, without any search list.
    pub(super) async fn lookup(&self, name: Name, wanted: RecordType) -> Forwarded {
        let Ok(_slot) = self.slots.try_acquire() else { return Forwarded::failed() };
        self.forwarder.lookup(name, wanted).await
    }
}

/// What they said.
#[derive(Debug)]
pub(super) struct Forwarded {
    pub(super) code: ResponseCode,
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
}

impl Forwarded {
    fn failed() -> Self {
        Self { code: ResponseCode::ServFail, answers: Vec::new(), authorities: Vec::new() }
    }
}

impl Forwarder {
    /// Reads `/etc/resolv.conf`. A host without resolvers is reported, and names of others fail there.
    pub(super) fn of_host() -> Self {
        let resolver = TokioResolver::builder_tokio().and_then(|mut builder| {
            let options = builder.options_mut();
            options.timeout = TRY;
            options.attempts = 1;
            options.cache_size = CACHED;
            options.max_active_requests = IN_FLIGHT;
            options.use_hosts_file = ResolveHosts::Never;
            options.preserve_intermediates = true;
            builder.build()
        });
        let resolver = resolver.inspect_err(|error| {
            tracing::warn!(%error, "no resolver of the host can be used: names outside of clusters will not be found");
        });
        Self { resolver: resolver.ok(), slots: Semaphore::new(IN_FLIGHT) }
    }

    /// A host that has none.
    #[cfg(test)]
    pub(super) fn without_resolver() -> Self {
        Self { resolver: None, slots: Semaphore::new(IN_FLIGHT) }
    }

    async fn lookup(&self, name: Name, wanted: RecordType) -> Forwarded {
        let (Some(resolver), Ok(_slot)) = (&self.resolver, self.slots.try_acquire()) else {
            return Forwarded::failed();
        };
        let mut name = name;
        name.set_fqdn(true);
        match timeout(DEADLINE, resolver.lookup(name, wanted)).await {
            Ok(Ok(lookup)) => Forwarded {
                code: ResponseCode::NoError,
                answers: lookup.answers().to_vec(),
                authorities: Vec::new(),
            },
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => Forwarded {
                code: none.response_code,
                answers: Vec::new(),
                authorities: none.soa.map(|soa| soa_record(*soa)).into_iter().collect(),
            },
            Ok(Err(NetError::Dns(DnsError::ResponseCode(code)))) => Forwarded { code, ..Forwarded::failed() },
            Ok(Err(error)) => {
                tracing::debug!(%error, "resolver failed");
                Forwarded::failed()
            }
            Err(_) => Forwarded::failed(),
        }
    }
}

fn soa_record(soa: Record<hickory_proto::rr::rdata::SOA>) -> Record {
    Record::from_rdata(soa.name, soa.ttl, RData::SOA(soa.data))
}
