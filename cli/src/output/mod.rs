//! What a person or a program sees: tables and lines, JSON, YAML, names.
//!
//! Everything here turns messages into text and is pure, but for [`Screen`], which writes it.

mod access;
mod cores;
pub(crate) mod data;
mod doctor;
mod event;
mod format;
mod hosts;
mod images;
mod json;
mod nodes;
mod paint;
mod plan;
mod plan_json;
mod reason;
mod screen;
mod status;
mod sweep;
mod table;

#[cfg(test)]
mod placement_tests;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;

pub(crate) use access::{ForwardJson, SshConfigJson};
pub(crate) use doctor::{DoctorJson, doctor_text};
pub(crate) use event::{event_line, events_table};
pub(crate) use format::{Detail, Format};
pub(crate) use hosts::{host_line, hosts_table, without_host};
pub(crate) use images::{ImagesJson, RegistryJson, images_table, registries_table, sorted};
pub(crate) use json::{
    BuiltJson, ClusterJson, DeletedJson, DockerfileJson, EventJson, HostJson, LoadedJson, NetworkJson,
    NodeJson, UnregisteredJson, VersionJson,
};
pub(crate) use nodes::{cluster_text, clusters_table, networks_table, nodes_table, per_host};
pub(crate) use paint::{bar, of_word, styled};
pub(crate) use plan::plan_text;
pub(crate) use plan_json::PlanJson;
pub(crate) use reason::{PlacementReasonJson, placement_reason_text};
pub(crate) use screen::{Screen, raw};
pub(crate) use status::{StatusJson, status_text};
pub(crate) use sweep::{ResumedJson, SweepJson, sweep_text};
pub(crate) use table::{Width, table};
