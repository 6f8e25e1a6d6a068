//! Node images and the registries they may come from.

use shoal_api::{Images, Registry, without_host};
use shoal_types::Bytes;

use super::{Width, table};
use crate::escape;

/// One content a row, then the hosts that could not be asked.
pub(crate) fn images_table(width: Width, answer: &Images) -> String {
    let header = ["REFERENCE", "DIGEST", "SIZE", "SLURM", "SUITE", "ON", "MISSING ON", "CLUSTERS"];
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let rows = answer.images.iter().map(|image| {
        let digest: String = image.image_id.trim_start_matches("sha256:").chars().take(12).collect();
        [
            or_dash(image.references.join(" ")),
            digest,
            image.size_bytes.map_or_else(|| "-".to_owned(), |size| Bytes(size).to_string()),
            or_dash(image.slurm_version.clone().unwrap_or_default()),
            or_dash(image.suite.clone().unwrap_or_default()),
            or_dash(image.hosts.join(" ")),
            or_dash(image.missing.join(" ")),
            or_dash(image.clusters.join(" ")),
        ]
    });
    let none = "no node images; build one: shoal build image";
    let silent = answer.silent.iter().map(|silent| {
        let error = without_host(&silent.host, &silent.error);
        format!("\n{}: {}", escape::line(&silent.host), escape::line(error))
    });
    table(width, header, 6, rows, none) + &silent.collect::<String>()
}

/// One registry a row.
pub(crate) fn registries_table(width: Width, registries: &[Registry]) -> String {
    let hosts = |r: &Registry| r.hosts.clone().unwrap_or_else(|| "all".into());
    let rows = registries.iter().map(|r| [r.registry.clone(), r.username.clone(), hosts(r)]);
    let none =
        "no registries; give one's credentials: shoal set registry HOST --username NAME --password-stdin";
    table(width, ["REGISTRY", "USERNAME", "HOSTS"], 3, rows, none)
}

#[cfg(test)]
mod tests {
    use shoal_api::{Image, SilentHost};

    use super::*;

    #[test]
    fn who_has_what_and_who_was_not_heard() {
        let image = Image {
            image_id: "sha256:0123456789abcdef".into(),
            references: vec!["shoal-node:bookworm".into()],
            size_bytes: Some(181_000_000),
            slurm_version: Some("22.05.8".into()),
            suite: Some("bookworm".into()),
            clusters: vec!["default/dev".into()],
            hosts: vec!["host2".into(), "host10".into()],
            missing: vec!["host3".into()],
        };
        let lost = Image { image_id: "sha256:ff".into(), ..Image::default() };
        let silent = SilentHost { host: "host4".into(), error: "host host4: refused\u{1b}".into() };
        let answer = Images { images: vec![image, lost], silent: vec![silent] };
        insta::assert_snapshot!(images_table(Width(None), &answer), @r"
        REFERENCE            DIGEST        SIZE       SLURM    SUITE     ON            MISSING ON  CLUSTERS
        shoal-node:bookworm  0123456789ab  172.6 MiB  22.05.8  bookworm  host2 host10  host3       default/dev
        -                    ff            -          -        -         -             -           -
        host4: refused\u{1b}
        ");
        assert!(images_table(Width(None), &Images::default()).contains("shoal build image"));
    }
}
