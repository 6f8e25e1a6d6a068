//! Words of the protocol: enums with a zero that means nothing, and the enums of [`shoal_types`] and `shoal-api` they become.

use shoal_types::{
    AgentState, CgroupWay, EventKind, EventLevel, HealingPolicy, HostState, NodeState, PrivilegedNodes,
    Profile, Role, Scheduling, UserRole,
};

use crate::FieldError;

/// One of a fixed set, as a number on the wire.
pub trait Word: Copy + Sized {
    /// What a field says.
    ///
    /// # Errors
    /// [`FieldError`]: it says nothing, or what this version does not know.
    fn read(field: &'static str, number: i32) -> Result<Self, FieldError>;

    /// The number a field says it with.
    fn wire(self) -> i32;
}

/// Pairs an enum with that of the protocol whose values have the same names; a value without a partner does not compile.
#[macro_export]
macro_rules! word {
    ($ours:ty = $theirs:ident { $($value:ident),+ $(,)? }) => {
        impl $crate::Word for $ours {
            fn read(field: &'static str, number: i32) -> Result<Self, $crate::FieldError> {
                match $crate::v1::$theirs::try_from(number) {
                    $(Ok($crate::v1::$theirs::$value) => Ok(Self::$value),)+
                    Ok($crate::v1::$theirs::Unspecified) => {
                        Err($crate::FieldError::new(field, "is missing"))
                    }
                    Err(_) => {
                        Err($crate::FieldError::new(field, format_args!("{number} is not a known value")))
                    }
                }
            }

            fn wire(self) -> i32 {
                match self {
                    $(Self::$value => $crate::v1::$theirs::$value,)+
                }
                .into()
            }
        }
    };
}

word!(HostState = HostState { Ready, Unreachable, EngineDown });
word!(AgentState = AgentState { Ready, Absent });
word!(CgroupWay = CgroupWay { Writable, SysAdmin });
word!(PrivilegedNodes = PrivilegedNodes { Allow, Deny });
word!(Scheduling = Scheduling { Schedulable, Cordoned, Draining, Drained });
word!(NodeState = NodeState { Planned, Created, Starting, Ready, Stopped, Failed, Failing });
word!(HealingPolicy = HealingPolicy { Default, None, Restart, Reschedule });
word!(Profile = Profile { System });
word!(Role = Role { Controller, Submitter, Api, Worker });
word!(UserRole = UserRole { Viewer, Operator, Admin });
word!(EventLevel = EventLevel { Info, Warn, Error });
word!(
    EventKind = EventKind {
        Host,
        Agent,
        Admitted,
        Image,
        Network,
        NodeCreated,
        NodeStarted,
        NodeReady,
        NodeFailed,
        NodeRemoved,
        Phase,
        RollingBack,
        Deleting,
        Moved,
        Step,
        Audit,
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    /// Every value survives, and what no value has is an error that names the field.
    fn survives<W: Word + PartialEq + std::fmt::Debug>(all: &[W]) {
        for word in all {
            assert_eq!(W::read("field", word.wire()), Ok(*word));
        }
        for unknown in [0, -1, 99] {
            assert_eq!(W::read("field", unknown).unwrap_err().field, "field", "{unknown}");
        }
    }

    #[test]
    fn words_survive_the_wire() {
        survives(&HostState::ALL);
        survives(&AgentState::ALL);
        survives(&[CgroupWay::Writable, CgroupWay::SysAdmin]);
        survives(&PrivilegedNodes::ALL);
        survives(&Scheduling::ALL);
        survives(&NodeState::ALL);
        survives(&HealingPolicy::ALL);
        survives(&Profile::ALL);
        survives(&Role::ALL);
        survives(&UserRole::ALL);
        survives(&EventLevel::ALL);
        survives(&EventKind::ALL);
        assert_eq!(Role::read("spec.role", 0).unwrap_err().to_string(), "spec.role: is missing");
        assert_eq!(Role::read("spec.role", 9).unwrap_err().to_string(), "spec.role: 9 is not a known value");
    }
}
