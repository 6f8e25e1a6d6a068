//! Messages that hold a secret, shown without it.

use std::fmt;

use crate::v1;

impl fmt::Debug for v1::SetRegistryRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { registry, username, password: _ } = self;
        f.debug_struct("SetRegistryRequest")
            .field("registry", registry)
            .field("username", username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let request = v1::SetRegistryRequest {
            registry: "r.example".into(),
            username: "ann".into(),
            password: "hunter2".into(),
        };
        let shown = format!("{request:?}");
        assert!(shown.contains("ann") && !shown.contains("hunter2"), "{shown}");
    }
}
