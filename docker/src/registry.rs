//! What a user says to a registry.

use std::fmt;

use zeroize::Zeroizing;

/// Who asks a registry for an image. Goes to engines in the `X-Registry-Auth` header, and is shown nowhere.
#[derive(Clone)]
pub struct RegistryAuth {
    /// The registry's address, as references name it.
    pub registry: String,
    /// The user's name there.
    pub username: String,
    /// The password or token.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { registry, username, password: _ } = self;
        f.debug_struct("RegistryAuth")
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
        let auth = RegistryAuth {
            registry: "r.example".into(),
            username: "ann".into(),
            password: Zeroizing::new("hunter2".into()),
        };
        let shown = format!("{auth:?}");
        assert!(shown.contains("ann") && !shown.contains("hunter2"), "{shown}");
    }
}
