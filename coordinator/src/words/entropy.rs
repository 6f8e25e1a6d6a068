//! Randomness as an argument: ids, seeds and sealing nonces are drawn from here, so that a test can say what they are.

use std::fmt;

use rand::{TryRngCore, rngs::OsRng};
use shoal_storage::Rng;

/// Where random bytes come from.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// A generator, for one unit of work.
    fn rng(&self) -> Box<Rng>;
}

/// The kernel's generator (getrandom(2)).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn rng(&self) -> Box<Rng> {
        Box::new(OsRng.unwrap_err())
    }
}

/// `N` random bytes.
pub(crate) fn draw<const N: usize>(rng: &mut Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}
