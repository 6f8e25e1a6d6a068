//! One command by a coordinator of its own, as a process of `shoal` makes it.

use anyhow::Context;

use super::{
    consistency::Rows,
    coordinator::Coordinator,
    world::{Life, World},
};

impl World {
    /// What a command answers, by a coordinator of this name that ends with it, and the rows of the store afterwards.
    ///
    /// # Errors
    /// As [`World::live`], the store fails, or an armed crash was met.
    pub fn command<T>(
        &self,
        name: &str,
        command: impl AsyncFnOnce(&Life, &Coordinator) -> T,
    ) -> anyhow::Result<(T, Rows)> {
        let ended = self.live(async |life| {
            let coordinator = life.coordinator(name).await?;
            let answer = command(&life, &coordinator).await;
            let rows = Rows::read(&coordinator.store).await;
            coordinator.shutdown().await;
            anyhow::Ok((answer, rows?))
        })?;
        ended.context("a crash nobody armed")?
    }
}
