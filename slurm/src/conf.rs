//! slurm.conf, gres.conf and cgroup.conf of a cluster.
//!
//! ```text
//! settings of Shoal          those that do not give way to the user's text (rule.rs)
//! the user's slurm.main      `NodeName=DEFAULT`, `PartitionName=DEFAULT` and the like act on what follows
//! NodeName=...               one line per run of equal workers
//! PartitionName=all          unless the user's text makes it
//! ```
//! Slurm learns every address from here (SlurmctldHost, NodeAddr), never from DNS. The same text suits Slurm 22.05 and 24.11.

mod gres;
mod nodes;
mod user;

use std::{collections::BTreeSet, fmt::Write};

use crate::{
    Ability, ClusterView, NodeView, RoleSpec, SLURMCTLD_PORT, SLURMD_PORT, SlurmPart, needs,
    role::{CONTROLLER_STATE_DIR, WORKER_SPOOL_DIR},
    rule::gives_way,
};
pub(crate) use gres::{GRES_CONF, device_files, devices, gres_conf, is_device};
#[cfg(test)]
pub(crate) use user::REQUIRED;
pub(crate) use user::{Apart, Entry, MAX_DEPTH, MAX_INCLUDED, UserText};

/// Where slurmctld has the key that it signs tokens with.
pub(crate) const TOKEN_KEY: &str = "/etc/slurm/jwt_hs256.key";

/// The text of slurm.conf (slurm.conf(5)), for roles whose archive brings it; the others fetch it from the controller.
#[must_use]
pub fn slurm_conf(view: &ClusterView) -> String {
    let user = UserText::of(view.slurm());
    let mut text = String::new();
    let tokens = if view.has_tokens() { tokens() } else { String::new() };
    let settings = settings(view, &user);
    let lines = || settings.lines().chain(tokens.lines());
    let ours: Vec<_> = lines().filter_map(|line| line.split_once('=')).collect();
    for line in lines() {
        if line.split_once('=').is_none_or(|(key, _)| !gives_way(key, &ours, &user)) {
            let _ = writeln!(text, "{line}");
        }
    }
    let gres: BTreeSet<&str> = gres::names(view).collect();
    user.push(&mut text, &gres);
    if !gres.is_empty() && !user.statements().any(|statement| statement.is("GresTypes")) {
        let _ = writeln!(text, "\nGresTypes={}", Vec::from_iter(gres).join(","));
    }
    text.push_str("\n# Nodes\n");
    nodes::push_node_lines(&mut text, &slurm_nodes(view).collect::<Vec<_>>());
    // All workers; the default unless the user's text has a default of its own, which the last one would be in place of.
    if !user.partitions().any(|(name, _)| name == "all") {
        let default = if user.partitions().any(|(_, default)| default) { "NO" } else { "YES" };
        let _ = writeln!(text, "PartitionName=all Nodes=ALL Default={default} MaxTime=INFINITE State=UP");
    }
    text
}

/// The text of cgroup.conf (cgroup.conf(5)), unless the user gives one.
///
/// The plugin is named because detection is fatal where the machine mounts both cgroup versions; with proctrack/linuxproc and
/// task/none nothing of it is used. Plug-ins that use it are on hosts of v2 alone.
pub(crate) fn cgroup_conf(view: &ClusterView) -> String {
    let used = needs(view.slurm()).iter().any(|need| need.ability == Ability::Cgroups);
    let version = if used { "v2" } else { "v1" };
    format!("# Written by Shoal.\nCgroupPlugin=cgroup/{version}\n")
}

/// The nodes that run jobs, in natural order.
fn slurm_nodes(view: &ClusterView) -> impl Iterator<Item = &NodeView> {
    let is_node = |node: &&NodeView| RoleSpec::of(node.role, view.profile()).slurm == SlurmPart::Node;
    view.nodes().iter().filter(is_node)
}

/// Beside munge, tokens that the controller signs are taken: slurmrestd passes them on.
fn tokens() -> String {
    format!("\nAuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={TOKEN_KEY}\n")
}

/// Job tracking: without control groups, by the kernel's table of processes; X11 forwarding takes process groups instead (slurm.conf(5),
/// PrologFlags).
fn proctrack(user: &UserText<'_>) -> &'static str {
    let x11 = |flag: &str| flag.eq_ignore_ascii_case("X11");
    let mut flags = user.statements().filter(|statement| statement.is("PrologFlags"));
    if flags.any(|statement| statement.items().any(x11)) { "proctrack/pgid" } else { "proctrack/linuxproc" }
}

fn settings(view: &ClusterView, user: &UserText<'_>) -> String {
    let controller = view.controller();
    format!(
        "# Written by Shoal for cluster {name} of realm {realm}.
ClusterName={name}
SlurmctldHost={host}({address})
SlurmUser=slurm
AuthType=auth/munge
StateSaveLocation={CONTROLLER_STATE_DIR}
SlurmdSpoolDir={WORKER_SPOOL_DIR}
SlurmctldPort={SLURMCTLD_PORT}
SlurmdPort={SLURMD_PORT}

# Workers get this file from the controller and keep the size it gives them, whatever machine they see.
SlurmctldParameters=enable_configless
SlurmdParameters=config_overrides
ReturnToService=2

# No control groups: a node is a container and has only its own.
ProctrackType={proctrack}
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
PropagateResourceLimits=NONE

# CPUs and memory are shared out, and a job that names no memory takes its CPUs' share, so that jobs fit side by side.
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU={def_mem}

# Many nodes on few cores answer late when they boot together.
MessageTimeout=30
",
        name = view.name(),
        realm = view.realm(),
        host = controller.name,
        address = controller.address,
        proctrack = proctrack(user),
        def_mem = slurm_nodes(view).map(|w| w.memory.as_mib() / u64::from(w.cpus.max(1))).min().unwrap_or(1).max(1),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use shoal_types::{Bytes, SlurmSpec, nodeset};

    use super::*;
    use crate::view::tests::{sized, view, with_api};

    fn with_main(text: &str) -> String {
        let main = BTreeMap::from([("main".to_owned(), text.to_owned())]);
        slurm_conf(&sized(2, SlurmSpec { main, ..SlurmSpec::default() }))
    }

    fn node_lines(conf: &str) -> Vec<&str> {
        conf.lines().filter(|line| line.starts_with("NodeName=")).collect()
    }

    #[test]
    fn a_small_cluster() {
        insta::assert_snapshot!(slurm_conf(&view(3)));
    }

    #[test]
    fn tokens_are_taken_where_a_node_asks_for_them() {
        assert!(!slurm_conf(&view(3)).contains("auth/jwt"));
        let conf = slurm_conf(&with_api(3));
        assert!(conf.contains("\nAuthAltTypes=auth/jwt\n"), "{conf}");
        assert!(conf.contains(&format!("\nAuthAltParameters=jwt_key={TOKEN_KEY}\n")), "{conf}");
        assert_eq!(node_lines(&conf), node_lines(&slurm_conf(&view(3))));
    }

    #[test]
    fn numbers_may_be_missing() {
        let whole = view(6);
        let kept = |node: &&NodeView| !matches!(node.name.as_str(), "worker-1" | "worker-3" | "worker-4");
        let nodes: Vec<_> = whole.nodes().iter().filter(kept).cloned().collect();
        let (realm, name) = (whole.realm().clone(), whole.name().clone());
        let view =
            ClusterView::new(realm, name, whole.subnet(), whole.gateway(), nodes, SlurmSpec::default())
                .unwrap();
        assert_eq!(
            node_lines(&slurm_conf(&view)),
            ["NodeName=worker-[0,2,5] NodeAddr=10.96.0.[4,6,9] CPUs=1 RealMemory=512 State=UNKNOWN"]
        );
    }

    #[test]
    fn advertised_sizes_and_user_text() {
        let main = BTreeMap::from([
            ("b".to_owned(), "SlurmdTimeout=30".to_owned()),
            ("a".to_owned(), "SlurmctldDebug=debug\n\n".to_owned()),
        ]);
        let (cpus, memory) = (Some(128), Some(Bytes::mib(512_000)));
        let slurm = SlurmSpec { main, cpus, memory, ..SlurmSpec::default() };
        insta::assert_snapshot!(slurm_conf(&sized(300, slurm)));
    }

    #[test]
    fn three_thousand_workers_are_a_dozen_lines() {
        let conf = slurm_conf(&view(3000));
        let lines = node_lines(&conf);
        assert_eq!(lines.len(), 12);
        assert!(conf.len() < 3000, "{} bytes", conf.len());
        let expanded = |key: &str| -> Vec<String> {
            let sets = lines.iter().filter_map(|l| l.split_whitespace().find_map(|w| w.strip_prefix(key)));
            sets.flat_map(|set| nodeset::expand(set).unwrap()).collect()
        };
        let view = view(3000);
        assert_eq!(expanded("NodeName="), slurm_nodes(&view).map(|w| w.name.to_string()).collect::<Vec<_>>());
        assert_eq!(
            expanded("NodeAddr="),
            slurm_nodes(&view).map(|w| w.address.to_string()).collect::<Vec<_>>()
        );
    }

    #[test]
    fn gaps_sizes_and_addresses_that_go_back_break_a_line() {
        let good = view(6);
        let mut nodes = good.nodes().to_vec();
        nodes.remove(3); // worker-1
        nodes[4].cpus = 4; // worker-3
        let (last, before) = (nodes[6].address, nodes[5].address);
        (nodes[5].address, nodes[6].address) = (last, before); // worker-4, worker-5
        let view = ClusterView::new(
            good.realm().clone(),
            good.name().clone(),
            good.subnet(),
            good.gateway(),
            nodes,
            SlurmSpec::default(),
        );
        let conf = slurm_conf(&view.unwrap());
        insta::assert_snapshot!(node_lines(&conf).join("\n"), @r"
        NodeName=worker-[0,2] NodeAddr=10.96.0.[4,6] CPUs=1 RealMemory=512 State=UNKNOWN
        NodeName=worker-3 NodeAddr=10.96.0.7 CPUs=4 RealMemory=512 State=UNKNOWN
        NodeName=worker-4 NodeAddr=10.96.0.9 CPUs=1 RealMemory=512 State=UNKNOWN
        NodeName=worker-5 NodeAddr=10.96.0.8 CPUs=1 RealMemory=512 State=UNKNOWN
        ");
    }

    #[test]
    fn a_users_partitions_win() {
        assert!(with_main("").contains("\nPartitionName=all Nodes=ALL Default=YES"));
        assert!(
            with_main("PartitionName=gpu Nodes=ALL").contains("\nPartitionName=all Nodes=ALL Default=YES")
        );
        let own = with_main("  partitionname=gpu Nodes=ALL default=Yes # ours");
        assert!(own.contains("\nPartitionName=all Nodes=ALL Default=NO"), "{own}");
        assert!(with_main("# PartitionName=gpu Default=YES").contains("Nodes=ALL Default=YES"));
        assert_eq!(with_main("PartitionName=all Nodes=worker-0").matches("PartitionName=").count(), 1);
    }

    #[test]
    fn a_users_setting_replaces_ours() {
        let conf = with_main("messagetimeout = 60\n# ReturnToService=0");
        assert!(!conf.contains("MessageTimeout=30") && conf.contains("messagetimeout = 60"), "{conf}");
        assert!(conf.contains("\nReturnToService=2\n"), "{conf}");
    }

    #[test]
    fn what_belongs_together_gives_way_together() {
        let all = ["SelectType", "SelectTypeParameters", "DefMemPerCPU", "PropagateResourceLimits"];
        for (given, kept) in [
            ("", &all[..]),
            ("SelectType=select/linear", &["PropagateResourceLimits"]),
            ("selecttype = select/linear\nSelectTypeParameters=CR_Memory", &["PropagateResourceLimits"]),
            // The same as ours: nothing has to go.
            ("SelectType=select/cons_tres", &all[1..]),
            (
                "SelectTypeParameters=CR_CPU_Memory",
                &["SelectType", "DefMemPerCPU", "PropagateResourceLimits"],
            ),
            ("SelectTypeParameters=CR_CPU", &["SelectType", "PropagateResourceLimits"]),
            ("DefMemPerNode=200", &["SelectType", "SelectTypeParameters", "PropagateResourceLimits"]),
            ("DefMemPerGPU=200", &["SelectType", "SelectTypeParameters", "PropagateResourceLimits"]),
            ("DefMemPerCPU=10", &["SelectType", "SelectTypeParameters", "PropagateResourceLimits"]),
            ("PropagateResourceLimitsExcept=MEMLOCK", &all[..3]),
            ("PartitionName=x DefMemPerNode=200", &all),
        ] {
            let conf = with_main(given);
            let ours = conf.split("\n# slurm.main").next().unwrap();
            let has = |key: &&&str| ours.contains(&format!("\n{key}="));
            assert_eq!(
                all.iter().filter(has).collect::<Vec<_>>(),
                kept.iter().collect::<Vec<_>>(),
                "{given}"
            );
        }
    }

    #[test]
    fn every_setting_of_ours_is_in_the_table() {
        let view = with_api(1);
        let conf = settings(&view, &UserText::of(view.slurm())) + &tokens();
        for (key, _) in conf.lines().filter_map(|line| line.split_once('=')) {
            assert!(crate::rule::is_known(key), "{key}: the table says nothing of it");
        }
    }

    #[test]
    fn x11_is_forwarded_by_process_groups() {
        assert!(with_main("PrologFlags=Alloc,x11").contains("\nProctrackType=proctrack/pgid\n"));
        assert!(with_main("PrologFlags=Alloc").contains("\nProctrackType=proctrack/linuxproc\n"));
        assert_eq!(
            with_main("PrologFlags=X11\nProctrackType=proctrack/cgroup").matches("ProctrackType").count(),
            1
        );
    }

    #[test]
    fn control_groups_that_are_used_are_those_of_v2() {
        let conf = |main: &str| {
            let main = BTreeMap::from([("main".to_owned(), main.to_owned())]);
            cgroup_conf(&sized(1, SlurmSpec { main, ..SlurmSpec::default() }))
        };
        assert!(conf("A=1").ends_with("CgroupPlugin=cgroup/v1\n"));
        assert!(conf("TaskPlugin=task/cgroup,task/affinity").ends_with("CgroupPlugin=cgroup/v2\n"));
    }

    #[test]
    fn an_included_file_stands_in_its_place() {
        let main = BTreeMap::from([("main".to_owned(), "A=1\nInclude site.conf\nB=2".to_owned())]);
        let site = "SlurmctldParameters=x\nMessageTimeout=5 # theirs\n";
        let files = BTreeMap::from([("site.conf".to_owned(), site.to_owned())]);
        let conf = slurm_conf(&sized(1, SlurmSpec { main, files, ..SlurmSpec::default() }));
        let expected = "\n# slurm.main\nA=1\n\n# slurm.files.site.conf\nSlurmctldParameters=enable_configless,x\n\
                        MessageTimeout=5 # theirs\n\n# slurm.main\nB=2\n";
        assert!(conf.contains(expected), "{conf}");
        assert_eq!(conf.matches("MessageTimeout").count(), 1);
    }

    #[test]
    fn what_workers_need_to_come_up_cannot_get_lost() {
        for (given, kept) in [
            (
                "SlurmctldParameters=idle_on_node_suspend",
                "SlurmctldParameters=enable_configless,idle_on_node_suspend",
            ),
            ("slurmctldparameters = a, \\\n b", "slurmctldparameters=\"enable_configless,a,  b\""),
            ("SlurmdParameters=", "SlurmdParameters=config_overrides"),
            (
                "SlurmdParameters=l3cache_as_socket,Config_Overrides",
                "SlurmdParameters=l3cache_as_socket,Config_Overrides",
            ),
        ] {
            let conf = with_main(given);
            assert!(conf.lines().any(|line| line == kept), "{conf}");
            let key = kept.split('=').next().unwrap().to_ascii_lowercase();
            assert_eq!(conf.to_ascii_lowercase().matches(&format!("\n{key}=")).count(), 1, "{conf}");
        }
    }
}
