//! What an error of the store means, and what a person can do about it.

use shoal_storage::{Conflict, StoreError};

use super::{Class, Hint, Retry, SAID};

/// Whether the store is away, or busy with others: it may be back a little later.
pub(crate) fn is_away(error: &StoreError) -> bool {
    matches!(error, StoreError::Locked { .. } | StoreError::Unreachable { .. })
}

pub(super) fn class(error: &StoreError) -> Class {
    let passes = is_away(error) || matches!(error, StoreError::Stale { .. });
    Class::of(if passes { Retry::Later } else { Retry::Never })
}

pub(super) fn hint(error: &StoreError) -> Hint {
    match error {
        StoreError::Conflict(Conflict::ClusterName { name, .. }) => {
            Ok(format!("choose another name, or remove that one: `shoal delete cluster {name}`"))
        }
        StoreError::Conflict(_) => {
            Ok("`shoal get hosts -o wide` lists what is registered; `shoal unregister HOST` forgets one"
                .into())
        }
        StoreError::Directory { .. } => Ok("name another with --state-dir or --store".into()),
        StoreError::Unreachable { .. } => Ok("see that the database runs and listens there".into()),
        StoreError::Altered { .. } => Ok("name another with --state-dir or --store".into()),
        StoreError::Referenced { .. }
        | StoreError::Missing { .. }
        | StoreError::Stale { .. }
        | StoreError::LeaseLost { .. }
        | StoreError::Aborted { .. } => {
            Ok("another process changed it at the same time: run the command once more".into())
        }
        StoreError::Corrupt { .. } => Ok("restore a copy of the store".into()),
        StoreError::Encode { .. } | StoreError::Query { .. } => {
            Ok("run it once more; -vv shows what was asked of the store".into())
        }
        StoreError::Locked { .. }
        | StoreError::ReadOnly { .. }
        | StoreError::Full { .. }
        | StoreError::Damaged { .. }
        | StoreError::Newer { .. }
        | StoreError::Older { .. }
        | StoreError::WrongKey { .. }
        | StoreError::Denied { .. }
        | StoreError::Refused { .. }
        | StoreError::Unproven { .. } => Err(SAID),
    }
}
