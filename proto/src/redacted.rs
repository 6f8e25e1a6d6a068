//! Messages that hold a secret, shown without it: `build.rs` writes their `Debug`, for every field of text whose name tells of one.

use crate::v1;

include!(concat!(env!("OUT_DIR"), "/redacted.rs"));

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fmt::Debug};

    use prost::Message;
    use prost_reflect::{DescriptorPool, DynamicMessage, Kind, Value};

    use super::*;
    use crate::DESCRIPTORS;

    /// What no message may show.
    const SECRET: &str = "hunter2";
    /// Fields by their names that everybody may see.
    const PUBLIC: [&str; 4] = [
        // The public halves of users' keys.
        "shoal.v1.ClusterSpec.ssh_keys",
        // Where chance begins.
        "shoal.v1.PlanClusterResponse.seed",
        "shoal.v1.ExplainPlacementResponse.seed",
        "shoal.v1.PlaceRequest.seed",
    ];

    /// A message as its type shows it, from its bytes.
    fn debug<M: Message + Default + Debug>(bytes: &[u8]) -> String {
        format!("{:?}", M::decode(bytes).unwrap())
    }

    /// Shows a message, given its bytes.
    type Show = fn(&[u8]) -> String;

    /// How each message is shown that holds a secret. A new one fails the test until it is here.
    const SHOWN: [(&str, Show); 4] = [
        ("shoal.v1.GetSshAccessResponse", debug::<v1::GetSshAccessResponse>),
        ("shoal.v1.SetRegistryRequest", debug::<v1::SetRegistryRequest>),
        ("shoal.v1.SshCredentials", debug::<v1::SshCredentials>),
        ("shoal.v1.TlsCredentials", debug::<v1::TlsCredentials>),
    ];

    #[test]
    fn no_message_shows_a_field_that_is_named_as_a_secret() {
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        let (mut public, mut seen) = (BTreeSet::from(PUBLIC), BTreeSet::new());
        let messages = pool.all_messages().filter(|message| !message.is_map_entry());
        for message in messages.filter(|message| message.package_name() == "shoal.v1") {
            let mut filled = DynamicMessage::new(message.clone());
            let mut secrets = Vec::new();
            for field in message.fields() {
                let told = ["key", "password", "secret", "token", "seed"];
                if !told.iter().any(|part| field.name().to_ascii_lowercase().contains(part))
                    || public.remove(field.full_name())
                {
                    continue;
                }
                let kind = field.kind();
                let is_text = matches!(kind, Kind::String | Kind::Bytes);
                assert!(is_text, "{}: is {kind:?} a secret?", field.full_name());
                let value = match kind == Kind::String {
                    true => Value::String(SECRET.into()),
                    false => Value::Bytes(SECRET.into()),
                };
                filled.set_field(&field, if field.is_list() { Value::List(vec![value]) } else { value });
                secrets.push(field.name().to_owned());
            }
            if secrets.is_empty() {
                continue;
            }
            let name = message.full_name().to_owned();
            let show = SHOWN.iter().find(|(shown, _)| *shown == name);
            let (_, show) = show.unwrap_or_else(|| panic!("{name} holds {secrets:?}: how is it shown?"));
            let shown = show(&filled.encode_to_vec());
            assert!(shown.starts_with(message.name()) && !shown.contains(SECRET), "{shown}");
            seen.insert(name);
        }
        assert_eq!(seen.len(), SHOWN.len(), "{seen:?}");
        assert_eq!(public, BTreeSet::new(), "no such fields");
    }

    #[test]
    fn what_holds_such_a_message_does_not_show_it_either() {
        let tls = v1::TlsCredentials { ca: "a".into(), cert: "b".into(), key: SECRET.into() };
        let request = v1::RegisterHostRequest {
            name: "alpha".into(),
            tls: Some(tls),
            ..v1::RegisterHostRequest::default()
        };
        let shown = format!("{request:?}");
        assert!(shown.contains("alpha") && shown.contains("TlsCredentials"), "{shown}");
        assert!(!shown.contains(SECRET), "{shown}");
    }
}
