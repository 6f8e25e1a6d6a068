//! What a person or a program sees: tables and lines, JSON, YAML, names.
//!
//! Everything here turns answers into text and is pure, but for [`Screen`], which writes it.

pub(crate) mod data;
mod doctor;
mod drain;
mod event;
mod format;
mod hosts;
mod images;
mod nodes;
mod paint;
mod plan;
mod reason;
mod rebalance;
mod repair;
mod screen;
mod status;
mod sweep;
mod table;

#[cfg(test)]
mod placement_tests;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod shape_tests;
#[cfg(test)]
mod tests;

pub(crate) use doctor::doctor_text;
pub(crate) use drain::drain_text;
pub(crate) use event::{event_line, events_table};
pub(crate) use format::{Detail, Format};
pub(crate) use hosts::{host_line, hosts_table, root_warning};
pub(crate) use images::{images_table, registries_table};
pub(crate) use nodes::{cluster_text, clusters_table, networks_table, nodes_table, per_host};
pub(crate) use paint::{bar, styled};
pub(crate) use plan::plan_text;
pub(crate) use reason::placement_reason_text;
pub(crate) use rebalance::{rebalance_plan_text, rebalance_text};
pub(crate) use repair::repair_text;
pub(crate) use screen::{Screen, raw};
pub(crate) use status::status_text;
pub(crate) use sweep::{resumed_text, sweep_text};
pub(crate) use table::{Width, table};
