//! Labels and names of everything Shoal makes on a host.
//!
//! Observation goes by label. Names are deterministic, so that an engine holds at most one container per node whatever
//! raced; parts are joined by dots, which no name contains, so two different nodes never share one:
//!
//! ```text
//! worker-0.dev.default.3fa9c1      container   node . cluster . realm . installation
//! dev.default.3fa9c1               network
//! state.dev.default.3fa9c1         volume of the controller's state
//! sb3fa9c100000a / sv3fa9c100000a  bridge / VXLAN device: installation and VNI, 14 of the kernel's 15 characters
//! ```

use std::collections::BTreeMap;

use shoal_docker::LabelFilter;
use shoal_types::{
    ClusterId, ClusterName, Generation, InstallationId, NodeId, NodeName, RealmName, Role, Vni,
};

/// The installation a thing belongs to; on everything.
pub(crate) const INSTALLATION: &str = "shoal.installation";
/// Realm name.
pub(crate) const REALM: &str = "shoal.realm";
/// Cluster id.
pub(crate) const CLUSTER: &str = "shoal.cluster";
/// Node id.
pub(crate) const NODE: &str = "shoal.node";
/// Generation of the node's intent the container was made for.
pub(crate) const GENERATION: &str = "shoal.generation";
/// `controller`, `submitter`, `worker`, or `agent` for the agent's own container and image.
pub(crate) const ROLE: &str = "shoal.role";
/// Hash of the executable an agent's container or image was made of.
pub(crate) const BUILD: &str = "shoal.build";

/// Names and labels of one installation's things.
#[derive(Debug, Clone)]
pub(crate) struct Naming {
    installation: InstallationId,
}

impl Naming {
    pub(crate) fn new(installation: InstallationId) -> Self {
        Self { installation }
    }

    pub(crate) fn installation(&self) -> &InstallationId {
        &self.installation
    }

    pub(crate) fn container(&self, node: &NodeName, cluster: &ClusterName, realm: &RealmName) -> String {
        format!("{node}.{cluster}.{realm}.{}", self.installation)
    }

    pub(crate) fn network(&self, cluster: &ClusterName, realm: &RealmName) -> String {
        format!("{cluster}.{realm}.{}", self.installation)
    }

    /// The cluster in a network's name, if it is one of ours.
    pub(crate) fn cluster_of_network(&self, network: &str) -> Option<(RealmName, ClusterName)> {
        let cluster = network.strip_suffix(self.installation.as_str())?.strip_suffix('.')?;
        let (name, realm) = cluster.split_once('.')?;
        Some((realm.parse().ok()?, name.parse().ok()?))
    }

    pub(crate) fn state_volume(&self, cluster: &ClusterName, realm: &RealmName) -> String {
        format!("state.{cluster}.{realm}.{}", self.installation)
    }

    pub(crate) fn bridge(&self, vni: Vni) -> String {
        format!("sb{}{:06x}", self.installation, vni.get())
    }

    pub(crate) fn device(&self, vni: Vni) -> String {
        format!("sv{}{:06x}", self.installation, vni.get())
    }

    /// The VNI in a device's name, if it is one of ours.
    pub(crate) fn vni_of_device(&self, device: &str) -> Option<Vni> {
        let digits = device.strip_prefix("sv")?.strip_prefix(self.installation.as_str())?;
        let vni = u32::from_str_radix(digits, 16).ok().and_then(|vni| Vni::try_from(u64::from(vni)).ok())?;
        (self.device(vni) == device).then_some(vni)
    }

    /// Name of the agent's container and of its volume.
    pub(crate) fn agent(&self) -> String {
        format!("shoal-agent-{}", self.installation)
    }

    /// Labels of a thing that belongs to a cluster.
    pub(crate) fn cluster_labels(&self, cluster: ClusterId, realm: &RealmName) -> BTreeMap<String, String> {
        BTreeMap::from([
            (INSTALLATION.into(), self.installation.to_string()),
            (REALM.into(), realm.to_string()),
            (CLUSTER.into(), cluster.to_string()),
        ])
    }

    /// Labels of a node's container.
    pub(crate) fn node_labels(
        &self,
        cluster: ClusterId,
        realm: &RealmName,
        node: NodeId,
        role: Role,
        generation: Generation,
    ) -> BTreeMap<String, String> {
        let mut labels = self.cluster_labels(cluster, realm);
        labels.insert(NODE.into(), node.to_string());
        labels.insert(ROLE.into(), role.to_string());
        labels.insert(GENERATION.into(), generation.to_string());
        labels
    }

    /// Labels of the agent's container, image and volume.
    pub(crate) fn agent_labels(&self, build: &str) -> BTreeMap<String, String> {
        BTreeMap::from([
            (INSTALLATION.into(), self.installation.to_string()),
            (ROLE.into(), "agent".into()),
            (BUILD.into(), build.into()),
        ])
    }

    /// Everything of this installation.
    pub(crate) fn all(&self) -> LabelFilter {
        LabelFilter::all().with(INSTALLATION, self.installation.as_str())
    }

    /// Everything of one cluster.
    pub(crate) fn of_cluster(&self, cluster: ClusterId) -> LabelFilter {
        self.all().with(CLUSTER, cluster.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_fit_the_kernel_and_carry_the_installation() {
        let naming = Naming::new(InstallationId::new([0x3f, 0xa9, 0xc1]));
        let vni = Vni::try_from(0xff_ffff).unwrap();
        assert_eq!(naming.bridge(vni), "sb3fa9c1ffffff");
        assert!(naming.device(vni).len() <= 15);
        assert_eq!(naming.vni_of_device(&naming.device(vni)), Some(vni));
        // Another installation's, a bridge, and what is not of this form.
        for other in ["sv0003fa9c1abc", "sb3fa9c1ffffff", "sv3fa9c1", "sv3fa9c1+0000a", "sv3fa9c10000000a"] {
            assert_eq!(naming.vni_of_device(other), None, "{other}");
        }
    }

    #[test]
    fn names_do_not_run_together() {
        let naming = Naming::new(InstallationId::new([1, 2, 3]));
        let name = |n: &str, c: &str, r: &str| {
            naming.container(&n.parse().unwrap(), &c.parse().unwrap(), &r.parse().unwrap())
        };
        assert_ne!(name("worker-0", "a-b", "c"), name("worker-0", "a", "b-c"));
    }
}
