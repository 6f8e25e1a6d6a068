//! Who owns what in a node: user ids as the image's own /etc/passwd has them, since an archive carries numbers, not names.

/// Longest /etc/passwd read, in bytes; one from an image of a stranger may be anything.
const MAX_PASSWD: usize = 1 << 20;

/// Numeric owner of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Id of the user's primary group.
    pub gid: u32,
}

impl Owner {
    /// uid 0, gid 0.
    pub const ROOT: Self = Self { uid: 0, gid: 0 };
}

/// The accounts of an image that a node needs besides root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accounts {
    /// Runs munged and owns its key.
    pub munge: Owner,
    /// Runs slurmctld (`SlurmUser`).
    pub slurm: Owner,
}

/// An image that cannot be a node's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// An account is missing: the package that creates it is not installed.
    #[error("the image has no account `{account}`: install the package `{package}` in it")]
    Missing {
        /// The account.
        account: &'static str,
        /// The Debian package that makes it.
        package: &'static str,
    },
    /// The line of an account has no numeric ids.
    #[error("the image's /etc/passwd has no usable ids for `{account}`: `{line}`")]
    Malformed {
        /// The account.
        account: &'static str,
        /// The line, shortened and escaped.
        line: String,
    },
    /// Larger than any real one.
    #[error("the image's /etc/passwd has {len} bytes, more than {MAX_PASSWD}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
}

impl Accounts {
    /// Reads the text of an image's /etc/passwd (passwd(5)); other accounts do not matter.
    ///
    /// # Errors
    /// [`AccountsError`]: an account is missing or unusable, or the text is no passwd file.
    pub fn parse(passwd: &str) -> Result<Self, AccountsError> {
        if passwd.len() > MAX_PASSWD {
            return Err(AccountsError::TooLong { len: passwd.len() });
        }
        Ok(Self { munge: owner(passwd, "munge", "munge")?, slurm: owner(passwd, "slurm", "slurm-client")? })
    }
}

fn owner(passwd: &str, account: &'static str, package: &'static str) -> Result<Owner, AccountsError> {
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(account))
        .ok_or(AccountsError::Missing { account, package })?;
    let mut ids = line.split(':').skip(2).map(str::parse);
    match (ids.next(), ids.next()) {
        (Some(Ok(uid)), Some(Ok(gid))) => Ok(Owner { uid, gid }),
        _ => {
            let line = line.chars().take(80).flat_map(char::escape_default).collect();
            Err(AccountsError::Malformed { account, line })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nmunge:x:102:104::/nonexistent:/usr/sbin/nologin\n\
                          slurm:x:64030:64030:,,,:/nonexistent:/usr/sbin/nologin\n";

    #[test]
    fn reads_ids() {
        let accounts = Accounts::parse(PASSWD).unwrap();
        assert_eq!(accounts.munge, Owner { uid: 102, gid: 104 });
        assert_eq!(accounts.slurm, Owner { uid: 64030, gid: 64030 });
    }

    #[test]
    fn says_what_is_missing() {
        let no_slurm = PASSWD.replace("slurm:", "slurmx:");
        let error = Accounts::parse(&no_slurm).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the image has no account `slurm`: install the package `slurm-client` in it"
        );
        let bad = PASSWD.replace("102", "-2");
        assert!(matches!(Accounts::parse(&bad), Err(AccountsError::Malformed { account: "munge", .. })));
        assert!(matches!(Accounts::parse(&"x".repeat(MAX_PASSWD + 1)), Err(AccountsError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn never_panics(text in "(munge|slurm|:|[0-9]|\n|.){0,60}") {
            let _ = Accounts::parse(&text);
        }
    }
}
