//! Moves the nodes of hosts that cannot take them to hosts that can, while none of them has been started.
//!
//! ```text
//! unfit hosts --> nothing started there? --> survey the others --> edit/relocation.rs --> clean what still answers
//! ```
//! A started node has an identity others may have spoken with, and the lost host may still run it: only fencing could let
//! it start a second time. What may be left on the old host is remembered and removed when that host answers again.

use std::collections::BTreeMap;

use shoal_storage::{Host, StoreError};
use shoal_types::{HostId, chain};

use crate::{
    edit::{
        commit::{StateFrom, commit},
        relocation::{NotRescheduled, Relocation},
    },
    fleet::liveness::while_alive,
    observe::{
        image,
        intent::Intent,
        survey::{self, Depth, HostObservation},
    },
    pass::{failure::PATIENCE, work::Work},
    words::fault::{Fault, HostFault},
};

/// Places the nodes of these hosts anew, host -> why it is left.
pub(crate) async fn reschedule(
    work: &Work,
    intent: &Intent,
    unfit: &BTreeMap<HostId, Fault>,
) -> Result<(), NotRescheduled> {
    let coordinator = &work.coordinator;
    let why: BTreeMap<HostId, String> = unfit.iter().map(|(host, fault)| (*host, chain(fault))).collect();
    if work.lease.inherited || unfit.keys().any(|host| work.effects.started(*host)) {
        let why = why.into_values().collect::<Vec<_>>().join("; ");
        return Err(NotRescheduled::Here(format!("{why} (nodes may have been started there)")));
    }
    let hosts = coordinator.store.read().await?.hosts().list().await?;
    let (left, others): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|h| unfit.contains_key(&h.id));
    let mut seen = survey::survey_of(coordinator, others, Depth::Agent).await?;
    let lost = |host: Host| {
        let fault = HostFault::Lost { host: host.name.clone(), seconds: PATIENCE.as_secs() };
        HostObservation { host, link: Err(fault.into()) }
    };
    seen.extend(left.into_iter().map(lost));
    let cluster = &intent.cluster;
    let image = image::resolve_id(&cluster.spec.image, &cluster.image_id, &seen).await;
    let relocation = Relocation {
        lease: &work.lease,
        intent,
        left: &why,
        only: None,
        to: &BTreeMap::new(),
        state: StateFrom::There,
        seen: &seen,
        image: &image,
    };
    commit(coordinator, &relocation).await?;
    leave(work, intent, unfit, &seen).await;
    Ok(())
}

/// Cleans unfit hosts that still answer, and drops the remnant of a host that answered every call.
async fn leave(work: &Work, intent: &Intent, unfit: &BTreeMap<HostId, Fault>, seen: &[HostObservation]) {
    let answers = |host: &&Host| unfit.get(&host.id).is_some_and(|fault| !fault.class().silent);
    for host in seen.iter().map(|s| &s.host).filter(answers) {
        let Ok(link) = work.coordinator.fleet.link(&work.coordinator.store, host).await else { continue };
        let taken = while_alive(&link, work.short_patience(), work.take_down(&link, intent)).await;
        if let Err(halt) = taken {
            tracing::warn!(host.name = %host.name, error = %halt.into_fault(), "what was begun there stays for now");
        } else if !work.effects.in_doubt(host.id)
            && let Err(error) = forget_remnant(work, host.id).await
        {
            tracing::warn!(host.name = %host.name, %error, "remnant stays recorded");
        }
    }
}

pub(crate) async fn forget_remnant(work: &Work, host: HostId) -> Result<(), StoreError> {
    let mut tx = work.lease.begin().await?;
    for remnant in tx.remnants().on_host(host).await? {
        if remnant.what.cluster == work.cluster {
            tx.remnants().delete(remnant.id).await?;
        }
    }
    tx.commit().await
}
