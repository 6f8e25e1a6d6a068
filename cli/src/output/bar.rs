//! Bars: how much of something is used, promised or done, in a fixed number of columns.

/// What fills a bar, and what is left of it.
const FULL: char = '█';
const EMPTY: char = '·';
/// The last column in eighths: what a bar says between two whole columns.
const EIGHTHS: [char; 8] = [EMPTY, '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// `part` of `whole` as a bar of `columns`. What is more than whole is full; of nothing, nothing is full.
pub(crate) fn bar(part: u64, whole: u64, columns: usize) -> String {
    let all = columns as u128 * 8;
    let eighths = (u128::from(part) * all).checked_div(u128::from(whole)).unwrap_or(0).min(all);
    // Something is never shown as nothing.
    let eighths = if eighths == 0 && part > 0 && whole > 0 { 1 } else { eighths };
    let eighths = usize::try_from(eighths).unwrap_or(usize::MAX);
    let (full, rest) = (eighths / 8, eighths % 8);
    let cell = |column: usize| match column {
        column if column < full => FULL,
        column if column == full => EIGHTHS[rest],
        _ => EMPTY,
    };
    (0..columns).map(cell).collect()
}

/// Whether it can stand in a bar.
pub(super) fn is_part(c: char) -> bool {
    c == FULL || EIGHTHS.contains(&c)
}

/// Whether it is a column that is full, or nearly.
pub(super) fn is_full(c: char) -> bool {
    matches!(c, FULL | '▋' | '▊' | '▉')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_full_as_it_is() {
        assert_eq!(bar(0, 10, 5), "·····");
        assert_eq!(bar(1, 1_000_000, 5), "▏····");
        assert_eq!(bar(5, 10, 5), "██▌··");
        assert_eq!(bar(10, 10, 5), "█████");
        assert_eq!(bar(u64::MAX, 1, 5), "█████");
        assert_eq!(bar(u64::MAX, u64::MAX, 2), "██");
        assert_eq!(bar(3, 0, 3), "···");
    }
}
