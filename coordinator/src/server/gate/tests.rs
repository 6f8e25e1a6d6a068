//! Who is let through, walked over the whole table: method x role x realm.

use prost::Message;
use shoal_types::{Realms, UserId};

use super::*;
use crate::server::rules::RULES;
use shoal_proto::v1;

fn who(role: UserRole, realms: &str) -> Who {
    Who {
        caller: Some(Caller::new("ann")),
        role,
        realms: realms.parse::<Realms>().unwrap(),
        from: From::Elsewhere(UserId::new(0, [1; 10])),
    }
}

#[test]
fn the_table_is_what_decides() {
    for rule in RULES {
        for role in UserRole::ALL {
            for (realms, asked) in [("", "a"), ("a", "a"), ("a", "b"), ("a,b", "b"), ("a", ""), ("a", "A b")]
            {
                let named = Named { realm: asked.into(), ..Named::default() };
                let allowed = allowed(&who(role, realms), rule, &named);
                let has = realms.is_empty() || realms.split(',').any(|realm| realm == asked);
                let expected = role >= rule.least && (rule.scope == Scope::Installation || has);
                assert_eq!(allowed.is_ok(), expected, "{} {role} {realms:?} {asked:?}", rule.method);
                if let Err(status) = allowed {
                    assert_eq!(status.code(), tonic::Code::PermissionDenied);
                }
            }
        }
        let here = Who { from: From::Socket, ..who(UserRole::Admin, "") };
        assert!(allowed(&here, rule, &Named { realm: "no name".into(), ..Named::default() }).is_ok());
    }
}

/// The words are the same whether the realm has clusters or not: only its name is looked at.
#[test]
fn a_refusal_says_what_may_be_named_instead() {
    let named = Named { realm: "b\u{1b}".into(), cluster: "dev".into(), things: String::new() };
    let rule = rule("/shoal.v1.Clusters/GetCluster").unwrap();
    let status = allowed(&who(UserRole::Operator, "a,c"), rule, &named).unwrap_err();
    assert_eq!(status.message(), "realm b\\u{1b} is none of ann's");
    assert_eq!(shoal_api::hint_of(&status).unwrap(), "ann may name a, c: --realm, SHOAL_REALM");
    let admins = super::rule("/shoal.v1.Hosts/DrainHost").unwrap();
    let status = allowed(&who(UserRole::Operator, ""), admins, &Named::default()).unwrap_err();
    assert_eq!(status.message(), "ann is operator, and `drain host` is for administrators");
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, message].concat()
}

#[tokio::test]
async fn the_first_message_is_read_in_whatever_pieces_and_the_body_stays_whole() {
    let request = v1::GetClusterRequest { realm: "a".into(), name: "dev".into() };
    let sent = [framed(&request.encode_to_vec()), framed(b"next")].concat();
    for size in [1, 3, 7, sent.len()] {
        let pieces: Vec<_> = sent.chunks(size).map(Bytes::copy_from_slice).collect();
        let frames = stream::iter(pieces).then(|piece| async {
            let whole = http_body_util::Full::new(piece).frame().await;
            whole.unwrap().map_err(|never: Infallible| -> Status { match never {} })
        });
        let (message, body) = first_message(Body::new(StreamBody::new(Box::pin(frames)))).await.unwrap();
        assert_eq!(v1::GetClusterRequest::decode(message).unwrap(), request);
        assert_eq!(body.collect().await.unwrap().to_bytes(), sent);
    }
}

#[test]
fn what_is_too_large_or_compressed_is_not_waited_for() {
    assert_eq!(message_in(&[0, 0]).unwrap(), None);
    assert_eq!(message_in(&[0, 0, 0, 0, 2, 7]).unwrap(), None);
    assert_eq!(message_in(&[0, 0, 0, 0, 2, 7, 8, 9]).unwrap().unwrap(), [7, 8][..]);
    assert_eq!(message_in(&[0, 0xff, 0, 0, 0]).unwrap_err().code(), tonic::Code::OutOfRange);
    assert_eq!(message_in(&[1, 0, 0, 0, 0]).unwrap_err().code(), tonic::Code::Unimplemented);
}
