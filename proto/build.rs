//! Compiles the service definitions without a system `protoc`.

use std::path::Path;

const FILES: [&str; 3] = ["shoal/v1/agent.proto", "shoal/v1/coordinator.proto", "shoal/v1/scheduler.proto"];

/// Messages that hold a secret in clear: they are shown by hand, without it.
const SECRET: [&str; 1] = [".shoal.v1.SetRegistryRequest"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new("proto");
    let files = protox::compile(FILES.map(|f| root.join(f)), [root])?;
    tonic_prost_build::configure().bytes(".").skip_debug(SECRET).compile_fds(files)?;
    println!("cargo::rerun-if-changed=proto");
    Ok(())
}
