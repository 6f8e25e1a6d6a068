//! The table against the services as they are defined: every method has a row, and every realm that a request names is asked for.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, MethodDescriptor, Value};
use shoal_proto::DESCRIPTORS;

use super::*;

/// Services of other programs: the agent's, and a scheduler of the user's own.
const OTHERS: [&str; 2] = ["Agent", "Scheduler"];

fn methods() -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let ours = pool.services().filter(|service| !OTHERS.contains(&service.name()));
    ours.flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

fn name_of(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().name(), method.name())
}

fn row_of(method: &MethodDescriptor) -> &'static Rule {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    rule(&path).unwrap_or_else(|| panic!("{path} has no row: who may call it?"))
}

#[test]
fn every_method_has_one_row_and_no_row_is_of_none() {
    let methods: BTreeSet<_> = methods().iter().map(name_of).collect();
    let rows: BTreeSet<_> = RULES.iter().map(|rule| rule.method.to_owned()).collect();
    assert_eq!(methods, rows);
    assert_eq!(rows.len(), RULES.len(), "a method has two rows");
    for path in
        ["/shoal.v1.Clusters/Nothing", "/other.v1.Clusters/CreateCluster", "Clusters/CreateCluster", ""]
    {
        assert!(rule(path).is_none(), "{path}");
    }
}

/// Fills every field named `realm`, in the message and below it.
fn fill(descriptor: &MessageDescriptor, depth: usize) -> Option<DynamicMessage> {
    let mut message = DynamicMessage::new(descriptor.clone());
    let mut found = false;
    for field in descriptor.fields() {
        let kind = field.kind();
        if kind == Kind::String && field.name() == "realm" {
            message.set_field(&field, Value::String("there".into()));
            found = true;
        }
        if let Kind::Message(inner) = kind
            && depth > 0
            && !field.is_list()
            && !field.is_map()
            && let Some(inner) = fill(&inner, depth - 1)
        {
            message.set_field(&field, Value::Message(inner));
            found = true;
        }
    }
    found.then_some(message)
}

#[test]
fn the_realm_that_a_request_names_is_the_one_that_is_asked_for() {
    for method in methods() {
        let row = row_of(&method);
        match fill(&method.input(), 3) {
            Some(message) => {
                assert_eq!(row.scope, Realm, "{} names a realm", row.method);
                let named = (row.named)(&message.encode_to_vec()).unwrap();
                assert_eq!(named.realm, "there", "{}", row.method);
            }
            None => assert_eq!(row.scope, Installation, "{} names no realm", row.method),
        }
        assert!((row.named)(&[0xff; 3]).is_err(), "{} reads anything", row.method);
    }
}

#[test]
fn what_streams_has_no_time_limit_and_nothing_else_has_none() {
    for method in methods() {
        let streams = method.is_client_streaming() || method.is_server_streaming();
        assert_eq!(row_of(&method).limit.is_none(), streams, "{}", name_of(&method));
    }
}

/// What tells a secret, or gets into a node, by what its messages hold.
#[test]
fn a_viewer_reaches_no_secret_and_changes_nothing() {
    let into_nodes = ["Access/Exec", "Access/Proxy", "Access/GetSshAccess"];
    for method in methods() {
        let row = row_of(&method);
        let secret = method.output().fields().any(|field| field.name().contains("key"));
        if secret || into_nodes.contains(&row.method) {
            assert!(row.least > Viewer && row.noted, "{}", row.method);
        }
        let looks = ["List", "Get", "Explain", "Follow"];
        let is_look = looks.iter().any(|verb| method.name().starts_with(verb)) && !secret;
        let own = row.method == "Users/RenewCertificate";
        assert!(row.least > Viewer || is_look || own, "a viewer may call {}", row.method);
        if row.scope == Installation && row.noted && !own {
            assert_eq!(row.least, Admin, "{} reaches every realm", row.method);
        }
    }
}

#[test]
fn methods_have_words() {
    let words = |path: &str| rule(path).unwrap().words();
    assert_eq!(words("/shoal.v1.Clusters/CreateCluster"), "create cluster");
    assert_eq!(words("/shoal.v1.Access/Exec"), "exec");
}
