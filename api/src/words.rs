//! Words that a client reads and that no type of the domain has: each an enum, shown and published as its word.

use std::fmt;

use serde::{Serialize, Serializer};
use shoal_proto::word;
use shoal_types::ClusterPhase;

/// An enum of words with its partner in the protocol.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$value_doc])* $value,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$value,)+];

            /// The word, as shown and published.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
    ($(#[$doc:meta])* $name:ident = $theirs:ident { $($(#[$value_doc:meta])* $value:ident = $word:literal,)+ }) => {
        words!($(#[$doc])* $name { $($(#[$value_doc])* $value = $word,)+ });
        word!($name = $theirs { $($value,)+ });
    };
}

words!(
    /// Version of the control groups of a host.
    CgroupVersion = CgroupVersion {
        /// A hierarchy for each controller.
        V1 = "v1",
        /// One hierarchy.
        V2 = "v2",
    }
);

words!(
    /// Where a cluster is on its way, and whether somebody takes it there.
    Phase = ClusterPhase {
        /// Somebody brings it up.
        Creating = "creating",
        /// Every worker was seen IDLE in Slurm.
        Ready = "ready",
        /// It did not become ready and was kept for inspection.
        Failed = "failed",
        /// Everything of it is being removed.
        Deleting = "deleting",
        /// It was being created by a process that died.
        Interrupted = "interrupted",
    }
);

words!(
    /// State of a node's container.
    ContainerState = ContainerState {
        /// Its first process runs.
        Running = "running",
        /// It is frozen.
        Paused = "paused",
        /// The engine is starting it once more.
        Restarting = "restarting",
        /// It was never started.
        Created = "created",
        /// Its first process has ended.
        Exited = "exited",
        /// It could not be removed.
        Dead = "dead",
        /// It is being removed.
        Removing = "removing",
        /// There is none.
        Absent = "absent",
        /// Its host does not answer.
        Unknown = "unknown",
    }
);

words!(
    /// State of systemd in a node.
    SystemdState = SystemdState {
        /// All services of its role have processes.
        Running = "running",
        /// A service of its role has none.
        Degraded = "degraded",
        /// It takes no commands yet, or its services are on their way.
        Starting = "starting",
        /// Its process is gone.
        Stopped = "stopped",
        /// Its agent does not answer.
        Unknown = "unknown",
    }
);

words!(
    /// Whether a service of a node runs.
    ServiceState = ServiceState {
        /// It does.
        Up = "up",
        /// It does not.
        Down = "down",
        /// The node's agent does not answer.
        Unknown = "unknown",
    }
);

words!(
    /// State of a host's part of a cluster's network.
    NetworkPart = NetworkPart {
        /// As it should be.
        Ok = "ok",
        /// Its device or entries are not.
        Trouble = "trouble",
        /// It has none.
        Absent = "absent",
        /// Its agent does not answer.
        Unknown = "unknown",
    }
);

words!(
    /// What is checked of a host.
    Check = Check {
        /// Version of its engine.
        Engine = "engine",
        /// Certificates.
        Tls = "tls",
        /// Control groups.
        Cgroup = "cgroup",
        /// Instances of inotify.
        Inotify = "inotify",
        /// Room in the neighbour table.
        Neighbours = "neighbours",
        /// Room for processes.
        Pids = "pids",
        /// Room on the largest bridge.
        BridgePorts = "bridge-ports",
        /// Room on its disk.
        Disk = "disk",
        /// Its clock.
        Clock = "clock",
        /// Its underlay address and subnets.
        Addresses = "addresses",
        /// Who has port 53.
        Dns = "dns",
        /// The port for tunnels.
        Udp = "udp",
        /// Whether a node there is answered by the name service.
        Names = "names",
        /// Images.
        Image = "image",
        /// Its agent.
        Agent = "agent",
    }
);

words!(
    /// How a check ended.
    Verdict = Verdict {
        /// Nothing is wrong.
        Pass = "pass",
        /// It works, but not as well as it could.
        Warn = "warn",
        /// It cannot work.
        Fail = "fail",
    }
);

words!(
    /// What is done to mend something.
    MendKind = MendKind {
        /// The host's agent is brought.
        Agent = "agent",
        /// The Docker network is made.
        Network = "network",
        /// The agents are told the network anew.
        Mesh = "mesh",
        /// The container is made.
        Create = "create",
        /// The container is started.
        Start = "start",
        /// The container is removed and made anew.
        Recreate = "recreate",
        /// A container of no node is removed.
        Remove = "remove",
    }
);

words!(
    /// Kind of a thing on a host.
    ThingKind = ThingKind {
        /// A container.
        Container = "container",
        /// An agent's part of a network.
        Mesh = "mesh",
        /// A VXLAN device of no network.
        Device = "device",
        /// A Docker network.
        Network = "network",
        /// A volume.
        Volume = "volume",
        /// An image.
        Image = "image",
        /// What may be left on a host that was lost.
        Remnant = "remnant",
    }
);

words!(
    /// What a sweep did to a thing.
    SweepEnd = SweepEnd {
        /// It would go.
        WouldGo = "would-go",
        /// It is gone.
        Gone = "gone",
        /// It stays.
        Stays = "stays",
        /// It could not be removed.
        Failed = "failed",
    }
);

words!(
    /// What became of a cluster that was interrupted.
    ResumeEnd = ResumeEnd {
        /// It is ready.
        Ready = "ready",
        /// It is gone.
        Removed = "removed",
        /// It failed, and is kept for inspection.
        Kept = "kept",
        /// It could not be finished.
        Left = "left",
        /// Somebody works on it.
        Busy = "busy",
    }
);

words!(
    /// A condition that a host must meet to take a node.
    Filter = Filter {
        /// Its engine answers.
        State = "state",
        /// Its operator lets nodes be placed there.
        Scheduling = "scheduling",
        /// Its nodes are not root on it, or its operator allows such nodes.
        Privilege = "privilege",
        /// It is not excluded.
        Excluded = "excluded",
        /// It is of the image's architecture.
        Architecture = "architecture",
        /// It can run the profile.
        Profile = "profile",
        /// It carries packets of nodes as large as the cluster's.
        Mtu = "mtu",
        /// It has the image, or can get it.
        Image = "image",
        /// The node is pinned to it.
        Pinned = "pinned",
        /// Its labels satisfy every expression.
        Constraint = "constraint",
        /// It has the label nodes are spread over.
        SpreadOver = "spread-over",
        /// No node that is to be apart is on it.
        Apart = "apart",
        /// Enough CPU is free.
        Cpu = "cpu",
        /// Enough memory is free.
        Memory = "memory",
        /// A node slot is free.
        NodeSlots = "node-slots",
        /// It has fewer nodes of the cluster than one host may have.
        MaxPerHost = "max-per-host",
    }
);

impl Phase {
    /// The phase of a cluster that somebody works on, or nobody.
    #[must_use]
    pub fn of(phase: ClusterPhase, owned: bool) -> Self {
        match phase {
            ClusterPhase::Creating if owned => Self::Creating,
            ClusterPhase::Creating => Self::Interrupted,
            ClusterPhase::Ready => Self::Ready,
            ClusterPhase::Failed => Self::Failed,
            ClusterPhase::Deleting => Self::Deleting,
        }
    }
}

#[cfg(test)]
mod tests {
    use shoal_proto::Word;

    use super::*;

    fn survives<W: Word + PartialEq + fmt::Debug + fmt::Display + Serialize>(all: &[W]) {
        for word in all {
            assert_eq!(W::read("field", word.wire()), Ok(*word));
            assert_eq!(serde_json::to_value(word).unwrap(), word.to_string());
        }
        for unknown in [0, -1, 99] {
            assert_eq!(W::read("field", unknown).unwrap_err().field, "field", "{unknown}");
        }
    }

    #[test]
    fn words_survive_the_wire_and_unknown_ones_are_refused() {
        survives(CgroupVersion::ALL);
        survives(Phase::ALL);
        survives(ContainerState::ALL);
        survives(SystemdState::ALL);
        survives(ServiceState::ALL);
        survives(NetworkPart::ALL);
        survives(Check::ALL);
        survives(Verdict::ALL);
        survives(ThingKind::ALL);
        survives(SweepEnd::ALL);
        survives(ResumeEnd::ALL);
        survives(Filter::ALL);
    }

    #[test]
    fn a_create_without_an_owner_is_interrupted() {
        assert_eq!(Phase::of(ClusterPhase::Creating, true), Phase::Creating);
        assert_eq!(Phase::of(ClusterPhase::Creating, false), Phase::Interrupted);
        for phase in [ClusterPhase::Ready, ClusterPhase::Failed, ClusterPhase::Deleting] {
            assert_eq!(Phase::of(phase, false).as_str(), phase.as_str());
        }
    }
}
