//! The rows.

use super::{Ability, Named, Row, Rule, Value};
use crate::conf::UserText;

/// Files in Slurm's directory that are Shoal's, and why.
const OUR_FILES: &[(&str, &str)] =
    &[("slurm.conf", "it is rendered: write `slurm.main`"), ("jwt_hs256.key", "it is a key of the cluster")];

/// Why a file below Slurm's directory is Shoal's.
pub(crate) fn is_our_file(name: &str) -> Option<&'static str> {
    OUR_FILES.iter().find(|(ours, _)| *ours == name).map(|(_, why)| *why)
}

const GONE: &str = "remove the line";

const fn row(keys: &'static [&'static str], rule: Rule) -> Row {
    Row { keys, rule }
}

const fn ours(keys: &'static [&'static str], because: &'static str, instead: &'static str) -> Row {
    row(keys, Rule::Ours { same: None, because, instead })
}

const fn fixed(
    keys: &'static [&'static str],
    same: &'static str,
    because: &'static str,
    instead: &'static str,
) -> Row {
    row(keys, Rule::Ours { same: Some(same), because, instead })
}

const fn default(keys: &'static [&'static str], with: &'static [&'static str], why: &'static str) -> Row {
    row(keys, Rule::Default { with, why })
}

const fn honoured(keys: &'static [&'static str], value: Value, follows: &'static str) -> Row {
    row(keys, Rule::Honoured { value, follows })
}

const fn beside(
    keys: &'static [&'static str],
    files: &'static [(&'static str, &'static [&'static str])],
) -> Row {
    row(keys, Rule::Files(Named::Beside(files)))
}

const CONTROLLER: &str =
    "the controller is a node of the cluster, and its address is given out when the cluster is admitted";
const DATABASE: &str = "no role keeps Slurm's accounts: there is no database";

/// Every key that is not free. A key may have several rows: each is about other values.
pub(super) const TABLE: &[Row] = &[
    honoured(
        &["SlurmctldPort"],
        Value::Port,
        "slurmd's options, the SRV record of the cluster's zone, and the port that a create waits for",
    ),
    honoured(&["SlurmdPort"], Value::Port, "the port that a worker serves on"),
    honoured(
        &["StateSaveLocation"],
        Value::Directory,
        "the volume of the controller is mounted there, owned by `slurm`",
    ),
    honoured(&["SlurmdSpoolDir"], Value::Directory, "the directory is made in every worker"),
    honoured(
        &["SlurmctldLogFile", "SlurmdLogFile", "SlurmSchedLogFile"],
        Value::File,
        "its directory is made, owned by `slurm`",
    ),
    honoured(
        &["JobCompLoc"],
        Value::JobCompletions,
        "with `jobcomp/filetxt` the file's directory is made, owned by `slurm`; with `jobcomp/script` it is a program, given by `slurm.files` or the image's",
    ),
    default(
        &["SelectType"],
        &["SelectTypeParameters", "DefMemPerCPU"],
        "what a plug-in selects by is its own matter",
    ),
    default(
        &["SelectTypeParameters"],
        &["DefMemPerCPU"],
        "memory that is not shared out has no share; one with `Memory` keeps it",
    ),
    default(
        &["DefMemPerNode", "DefMemPerGPU"],
        &["DefMemPerCPU"],
        "Slurm takes one of them and complains about the other",
    ),
    default(&["PropagateResourceLimitsExcept"], &["PropagateResourceLimits"], "Slurm takes one of them"),
    default(
        &[
            "DefMemPerCPU",
            "JobAcctGatherType",
            "MessageTimeout",
            "ProctrackType",
            "PropagateResourceLimits",
            "ReturnToService",
            "TaskPlugin",
        ],
        &[],
        "",
    ),
    row(
        &["SlurmctldParameters"],
        Rule::List {
            word: "enable_configless",
            why: "workers fetch their configuration from the controller",
        },
    ),
    row(
        &["SlurmdParameters"],
        Rule::List {
            word: "config_overrides",
            why: "a worker has the size it is given, whatever machine it sees",
        },
    ),
    row(&["ProctrackType"], Rule::Hosts { values: &["proctrack/cgroup"], ability: Ability::Cgroups }),
    row(&["TaskPlugin"], Rule::Hosts { values: &["task/cgroup"], ability: Ability::Cgroups }),
    row(
        &["JobAcctGatherType"],
        Rule::Hosts { values: &["jobacct_gather/cgroup"], ability: Ability::Cgroups },
    ),
    row(
        &["JobContainerType", "NamespaceType"],
        Rule::Hosts {
            values: &["job_container/tmpfs", "namespace/tmpfs", "namespace/linux"],
            ability: Ability::Mounts,
        },
    ),
    beside(&["JobSubmitPlugins"], &[("lua", &["job_submit.lua"])]),
    beside(&["CliFilterPlugins"], &[("lua", &["cli_filter.lua"])]),
    beside(
        &["TopologyPlugin"],
        &[
            ("topology/tree", &["topology.conf", "topology.yaml"]),
            ("topology/block", &["topology.conf", "topology.yaml"]),
        ],
    ),
    beside(&["BurstBufferType"], &[("burst_buffer/lua", &["burst_buffer.lua"])]),
    beside(&["NodeFeaturesPlugins"], &[("node_features/helpers", &["helpers.conf"])]),
    beside(
        &["JobContainerType", "NamespaceType"],
        &[
            ("job_container/tmpfs", &["job_container.conf"]),
            ("namespace/tmpfs", &["job_container.conf"]),
            ("namespace/linux", &["namespace.yaml"]),
        ],
    ),
    beside(
        &["AcctGatherProfileType"],
        &[
            ("acct_gather_profile/hdf5", &["acct_gather.conf"]),
            ("acct_gather_profile/influxdb", &["acct_gather.conf"]),
        ],
    ),
    row(
        &[
            "Epilog",
            "EpilogSlurmctld",
            "HealthCheckProgram",
            "JobCompPassScript",
            "JobCredentialPrivateKey",
            "JobCredentialPublicCertificate",
            "MailProg",
            "PlugStackConfig",
            "Prolog",
            "PrologSlurmctld",
            "RebootProgram",
            "ResumeFailProgram",
            "ResumeProgram",
            "ResvEpilog",
            "ResvProlog",
            "SlurmctldPrimaryOffProg",
            "SlurmctldPrimaryOnProg",
            "SrunEpilog",
            "SrunProlog",
            "SuspendProgram",
            "TaskEpilog",
            "TaskProlog",
            "UnkillableStepProgram",
        ],
        Rule::Files(Named::Path),
    ),
    ours(
        &["ClusterName"],
        "Slurm's name of the cluster is the cluster's",
        "write `name` in the configuration",
    ),
    ours(&["SlurmctldHost", "ControlMachine", "ControlAddr", "SlurmctldAddr"], CONTROLLER, GONE),
    ours(&["BackupController", "BackupAddr"], "a cluster has one controller; its state is on a volume", GONE),
    fixed(
        &["SlurmUser"],
        "slurm",
        "the image's account `slurm` owns the state, and the unit of slurmctld runs as it",
        "write `SlurmUser=slurm`, or nothing",
    ),
    fixed(&["SlurmdUser"], "root", "the unit of slurmd runs as root", "write `SlurmdUser=root`, or nothing"),
    fixed(
        &["AuthType"],
        "auth/munge",
        "nodes trust each other by a munge key of the cluster",
        "write `AuthType=auth/munge`, or nothing",
    ),
    fixed(
        &["CredType", "CryptoType"],
        "cred/munge",
        "nodes trust each other by a munge key of the cluster",
        GONE,
    ),
    ours(
        &["AuthAltTypes", "AuthAltParameters"],
        "a cluster with a node of role `api` takes tokens, with a key of its own",
        "write `api` among `nodes`",
    ),
    fixed(
        &["AccountingStorageType"],
        "accounting_storage/none",
        DATABASE,
        "write `AccountingStorageType=accounting_storage/none`, or nothing (`JobCompType=jobcomp/filetxt` keeps a list of jobs)",
    ),
    fixed(&["AccountingStorageEnforce"], "none", DATABASE, GONE),
    ours(
        &[
            "AccountingStorageBackupHost",
            "AccountingStorageExternalHost",
            "AccountingStorageHost",
            "AccountingStoragePass",
            "AccountingStoragePort",
            "AccountingStorageTRES",
            "AccountingStorageUser",
        ],
        DATABASE,
        GONE,
    ),
    ours(
        &["FrontendName", "FrontendAddr"],
        "every worker runs a slurmd of its own",
        "write `slurm.cpus`, and more workers",
    ),
    row(&["NodeName"], Rule::Nodes),
];

/// Whether a setting of ours gives way to what the user's text says. A value that is ours displaces nothing.
pub(crate) fn gives_way(key: &str, ours: &[(&str, &str)], user: &UserText<'_>) -> bool {
    user.statements().any(|statement| {
        if statement.is(key) {
            return true;
        }
        let same = ours.iter().any(|(our, value)| statement.is(our) && statement.value.eq_ignore_ascii_case(value));
        let keeps_memory = statement.is("SelectTypeParameters")
            && statement.value.to_ascii_lowercase().contains("memory");
        !same
            && !keeps_memory
            && rows(&statement.key).any(|row| {
                matches!(row.rule, Rule::Default { with, .. } if with.iter().any(|k| k.eq_ignore_ascii_case(key)))
            })
    })
}

/// The rows about a key.
pub(super) fn rows(key: &str) -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(move |row| row.keys.iter().any(|known| known.eq_ignore_ascii_case(key)))
}

/// Whether the table says anything of a key.
#[cfg(test)]
pub(crate) fn is_known(key: &str) -> bool {
    rows(key).next().is_some()
}
