//! Generic resources: gres.conf (gres.conf(5)), and the devices that a worker pretends to have.
//!
//! ```text
//! NodeName=worker-[0-1] Name=gpu Type=a100 File=/dev/nvidia[0-1]     links to /dev/null, so that jobs get numbers of GPUs
//! NodeName=worker-[0-1] Name=fpga Count=2                            anything else is counted
//! ```
//! A job is told which GPUs are its own (`CUDA_VISIBLE_DEVICES`) only where each has a file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use shoal_types::{Gres, MAX_GRES, nodeset};

use super::slurm_nodes;
use crate::{
    ClusterView,
    text::{Statement, pieces},
};

/// The resource whose pieces have a file each.
const GPU: &str = "gpu";
/// Its files, each with a number behind.
const GPU_FILE: &str = "/dev/nvidia";
/// The file of Slurm's directory that says which resources nodes have.
pub(crate) const GRES_CONF: &str = "gres.conf";
/// Where pretend devices are: of other files nodes have their own.
const DEVICES: &str = "/dev/";

/// The names of all resources that workers have.
pub(super) fn names(view: &ClusterView) -> impl Iterator<Item = &str> {
    slurm_nodes(view).flat_map(|node| &node.slurm.gres).map(|gres| gres.name.as_str())
}

/// The text of gres.conf; `None` where no worker has a resource, or the user gives the text.
pub(crate) fn gres_conf(view: &ClusterView) -> Option<String> {
    if view.slurm().files.contains_key(GRES_CONF) {
        return None;
    }
    let mut alike: BTreeMap<&[Gres], Vec<&str>> = BTreeMap::new();
    for node in slurm_nodes(view).filter(|node| !node.slurm.gres.is_empty()) {
        alike.entry(&node.slurm.gres).or_default().push(node.name.as_str());
    }
    if alike.is_empty() {
        return None;
    }
    // Nothing is looked for on the machines that nodes are on.
    let mut text = "# Written by Shoal.\nAutoDetect=off\n".to_owned();
    for (gres, nodes) in alike {
        let (nodes, mut gpus) = (nodeset::compress(nodes), 0);
        for Gres { name, kind, count } in gres {
            let _ = write!(text, "NodeName={nodes} Name={name}");
            if let Some(kind) = kind {
                let _ = write!(text, " Type={kind}");
            }
            let _ = match (name == GPU, count) {
                (true, 1) => writeln!(text, " File={GPU_FILE}{gpus}"),
                (true, count) => writeln!(text, " File={GPU_FILE}[{gpus}-{}]", gpus + count - 1),
                (false, count) => writeln!(text, " Count={count}"),
            };
            gpus += if name == GPU { *count } else { 0 };
        }
    }
    Some(text)
}

/// The devices that every worker pretends to have: those of its own gres.conf, or of the user's.
pub(crate) fn devices(view: &ClusterView) -> BTreeSet<String> {
    let text = view.slurm().files.get(GRES_CONF).cloned().or_else(|| gres_conf(view)).unwrap_or_default();
    let statements = pieces(&text).into_iter().filter_map(|piece| piece.statement);
    let files = statements.flat_map(|statement| device_files(&statement).collect::<Vec<_>>());
    files.filter(|file| is_device(file)).collect()
}

/// The files that a line of gres.conf names; of one line as many as a node may have of a resource.
pub(crate) fn device_files(line: &Statement) -> impl Iterator<Item = String> {
    let (first, pairs) = line.described();
    let of_line = pairs.filter(|(key, _)| is_file(key)).map(|(_, value)| value);
    let sets: Vec<&str> = is_file(&line.key).then_some(first).into_iter().chain(of_line).collect();
    let files = sets.into_iter().flat_map(|set| nodeset::expand(set).unwrap_or_default());
    files.take(MAX_GRES as usize).collect::<Vec<_>>().into_iter()
}

/// Slurm has two words for it.
fn is_file(key: &str) -> bool {
    let key = Statement { key: key.to_owned(), value: String::new() };
    key.is("File") || key.is("MultipleFiles")
}

/// A plain path below /dev.
pub(crate) fn is_device(path: &str) -> bool {
    let part = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    path.strip_prefix(DEVICES).is_some_and(|rest| rest.split('/').all(part))
}

#[cfg(test)]
mod tests {
    use shoal_types::{NodeSlurm, SlurmSpec};

    use super::*;
    use crate::{
        slurm_conf,
        view::tests::{sized, view},
    };

    fn with(gres: &[(usize, &[&str])], slurm: SlurmSpec) -> ClusterView {
        let view = sized(4, slurm);
        let mut nodes = view.nodes().to_vec();
        for (worker, gres) in gres {
            let gres = gres.iter().map(|text| text.parse().unwrap()).collect();
            nodes[worker + 2].slurm = NodeSlurm { gres, ..NodeSlurm::default() };
        }
        let (realm, name) = (view.realm().clone(), view.name().clone());
        ClusterView::new(realm, name, view.subnet(), view.gateway(), nodes, view.slurm().clone()).unwrap()
    }

    #[test]
    fn equal_workers_are_one_line_for_each_resource() {
        let two: &[&str] = &["gpu:a100:2", "gpu:h100:1", "fpga:3"];
        let view = with(&[(0, two), (1, two), (3, &["gpu:1"])], SlurmSpec::default());
        insta::assert_snapshot!(gres_conf(&view).unwrap(), @r"
        # Written by Shoal.
        AutoDetect=off
        NodeName=worker-3 Name=gpu File=/dev/nvidia0
        NodeName=worker-[0-1] Name=gpu Type=a100 File=/dev/nvidia[0-1]
        NodeName=worker-[0-1] Name=gpu Type=h100 File=/dev/nvidia2
        NodeName=worker-[0-1] Name=fpga Count=3
        ");
        assert_eq!(
            devices(&view).into_iter().collect::<Vec<_>>(),
            ["/dev/nvidia0", "/dev/nvidia1", "/dev/nvidia2"]
        );
        let conf = slurm_conf(&view);
        assert!(conf.contains("\nGresTypes=fpga,gpu\n"), "{conf}");
        assert!(conf.contains("NodeName=worker-[0-1] NodeAddr=10.96.0.[4-5] CPUs=1 RealMemory=512 Gres=gpu:a100:2,gpu:h100:1,fpga:3 State"), "{conf}");
    }

    #[test]
    fn without_resources_there_is_nothing() {
        assert_eq!(gres_conf(&view(3)), None);
        assert!(devices(&view(3)).is_empty() && !slurm_conf(&view(3)).contains("GresTypes"));
    }

    #[test]
    fn a_users_list_of_types_gets_what_is_missing() {
        let main = [("main".to_owned(), "GresTypes=craynetwork,gpu # theirs".to_owned())].into();
        let view = with(&[(0, &["gpu:1", "fpga:1"])], SlurmSpec { main, ..SlurmSpec::default() });
        let conf = slurm_conf(&view);
        assert!(conf.contains("\nGresTypes=fpga,craynetwork,gpu\n"), "{conf}");
        assert_eq!(conf.matches("GresTypes").count(), 1, "{conf}");
    }

    #[test]
    fn devices_of_a_users_own_gres_conf_are_pretended() {
        let text = "NodeName=worker-[0-1] Name=gpu Type=a100 File=/dev/nvidia[0-1] Cores=0\n\
                    Name=x File=/dev/dri/card0\nName=y File=/etc/passwd\nName=z File=/dev/../etc/x";
        let files = [("gres.conf".to_owned(), text.to_owned())].into();
        let view = with(&[(0, &["gpu:2"])], SlurmSpec { files, ..SlurmSpec::default() });
        assert_eq!(gres_conf(&view), None);
        assert_eq!(
            devices(&view).into_iter().collect::<Vec<_>>(),
            ["/dev/dri/card0", "/dev/nvidia0", "/dev/nvidia1"]
        );
    }
}
