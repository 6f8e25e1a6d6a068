//! What a reference means, and who can give its content.

use shoal_types::Bytes;

use super::*;

fn host(n: u8) -> HostId {
    HostId::new(1, [n; 10])
}

#[test]
fn an_image_can_be_brought_by_who_has_it() {
    let image = ImageOfCluster {
        id: "sha256:a".into(),
        architecture: "x86_64".into(),
        holders: [(host(1), "sha256:a".into()), (host(2), "sha256:b".into()), (host(4), "sha256:c".into())]
            .into(),
        containerd: [host(4), host(5)].into(),
    };
    assert_eq!(image.on(host(1)), ImageState::Present);
    assert_eq!(image.on(host(2)), ImageState::Obtainable);
    assert_eq!(image.on(host(3)), ImageState::Obtainable);
    assert_eq!(image.on(host(4)), ImageState::Different { digest: "sha256:c".into() });
    assert_eq!(image.on(host(5)), ImageState::Absent);
    let gone = ImageOfCluster { holders: BTreeMap::new(), ..image };
    assert_eq!(gone.on(host(1)), ImageState::Absent);
}

/// Hosts `h1`, `h2`, ... with an id each; `c` is of containerd's store.
fn claims(ids: &[&str]) -> Vec<Claim> {
    let claim = |(n, id): (u8, &&str)| Claim {
        host: host(n),
        name: format!("h{n}").parse().unwrap(),
        id: format!("sha256:{id}"),
        architecture: "amd64".into(),
        containerd: id.starts_with('c'),
    };
    (1..).zip(ids).map(claim).collect()
}

/// The id that is meant, or what is wrong.
fn of(ids: &[&str], loaded: Option<&str>) -> String {
    match meant("n:1", &claims(ids), loaded) {
        Ok(Some(claim)) => claim.id.clone(),
        Ok(None) => "nothing".into(),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn hosts_that_disagree_are_an_error_and_no_vote() {
    assert_eq!(of(&[], None), "nothing");
    assert_eq!(of(&["a", "a"], None), "sha256:a");
    let both = of(&["a", "b", "a"], None);
    assert!(
        both.starts_with("hosts disagree about image n:1 (h[1,3] have sha256:a, h2 has sha256:b): "),
        "{both}"
    );
    assert!(both.contains("`--image sha256:...`") && both.contains("`shoal load image FILE`"), "{both}");
}

#[test]
fn the_operators_own_wins() {
    assert_eq!(of(&["a", "b", "b"], Some("sha256:a")), "sha256:a");
    let lost = of(&["b", "b"], Some("sha256:a"));
    assert!(
        lost.starts_with("image n:1 was loaded as sha256:a, which no usable host has (h[1-2] have sha256:b)"),
        "{lost}"
    );
    assert_eq!(of(&[], Some("sha256:a")), "nothing");
}

/// What containerd's store calls it is not what the operator's archive says.
#[test]
fn each_kind_of_store_speaks_for_itself() {
    assert_eq!(of(&["a", "c", "a"], None), "sha256:a");
    assert_eq!(of(&["a", "c", "c"], None), "sha256:c");
    assert_eq!(of(&["a", "c"], None), "sha256:a");
    assert!(of(&["a", "c1", "c2"], None).starts_with("hosts disagree"));
    assert_eq!(of(&["a", "c1", "c2"], Some("sha256:a")), "sha256:a");
    assert_eq!(of(&["c", "c"], Some("sha256:a")), "sha256:c");
}

#[test]
fn a_digest_is_answered_with_it() {
    let info = |id: &str, digests: &[&str]| ImageInfo {
        id: id.into(),
        architecture: "amd64".into(),
        labels: BTreeMap::new(),
        repo_tags: vec![],
        repo_digests: digests.iter().map(|d| (*d).to_owned()).collect(),
        size: Bytes(1),
    };
    for (reference, id, digests, right) in [
        ("n:1", "sha256:0b", &[][..], true),
        ("sha256:0a1", "sha256:0a12", &[], true),
        ("sha256:0a1", "sha256:0b12", &[], false),
        ("sha256:0a1", "sha256:0b12", &["r.example/n@sha256:0a1"], false),
        ("r.example/n@sha256:0a", "sha256:0b", &["r.example/n@sha256:0a"], true),
        ("r.example/n@sha256:0a", "sha256:0b", &["r.example/n@sha256:0c"], false),
        ("r.example/n@sha256:0a", "sha256:0a", &[], false),
    ] {
        assert_eq!(is_answer(reference, &info(id, digests)), right, "{reference} {id} {digests:?}");
    }
}
