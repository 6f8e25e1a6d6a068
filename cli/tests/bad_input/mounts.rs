//! State directories on a disk that is full or read-only: a small file system in a mount namespace of the test's own, which
//! is gone with its last process. As root, or in a user namespace.

use std::process::Command;

/// Runs a script as root of a mount namespace with `$SHOAL`, and an empty directory as `$DIR`.
fn alone(script: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation=private"]);
    if !nix::unistd::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    unshare.args(["sh", "-eu", "-c", script]).env_clear();
    unshare.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", dir.path()).env("DIR", dir.path());
    unshare.env("SHOAL", env!("CARGO_BIN_EXE_shoal"));
    let output = unshare.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(!stdout.contains("panicked"), "{stdout}");
    stdout.replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn read_only() {
    insta::assert_snapshot!(alone(
        r##"
        mount -t tmpfs -o size=8m none "$DIR"
        "$SHOAL" get hosts --state-dir "$DIR/made" >/dev/null 2>&1
        mount -o remount,ro "$DIR"
        for state in made new; do
            echo "# read-only: $state"
            "$SHOAL" get hosts --state-dir "$DIR/$state" 2>&1 && echo exit 0 || echo "exit $?"
        done
        ls "$DIR"
        "##
    ));
}

#[test]
fn full() {
    insta::assert_snapshot!(alone(
        r##"
        mount -t tmpfs -o size=1m none "$DIR"
        "$SHOAL" get hosts --state-dir "$DIR/made" >/dev/null 2>&1
        cat /dev/zero >"$DIR/fill" 2>/dev/null || true
        for state in made new; do
            echo "# full: $state"
            "$SHOAL" unregister nope --state-dir "$DIR/$state" 2>&1 && echo exit 0 || echo "exit $?"
        done
        rm "$DIR/fill"
        for state in made new; do
            echo "# space again: $state"
            "$SHOAL" get hosts --state-dir "$DIR/$state" 2>&1 && echo exit 0 || echo "exit $?"
        done
        "##
    ));
}
