//! Who holds a lease: a process, told apart from any other that ever lived on its machine.
//!
//! A pid alone is reused; with its start time (`/proc/PID/stat` field 22, clock ticks since boot) and the boot it is not.
//! So a process can tell that a lease's holder on the same kernel is gone and take over at once instead of waiting for the
//! lease to run out. A pid means something only within its pid namespace, so that is part of the boot's name.

use std::{fs, io, path::PathBuf};

/// Why this process cannot say who it is.
#[derive(Debug, thiserror::Error)]
pub enum HolderError {
    /// A file in /proc is absent or unreadable.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file in /proc is not of the form proc(5) gives.
    #[error("{} is not of the expected form", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// A holder of leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Who must be kept apart: of two grants to the same id the later fences off the earlier, of two ids the first holds.
    pub id: String,
    /// The boot and the pid namespace the pid belongs to.
    pub boot_id: String,
    /// Process id in that namespace.
    pub pid: u32,
    /// When the process started, in clock ticks since that boot.
    pub pid_start: u64,
}

impl Holder {
    /// This process, as the holder `id`.
    ///
    /// # Errors
    /// [`HolderError`]: /proc cannot be read, or has another form.
    pub fn this_process(id: impl Into<String>) -> Result<Self, HolderError> {
        let pid = std::process::id();
        let path = PathBuf::from("/proc/self/stat");
        let stat = read(&path)?;
        let start = Stat::parse(&stat).ok_or(HolderError::Malformed { path })?;
        Ok(Self { id: id.into(), boot_id: this_boot()?, pid, pid_start: start.start })
    }

    /// This process, as a holder whose id tells people its machine: `NAME/RANDOM`.
    ///
    /// # Errors
    /// As [`Holder::this_process`].
    pub fn of_this_machine(random: &str) -> Result<Self, HolderError> {
        let machine = read(&PathBuf::from("/proc/sys/kernel/hostname"))?;
        Self::this_process(format!("{}/{random}", machine.trim()))
    }

    /// Whether a holder of this boot and pid namespace still lives: its pid is there, was started then, and is no zombie.
    #[must_use]
    pub fn lives(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid));
        // What cannot be read for another reason than absence counts as alive: the lease then runs out by itself.
        match stat {
            Ok(stat) => Stat::parse(&stat).is_none_or(|s| s.start == self.pid_start && !s.dead),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }
}

fn read(path: &PathBuf) -> Result<String, HolderError> {
    fs::read_to_string(path).map_err(|source| HolderError::Read { path: path.clone(), source })
}

/// The boot and the pid namespace of this process.
pub(crate) fn this_boot() -> Result<String, HolderError> {
    let boot = read(&PathBuf::from("/proc/sys/kernel/random/boot_id"))?;
    let path = PathBuf::from("/proc/self/ns/pid");
    let namespace =
        fs::read_link(&path).map_err(|source| HolderError::Read { path: path.clone(), source })?;
    let namespace = namespace.to_str().ok_or(HolderError::Malformed { path })?;
    Ok(format!("{} {namespace}", boot.trim()))
}

/// What `/proc/PID/stat` says that matters here.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    dead: bool,
    start: u64,
}

impl Stat {
    /// Fields 3 (state) and 22 (starttime) of proc(5). The second field is the command in parentheses and may itself
    /// hold spaces and parentheses, so counting begins after the last one.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
        let dead = matches!(fields.next()?, "Z" | "X" | "x");
        let start = fields.nth(18)?.parse().ok()?;
        Some(Self { dead, start })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(command: &str, state: &str, start: &str) -> String {
        format!(
            "77 ({command}) {state} 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 {start} 1000 200 18446744073709551615"
        )
    }

    #[test]
    fn stat_is_read_whatever_the_command_is_called() {
        for command in ["shoal", "a b", ") R 1 (", ")))"] {
            let parsed = Stat::parse(&stat(command, "S", "4242"));
            assert_eq!(parsed, Some(Stat { dead: false, start: 4242 }), "{command}");
        }
        assert_eq!(Stat::parse(&stat("x", "Z", "1")), Some(Stat { dead: true, start: 1 }));
        for bad in ["", "1 (x)", "1 (x) S 1 2", &stat("x", "S", "soon")] {
            assert_eq!(Stat::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn this_process_lives_and_an_ended_one_does_not() {
        let me = Holder::this_process("me").unwrap();
        assert!(me.lives());
        assert!(
            !Holder { pid_start: me.pid_start + 1, ..me.clone() }.lives(),
            "another process with our pid"
        );

        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let text = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let other = Holder { pid: child.id(), pid_start: Stat::parse(&text).unwrap().start, ..me };
        assert!(other.lives());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!other.lives());
    }
}
