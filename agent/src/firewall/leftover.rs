//! Addresses that a rule of somebody else makes unreachable: those that an engine leaves behind.
//!
//! Docker 28 has a rule for the address of every container: packets to it that do not come by its network's bridge are dropped (table
//! `raw`, chain `PREROUTING`, as iptables-nft writes it). An engine that is killed while it removes a container leaves the rule there
//! for ever. Its bridge is gone, so whoever has the address next, behind any bridge, is sent nothing: what a bridge carries passes that
//! chain, too, where a host has its bridges' packets filtered.

use std::net::Ipv4Addr;

use netlink_packet_core::NlasIterator;

use super::{
    FirewallError,
    rules::Table,
    socket::Socket,
    wire::{Message, Told},
};

/// Whether the comparison of a rule is "equal" (`NFT_CMP_EQ`) or "other than" (`NFT_CMP_NEQ`).
const EQUAL: u32 = 0;
const OTHER: u32 = 1;
/// `NFT_META_IIFNAME`.
const INPUT_NAME: u32 = 6;
/// `NFT_PAYLOAD_NETWORK_HEADER`, and where a destination is in it (RFC 791 section 3.1).
const DESTINATION: [u32; 3] = [1, 16, 4];

/// Address -> the device by which alone packets to it may come, for every such rule.
///
/// # Errors
/// [`FirewallError`]: the kernel cannot be asked.
pub(super) fn guarded() -> Result<Vec<(Ipv4Addr, String)>, FirewallError> {
    let told = Socket::open()?.dump(Message::GetRules(Table::raw()))?;
    Ok(told.iter().filter_map(guard).collect())
}

/// What was loaded last.
#[derive(Clone, Copy)]
enum Loaded {
    InputName,
    Destination,
    Other,
}

/// What a rule says, if it is one of these and says nothing else.
fn guard(rule: &Told) -> Option<(Ipv4Addr, String)> {
    let attributes = read(&rule.0);
    if text(find(&attributes, 2)?)? != "PREROUTING" {
        return None;
    }
    let (mut loaded, mut device, mut address, mut drops) = (Loaded::Other, None, None, false);
    for expression in read(find(&attributes, 4)?) {
        let parts = read(&expression.1);
        let data = find(&parts, 2).map(read).unwrap_or_default();
        let number = |kind| find(&data, kind).and_then(number);
        match text(find(&parts, 1)?)? {
            "meta" => {
                loaded = if number(2)? == INPUT_NAME { Loaded::InputName } else { Loaded::Other };
            }
            "payload" => {
                let place = [number(2)?, number(3)?, number(4)?];
                loaded = if place == DESTINATION { Loaded::Destination } else { Loaded::Other };
            }
            "cmp" => {
                let value = read(find(&data, 3)?);
                let value = find(&value, 1)?;
                match (loaded, number(2)?) {
                    (Loaded::InputName, OTHER) => device = Some(text(value)?.to_owned()),
                    (Loaded::Destination, EQUAL) => {
                        address = Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?));
                    }
                    // It is about other packets.
                    (Loaded::InputName | Loaded::Destination | Loaded::Other, _) => return None,
                }
            }
            "immediate" => {
                let verdict = read(find(&data, 2)?);
                let code = read(find(&verdict, 2)?);
                drops = number_of(&code, 1)? == 0;
            }
            "counter" => {}
            _ => return None,
        }
    }
    drops.then_some((address?, device?))
}

/// Attributes: kind, value.
fn read(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let attributes = NlasIterator::new(bytes).flatten();
    attributes.map(|attribute| (attribute.kind(), attribute.value().to_vec())).collect()
}

fn find(attributes: &[(u16, Vec<u8>)], kind: u16) -> Option<&[u8]> {
    attributes.iter().find(|(of, _)| *of == kind).map(|(_, value)| value.as_slice())
}

fn number_of(attributes: &[(u16, Vec<u8>)], kind: u16) -> Option<u32> {
    find(attributes, kind).and_then(number)
}

fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

/// Up to the first NUL, if there is one.
fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value.split(|byte| *byte == 0).next()?).ok()
}
