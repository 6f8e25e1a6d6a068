//! The NodeName lines of slurm.conf: one per run of equal workers, so that 3,000 workers are a dozen lines.
//!
//! ```text
//! NodeName=worker-[0-251] NodeAddr=10.96.0.[4-255] CPUs=1 RealMemory=512 State=UNKNOWN
//! ```
//! Slurm pairs the names of a line with its addresses in the order written and wants as many of one as of the other.

use std::fmt::Write;

use shoal_types::{
    NodeSlurm,
    nodeset::{self, natural_key},
};

use crate::NodeView;

/// Most nodes of one line: an address range counts in its last octet.
const MAX_LINE: usize = 256;

/// The lines of `workers`, which are in natural order.
pub(super) fn push_node_lines(text: &mut String, workers: &[&NodeView]) {
    let mut rest = workers;
    while let Some((first, _)) = rest.split_first() {
        let more = rest.windows(2).take(MAX_LINE - 1).take_while(|pair| continues(pair[0], pair[1])).count();
        let (nodes, after) = rest.split_at(more + 1);
        push_line(text, first, nodes);
        rest = after;
    }
}

/// Whether `b` can follow `a` on one line: same size and resources, same kind of name, and the next address up in the same /24.
fn continues(a: &NodeView, b: &NodeView) -> bool {
    let (name_a, name_b) = (natural_key(a.name.as_str()), natural_key(b.name.as_str()));
    let numbered = name_a.number.is_some() && name_b.number.is_some() && name_a.prefix == name_b.prefix;
    let padded = name_a.is_padded() || name_b.is_padded();
    let ([.., last_a], [.., last_b]) = (a.address.octets(), b.address.octets());
    let same_net = a.address.octets()[..3] == b.address.octets()[..3];
    numbered
        && !padded
        && same_net
        && last_a < last_b
        && a.cpus == b.cpus
        && a.memory == b.memory
        && a.slurm == b.slurm
}

/// One line for all of `nodes`; names and addresses are ranges of the same length in the same order.
fn push_line(text: &mut String, first: &NodeView, nodes: &[&NodeView]) {
    let name = natural_key(first.name.as_str());
    let [a, b, c, _] = first.address.octets();
    text.push_str("NodeName=");
    if let [_] = nodes {
        let _ = write!(text, "{} NodeAddr={}", first.name, first.address);
    } else {
        let numbers: Vec<_> = nodes.iter().filter_map(|n| natural_key(n.name.as_str()).number).collect();
        let octets: Vec<_> = nodes.iter().map(|n| u32::from(n.address.octets()[3])).collect();
        let _ = write!(text, "{}[", name.prefix);
        nodeset::push_ranges(text, &numbers, 0);
        let _ = write!(text, "] NodeAddr={a}.{b}.{c}.[");
        nodeset::push_ranges(text, &octets, 0);
        text.push(']');
    }
    let _ = write!(text, " CPUs={} RealMemory={}", first.cpus, first.memory.as_mib());
    let NodeSlurm { cpus: _, memory: _, gres, features, weight } = &first.slurm;
    if !gres.is_empty() {
        let _ = write!(text, " Gres={}", list(gres));
    }
    if !features.is_empty() {
        let _ = write!(text, " Feature={}", list(features));
    }
    if let Some(weight) = weight {
        let _ = write!(text, " Weight={weight}");
    }
    text.push_str(" State=UNKNOWN\n");
}

fn list(words: &[impl ToString]) -> String {
    words.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
