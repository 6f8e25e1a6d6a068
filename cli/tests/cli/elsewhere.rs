//! Users elsewhere: who is let in, what each role may, and what a server does about those who ask too much.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Output,
    time::{Duration, Instant},
};

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use shoal_api::{Caller, Client};
use shoal_coordinator::{RemoteCredentials, reach_elsewhere};
use shoal_lab::Authority;

use crate::{
    serve::Server,
    shoal::{Shoal, text},
};

/// A server that listens, and the machine of its users.
struct Bed {
    home: Shoal,
    _server: Server,
    away: Shoal,
}

impl Bed {
    fn new(args: &[&str]) -> Self {
        let home = Shoal::new();
        let server = Server::start(&home, &[&["--listen", "127.0.0.1:0"], args].concat());
        Self { home, _server: server, away: Shoal::new() }
    }

    /// Makes a user and hands the context over.
    fn user(&self, name: &str, args: &[&str]) -> PathBuf {
        let out = self.away.home().join(format!("{name}.json"));
        let create = ["create", "user", name, "--out", out.to_str().unwrap()];
        let made = self.home.run(&[&create, args].concat());
        assert!(made.status.success(), "{}", text(&made.stderr));
        assert!(!text(&made.stdout).contains("PRIVATE"));
        let added = self.away.run(&["context", "add", out.to_str().unwrap()]);
        assert!(added.status.success(), "{}", text(&added.stderr));
        out
    }

    fn run(&self, user: &str, args: &[&str]) -> Output {
        self.away.command(args).env("SHOAL_CONTEXT", user).output().unwrap()
    }

    /// Exit status and standard error of a command of this user that fails.
    fn fails(&self, user: &str, args: &[&str]) -> (i32, String) {
        let output = self.run(user, args);
        (output.status.code().unwrap(), text(&output.stderr))
    }

    fn succeeds(&self, user: &str, args: &[&str]) -> String {
        let output = self.run(user, args);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }
}

/// A context file with some fields changed, added under another name.
fn altered(bed: &Bed, file: &Path, name: &str, change: impl FnOnce(&mut Value)) {
    let mut context: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    change(&mut context);
    let dir = bed.away.home().join(".config/shoal/contexts");
    fs::write(dir.join(format!("{name}.json")), context.to_string()).unwrap();
}

#[test]
fn a_context_is_private_chosen_in_order_and_shown() {
    let bed = Bed::new(&["--name", "localhost"]);
    let file = bed.user("ann", &["--role", "admin"]);
    let kept = bed.away.home().join(".config/shoal/contexts/ann.json");
    for path in [&file, &kept] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let is_there = || text(&bed.away.run(&["get", "users", "-o", "name"]).stdout) == "ann\n";
    assert!(!is_there(), "nothing is chosen");
    assert!(bed.away.run(&["context", "use", "ann"]).status.success());
    assert!(is_there());
    assert!(text(&bed.away.run(&["version"]).stdout).contains("context ann: `shoal context use`"));
    let list = text(&bed.away.run(&["context", "list"]).stdout);
    assert!(list.contains("localhost:") && !list.contains("PRIVATE"), "{list}");
    // What names this machine, or no context, comes before the current one.
    for here in [&["--state-dir", "own"][..], &["--server-context", "local"]] {
        let output = bed.away.run(&[&["get", "users", "-o", "name"][..], here].concat());
        assert_eq!(text(&output.stdout), "", "{here:?}");
    }
    let (exit, error) = bed.fails("ann", &["get", "users", "--socket", "x.sock"]);
    assert!(exit == 2 && error.contains("names a server elsewhere, and --socket"), "{error}");
    let (exit, error) = bed.fails("nobody", &["get", "users"]);
    assert!(exit == 3 && error.contains("there is no context nobody"), "{error}");
    let (exit, error) = bed.away.fails(&["context", "add", file.to_str().unwrap()]);
    assert!(exit == 2 && error.contains("there is a context ann already"), "{error}");
    assert!(bed.away.run(&["context", "remove", "ann"]).status.success());
    assert!(!kept.exists() && !is_there());
}

#[test]
fn wrong_users_are_refused_and_nothing_is_made() {
    let bed = Bed::new(&[]);
    for (args, exit, why) in [
        (&["create", "user", "bob"][..], 2, "--role"),
        (&["create", "user", "bob", "--role", "root"], 2, "`root` is no role: admin, operator or viewer"),
        (&["create", "user", "Bob", "--role", "viewer"], 2, "user name `Bob` is not usable"),
        (&["create", "user", "bob", "--role", "viewer", "--realm", "A"], 2, "realm name `A` is not usable"),
        (&["create", "user", "bob", "--role", "admin", "--realm", "a"], 2, "an admin has every realm"),
        (&["create", "user", "bob", "--role", "viewer", "--days", "0"], 2, "--days"),
        (&["create", "user", "bob", "--role", "viewer", "--server", "x"], 2, "not HOST:PORT"),
        (&["revoke", "user", "bob"], 3, "there is no user bob"),
    ] {
        let (code, error) = bed.home.fails(args);
        assert!(code == exit && error.contains(why), "{args:?}: {code} {error}");
    }
    assert_eq!(text(&bed.home.run(&["get", "users", "-o", "json"]).stdout), "[]\n");
    assert!(!bed.home.home().join("bob.context.json").exists());
    bed.user("bob", &["--role", "viewer"]);
    let (code, error) = bed.home.fails(&["create", "user", "bob", "--role", "viewer"]);
    assert!(code == 1 && error.contains("there is a user bob already"), "{error}");
    // Without a server that listens a context leads nowhere.
    let alone = Shoal::new();
    let (code, error) = alone.fails(&["create", "user", "bob", "--role", "viewer"]);
    assert!(code == 2 && error.contains("no server listens for users elsewhere"), "{error}");
}

/// Every command against a realm of one's own and another's, for each role.
#[test]
fn each_role_may_what_it_is_for_and_in_its_realms_alone() {
    let bed = Bed::new(&[]);
    bed.user("op", &["--role", "operator", "--realm", "a"]);
    bed.user("eye", &["--role", "viewer", "--realm", "a", "--realm", "c"]);
    let looks: [&[&str]; 6] = [
        &["get", "clusters"],
        &["get", "nodes"],
        &["get", "networks"],
        &["get", "events"],
        &["get", "cluster", "dev"],
        &["status", "dev"],
    ];
    let operators: [&[&str]; 11] = [
        &["create", "cluster", "dev"],
        &["create", "cluster", "dev", "--dry-run"],
        &["delete", "cluster", "dev"],
        &["set", "cluster", "dev", "--healing", "none"],
        &["repair", "dev"],
        &["resume"],
        &["exec", "dev", "--", "id"],
        &["enter", "dev"],
        &["ssh", "worker-0.dev"],
        &["cp", "worker-0.dev:/etc/hosts", "-"],
        &["proxy", "worker-0.dev"],
    ];
    let admins: [&[&str]; 12] = [
        &["register", "h", "--docker", "unix:///x.sock"],
        &["unregister", "h"],
        &["cordon", "h"],
        &["uncordon", "h"],
        &["drain", "h"],
        &["doctor"],
        &["sweep"],
        &["get", "users"],
        &["get", "registries"],
        &["create", "user", "x", "--role", "viewer"],
        &["revoke", "user", "op"],
        &["set", "installation", "--default-pools"],
    ];
    for user in ["op", "eye"] {
        for args in looks.iter().chain(&operators) {
            let (_, error) = bed.fails(user, &[&["--realm", "b"], *args].concat());
            let by_role = user == "eye" && error.contains("eye is viewer");
            assert!(by_role || error.contains(&format!("realm b is none of {user}'s")), "{args:?}: {error}");
            assert!(!error.contains("no cluster"), "{error}");
        }
        for args in &looks {
            let (exit, error) = bed.fails(user, &[&["--realm", "a"], *args].concat());
            assert!([0, 3].contains(&exit) && !error.contains("is none of"), "{args:?}: {exit} {error}");
        }
        for args in &admins {
            let (exit, error) = bed.fails(user, args);
            let of_admins = error.contains("is for administrators");
            assert!(exit != 0 && of_admins, "{user} {args:?}: {error}");
        }
        assert_eq!(bed.succeeds(user, &["get", "hosts", "-o", "json"]), "[]\n");
    }
    for args in &operators {
        let (_, error) = bed.fails("eye", &[&["--realm", "a"], *args].concat());
        assert!(error.contains("is for operators and administrators"), "{args:?}: {error}");
        let (_, error) = bed.fails("op", &[&["--realm", "a"], *args].concat());
        assert!(!error.contains("is for ") && !error.contains("is none of"), "{args:?}: {error}");
    }
    // This machine's engine becomes no host of whoever comes first.
    let (_, error) = bed.fails("op", &["--realm", "a", "create", "cluster", "dev"]);
    assert!(error.contains("no host"), "{error}");
    assert_eq!(bed.succeeds("op", &["get", "hosts", "-o", "json"]), "[]\n");
    let program = ["--realm", "a", "create", "cluster", "dev", "--scheduler", "grpc+unix:///x.sock"];
    let (_, error) = bed.fails("op", &program);
    assert!(error.contains("the server places by no program at grpc+unix:///x.sock"), "{error}");
}

#[test]
fn calls_that_change_something_are_noted_with_their_user() {
    let bed = Bed::new(&[]);
    bed.user("root", &["--role", "admin"]);
    bed.user("eye", &["--role", "viewer"]);
    bed.fails("eye", &["set", "installation", "--default-pools"]);
    bed.succeeds("root", &["set", "installation", "--default-pools"]);
    bed.fails("root", &["unregister", "ghost"]);
    bed.fails("root", &["register", "h", "--docker", "ssh://x@nowhere.invalid"]);
    let events: Vec<Value> =
        serde_json::from_str(&bed.succeeds("root", &["get", "events", "-o", "json"])).unwrap();
    let noted: Vec<_> = events
        .iter()
        .filter(|event| event["kind"] == "audit")
        .map(|event| format!("{} {}", event["user"].as_str().unwrap(), event["message"].as_str().unwrap()))
        .collect();
    for expected in [
        "eye set pools: refused",
        "root set pools: done",
        "root unregister host ghost: failed, NotFound",
        "root register host h: failed, InvalidArgument",
    ] {
        assert!(noted.iter().any(|line| line == expected), "{expected} in {noted:?}");
    }
    assert!(noted.iter().any(|line| line.ends_with(" create user eye: done")), "{noted:?}");
    let seen = bed.succeeds("eye", &["get", "events", "-o", "json"]);
    assert!(!seen.contains("audit"), "what is of no cluster is for administrators: {seen}");
}

#[test]
fn certificates_that_are_not_to_be_taken() {
    let bed = Bed::new(&[]);
    let file = bed.user("ann", &["--role", "admin"]);
    let stranger = Authority::named("shoal 000000").unwrap();
    let key = KeyPair::generate().unwrap();
    let pem = key.serialize_pem();
    let issued = |params: CertificateParams| stranger.signed(&params).unwrap();
    // Foreign: of another authority, which the server does not know.
    let (certificate, other_key) = issued(CertificateParams::default());
    altered(&bed, &file, "foreign", |context| {
        context["certificate"] = certificate.into();
        context["key"] = other_key.into();
    });
    let (exit, error) = bed.fails("foreign", &["get", "users"]);
    assert!(exit == 1 && error.contains("does not take the certificate of the context"), "{error}");
    // The server of another installation.
    altered(&bed, &file, "other", |context| context["authority"] = stranger.pem().into());
    let (exit, error) = bed.fails("other", &["get", "users"]);
    assert!(exit == 1 && error.contains("is not the one of the context"), "{error}");
    // A name that is none of the server's.
    altered(&bed, &file, "name", |context| {
        let port = context["servers"][0].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
        context["servers"][0] = format!("127.0.0.2:{port}").into();
    });
    let (exit, error) = bed.fails("name", &["get", "users"]);
    assert!([1, 5].contains(&exit) && error.contains("hint: "), "{error}");
    // Expired, as the file says, and as only the server can see.
    altered(&bed, &file, "expired", |context| context["not_after_ms"] = 5.into());
    let (exit, error) = bed.fails("expired", &["get", "users"]);
    assert!(exit == 2 && error.contains("has expired"), "{error}");
    // A key that is not the certificate's.
    altered(&bed, &file, "key", |context| context["key"] = pem.into());
    let (exit, error) = bed.fails("key", &["get", "users"]);
    assert!(exit == 2 && error.contains("the key of the context cannot be used"), "{error}");
    // Nobody there.
    altered(&bed, &file, "gone", |context| context["servers"] = serde_json::json!(["127.0.0.1:1"]));
    let (exit, error) = bed.fails("gone", &["get", "users"]);
    assert!(exit == 5 && error.contains("cannot be reached"), "{error}");
    // The next of several is taken.
    altered(&bed, &file, "two", |context| {
        let first = context["servers"][0].clone();
        context["servers"] = serde_json::json!(["127.0.0.1:1", first]);
    });
    assert_eq!(bed.succeeds("two", &["get", "users", "-o", "name"]), "ann\n");
}

#[test]
fn a_certificate_near_its_end_is_replaced_with_its_key() {
    let bed = Bed::new(&[]);
    let file = bed.user("ann", &["--role", "viewer"]);
    altered(&bed, &file, "due", |context| context["renew_after_ms"] = 5.into());
    let path = bed.away.home().join(".config/shoal/contexts/due.json");
    let read = || serde_json::from_slice::<Value>(&fs::read(&path).unwrap()).unwrap();
    let before = read();
    bed.succeeds("due", &["get", "hosts"]);
    let after = read();
    assert!(before["certificate"] != after["certificate"] && before["key"] != after["key"]);
    assert_eq!(before["authority"], after["authority"]);
    assert!(after["renew_after_ms"].as_u64().unwrap() > 5);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    bed.succeeds("due", &["get", "hosts"]);
    assert_eq!(read(), after, "and stays");
    // The one before it holds, too: another machine may have it.
    bed.succeeds("ann", &["get", "hosts"]);
}

#[test]
fn who_is_revoked_is_hung_up_on() {
    let bed = Bed::new(&[]);
    let file = bed.user("ann", &["--role", "operator"]);
    let context: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let part = |name: &str| context.pointer(&format!("/{name}")).unwrap().as_str().unwrap().to_owned();
    let server = part("servers/0");
    let credentials = RemoteCredentials {
        authority: part("authority"),
        certificate: part("certificate"),
        key: part("key").into(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(1).build().unwrap();
    let (told, open) = std::sync::mpsc::channel();
    let waits = runtime.spawn(async move {
        let channel = reach_elsewhere(&[server], &credentials).await.unwrap();
        let client = Client::new(channel, &Caller::new("ann"));
        client.server().await.unwrap();
        told.send(()).unwrap();
        // An answer that is a minute away.
        client.list_events(&"default".parse().unwrap(), None, u64::MAX, 60_000).await.unwrap_err()
    });
    open.recv_timeout(Duration::from_secs(30)).unwrap();
    let revoked = Instant::now();
    assert!(bed.home.run(&["revoke", "user", "ann"]).status.success());
    let error = runtime.block_on(waits).unwrap();
    assert!(revoked.elapsed() < Duration::from_secs(20), "{error}: {:?}", revoked.elapsed());
    let (exit, error) = bed.fails("ann", &["get", "clusters"]);
    assert!(exit == 1 && error.contains("user ann was revoked"), "{error}");
    // Another of the same name is another.
    bed.home.run(&["create", "user", "ann", "--role", "operator", "--out", "second.json"]);
    let (exit, error) = bed.fails("ann", &["get", "clusters"]);
    assert!(exit == 1 && error.contains("user ann was revoked"), "{error}");
    let users = text(&bed.home.run(&["get", "users"]).stdout);
    assert_eq!(users.matches("ann").count(), 2, "{users}");
}

#[test]
fn who_calls_too_often_is_told_when_to_come_again() {
    let bed = Bed::new(&["--max-calls", "1"]);
    bed.user("ann", &["--role", "viewer"]);
    let refused = (0..20).map(|_| bed.fails("ann", &["get", "hosts"])).find(|(exit, _)| *exit != 0);
    let (exit, error) = refused.expect("forty calls in a moment are too many");
    assert!(exit == 1 && error.contains("ann calls too often; the next one may come in"), "{error}");
}

#[test]
fn connections_have_a_limit_and_strangers_take_none_for_long() {
    let bed = Bed::new(&["--max-connections", "1"]);
    let file = bed.user("ann", &["--role", "viewer"]);
    let context: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let address = context["servers"][0].as_str().unwrap().to_owned();
    bed.succeeds("ann", &["get", "hosts"]);
    // Two who say nothing: one more than there may be.
    let silent: Vec<_> = (0..2).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let (exit, error) = bed.fails("ann", &["get", "hosts"]);
    assert!(exit == 1 && error.contains("as many connections as it takes"), "{exit} {error}");
    drop(silent);
    let deadline = Instant::now() + Duration::from_secs(30);
    while bed.run("ann", &["get", "hosts"]).status.code() != Some(0) {
        assert!(Instant::now() < deadline, "the place is free again");
    }
}
