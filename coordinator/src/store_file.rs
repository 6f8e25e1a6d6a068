//! A store as a file, to be moved: from SQLite to PostgreSQL, back, or to another machine.
//!
//! Neither is done while a server or a command works with the store: what it knew would be of the other one.

use std::io::{BufRead, Write};

use shoal_storage::{Holder, Import, SealingKey, Store, Transferred};
use shoal_types::{Clock as _, SystemClock};

use crate::{
    embedded::{self, Options},
    words::{
        entropy::{Entropy as _, SystemEntropy},
        fault::CoordinatorError,
    },
};

/// Writes a whole store to `out`.
///
/// # Errors
/// [`CoordinatorError::NoStore`]: there is none. [`CoordinatorError::Transfer`]: it is in use, or cannot be written.
pub async fn export_store(
    options: Options,
    out: &mut (impl Write + Send),
) -> Result<Transferred, CoordinatorError> {
    let place = options.place()?;
    if !options.is_there()? {
        return Err(CoordinatorError::NoStore { place });
    }
    let (store, surroundings) = embedded::open(options).await?;
    let exported = store.export(out, SystemClock.now(), |holder| lives(&surroundings.holder, holder)).await;
    store.close().await;
    Ok(exported?)
}

/// Fills an empty store from what was exported; one is made if there is none.
///
/// # Errors
/// [`CoordinatorError::Key`]: there is no key, which is never made here. [`CoordinatorError::Transfer`]: it is no export, not of this
/// version or key, or the store is not empty or in use. Nothing was changed.
pub async fn import_store(
    options: Options,
    from: impl BufRead + Send,
) -> Result<Transferred, CoordinatorError> {
    let url = options.url()?;
    let key = SealingKey::load(&options.key_path())?;
    let import = Import::begin(from, &key)?;
    embedded::make_private(&options.state_dir)?;
    let me = Holder::of_this_machine("import")?;
    let store = Store::open(&url, key, SystemClock.now(), &mut *SystemEntropy.rng()).await?;
    let imported = import.into_store(&store, SystemClock.now(), |holder| lives(&me, holder)).await;
    store.close().await;
    Ok(imported?)
}

/// Whether a holder is at work, as far as this machine can tell.
fn lives(me: &Holder, holder: &Holder) -> bool {
    holder.boot_id != me.boot_id || holder.lives()
}
