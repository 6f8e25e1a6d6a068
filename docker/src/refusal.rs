//! Which engines Shoal cannot use, and why: decided from what they say of themselves, before anything is brought there.

use shoal_types::EngineFacts;

/// Why an engine cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It runs without root: no tunnel device can join its bridges.
    #[error("its engine is rootless: Shoal needs a rootful engine, whose bridges are the host's")]
    Rootless,
    /// It remaps user ids: the agent cannot work on the host's network.
    #[error(
        "its engine remaps user ids (userns-remap): containers on the host's network get no rights there"
    )]
    UsernsRemap,
    /// Docker Desktop: its engine lives in a hidden virtual machine.
    #[error("its engine is Docker Desktop, in a virtual machine out of reach of other hosts")]
    DockerDesktop,
    /// Windows containers.
    #[error("its engine runs on {0}: Shoal's nodes are Linux containers")]
    Windows(String),
    /// Another architecture than ours, and no executable for it was given.
    #[error(
        "its architecture is {theirs}, this executable's is {ours}: give one for {theirs} with --agent-binary"
    )]
    Architecture {
        /// Of the host, in the kernel's words.
        theirs: String,
        /// Of this executable.
        ours: String,
    },
    /// Neither cgroup version 1 nor 2.
    #[error("its engine reports no cgroup version: nodes need a cgroup tree")]
    NoCgroups,
}

/// Decides whether an engine can be used.
///
/// `architecture` is this executable's ([`std::env::consts::ARCH`]); `has_agent_for` says whether an executable for
/// another one was given.
///
/// # Errors
/// [`Unusable`]: the first reason, the most fundamental one first.
pub fn refusal(
    facts: &EngineFacts,
    architecture: &str,
    has_agent_for: impl FnOnce(&str) -> bool,
) -> Result<(), Unusable> {
    let system = facts.operating_system.as_str();
    if system.to_ascii_lowercase().contains("windows") {
        return Err(Unusable::Windows(system.to_owned()));
    }
    if system == "Docker Desktop" {
        return Err(Unusable::DockerDesktop);
    }
    if facts.rootless {
        return Err(Unusable::Rootless);
    }
    if facts.userns_remap {
        return Err(Unusable::UsernsRemap);
    }
    if !matches!(facts.cgroup_version, 1 | 2) {
        return Err(Unusable::NoCgroups);
    }
    let theirs = canonical(&facts.architecture);
    if theirs != canonical(architecture) && !has_agent_for(theirs) {
        return Err(Unusable::Architecture {
            theirs: theirs.to_owned(),
            ours: canonical(architecture).to_owned(),
        });
    }
    Ok(())
}

/// The kernel's word for an architecture that images and the kernel call differently.
fn canonical(architecture: &str) -> &str {
    match architecture {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason() {
        let check = |facts: &EngineFacts| refusal(facts, "x86_64", |_| false);
        assert_eq!(check(&EngineFacts::sample()), Ok(()));
        assert_eq!(check(&EngineFacts { rootless: true, ..EngineFacts::sample() }), Err(Unusable::Rootless));
        assert_eq!(
            check(&EngineFacts { userns_remap: true, ..EngineFacts::sample() }),
            Err(Unusable::UsernsRemap)
        );
        let desktop = EngineFacts { operating_system: "Docker Desktop".into(), ..EngineFacts::sample() };
        assert_eq!(check(&desktop), Err(Unusable::DockerDesktop));
        let windows = EngineFacts { operating_system: "Windows Server 2022".into(), ..EngineFacts::sample() };
        assert_eq!(check(&windows), Err(Unusable::Windows("Windows Server 2022".into())));
        assert_eq!(
            check(&EngineFacts { cgroup_version: 0, ..EngineFacts::sample() }),
            Err(Unusable::NoCgroups)
        );
    }

    #[test]
    fn a_foreign_architecture_needs_an_executable() {
        let arm = EngineFacts { architecture: "aarch64".into(), ..EngineFacts::sample() };
        let refused = Unusable::Architecture { theirs: "aarch64".into(), ours: "x86_64".into() };
        assert_eq!(refusal(&arm, "x86_64", |_| false), Err(refused));
        assert_eq!(refusal(&arm, "x86_64", |theirs| theirs == "aarch64"), Ok(()));
        assert_eq!(refusal(&arm, "arm64", |_| false), Ok(()));
    }
}
