//! Tables without borders: columns two spaces apart, wrapped to a terminal's width, as wide as they are in a pipe.

use comfy_table::{ContentArrangement, Table, presets::NOTHING};

use super::paint;
use crate::escape;

/// Columns a line may have; no limit if standard output is no terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Width(pub(crate) Option<u16>);

impl Width {
    /// That of the terminal on standard output.
    pub(crate) fn of_stdout() -> Self {
        Self(terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0))
    }
}

/// Columns between two columns.
const GAP: u16 = 2;
/// Below this, columns of one letter help nobody.
const NARROWEST: u16 = 40;

/// Rows of cells below a header, bars and words of states in colour; `none` instead if there are no rows. Columns from number `needed` on are left out from the
/// right where the width does not hold them.
pub(crate) fn table<const N: usize>(
    width: Width,
    header: [&str; N],
    needed: usize,
    rows: impl IntoIterator<Item = [String; N]>,
    none: &str,
) -> String {
    let rows: Vec<[String; N]> = rows.into_iter().map(|row| row.map(|cell| escape::line(&cell))).collect();
    if rows.is_empty() {
        return none.to_owned();
    }
    let build = |columns: usize| {
        let mut table = Table::new();
        table.load_style(NOTHING).set_header(&header[..columns]);
        table.add_rows(rows.iter().map(|row| &row[..columns]));
        for column in table.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        table
    };
    let Width(Some(width)) = width else { return paint::table(&build(N).trim_fmt(), &header) };
    let fits = |table: &Table| {
        let widths = table.column_max_content_widths();
        widths.iter().map(|w| usize::from(*w) + usize::from(GAP)).sum::<usize>() <= usize::from(width + GAP)
    };
    let columns = (needed..=N).rev().find(|columns| fits(&build(*columns))).unwrap_or(needed);
    let mut table = build(columns);
    if !fits(&table) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.max(NARROWEST));
    }
    paint::table(&table.trim_fmt(), &header[..columns])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_the_width_or_is_as_wide_as_it_is() {
        let rows = || {
            [
                [
                    "host1".to_owned(),
                    "tcp://10.0.0.1:2376".to_owned(),
                    "a long reason why it failed".to_owned(),
                ],
                ["h\u{1b}".to_owned(), String::new(), String::new()],
            ]
        };
        let header = ["NAME", "ENDPOINT", "ERROR"];
        insta::assert_snapshot!(table(Width(None), header, 2, rows(), "none"), @r#"
    NAME     ENDPOINT             ERROR
    host1    tcp://10.0.0.1:2376  a long reason why it failed
    h\u{1b}
    "#);
        insta::assert_snapshot!(table(Width(Some(44)), header, 3, rows(), "none"), @r#"
    NAME     ENDPOINT          ERROR
    host1    tcp://10.0.0.1:2  a long reason
             376               why it failed
    h\u{1b}
    "#);
        insta::assert_snapshot!(table(Width(Some(44)), header, 2, rows(), "none"), @r#"
    NAME     ENDPOINT
    host1    tcp://10.0.0.1:2376
    h\u{1b}
    "#);
        assert_eq!(table(Width(None), header, 3, [], "no hosts"), "no hosts");
    }
}
