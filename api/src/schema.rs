//! The schemas of everything that is published: rendered from the types that print it.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use crate::{
    Built, Cluster, Deleted, Dockerfile, Drain, EventJson, Examination, Forward, Host, Images, Installation,
    Loaded, Network, Node, PlacementReason, Plan, Rebalance, Registry, Repair, Resumed, ServerContext,
    SshConfig, Status, Sweep, Unregistered, User, Validated, Version,
};

/// A kind of result.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Name of its file.
    pub name: &'static str,
    /// The commands that print it.
    pub of: &'static str,
    schema: fn() -> Value,
}

/// Every kind of result. One that is new is a line here.
pub const KINDS: &[Kind] = &[
    kind::<Built>("built", "shoal build image"),
    kind::<Cluster>("cluster", "shoal get cluster, shoal create cluster, shoal set cluster"),
    kind::<Vec<Cluster>>("clusters", "shoal get clusters"),
    kind::<Vec<ServerContext>>("contexts", "shoal context list"),
    kind::<Deleted>("deleted", "shoal delete cluster"),
    kind::<Dockerfile>("dockerfile", "shoal build dockerfile"),
    kind::<Drain>("drain", "shoal drain"),
    kind::<Examination>("doctor", "shoal doctor"),
    kind::<EventJson>("event", "a line of --progress json"),
    kind::<Vec<EventJson>>("events", "shoal get events"),
    kind::<Vec<Forward>>("forwards", "shoal port-forward"),
    kind::<Host>("host", "shoal register, shoal set host, shoal cordon, shoal uncordon"),
    kind::<Vec<Host>>("hosts", "shoal get hosts"),
    kind::<Images>("images", "shoal get images"),
    kind::<Vec<Loaded>>("loaded", "shoal load image"),
    kind::<Vec<Network>>("networks", "shoal get networks"),
    kind::<Vec<Node>>("nodes", "shoal get nodes"),
    kind::<PlacementReason>("placement-reason", "shoal explain placement"),
    kind::<Plan>("plan", "shoal create cluster --dry-run"),
    kind::<Vec<Registry>>("registries", "shoal get registries"),
    kind::<Installation>("installation", "shoal get installation, shoal set installation"),
    kind::<Rebalance>("rebalance", "shoal rebalance"),
    kind::<Repair>("repair", "shoal repair"),
    kind::<Resumed>("resumed", "shoal resume"),
    kind::<SshConfig>("ssh-config", "shoal get ssh-config"),
    kind::<Status>("status", "shoal status"),
    kind::<Sweep>("sweep", "shoal sweep"),
    kind::<Unregistered>("unregistered", "shoal unregister"),
    kind::<User>("user", "shoal create user, shoal revoke user"),
    kind::<Vec<User>>("users", "shoal get users"),
    kind::<Validated>("validated", "shoal validate"),
    kind::<Version>("version", "shoal version"),
];

const fn kind<T: JsonSchema>(name: &'static str, of: &'static str) -> Kind {
    Kind { name, of, schema: schema::<T> }
}

/// The schema as a result is printed: every field is there, what is not known is null.
fn schema<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

impl Kind {
    /// Its schema, JSON Schema 2020-12.
    #[must_use]
    pub fn schema(&self) -> Value {
        let mut schema = (self.schema)();
        schema["title"] = self.of.into();
        schema
    }
}
