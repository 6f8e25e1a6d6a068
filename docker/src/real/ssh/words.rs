//! What ssh's words mean: each kind of failure with what makes it right.

use std::{
    process::ExitStatus,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{SshDestination, SshProblem, real::fault::shorten};

/// Most that is kept of what ssh says.
const KEPT: usize = 4096;

/// The last that ssh said; clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Said(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    kept: Vec<u8>,
    /// Bytes that were ever said, also those that are not kept.
    total: u64,
}

impl Said {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, bytes: &[u8]) {
        let mut heard = self.heard();
        heard.kept.extend_from_slice(bytes);
        heard.total += bytes.len() as u64;
        let over = heard.kept.len().saturating_sub(KEPT);
        heard.kept.drain(..over);
    }

    pub(super) fn clear(&self) {
        self.heard().kept.clear();
    }

    /// How much was said by now, for [`refusal`].
    pub(super) fn mark(&self) -> u64 {
        self.heard().total
    }

    fn lines(&self) -> Vec<String> {
        self.lines_after(0)
    }

    fn lines_after(&self, mark: u64) -> Vec<String> {
        let heard = self.heard();
        let new = usize::try_from(heard.total.saturating_sub(mark)).unwrap_or(usize::MAX);
        let kept = heard.kept.get(heard.kept.len().saturating_sub(new)..).unwrap_or_default();
        let text = String::from_utf8_lossy(kept).into_owned();
        drop(heard);
        // What to do follows behind a colon.
        let lines = text.lines().map(|line| line.trim().trim_end_matches('.'));
        lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

/// Exit status of a shell that does not find a program.
const NOT_FOUND: i32 = 127;

/// How a run of ssh was over.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// It did not log in in time.
    GivenUp,
    /// It ended.
    Itself {
        /// The guard's, which is ssh's.
        status: ExitStatus,
        /// Whether it had logged in.
        was_up: bool,
    },
}

/// Why ssh ended, or did not log in; `stored`: with keys from the store instead of the user's.
pub(super) fn problem(said: &Said, end: End, to: &SshDestination, stored: bool) -> SshProblem {
    let lines = said.lines();
    let with =
        |parts: &[&str]| lines.iter().find(|line| parts.iter().any(|part| line.contains(part))).cloned();
    let typed = to.typed();
    if matches!(end, End::Itself { status, .. } if status.code() == Some(NOT_FOUND)) {
        return SshProblem::Client("there is no `ssh` in PATH".into());
    }
    if with(&["REMOTE HOST IDENTIFICATION HAS CHANGED", "Host key for"]).is_some() {
        let line = with(&["Host key for"]).unwrap_or_else(|| "Host key verification failed.".into());
        return SshProblem::HostKeyChanged { said: shorten(&line), typed, stored };
    }
    if with(&["Host key verification failed"]).is_some() {
        let line = with(&["host key is known for"]).unwrap_or_else(|| "Host key verification failed.".into());
        return SshProblem::HostKeyUnknown { said: shorten(&line), typed, stored };
    }
    if let Some(line) =
        with(&["Permission denied (", "Too many authentication failures", "No more authentication methods"])
    {
        return SshProblem::Denied { said: shorten(&line), typed, stored };
    }
    if let Some(line) = with(&[
        "Bad configuration option",
        "Bad owner or permissions",
        "unsupported option",
        "no argument after",
    ]) {
        return SshProblem::Client(shorten(&line));
    }
    // Jump hosts complain before ssh does.
    let last: Vec<String> = lines.iter().rev().take(2).rev().cloned().collect();
    let last = shorten(&last.join("; "));
    SshProblem::Ended(match (end, last.is_empty()) {
        (End::GivenUp, silent) => {
            let said = if silent { String::new() } else { format!("; it said: {last}") };
            format!("ssh did not log in within {} s{said}", super::LOGIN.as_secs())
        }
        (End::Itself { .. }, false) => last,
        (End::Itself { status, was_up: true }, true) => {
            format!("ssh was logged in and ended without a word ({status})")
        }
        (End::Itself { status, was_up: false }, true) => {
            format!("ssh ended without a word before it was logged in ({status})")
        }
    })
}

/// Why sshd does not lead to the engine's socket, if it has said so after `mark`.
pub(super) fn refusal(said: &Said, mark: u64, to: &SshDestination) -> Option<SshProblem> {
    let lines = said.lines_after(mark);
    let line = lines.iter().rev().find(|line| line.contains("open failed"))?;
    let (said, socket) = (shorten(line), to.socket.clone());
    Some(match line.contains("prohibited") {
        true => SshProblem::Forbidden { said },
        false => SshProblem::NoSocket { said, socket, typed: to.typed() },
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn ended(was_up: bool) -> End {
        End::Itself { status: ExitStatus::from_raw(255 << 8), was_up }
    }

    fn after(text: &str, end: End, stored: bool) -> SshProblem {
        let said = Said::default();
        said.note(text.as_bytes());
        problem(&said, end, &to(), stored)
    }

    fn told(text: &str) -> SshProblem {
        after(text, ended(false), false)
    }

    fn to() -> SshDestination {
        SshDestination {
            user: Some("ann".into()),
            host: "gpu1".into(),
            port: None,
            socket: "/var/run/docker.sock".into(),
        }
    }

    #[test]
    fn its_words_are_told_once_with_what_to_do() {
        let banner = "*** Authorized use only ***\r\n";
        for (text, said, todo) in [
            (
                "No ED25519 host key is known for gpu1 and you have requested strict checking.\r\nHost key verification failed.\r\n",
                "No ED25519 host key is known for gpu1",
                "`ssh ann@gpu1`",
            ),
            (
                "@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n@@@@\nOffending key in /k:1\nHost key for gpu1 has changed \
                 and you have requested strict checking.\nHost key verification failed.\n",
                "Host key for gpu1 has changed",
                "ssh-keygen -R",
            ),
            (
                "ann@gpu1: Permission denied (publickey).\r\n",
                "ann@gpu1: Permission denied (publickey): `ssh",
                "ssh -o BatchMode=yes",
            ),
            (
                "/h/.ssh/config: line 3: Bad configuration option: foo\n",
                "line 3: Bad configuration option",
                "~/.ssh",
            ),
        ] {
            let problem = told(&format!("{banner}{text}"));
            let shown = problem.to_string();
            assert!(shown.contains(said) && shown.contains(todo) && !shown.contains("Authorized"), "{shown}");
            assert!(!matches!(problem, SshProblem::Ended(_)), "{shown}");
        }
        for text in [
            "ssh: connect to host gpu1 port 22: Connection refused\n",
            "ssh: Could not resolve hostname gpu1: Name or service not known\n",
            "Timeout, server gpu1 not responding.\n",
        ] {
            assert_eq!(told(text), SshProblem::Ended(text.trim().trim_end_matches('.').into()));
        }
        let jump = told(
            "ssh: connect to host bastion port 22: No route to host\nConnection closed by UNKNOWN port 65535\n",
        );
        assert!(jump.to_string().contains("bastion port 22: No route to host; Connection closed"), "{jump}");
    }

    #[test]
    fn how_it_was_over_comes_before_what_it_said() {
        let banner = "*** Authorized use only ***\r\n";
        for (text, end, shown) in [
            ("", End::GivenUp, "ssh did not log in within 7 s"),
            (banner, End::GivenUp, "ssh did not log in within 7 s; it said: *** Authorized use only ***"),
            ("", ended(true), "ssh was logged in and ended without a word (exit status: 255)"),
            ("", ended(false), "ssh ended without a word before it was logged in (exit status: 255)"),
        ] {
            assert_eq!(after(text, end, false), SshProblem::Ended(shown.into()));
        }
    }

    #[test]
    fn a_host_with_keys_of_its_own_is_told_of_these() {
        for text in [
            "No ED25519 host key is known for gpu1 and you have requested strict checking.\nHost key verification failed.\n",
            "Host key for gpu1 has changed and you have requested strict checking.\nHost key verification failed.\n",
            "ann@gpu1: Permission denied (publickey).\n",
        ] {
            let shown = after(text, ended(false), true).to_string();
            assert!(shown.contains("`shoal set host NAME --docker ENDPOINT --ssh-key FILE`"), "{shown}");
            for users in ["`ssh ann@gpu1`", "ssh-add", "~/.ssh/config"] {
                assert!(!shown.contains(users), "{users} in {shown}");
            }
        }
    }

    #[test]
    fn a_socket_that_sshd_does_not_lead_to() {
        let of = |line: &str| {
            let said = Said::default();
            said.note(line.as_bytes());
            let told = refusal(&said, 0, &to());
            assert_eq!(refusal(&said, said.mark(), &to()), None, "a later failure is another");
            told
        };
        assert_eq!(of("Warning: Permanently added\n"), None);
        let absent = of("channel 1: open failed: connect failed: open failed\n").unwrap().to_string();
        assert!(absent.contains("/var/run/docker.sock") && absent.contains("group docker"), "{absent}");
        let barred =
            of("channel 1: open failed: administratively prohibited: open failed\n").unwrap().to_string();
        assert!(barred.contains("AllowStreamLocalForwarding"), "{barred}");
    }

    #[test]
    fn little_is_kept() {
        let said = Said::default();
        for _ in 0..1000 {
            said.note(b"0123456789\n");
        }
        assert!(said.lines().join("\n").len() <= KEPT);
    }
}
