//! The guard without an sshd: the end-to-end tests have one on each host of the lab.

use std::{fs, process::Command, time::Duration};

use super::{command::GUARD, *};

fn guard(dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", GUARD, "sh"]).arg(dir).args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

#[test]
fn what_is_guarded_ends_with_the_pipe_of_its_owner() {
    let dir = private_dir().unwrap();
    assert_eq!(dir.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    fs::write(dir.path().join("s"), "").unwrap();
    let mut child = guard(dir.path(), &["sh", "-c", "echo $$; exec sleep 1000"]).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line)
        .unwrap();
    let process = PathBuf::from(format!("/proc/{}/stat", line.trim()));
    assert!(process.exists());
    // As the kernel does when the owner is killed.
    drop(child.stdin.take());
    assert!(!child.wait().unwrap().success());
    // Reaped by whoever inherited it, or about to be.
    let ended =
        || fs::read_to_string(&process).map_or(true, |stat| stat.contains(") Z ") || stat.contains(") X "));
    let began = std::time::Instant::now();
    while !ended() {
        assert!(began.elapsed() < Duration::from_secs(10), "it lives");
        std::thread::yield_now();
    }
    assert!(!dir.path().exists());
}

#[test]
fn what_is_guarded_may_end_first_with_its_own_status() {
    let dir = private_dir().unwrap();
    let mut child = guard(dir.path(), &["sh", "-c", "exit 7"]).spawn().unwrap();
    // `wait` would close it first.
    let _tie = child.stdin.take();
    assert_eq!(child.wait().unwrap().code(), Some(7));
    assert!(dir.path().exists());
}

#[test]
fn logins_that_fail_come_ever_more_seldom() {
    let waits: Vec<u64> =
        [1, 2, 3, 7, 100].map(|failures| u64::try_from(back_off(failures).as_millis()).unwrap()).to_vec();
    assert_eq!(waits, [250, 500, 1000, 15_000, 15_000]);
}

#[tokio::test]
async fn without_an_answer_ssh_is_quoted() {
    let to = |host: &str| SshDestination {
        user: None,
        host: host.into(),
        port: Some(1),
        socket: "/run/docker.sock".into(),
    };
    // Nobody listens on port 1.
    let problem = Way::open(to("127.0.0.1"), None).unwrap().ready().await.unwrap_err();
    let SshProblem::Ended(said) = &problem else { panic!("{problem:?}") };
    assert!(said.contains("127.0.0.1 port 1: Connection refused"), "{said}");
    let error = Way::open(to("nobody.invalid"), None).unwrap().dial().await.unwrap_err();
    assert!(error.to_string().contains("nobody.invalid"), "{error}");
}
