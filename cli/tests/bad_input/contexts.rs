//! Contexts of Docker's client that cannot be used, and those that lead to an engine that cannot.

use std::fs;

use crate::{
    authority::{Authority, When},
    bed::{Bed, row},
    stub::{self, Manner},
};

/// A context as `docker context create` writes it.
fn context(bed: &Bed, id: &str, name: &str, endpoint: &str) {
    let meta = format!(
        r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{endpoint}","SkipTLSVerify":false}}}}}}"#
    );
    bed.file(&format!(".docker/contexts/meta/{id}/meta.json"), meta);
}

#[test]
fn contexts() {
    let mut bed = Bed::new();
    bed.run(row("no contexts at all", 2, ["register", "new", "--context", "far"]));
    let ours = Authority::new("ours", When::Now);
    let port = stub::tcp(Manner::Engine("1.41", "{}".into()), Some(ours.server("localhost", When::Now)));
    bed.redact(format!(":{port}"), ":PORT");
    context(&bed, "aa", "far", &format!("tcp://localhost:{port}"));
    context(&bed, "bb", "Old One", "unix:///nowhere.sock");
    context(&bed, "cc", "near", "unix:///nowhere.sock");
    context(&bed, "dd", "windows", "npipe:////./pipe/docker_engine");
    bed.file(".docker/contexts/meta/ee/meta.json", r#"{"Name":"k8s","Endpoints":{"kubernetes":{}}}"#);
    bed.run(row("no such context", 2, ["register", "new", "--context", "nowhere"]));
    bed.run(row("a context without an engine", 2, ["register", "new", "--context", "k8s"]));
    bed.run(row("no material", 2, ["register", "new", "--context", "far"]));
    let client = ours.client(&bed, "client");
    let tls = bed.home().join(".docker/contexts/tls/aa/docker");
    fs::create_dir_all(&tls).unwrap();
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        fs::copy(format!("{client}/{file}"), tls.join(file)).unwrap();
    }
    // It was reached by its name, with the context's own material.
    bed.run(row("an engine without an id", 1, ["register", "new", "--context", "far"]));
    bed.run(row("the same by its own name", 1, ["register", "--from-context", "far"]));
    bed.run(row("nobody listens", 5, ["register", "--from-context", "near", "near"]));
    bed.run(row("both fail", 5, ["register", "--from-context", "far", "near"]));
    bed.run(row("another system's", 2, ["register", "--from-context", "windows"]));
    bed.run(row("no name of a host", 2, ["register", "--from-context", "near", "Old One"]));
    bed.run(row("a name and contexts", 2, ["register", "new", "--from-context", "near"]));
    bed.run(row("no engine named", 2, ["register", "new"]));
    bed.run(row("two engines named", 2, ["register", "new", "--context", "near", "--docker", "unix:///x"]));
    bed.run(row("files beside a context", 2, ["register", "new", "--context", "far", "--tls-dir", &client]));
    bed.run(row(
        "one address for two hosts",
        2,
        ["register", "--from-context", "far", "near", "--underlay", "10.0.0.1"],
    ));
    bed.run(row("set host: no such context", 2, ["set", "host", "host1", "--context", "nowhere"]));
    bed.run(row("set host: nobody listens", 5, ["set", "host", "host1", "--context", "near"]));
    let elsewhere = row("contexts elsewhere", 2, ["register", "new", "--context", "far"]);
    bed.run(elsewhere.env("DOCKER_CONFIG", bed.path("nowhere")));
    // A context's directory is the SHA-256 of its name.
    let torn = "00cc10cc5ab0a89fbf4d84a229bf234e739ba6294a832d2c042ce8d9a1949cf7";
    bed.file(&format!(".docker/contexts/meta/{torn}/meta.json"), "{");
    bed.run(row("a broken file", 2, ["register", "new", "--context", "torn"]));
    insta::assert_snapshot!(bed.said());
}
