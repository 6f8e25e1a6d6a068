//! How domain values are kept in columns: each as an integer, text or bytes, the same in both databases.
//!
//! One list per kind: what shows itself and reads itself (ids, names, addresses), what is a word of a fixed set (states,
//! phases), what is a number. A value of the wrong form is an error of that row, never a default.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use shoal_types::{
    AgentState, Bytes, ClusterId, ClusterName, ClusterPhase, CopyPeriod, Epoch, EventKind, EventLevel,
    Generation, HealAfter, HealingPolicy, HostId, HostMtu, HostName, HostState, InstallationId, LabelExpr,
    MacAddr, MilliCpu, NetworkId, NodeId, NodeName, NodeState, Power, PrivilegedNodes, RealmName, Realms,
    Revision, Role, Scheduling, SecretId, SettingsDigest, Timestamp, UserId, UserName, UserRole, Vni,
};
use sqlx::{Decode, Encode, Postgres, Sqlite, Type};

use crate::SecretKind;

/// A bound value; the option is SQL's null, typed, since PostgreSQL wants to know of what.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// BIGINT.
    Int(Option<i64>),
    /// TEXT.
    Text(Option<String>),
    /// BYTEA or BLOB.
    Blob(Option<Vec<u8>>),
}

/// What both databases can carry.
pub(crate) trait Primitive:
    Sized
    + Type<Sqlite>
    + Type<Postgres>
    + for<'r> Decode<'r, Sqlite>
    + for<'r> Decode<'r, Postgres>
    + for<'q> Encode<'q, Sqlite>
    + for<'q> Encode<'q, Postgres>
{
    /// As a value to bind; `None` binds null.
    fn bind(value: Option<Self>) -> Value;
}

impl Primitive for i64 {
    fn bind(value: Option<Self>) -> Value {
        Value::Int(value)
    }
}

impl Primitive for String {
    fn bind(value: Option<Self>) -> Value {
        Value::Text(value)
    }
}

impl Primitive for Vec<u8> {
    fn bind(value: Option<Self>) -> Value {
        Value::Blob(value)
    }
}

/// A value with a form in a column.
pub(crate) trait Column: Sized {
    /// The form.
    type Form: Primitive;

    /// The value in that form.
    fn to_form(&self) -> Self::Form;

    /// The value back, if the form is one of a value.
    fn from_form(form: Self::Form) -> Option<Self>;
}

impl Column for i64 {
    type Form = i64;

    fn to_form(&self) -> i64 {
        *self
    }

    fn from_form(form: i64) -> Option<Self> {
        Some(form)
    }
}

impl Column for Vec<u8> {
    type Form = Self;

    fn to_form(&self) -> Self {
        self.clone()
    }

    fn from_form(form: Self) -> Option<Self> {
        Some(form)
    }
}

impl Column for bool {
    type Form = i64;

    fn to_form(&self) -> i64 {
        i64::from(*self)
    }

    fn from_form(form: i64) -> Option<Self> {
        match form {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

/// Types that are written with `Display` and read with `FromStr`.
macro_rules! texts {
    ($($type:ty),* $(,)?) => {$(
        impl Column for $type {
            type Form = String;

            fn to_form(&self) -> String {
                self.to_string()
            }

            fn from_form(form: String) -> Option<Self> {
                form.parse().ok()
            }
        }
    )*};
}

texts!(
    String,
    HostId,
    ClusterId,
    NodeId,
    NetworkId,
    SecretId,
    InstallationId,
    HostName,
    RealmName,
    ClusterName,
    NodeName,
    MacAddr,
    Ipv4Addr,
    Ipv4Net,
    LabelExpr,
    Role,
    SettingsDigest,
    UserId,
    UserName,
    Realms,
);

/// Types of a fixed set of words.
macro_rules! words {
    ($($type:ty),* $(,)?) => {$(
        impl Column for $type {
            type Form = String;

            fn to_form(&self) -> String {
                self.as_str().to_owned()
            }

            fn from_form(form: String) -> Option<Self> {
                Self::ALL.into_iter().find(|word| word.as_str() == form)
            }
        }
    )*};
}

words!(
    ClusterPhase,
    HealingPolicy,
    NodeState,
    Power,
    HostState,
    AgentState,
    PrivilegedNodes,
    Scheduling,
    EventLevel,
    EventKind,
    SecretKind,
    UserRole
);

/// Numbers. What exceeds 2^63 - 1 is kept as that: a time or an amount beyond it means "for ever" or "any".
macro_rules! numbers {
    ($($type:ty, $get:expr, $make:expr;)*) => {$(
        impl Column for $type {
            type Form = i64;

            fn to_form(&self) -> i64 {
                let get: fn(&$type) -> u64 = $get;
                i64::try_from(get(self)).unwrap_or(i64::MAX)
            }

            fn from_form(form: i64) -> Option<Self> {
                let make: fn(u64) -> Option<$type> = $make;
                u64::try_from(form).ok().and_then(make)
            }
        }
    )*};
}

numbers! {
    u64, |n| *n, Some;
    u32, |n| u64::from(*n), |n| n.try_into().ok();
    u16, |n| u64::from(*n), |n| n.try_into().ok();
    Timestamp, |t| t.0, |n| Some(Timestamp(n));
    MilliCpu, |c| c.0, |n| Some(MilliCpu(n));
    Bytes, |b| b.0, |n| Some(Bytes(n));
    Generation, |g| g.0, |n| Some(Generation(n));
    Epoch, |e| e.0, |n| Some(Epoch(n));
    Revision, |r| r.0, |n| Some(Revision(n));
    CopyPeriod, |p| p.as_millis(), |n| CopyPeriod::try_from(n).ok();
    HealAfter, |a| a.as_millis(), |n| HealAfter::try_from(n).ok();
    HostMtu, |m| u64::from(m.get()), |n| HostMtu::try_from(n).ok();
    Vni, |v| u64::from(v.get()), |n| Vni::try_from(n).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_value_is_refused() {
        assert_eq!(bool::from_form(2), None);
        assert_eq!(u16::from_form(65536), None);
        assert_eq!(Timestamp::from_form(-1), None);
        assert_eq!(Vni::from_form(1 << 24), None);
        assert_eq!(HostMtu::from_form(100), None);
        assert_eq!(HealAfter::from_form(604_800_001), None);
        assert_eq!(HostId::from_form("clu_0".into()), None);
        assert_eq!(HostState::from_form("Ready".into()), None);
    }

    #[test]
    fn for_ever_stays_for_ever() {
        assert_eq!(Timestamp(u64::MAX).to_form(), i64::MAX);
    }
}
