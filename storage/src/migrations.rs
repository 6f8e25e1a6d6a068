//! The migrations of both databases, embedded by `build.rs`, as sqlx runs them.
//!
//! A database keeps the number and the SHA-384 of each migration that ran on it: a file that changes afterwards is refused.

use std::{borrow::Cow, sync::LazyLock};

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// Those of `migrations/sqlite/`.
pub(crate) static OF_SQLITE: LazyLock<Migrator> = LazyLock::new(|| migrator(SQLITE));
/// Those of `migrations/postgres/`.
pub(crate) static OF_POSTGRES: LazyLock<Migrator> = LazyLock::new(|| migrator(POSTGRES));

/// The schema of this version.
pub(crate) fn newest() -> i64 {
    SQLITE.iter().map(|(version, ..)| *version).max().unwrap_or(0)
}

fn migrator(list: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = list.iter().map(|&(version, description, sql)| {
        Migration::new(
            version,
            Cow::Borrowed(description),
            MigrationType::Simple,
            sql.into_sql_str(),
            // In the transaction of all migrations.
            false,
        )
    });
    Migrator::with_migrations(migrations.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stores of earlier versions have recorded.
    #[test]
    fn a_migration_that_ran_somewhere_stays_as_it_is() {
        for (migrator, version, description, checksum) in [
            (&*OF_SQLITE, 1, "store", "38d2c8c01fef"),
            (&*OF_SQLITE, 6, "decisions", "89aa13630489"),
            (&*OF_POSTGRES, 1, "store", "b576d0893f76"),
            (&*OF_POSTGRES, 6, "decisions", "c77bca5dabbb"),
        ] {
            let migration = migrator.iter().find(|migration| migration.version == version).unwrap();
            assert_eq!(migration.description, description);
            let hex: String = migration.checksum.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, checksum, "{version} {description}");
        }
    }

    #[test]
    fn both_databases_have_the_same_ones() {
        let of = |list: &[(i64, &'static str, &'static str)]| {
            list.iter().map(|&(version, description, _)| (version, description)).collect::<Vec<_>>()
        };
        assert_eq!(of(SQLITE), of(POSTGRES));
        let numbers: Vec<i64> = SQLITE.iter().map(|(version, ..)| *version).collect();
        assert_eq!(numbers, (1..=i64::try_from(SQLITE.len()).unwrap()).collect::<Vec<_>>());
    }
}
