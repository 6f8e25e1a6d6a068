//! Compiles the service definitions without a system `protoc`, and writes how messages with a secret are shown.

use std::{
    collections::BTreeSet,
    error::Error,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use prost_reflect::{Kind, MessageDescriptor};

/// One file for each service; what several of them speak of is imported by them.
const FILES: [&str; 11] = [
    "shoal/v1/access.proto",
    "shoal/v1/agent.proto",
    "shoal/v1/clusters.proto",
    "shoal/v1/hosts.proto",
    "shoal/v1/images.proto",
    "shoal/v1/insight.proto",
    "shoal/v1/installation.proto",
    "shoal/v1/registries.proto",
    "shoal/v1/scheduler.proto",
    "shoal/v1/upkeep.proto",
    "shoal/v1/users.proto",
];

/// Parts of a field's name that tell of a secret.
const SECRET: [&str; 5] = ["key", "password", "secret", "token", "seed"];
/// Fields with such a name that are none: the public halves of users' keys.
const PUBLIC: [&str; 1] = ["shoal.v1.ClusterSpec.ssh_keys"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("proto");
    let mut compiler = protox::Compiler::new([root])?;
    compiler.include_imports(true).open_files(FILES.map(|file| root.join(file)))?;
    let (mut shown, mut secret) = (String::new(), Vec::new());
    let mut unknown: BTreeSet<_> = PUBLIC.map(str::to_owned).into();
    for message in compiler.descriptor_pool().all_messages() {
        let hidden: Vec<String> = message
            .fields()
            .filter(|field| {
                let name = field.name().to_ascii_lowercase();
                let is_text = matches!(field.kind(), Kind::String | Kind::Bytes);
                is_text
                    && SECRET.iter().any(|part| name.contains(part))
                    && !unknown.remove(field.full_name())
                    && !message.is_map_entry()
            })
            .map(|field| field.name().to_owned())
            .collect();
        if !hidden.is_empty() {
            show(&message, &hidden, &mut shown)?;
            secret.push(format!(".{}", message.full_name()));
        }
    }
    if !unknown.is_empty() {
        return Err(format!("no such fields: {unknown:?}").into());
    }
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("redacted.rs"), shown)?;
    std::fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    let config = tonic_prost_build::configure().bytes(".").skip_debug(&secret);
    config.compile_fds(compiler.file_descriptor_set())?;
    println!("cargo::rerun-if-changed=proto");
    Ok(())
}

/// Writes `Debug` of a message: all its fields but the hidden ones.
fn show(message: &MessageDescriptor, hidden: &[String], shown: &mut String) -> Result<(), Box<dyn Error>> {
    if message.parent_message().is_some() || message.oneofs().any(|oneof| !oneof.is_synthetic()) {
        let name = message.full_name();
        return Err(format!("{name} holds a secret: such a message is on its own and has no `oneof`").into());
    }
    let name = message.name();
    writeln!(shown, "impl ::std::fmt::Debug for v1::{name} {{")?;
    writeln!(shown, "    fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {{")?;
    writeln!(shown, "        f.debug_struct({name:?})")?;
    for field in message.fields().filter(|field| !hidden.iter().any(|name| name == field.name())) {
        writeln!(shown, "            .field({0:?}, &self.{0})", field.name())?;
    }
    writeln!(shown, "            .finish_non_exhaustive()\n    }}\n}}")?;
    Ok(())
}
