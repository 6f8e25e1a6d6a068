//! The service that says why: how a cluster is, and what is wrong with hosts.

use std::{collections::BTreeMap, sync::Arc};

use shoal_api::NetworkPart;
use shoal_proto::{Word, v1};
use shoal_slurm::RoleSpec;
use shoal_storage::Host;
use shoal_types::{ClusterName, HostName, NetworkId, RealmName, Timestamp};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::{
    drive::{
        doctor::{self, Examination, Finding, PairCheck},
        lifecycle,
    },
    fleet::{coordinator::Coordinator, lease},
    observe::{
        cluster::{self, ClusterObservation, MemberObservation},
        judge::{Evidence, judge},
        lists::Running,
    },
    server::{
        field,
        listing::{millis, shown},
    },
    words::fault::Fault,
};

/// Status of clusters, examination of hosts.
#[derive(Debug)]
pub(crate) struct InsightService(pub(crate) Arc<Coordinator>);

#[tonic::async_trait]
impl v1::insight_server::Insight for InsightService {
    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        let began = Instant::now();
        let r = request.into_inner();
        let realm: RealmName = field("realm", &r.realm).map_err(Fault::from)?;
        let name: ClusterName = field("cluster", &r.cluster).map_err(Fault::from)?;
        let cluster = lifecycle::find_cluster(&self.0, &realm, &name).await?;
        let looked = cluster::look_at_cluster(&self.0, cluster).await.map_err(Fault::from)?;
        let owned = lease::is_owned(&self.0, looked.lease.as_ref());
        let mut response = status(&looked, owned, self.0.now());
        response.elapsed_ms = millis(began.elapsed());
        Ok(Response::new(response))
    }

    async fn examine_hosts(
        &self,
        request: Request<v1::ExamineHostsRequest>,
    ) -> Result<Response<v1::ExamineHostsResponse>, Status> {
        let r = request.into_inner();
        let names: Result<Vec<HostName>, _> = r.hosts.iter().map(|name| field("host", name)).collect();
        let names = names.map_err(Fault::from)?;
        let image = Some(r.image.as_str()).filter(|image| !image.is_empty());
        let found = doctor::examine(&self.0, &names, image).await?;
        Ok(Response::new(examination(&found)))
    }
}

fn status(looked: &ClusterObservation, owned: bool, now: Timestamp) -> v1::GetStatusResponse {
    let ClusterObservation { cluster, network, nodes, hosts, heard, slurm, .. } = looked;
    let running: BTreeMap<_, Running> =
        heard.iter().map(|(id, heard)| (*id, heard.containers.clone())).collect();
    let mut cluster_shown = shown(cluster, network.as_ref(), nodes, (owned, now), hosts, &running);
    cluster_shown.nodes = vec![];
    let age =
        |host: Option<&Host>| host.and_then(|h| h.health.last_seen).map_or(0, |at| millis(now.since(at)));
    let node = |node: &shoal_storage::Node| {
        let heard = heard.get(&node.host);
        let containers = heard.and_then(|h| h.containers.as_ref().ok());
        let container = containers.map(|all| all.get(&node.id));
        let probe = || heard?.agent.as_ref().ok()?.nodes.probes.get(&container.flatten()?.id);
        let verdict = judge(&Evidence {
            role: RoleSpec::of(node.role, cluster.spec.profile),
            container: container.map(|found| found.map(|c| c.state)),
            probe: probe(),
            slurm: slurm.as_ref().ok().map(|all| all.get(node.name.as_str())),
        });
        let host = hosts.get(&node.host);
        v1::NodeStatus {
            name: node.name.to_string(),
            role: node.role.wire(),
            host: host.map(|h| h.name.to_string()).unwrap_or_default(),
            address: node.address.to_string(),
            container: verdict.container.wire(),
            systemd: verdict.systemd.wire(),
            munge: verdict.munge.wire(),
            sshd: verdict.sshd.wire(),
            daemon: verdict.daemon.map(Word::wire),
            slurm: verdict.slurm,
            slurm_reason: verdict.reason,
            age_ms: if containers.is_some() { 0 } else { age(host) },
            troubles: verdict.troubles,
        }
    };
    let network_id = network.as_ref().map(|n| n.id);
    let host = |(id, heard): (&shoal_types::HostId, &MemberObservation)| {
        let host = hosts.get(id);
        let (state, trouble) = part(heard, network_id);
        let engine_answered = heard.containers.is_ok();
        v1::HostStatus {
            name: host.map(|h| h.name.to_string()).unwrap_or_default(),
            nodes: u32::try_from(nodes.iter().filter(|n| n.host == *id).count()).unwrap_or(u32::MAX),
            engine_version: host.map(|h| h.engine.version.clone()).unwrap_or_default(),
            agent_version: heard.agent.as_ref().map(|a| a.nodes.version.clone()).unwrap_or_default(),
            network: state.wire(),
            network_trouble: trouble,
            error: heard.containers.as_ref().err().cloned().unwrap_or_default(),
            agent_error: heard.agent.as_ref().err().filter(|_| engine_answered).cloned().unwrap_or_default(),
            age_ms: if engine_answered { 0 } else { age(host) },
        }
    };
    v1::GetStatusResponse {
        cluster: Some(cluster_shown),
        nodes: nodes.iter().map(node).collect(),
        hosts: heard.iter().map(host).collect(),
        image_id: cluster.image_id.clone(),
        slurm_error: slurm.as_ref().err().cloned().unwrap_or_default(),
        elapsed_ms: 0,
    }
}

/// A host's part of the network.
fn part(heard: &MemberObservation, network: Option<NetworkId>) -> (NetworkPart, String) {
    match &heard.agent {
        Err(_) => (NetworkPart::Unknown, String::new()),
        Ok(agent) => match agent.networks.iter().find(|kept| Some(kept.network) == network) {
            None => (NetworkPart::Absent, "its agent keeps no part of the network".into()),
            Some(kept) => match &kept.trouble {
                None => (NetworkPart::Ok, String::new()),
                Some(trouble) => (NetworkPart::Trouble, trouble.clone()),
            },
        },
    }
}

fn finding(finding: &Finding) -> v1::Finding {
    v1::Finding {
        check: finding.check.wire(),
        verdict: finding.grade.wire(),
        message: finding.message.clone(),
        fix: finding.fix.clone(),
    }
}

fn examination(found: &Examination) -> v1::ExamineHostsResponse {
    let host = |(name, findings): &(HostName, Result<Vec<_>, String>)| v1::HostExamination {
        host: name.to_string(),
        error: findings.as_ref().err().cloned().unwrap_or_default(),
        findings: findings.iter().flatten().map(finding).collect(),
    };
    let pair = |pair: &PairCheck| v1::PairExamination {
        from: pair.from.to_string(),
        to: pair.to.to_string(),
        verdict: pair.grade.wire(),
        message: pair.message.clone(),
        fix: pair.fix.clone(),
        largest_bytes: pair.largest,
    };
    v1::ExamineHostsResponse {
        hosts: found.hosts.iter().map(host).collect(),
        pairs: found.pairs.iter().map(pair).collect(),
        note: found.note.map(|note| note.to_string()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use shoal_proto::v1::Role;

    use super::*;
    use crate::observe::intent::tests::intent;

    #[test]
    fn workers_need_not_be_numbered_without_gaps() {
        let intent = intent(&[0, 2, 5]);
        let looked = ClusterObservation {
            cluster: intent.cluster,
            network: Some(intent.network),
            nodes: intent.nodes,
            lease: None,
            hosts: BTreeMap::new(),
            heard: BTreeMap::new(),
            slurm: Ok(HashMap::new()),
        };
        let shown = status(&looked, false, Timestamp(5));
        let nodes: Vec<_> = shown.nodes.iter().map(|n| (n.name.as_str(), n.role())).collect();
        let worker = |name| (name, Role::Worker);
        assert_eq!(
            nodes,
            [("controller", Role::Controller), worker("worker-0"), worker("worker-2"), worker("worker-5")]
        );
    }
}
