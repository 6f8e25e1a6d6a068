//! How results are written, as `-o` names it.

/// A form of results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Tables and sentences, as wide as the terminal.
    #[default]
    Human,
    /// JSON, for programs: the shapes are in docs/schema/output.
    Json,
    /// The same as YAML.
    Yaml,
    /// Tables with more columns.
    Wide,
    /// Only names, one a line, as other commands take them.
    Name,
}

/// How much a table for people tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What is mostly asked for.
    Usual,
    /// All there is.
    Wide,
}
