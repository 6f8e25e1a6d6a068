//! Words made safe for the two languages an SSH client's options pass through: the user's shell and ssh_config(5).

use std::{borrow::Cow, path::Path};

/// What cannot be written there in any way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QuoteError {
    /// ssh_config(5) has one line per option and no way to write a line end or another control character.
    #[error("`{word}` has a control character, which ssh_config(5) cannot hold")]
    Control {
        /// The word, escaped.
        word: String,
    },
    /// ssh puts a variable's value in its place, and nothing keeps it from that.
    #[error("`{word}` has `${{`, which ssh_config(5) takes for a variable")]
    Variable {
        /// The word.
        word: String,
    },
    /// OpenSSH's options are text.
    #[error("`{word}` is not UTF-8")]
    NotText {
        /// The word, with what is no text replaced.
        word: String,
    },
}

fn line(word: &str) -> Result<&str, QuoteError> {
    match word.chars().any(char::is_control) {
        true => Err(QuoteError::Control { word: crate::escape::line(word) }),
        false => Ok(word),
    }
}

/// One word for a POSIX shell: as it is if plain, else in quotes. No word of a command line has a NUL.
pub(crate) fn shell(word: &str) -> Cow<'_, str> {
    shlex::try_quote(word).unwrap_or(Cow::Borrowed(word))
}

/// A command line of these words for `ProxyCommand`: quoted for the shell, `%` doubled because ssh expands it first.
///
/// # Errors
/// [`QuoteError::Control`].
pub(crate) fn proxy_command(words: &[String]) -> Result<String, QuoteError> {
    let words: Result<Vec<_>, QuoteError> = words.iter().map(|word| line(word).map(shell)).collect();
    Ok(words?.join(" ").replace('%', "%%"))
}

/// A file name as the value of an option of ssh_config(5): in double quotes, `%` doubled.
///
/// # Errors
/// [`QuoteError`].
pub(crate) fn config_path(path: &Path) -> Result<String, QuoteError> {
    let not_text = || QuoteError::NotText { word: crate::escape::line(&path.display().to_string()) };
    let path = line(path.to_str().ok_or_else(not_text)?)?;
    if path.contains("${") {
        return Err(QuoteError::Variable { word: path.to_owned() });
    }
    let path = path.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%");
    Ok(format!("\"{path}\""))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_words_stay() {
        assert_eq!(shell("/usr/bin/shoal"), "/usr/bin/shoal");
        assert_eq!(shell(""), "''");
        assert_eq!(shell("it's; rm -rf $HOME"), "\"it's; rm -rf \"'$HOME'");
    }

    #[test]
    fn percent_is_literal_for_ssh() {
        let words = ["shoal", "--state-dir", "/tmp/100% mine", "proxy"].map(String::from);
        assert_eq!(proxy_command(&words).unwrap(), "shoal --state-dir '/tmp/100%% mine' proxy");
        assert_eq!(config_path(Path::new("/a b/%h\"c")).unwrap(), "\"/a b/%%h\\\"c\"");
    }

    #[test]
    fn what_has_no_spelling_is_refused() {
        assert!(matches!(proxy_command(&["a\nb".into()]), Err(QuoteError::Control { .. })));
        assert!(matches!(config_path(Path::new("/a\nHost *")), Err(QuoteError::Control { .. })));
        assert!(matches!(config_path(Path::new("/${HOME}")), Err(QuoteError::Variable { .. })));
        assert!(config_path(Path::new("/$(id)/$HOME")).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_shell_reads_back_the_same_word(word in "[^\0]{0,20}") {
            let output = Command::new("sh").arg("-c").arg(format!("printf %s {}", shell(&word))).output().unwrap();
            prop_assert_eq!(output.stdout, word.as_bytes());
        }
    }
}
