//! The end of a node's systemd: `reboot` starts it again in the same container, `poweroff` and `halt` end the container.
//!
//! systemd executes the program of this name as PID 1 when all units have stopped (systemd-shutdown(8)). The original asks the kernel
//! for a reboot, which no container may, and exits whatever was asked for; then the engine would have to know which exits mean "again",
//! and would start nodes by itself after a power cut, too.

/// Where systemd finds it.
pub(crate) const PATH: &str = "usr/lib/systemd/systemd-shutdown";

/// `$1` is what was asked for. All that lives is what no unit had, such as commands of `shoal exec`. What a machine loses at a
/// reboot goes: all below the mounts in memory, without the mounts.
pub(crate) const PROGRAM: &str = r#"#!/bin/sh
cd /
kill -TERM -1 2>/dev/null
for turn in 1 2 3 4 5 6 7 8 9 10; do
    kill -0 -1 2>/dev/null || break
    sleep 0.1
done
kill -KILL -1 2>/dev/null
[ "$1" = reboot ] || exit 0
find /run /tmp /dev/shm -xdev -mindepth 1 -delete 2>/dev/null
exec /sbin/init
"#;
