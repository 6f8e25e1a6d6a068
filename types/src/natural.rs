//! The order people expect of numbered names: `worker-2` before `worker-10`.

use std::cmp::Ordering;

/// Compares two names run by run: digits by value, everything else by bytes. Names that differ only in leading zeros
/// fall back to their bytes, so the order is total.
#[must_use]
pub fn cmp(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (a, b);
    while !x.is_empty() && !y.is_empty() {
        let ((run_x, rest_x), (run_y, rest_y)) = (next_run(x), next_run(y));
        let order = match (is_digits(run_x), is_digits(run_y)) {
            (true, true) => by_value(run_x, run_y),
            (true, false) | (false, true) | (false, false) => run_x.cmp(run_y),
        };
        if order.is_ne() {
            return order;
        }
        (x, y) = (rest_x, rest_y);
    }
    x.len().cmp(&y.len()).then_with(|| a.cmp(b))
}

fn is_digits(run: &str) -> bool {
    run.starts_with(|c: char| c.is_ascii_digit())
}

/// The longest start that is all digits or has none, and the rest.
fn next_run(text: &str) -> (&str, &str) {
    let digits = is_digits(text);
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

/// Numbers of any length: without leading zeros the longer one is larger.
fn by_value(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_count() {
        let mut names =
            ["worker-10", "worker-2", "controller", "a10b2", "a10b10", "a9", "worker-02", "worker"];
        names.sort_by(|a, b| cmp(a, b));
        assert_eq!(
            names,
            ["a9", "a10b2", "a10b10", "controller", "worker", "worker-02", "worker-2", "worker-10"]
        );
        assert_eq!(cmp("n99999999999999999999999", "n100000000000000000000000"), Ordering::Less);
    }

    proptest! {
        #[test]
        fn is_a_total_order(a in "[a0-2-]{0,6}", b in "[a0-2-]{0,6}", c in "[a0-2-]{0,6}") {
            prop_assert_eq!(cmp(&a, &b), cmp(&b, &a).reverse());
            prop_assert_eq!(cmp(&a, &b).is_eq(), a == b);
            if cmp(&a, &b).is_le() && cmp(&b, &c).is_le() {
                prop_assert!(cmp(&a, &c).is_le());
            }
        }
    }
}
