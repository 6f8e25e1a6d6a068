//! Requests of every shape, answered without sockets.

use hickory_proto::op::{Message, Query};
use hickory_resolver::net::xfer::Protocol;
use proptest::prelude::*;

use super::*;
use crate::dns::forward::Forwarder;
use crate::network::tests::network;

fn handler() -> Handler {
    let zone = Arc::new(Zone::new(&network()).unwrap());
    Handler { zone: watch::channel(zone).1, forwarder: Share::of(Arc::new(Forwarder::without_resolver())) }
}

/// What becomes of a packet; None if it is not even a message.
fn draft(packet: Vec<u8>) -> Option<Draft> {
    let request = Request::from_bytes(packet, ([10, 96, 4, 3], 4711).into(), Protocol::Udp).ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    Some(runtime.block_on(handler().draft(&request)))
}

fn packet(change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::new(1, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii("worker-0.").unwrap(), RecordType::A));
    change(&mut message);
    message.to_vec().unwrap()
}

#[test]
fn every_shape_has_its_code() {
    let code = |change: fn(&mut Message)| draft(packet(change)).unwrap().code;
    assert_eq!(code(|_| {}), ResponseCode::NoError);
    assert_eq!(code(|m| m.metadata.message_type = MessageType::Response), ResponseCode::FormErr);
    assert_eq!(code(|m| m.metadata.op_code = OpCode::Status), ResponseCode::NotImp);
    assert_eq!(code(|m| m.queries.clear()), ResponseCode::FormErr);
    assert_eq!(code(|m| m.queries.push(m.queries[0].clone())), ResponseCode::FormErr);
    assert_eq!(code(|m| m.queries[0].query_type = RecordType::ANY), ResponseCode::Refused);
    assert_eq!(code(|m| m.queries[0].query_class = DNSClass::CH), ResponseCode::Refused);
    assert_eq!(
        code(|m| m.queries[0].name = Name::from_ascii("example.org.").unwrap()),
        ResponseCode::ServFail
    );
    let newer = |m: &mut Message| {
        let mut edns = Edns::new();
        edns.set_version(1);
        m.set_edns(edns);
    };
    assert_eq!(code(newer), ResponseCode::BADVERS);
}

#[test]
fn what_the_network_says_is_authoritative_and_what_others_say_is_not() {
    assert!(draft(packet(|_| {})).unwrap().authoritative);
    let elsewhere = |m: &mut Message| m.queries[0].name = Name::from_ascii("example.org.").unwrap();
    assert!(!draft(packet(elsewhere)).unwrap().authoritative);
}

/// Packets that servers of names have stumbled over: each is answered or dropped.
#[test]
fn the_corpus_is_survived() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/dns");
    let mut packets = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        draft(std::fs::read(entry.unwrap().path()).unwrap());
        packets += 1;
    }
    assert!(packets >= 10, "{dir} has only {packets} packets");
}

proptest! {
    #[test]
    fn no_packet_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)) {
        draft(bytes);
        let mut twisted = packet(|_| {});
        for (at, byte) in flips {
            let at = at.index(twisted.len());
            twisted[at] ^= byte;
        }
        draft(twisted);
    }
}
