//! Compiles the service definitions without a system `protoc`.

use std::path::Path;

const FILES: [&str; 2] = ["shoal/v1/agent.proto", "shoal/v1/coordinator.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new("proto");
    let files = protox::compile(FILES.map(|f| root.join(f)), [root])?;
    tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    println!("cargo::rerun-if-changed=proto");
    Ok(())
}
