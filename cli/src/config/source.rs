//! Where a configuration comes from: a file, or standard input as `-`.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    str::FromStr,
};

use super::ConfigError;
use crate::escape;

/// Largest configuration taken: a thousand nodes listed one by one fit in a tenth of it.
const MAX_BYTES: u64 = 1 << 20;

/// A file or standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl FromStr for Source {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "-" { Self::Stdin } else { Self::File(text.into()) })
    }
}

impl Source {
    /// What messages call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdin => "<stdin>".into(),
            Self::File(path) if path.as_os_str().is_empty() => "'' (a file without a name)".into(),
            Self::File(path) => escape::line(&path.display().to_string()),
        }
    }

    /// Its text.
    ///
    /// # Errors
    /// [`ConfigError::Read`]: it cannot be opened or read, or is no UTF-8. [`ConfigError::TooLarge`]: more than 1 MiB.
    pub(crate) fn read(&self) -> Result<String, ConfigError> {
        match self {
            Self::Stdin => self.read_from(io::stdin().lock()),
            Self::File(path) => {
                let file =
                    File::open(path).map_err(|source| ConfigError::Read { name: self.name(), source })?;
                self.read_from(file)
            }
        }
    }

    fn read_from(&self, reader: impl Read) -> Result<String, ConfigError> {
        let failed = |source| ConfigError::Read { name: self.name(), source };
        let mut bytes = Vec::new();
        reader.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(ConfigError::TooLarge { name: self.name() });
        }
        String::from_utf8(bytes)
            .map_err(|e| failed(io::Error::new(io::ErrorKind::InvalidData, e.utf8_error())))
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::chain;

    use super::*;

    #[test]
    fn what_cannot_be_read() {
        let source = Source::Stdin;
        assert_eq!(source.read_from(&b"kind: Cluster"[..]).unwrap(), "kind: Cluster");
        let error = source.read_from(io::repeat(b'a')).unwrap_err();
        assert_eq!(chain(&error), "<stdin> is too large for a configuration: more than 1 MiB");
        let error = source.read_from(&b"a\xff"[..]).unwrap_err();
        assert_eq!(chain(&error), "cannot read <stdin>: invalid utf-8 sequence of 1 bytes from index 1");
        let error = Source::File("/nonexistent/dev\u{1b}.yaml".into()).read().unwrap_err();
        assert_eq!(
            chain(&error),
            "cannot read /nonexistent/dev\\u{1b}.yaml: No such file or directory (os error 2)"
        );
    }
}
