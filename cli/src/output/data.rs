//! Results for programs: JSON with 2-space indentation, YAML, bare names. What a terminal would take for a command is
//! escaped in all three, in the way of each.

use std::fmt::Write;

use serde::Serialize;
use serde_saphyr::ser_options;

use crate::{error::CliError, escape};

/// `value` as JSON.
///
/// # Errors
/// [`CliError::Json`]: it has no such form.
pub(crate) fn json(value: &impl Serialize) -> Result<String, CliError> {
    Ok(escaped(&serde_json::to_string_pretty(value)?))
}

/// `value` as JSON on one line.
///
/// # Errors
/// [`CliError::Json`]: it has no such form.
pub(crate) fn json_line(value: &impl Serialize) -> Result<String, CliError> {
    Ok(escaped(&serde_json::to_string(value)?))
}

/// `value` as YAML; in its JSON form where a text has characters that would reach a terminal as a command, because only quotes
/// let them be escaped.
///
/// # Errors
/// [`CliError::Json`], [`CliError::Yaml`]: it has no such form.
pub(crate) fn yaml(value: &impl Serialize) -> Result<String, CliError> {
    let options = ser_options! { prefer_block_scalars: false };
    let yaml = serde_saphyr::to_string_with_options(value, options)
        .map_err(|error| CliError::Yaml(Box::new(error)))?;
    match yaml.chars().any(|c| c != '\n' && escape::is_unsafe(c)) {
        true => json(value),
        false => Ok(yaml),
    }
}

/// Names, one a line.
pub(crate) fn names(names: impl IntoIterator<Item = String>) -> String {
    names.into_iter().map(|name| escape::line(&name) + "\n").collect()
}

/// JSON in which no character reaches a terminal as a command: serde_json leaves those beyond ASCII as they are. They can
/// only stand in strings.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && escape::is_unsafe(c) {
            // All of them are in the basic plane: one unit of UTF-16.
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn safe(text: &str) -> bool {
        !text.chars().any(|c| c != '\n' && escape::is_unsafe(c))
    }

    #[test]
    fn three_forms() {
        let value =
            json!([{ "name": "no", "mac": "02:42:0a:60:00:02", "cpus": 1.5, "host": null, "of": [] }]);
        insta::assert_snapshot!(yaml(&value).unwrap(), @r#"
- cpus: 1.5
  host: null
  mac: 02:42:0a:60:00:02
  name: "no"
  of: []
"#);
        assert_eq!(yaml(&json!({ "a": "\u{202e}" })).unwrap(), "{\n  \"a\": \"\\u202e\"\n}");
        assert_eq!(names(["a".into(), "b\u{1b}".into()]), "a\nb\\u{1b}\n");
        assert_eq!(json_line(&json!({ "a": "\u{9b}\u{202e}" })).unwrap(), r#"{"a":"\u009b\u202e"}"#);
    }

    proptest! {
        #[test]
        fn every_text_comes_back_and_no_terminal_obeys_it(text in "\\PC*|[\u{1b}\u{9b}\u{202e}\n\t:#'\" -]{0,9}|\\w{100,200}") {
            let value = json!({ "text": text, "list": [text] });
            let (json, yaml) = (json(&value).unwrap(), yaml(&value).unwrap());
            prop_assert!(safe(&json) && safe(&yaml), "{yaml:?}");
            prop_assert_eq!(&serde_json::from_str::<Value>(&json).unwrap(), &value);
            prop_assert_eq!(&serde_saphyr::from_str::<Value>(&yaml).unwrap(), &value, "{}", yaml);
        }
    }
}
