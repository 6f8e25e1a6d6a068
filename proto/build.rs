//! Compiles the service definitions without a system `protoc`.

use std::path::Path;

/// One file for each service; what several of them speak of is imported by them.
const FILES: [&str; 9] = [
    "shoal/v1/access.proto",
    "shoal/v1/agent.proto",
    "shoal/v1/clusters.proto",
    "shoal/v1/hosts.proto",
    "shoal/v1/images.proto",
    "shoal/v1/insight.proto",
    "shoal/v1/registries.proto",
    "shoal/v1/scheduler.proto",
    "shoal/v1/upkeep.proto",
];

/// Messages that hold a secret in clear: they are shown by hand, without it.
const SECRET: [&str; 1] = [".shoal.v1.SetRegistryRequest"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new("proto");
    let files = protox::compile(FILES.map(|f| root.join(f)), [root])?;
    tonic_prost_build::configure().bytes(".").skip_debug(SECRET).compile_fds(files)?;
    println!("cargo::rerun-if-changed=proto");
    Ok(())
}
