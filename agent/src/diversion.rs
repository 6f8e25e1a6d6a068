//! What leads packets of the host to an address away, or swallows them, before the main table is asked: there the bridge of a
//! cluster has the longest prefix and wins. Pure.
//!
//! ```text
//! rules by priority:  0 local   5270 lookup 52   32766 main   32767 default
//!                               ^^^^^^^^^^^^^^ every route of table 52 is a diversion
//! ```
//! A rule for packets with a mark, of a user, of a source or of an incoming device other than `lo` does not meet what the host
//! itself sends to a node, which has none of these.

#![expect(clippy::wildcard_enum_match_arm, reason = "netlink attributes are an open set: only some are read")]

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::Ipv4Net;
use netlink_packet_route::{
    route::RouteHeader,
    rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage},
};

/// The kernel's table of addresses that are the host's own (rtnetlink(7), `RT_TABLE_LOCAL`).
const LOCAL: u32 = 255;
/// Longest prefix that a rule may suppress in the main table so that a cluster's still counts: the shortest of ours has 16.
const OURS: u32 = 15;

/// Addresses that a host cannot give to a cluster's network, and what takes them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Diversion {
    pub(crate) subnet: Ipv4Net,
    /// As a person is told: `routing table 52 (rule 5270)`.
    pub(crate) by: String,
}

/// What the rules and the tables other than main, by their number, take.
pub(crate) fn diversions(rules: Vec<RuleMessage>, tables: &BTreeMap<u32, Vec<Ipv4Net>>) -> Vec<Diversion> {
    let mut rules: Vec<_> = rules.iter().map(Rule::of).collect();
    rules.sort_by_key(|rule| rule.priority);
    let mut found = Vec::new();
    for rule in rules.iter().filter(|rule| !rule.is_for_others) {
        match rule.action {
            RuleAction::ToTable if rule.ends_at_main() => break,
            RuleAction::ToTable if rule.table == LOCAL => {}
            RuleAction::ToTable => {
                let routes = tables.get(&rule.table).into_iter().flatten();
                let passes = |route: &&Ipv4Net| {
                    rule.suppressed.is_none_or(|length| u32::from(route.prefix_len()) > length)
                };
                let by = format!("routing table {} (rule {})", rule.table, rule.priority);
                found.extend(routes.filter(passes).filter_map(|route| {
                    Some(Diversion { subnet: common(route, &rule.to)?, by: by.clone() })
                }));
            }
            RuleAction::Blackhole | RuleAction::Unreachable | RuleAction::Prohibit => {
                found.push(Diversion { subnet: rule.to, by: format!("routing rule {}", rule.priority) });
            }
            _ => {}
        }
    }
    found.sort();
    found.dedup();
    found
}

const ALL: Ipv4Net = Ipv4Net::new_assert(std::net::Ipv4Addr::UNSPECIFIED, 0);

/// The addresses of both.
fn common(a: &Ipv4Net, b: &Ipv4Net) -> Option<Ipv4Net> {
    if a.contains(b) { Some(*b) } else { b.contains(a).then_some(*a) }
}

/// A rule as far as it matters.
struct Rule {
    priority: u32,
    action: RuleAction,
    table: u32,
    to: Ipv4Net,
    /// Routes with a prefix up to this long are passed over.
    suppressed: Option<u32>,
    /// It does not meet what the host sends to a node.
    is_for_others: bool,
}

impl Rule {
    /// It asks the main table, which knows the bridges of clusters.
    fn ends_at_main(&self) -> bool {
        self.table == u32::from(RouteHeader::RT_TABLE_MAIN)
            && self.to == ALL
            && self.suppressed.is_none_or(|length| length <= OURS)
    }

    fn of(message: &RuleMessage) -> Self {
        let mut rule = Self {
            priority: 0,
            action: message.header.action,
            table: message.header.table.into(),
            to: ALL,
            suppressed: None,
            is_for_others: false,
        };
        let (mut selects, inverted) = (false, message.header.flags.contains(RuleFlags::Invert));
        for attribute in &message.attributes {
            match attribute {
                RuleAttribute::Priority(priority) => rule.priority = *priority,
                RuleAttribute::Table(table) => rule.table = *table,
                RuleAttribute::SuppressPrefixLen(length) if *length != u32::MAX => {
                    rule.suppressed = Some(*length);
                }
                RuleAttribute::Destination(IpAddr::V4(to)) => {
                    rule.to = Ipv4Net::new(*to, message.header.dst_len).map_or(ALL, |net| net.trunc());
                }
                RuleAttribute::FwMark(mark) => selects |= *mark != 0,
                // Packets that the host itself sends.
                RuleAttribute::Iifname(name) => selects |= name != "lo",
                RuleAttribute::Source(_)
                | RuleAttribute::Oifname(_)
                | RuleAttribute::UidRange(_)
                | RuleAttribute::IpProtocol(_)
                | RuleAttribute::SourcePortRange(_)
                | RuleAttribute::DestinationPortRange(_) => selects = true,
                _ => {}
            }
        }
        selects |= message.header.tos != 0;
        if inverted && !selects {
            // All but these destinations: taken for all.
            rule.to = ALL;
        }
        rule.is_for_others = selects && !inverted;
        rule
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(priority: u32, table: u32, more: &[RuleAttribute]) -> RuleMessage {
        let mut message = RuleMessage::default();
        message.header.action = RuleAction::ToTable;
        message.attributes = [RuleAttribute::Priority(priority), RuleAttribute::Table(table)].into();
        message.attributes.extend_from_slice(more);
        message
    }

    fn inverted(mut message: RuleMessage) -> RuleMessage {
        message.header.flags = RuleFlags::Invert;
        message
    }

    fn told(rules: Vec<RuleMessage>, tables: &[(u32, &[&str])]) -> Vec<String> {
        let nets = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect();
        let tables = tables.iter().map(|(table, texts)| (*table, nets(texts))).collect();
        let found = diversions(rules, &tables);
        found.into_iter().map(|d| format!("{} by {}", d.subnet, d.by)).collect()
    }

    fn usual() -> Vec<RuleMessage> {
        vec![rule(0, LOCAL, &[]), rule(32766, 254, &[]), rule(32767, 253, &[])]
    }

    fn with(more: Vec<RuleMessage>) -> Vec<RuleMessage> {
        [usual(), more].concat()
    }

    #[test]
    fn tables_before_the_main_one_divert_and_those_behind_do_not() {
        let vpn: &[(u32, &[&str])] = &[(52, &["10.0.0.0/8", "100.100.100.100/32"]), (253, &["0.0.0.0/0"])];
        assert_eq!(told(usual(), vpn), Vec::<String>::new());
        assert_eq!(
            told(with(vec![rule(5270, 52, &[])]), vpn),
            [
                "10.0.0.0/8 by routing table 52 (rule 5270)",
                "100.100.100.100/32 by routing table 52 (rule 5270)"
            ]
        );
        assert_eq!(told(with(vec![rule(40000, 52, &[])]), vpn), Vec::<String>::new());
    }

    #[test]
    fn a_vpn_that_leaves_the_main_table_its_longer_routes_diverts_nothing() {
        let tables: &[(u32, &[&str])] = &[(51820, &["0.0.0.0/0"])];
        // As wg-quick(8) sets them up.
        let all = |suppressed| {
            with(vec![
                inverted(rule(32765, 51820, &[RuleAttribute::FwMark(51820)])),
                rule(32764, 254, &[RuleAttribute::SuppressPrefixLen(suppressed)]),
            ])
        };
        assert_eq!(told(all(0), tables), Vec::<String>::new());
        assert_eq!(told(all(20), tables), ["0.0.0.0/0 by routing table 51820 (rule 32765)"]);
    }

    #[test]
    fn what_a_rule_selects_counts() {
        let tables: &[(u32, &[&str])] = &[(100, &["0.0.0.0/0"])];
        let to = |text: &str, length: u8| {
            let mut message = rule(100, 100, &[RuleAttribute::Destination(text.parse().unwrap())]);
            message.header.dst_len = length;
            message
        };
        for (name, more, expected) in [
            ("a mark", rule(100, 100, &[RuleAttribute::FwMark(1)]), None),
            ("a source", rule(100, 100, &[RuleAttribute::Source("192.168.1.5".parse().unwrap())]), None),
            ("a device", rule(100, 100, &[RuleAttribute::Iifname("eth1".into())]), None),
            (
                "what the host sends",
                rule(100, 100, &[RuleAttribute::Iifname("lo".into())]),
                Some("0.0.0.0/0 by routing table 100 (rule 100)"),
            ),
            ("a destination", to("10.96.0.0", 16), Some("10.96.0.0/16 by routing table 100 (rule 100)")),
            ("nothing", rule(100, 100, &[]), Some("0.0.0.0/0 by routing table 100 (rule 100)")),
        ] {
            let expected: Vec<_> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(told(with(vec![more]), tables), expected, "{name}");
        }
        let mut hole = to("10.96.0.0", 12);
        hole.header.action = RuleAction::Unreachable;
        assert_eq!(told(with(vec![hole]), &[]), ["10.96.0.0/12 by routing rule 100"]);
    }
}
