//! Lists of node names folded as Slurm folds them: `controller,worker-[0,3-5]`.

use std::collections::BTreeMap;

use crate::natural;

/// The names, folded by what stands before their number. Numbers with leading zeros are left as they are.
pub(crate) fn fold(names: &[&str]) -> String {
    let mut prefixes: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut plain = Vec::new();
    for name in names {
        let prefix = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = &name[prefix.len()..];
        match digits.parse() {
            Ok(number) if digits == "0" || !digits.starts_with('0') => {
                prefixes.entry(prefix).or_default().push(number);
            }
            Ok(_) | Err(_) => plain.push((*name).to_owned()),
        }
    }
    let folded = prefixes.into_iter().map(|(prefix, mut numbers)| {
        numbers.sort_unstable();
        match numbers.as_slice() {
            [only] => format!("{prefix}{only}"),
            several => format!("{prefix}[{}]", ranges(several)),
        }
    });
    let mut items: Vec<String> = plain.into_iter().chain(folded).collect();
    items.sort_by(|a, b| natural::cmp(a, b));
    items.join(",")
}

/// `0,3-5` of sorted numbers.
fn ranges(numbers: &[u64]) -> String {
    let runs = numbers.chunk_by(|a, b| a.checked_add(1) == Some(*b));
    let text = runs.filter_map(|run| match run {
        [] => None,
        [only] => Some(only.to_string()),
        [first, .., last] => Some(format!("{first}-{last}")),
    });
    text.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (names, folded) in [
            (&[][..], ""),
            (&["controller"], "controller"),
            (&["worker-3"], "worker-3"),
            (&["worker-5", "controller", "worker-0", "worker-4", "worker-3"], "controller,worker-[0,3-5]"),
            (&["worker-10", "worker-2"], "worker-[2,10]"),
            (&["n01", "n02"], "n01,n02"),
            (
                &["n18446744073709551615", "n18446744073709551614"],
                "n[18446744073709551614-18446744073709551615]",
            ),
            (&["n99999999999999999999"], "n99999999999999999999"),
        ] {
            assert_eq!(fold(names), folded);
        }
    }
}
