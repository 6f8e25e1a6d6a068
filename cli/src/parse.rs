//! Arguments as types: a refusal says the whole reason, on one line, with control characters spelt out.

use std::{net::Ipv4Addr, num::NonZeroU32, str::FromStr};

use shoal_types::{LabelKey, LabelValue, chain};

/// Reads a `T`; for clap, which shows an error without its causes.
pub(crate) fn word<T: FromStr<Err: std::error::Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| chain(&error))
}

/// How many of something: a whole number from 1.
pub(crate) fn count(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| "not a whole number from 1 to 4294967295".into())
}

/// `KEY=VALUE`; `KEY=` takes a label away where that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabelChange {
    /// The label.
    pub(crate) key: LabelKey,
    /// Its value from now on, if it stays.
    pub(crate) value: Option<LabelValue>,
}

/// Reads a label.
pub(crate) fn label(text: &str) -> Result<LabelChange, String> {
    let (key, value) = text.split_once('=').ok_or("a label is KEY=VALUE")?;
    let value = (!value.is_empty()).then(|| word(value)).transpose()?;
    Ok(LabelChange { key: word(key)?, value })
}

/// Factors by which a host may promise more than it has, in thousandths; a factor left out stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OvercommitArg {
    /// Factor on CPU.
    pub(crate) cpu_milli: Option<u32>,
    /// Factor on memory.
    pub(crate) memory_milli: Option<u32>,
}

/// Reads `cpu=4,memory=1.5`, either part alone too.
pub(crate) fn overcommit(text: &str) -> Result<OvercommitArg, String> {
    let mut arg = OvercommitArg::default();
    for part in text.split(',') {
        let (key, value) = part.split_once('=').ok_or("an overcommit is cpu=FACTOR,memory=FACTOR")?;
        let place = match key {
            "cpu" => &mut arg.cpu_milli,
            "memory" => &mut arg.memory_milli,
            _ => return Err("only cpu and memory can be overcommitted".into()),
        };
        if place.replace(factor(value)?).is_some() {
            return Err(format!("{key} is there twice"));
        }
    }
    Ok(arg)
}

/// A factor with at most three decimals, in thousandths.
fn factor(text: &str) -> Result<u32, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    let milli = match digits(whole, 3) && digits(fraction, 3) {
        true => format!("{whole}{fraction:0<3}").parse().unwrap_or(0),
        false => 0,
    };
    match milli {
        100..=100_000 => Ok(milli),
        _ => Err("a factor is a number from 0.1 to 100 with at most three decimals".into()),
    }
}

/// An address that other machines can send to.
pub(crate) fn underlay(text: &str) -> Result<Ipv4Addr, String> {
    let address: Ipv4Addr = text.parse().map_err(|_| "an underlay address is IPv4, such as 10.0.0.7")?;
    let nobodys =
        address.is_unspecified() || address.is_loopback() || address.is_multicast() || address.is_broadcast();
    match nobodys {
        true => Err("no other host can send to it: name an address of one of its interfaces".into()),
        false => Ok(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overcommit_forms() {
        let arg = |cpu_milli, memory_milli| Ok(OvercommitArg { cpu_milli, memory_milli });
        assert_eq!(overcommit("cpu=4,memory=1.5"), arg(Some(4000), Some(1500)));
        assert_eq!(overcommit("memory=0.125"), arg(None, Some(125)));
        for bad in [
            "",
            "4",
            "cpu",
            "cpu=",
            "cpu=0",
            "cpu=-1",
            "cpu=x",
            "disk=2",
            "cpu=1,cpu=2",
            "cpu=1.2345",
            "cpu=101",
            "cpu=1,",
            "cpu=1e3",
            "cpu=.5",
            "cpu=99999999999",
        ] {
            assert!(overcommit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn label_forms() {
        assert_eq!(label("rack=b").unwrap().value.unwrap().as_str(), "b");
        assert_eq!(label("rack=").unwrap().value, None);
        for bad in ["", "rack", "=b", "a b=c", "rack=b=c", "rack=\u{1b}"] {
            assert!(label(bad).is_err(), "{bad}");
        }
    }
}
