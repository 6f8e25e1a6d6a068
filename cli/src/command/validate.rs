//! `shoal validate`: a cluster file, read as `create cluster --config` reads it, and nothing else: no store, host or network.

use clap::{Args, ValueHint};
use shoal_api::Validated;
use shoal_types::Role;

use crate::{
    args::Global,
    config::{Document, Overrides, Source, cluster_spec},
    error::CliError,
    exit::Exit,
    parse::word,
};

/// Arguments of `validate`: the realm is a global one.
#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// YAML file that describes the cluster; `-` reads standard input
    #[arg(value_name = "FILE", value_parser = word::<Source>, value_hint = ValueHint::FilePath)]
    file: Source,
}

impl Validate {
    pub(super) fn run(self, global: &Global) -> Result<Exit, CliError> {
        let validated = validated(&self.file, global)?;
        global.screen().named(&validated, [validated.name.clone()], |_, _| text(&validated))?;
        Ok(Exit::Ok)
    }
}

fn validated(source: &Source, global: &Global) -> Result<Validated, CliError> {
    let (file, document) = (source.name(), Document::load(source)?);
    let realm = global.realm(document.realm.as_ref())?;
    let spec = cluster_spec(&file, document, Overrides::default(), realm, shoal_images::DEFAULT_TAG)?;
    let count = |role| spec.groups.iter().filter(|group| group.role == role).map(|group| group.count).sum();
    Ok(Validated {
        file,
        realm: spec.realm.to_string(),
        name: spec.name.to_string(),
        nodes: Role::ALL.map(|role| (role, count(role))).into(),
    })
}

/// `dev.yaml: cluster dev in realm default: 1 controller, 4 workers`.
fn text(validated: &Validated) -> String {
    let Validated { file, realm, name, nodes } = validated;
    let counts = nodes.iter().filter(|(_, count)| **count > 0).map(|(role, count)| match count {
        1 => format!("1 {role}"),
        count => format!("{count} {role}s"),
    });
    format!("{file}: cluster {name} in realm {realm}: {}", counts.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_roles_without_nodes_are_left_out() {
        let of = |counts: [u32; 4]| {
            let nodes = Role::ALL.into_iter().zip(counts).collect();
            text(&Validated { file: "dev.yaml".into(), realm: "lab".into(), name: "dev".into(), nodes })
        };
        assert_eq!(of([1, 0, 0, 4]), "dev.yaml: cluster dev in realm lab: 1 controller, 4 workers");
        assert_eq!(
            of([1, 1, 1, 1]),
            "dev.yaml: cluster dev in realm lab: 1 controller, 1 submitter, 1 api, 1 worker"
        );
    }
}
