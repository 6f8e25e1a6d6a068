//! A dry run for people: where the nodes would go, how full that makes the hosts, and why not elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use shoal_api::{Plan, PlanAmounts, PlannedHost, Refusal, Rules};
use shoal_types::{Bytes, Role, natural, nodeset};

use super::{Width, bar, table};
use crate::escape;

/// Columns of a bar where there is room for all three, and where there is not.
const BAR: usize = 12;
const SHORT_BAR: usize = 5;
/// From this width on, bars are of the longer kind.
const WIDE: u16 = 120;

/// Who places by which rules, then each host before and after, then every refusal.
pub(crate) fn plan_text(width: Width, plan: &Plan) -> String {
    let head = match plan.fits {
        true => "it fits; nothing was created".to_owned(),
        false => format!("it does not fit: {}", escape::line(plan.reason.as_deref().unwrap_or_default())),
    };
    let rules = rules_text(&plan.rules);
    let fallback = plan.rules.fallback_reason.as_ref().map(|why| {
        let by = plan.rules.scheduler.to_string();
        format!("warning: {}: {} places instead", escape::line(why), escape::line(&by))
    });
    let fallback = fallback.unwrap_or_default();
    let healing = plan.healing.chosen().map(|healing| format!("\nhealing:      {healing}"));
    let rules = rules + &healing.unwrap_or_default();
    let parts = [head, fallback, rules, hosts_text(width, plan), refusals_text(width, &plan.refusals)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// The scheduler and the rules in effect, a line each.
pub(super) fn rules_text(rules: &Rules) -> String {
    let scheduler = rules.scheduler.to_string();
    let mut lines = vec![match rules.seed {
        Some(seed) => format!("scheduler:    {} (seed {seed})", escape::line(&scheduler)),
        None => format!("scheduler:    {}", escape::line(&scheduler)),
    }];
    let mut line = |name: &str, text: String| {
        if !text.is_empty() {
            lines.push(format!("{:<13} {}", format!("{name}:"), escape::line(&text)));
        }
    };
    let roles = |roles: &BTreeSet<Role>| roles.iter().map(|r| r.as_str()).collect::<Vec<_>>().join(", ");
    line("constraints", rules.constraints.join(", "));
    line("apart", roles(&rules.apart));
    line("prefer apart", roles(&rules.prefer_apart));
    line("max per host", rules.max_per_host.map(|most| most.to_string()).unwrap_or_default());
    line("spread over", rules.spread_over.clone().unwrap_or_default());
    line("pinned", rules.pins.join(", "));
    lines.join("\n")
}

/// Hosts with what they hold before and after: those that would get nodes; all if none would.
fn hosts_text(width: Width, plan: &Plan) -> String {
    let mut nodes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for placement in &plan.placements {
        nodes.entry(&placement.host).or_default().push(&placement.node);
    }
    let mut hosts: Vec<&PlannedHost> =
        plan.hosts.iter().filter(|host| !plan.fits || nodes.contains_key(host.name.as_str())).collect();
    hosts.sort_by(|a, b| natural::cmp(&a.name, &b.name));
    let columns = if width.0.is_none_or(|width| width >= WIDE) { BAR } else { SHORT_BAR };
    let rows = hosts.iter().map(|host| {
        let (capacity, before, added) = (host.capacity, host.reserved, host.added);
        let full = |part: fn(&PlanAmounts) -> u64| {
            let (whole, before) = (part(&capacity), part(&before));
            let after = before.saturating_add(part(&added));
            let bar = bar(after, whole, columns);
            format!("{bar} {:>3}>{:>3}%", percent(before, whole), percent(after, whole))
        };
        [
            host.name.clone(),
            full(|a| a.cpus.0.0),
            full(|a| a.memory_bytes),
            full(|a| u64::from(a.nodes)),
            added.nodes.to_string(),
            reserve(&added),
            nodes
                .get(host.name.as_str())
                .map(|names| nodeset::compress(names.iter().copied()))
                .unwrap_or_default(),
        ]
    });
    table(width, ["HOST", "CPU", "MEMORY", "SLOTS", "NODES", "RESERVES", "WHICH"], 5, rows, "")
}

/// What would be reserved: `0.2 CPU, 256 MiB`.
fn reserve(added: &PlanAmounts) -> String {
    match added.nodes {
        0 => "-".into(),
        _ => format!("{} CPU, {}", added.cpus, Bytes(added.memory_bytes)),
    }
}

/// Whole percent, rounded up: full is full, and something is not nothing.
pub(super) fn percent(part: u64, whole: u64) -> u64 {
    let hundredths = (u128::from(part) * 100).div_ceil(u128::from(whole.max(1)));
    u64::try_from(hundredths).unwrap_or(u64::MAX)
}

/// Refusals with the hosts of one reason together.
pub(super) fn refusals_text(width: Width, refusals: &[Refusal]) -> String {
    let mut groups: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for refusal in refusals {
        groups.entry((refusal.filter.as_str(), &refusal.reason)).or_default().push(&refusal.host);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, hosts)| std::cmp::Reverse(hosts.len()));
    let rows = groups.into_iter().map(|((filter, reason), hosts)| {
        [hosts.len().to_string(), filter.to_owned(), reason.to_owned(), nodeset::compress(hosts)]
    });
    table(width, ["REFUSED", "FILTER", "REASON", "HOSTS"], 4, rows, "")
}
