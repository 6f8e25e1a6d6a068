//! Words made safe for the two languages an SSH client's options pass through: the user's shell and ssh_config(5).

/// One word for a POSIX shell: as it is if plain, else in single quotes.
pub(crate) fn shell(word: &str) -> String {
    let plain = |b: u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/' | b':' | b'=' | b',' | b'@')
    };
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A command line of these words for `ProxyCommand`: quoted for the shell, `%` doubled because ssh expands it first.
pub(crate) fn proxy_command(words: &[String]) -> String {
    words.iter().map(|w| shell(w)).collect::<Vec<_>>().join(" ").replace('%', "%%")
}

/// A file name as the value of an option of ssh_config(5): in double quotes, `%` doubled.
pub(crate) fn config_path(path: &str) -> String {
    let path = path.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%");
    format!("\"{path}\"")
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
        assert_eq!(shell("it's; rm -rf $HOME"), r"'it'\''s; rm -rf $HOME'");
    }

    #[test]
    fn percent_is_literal_for_ssh() {
        let words = ["shoal", "--state-dir", "/tmp/100% mine", "proxy"].map(String::from);
        assert_eq!(proxy_command(&words), "shoal --state-dir '/tmp/100%% mine' proxy");
        assert_eq!(config_path("/a b/%h\"c"), "\"/a b/%%h\\\"c\"");
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
