//! Sealing: XChaCha20-Poly1305 with a random nonce per message (draft-irtf-cfrg-xchacha-03: 192 bits, so random nonces do
//! not repeat) and the message's place as associated data, so that a sealed value cannot be moved to another row.
//!
//! ```text
//! sealed = nonce (24 bytes) || ciphertext || tag (16 bytes)
//! ```

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use zeroize::Zeroizing;

use crate::{Rng, SealingKey};

/// Length of the nonce in bytes.
const NONCE_LEN: usize = 24;

/// Seals `plaintext` for `place`. Nothing but the plaintext's length shows; `None` beyond 256 GiB.
pub(crate) fn seal(key: &SealingKey, place: &str, plaintext: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
    let mut nonce = [0; NONCE_LEN];
    rng.fill_bytes(&mut nonce);
    let payload = Payload { msg: plaintext, aad: place.as_bytes() };
    let mut sealed = nonce.to_vec();
    sealed.extend(cipher(key).encrypt(XNonce::from_slice(&nonce), payload).ok()?);
    Some(sealed)
}

/// The plaintext of `sealed`, if it was sealed with this key for this place and is untouched.
pub(crate) fn open(key: &SealingKey, place: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = sealed.split_at_checked(NONCE_LEN)?;
    let payload = Payload { msg: ciphertext, aad: place.as_bytes() };
    cipher(key).decrypt(XNonce::from_slice(nonce), payload).ok().map(Zeroizing::new)
}

fn cipher(key: &SealingKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn key(seed: u64) -> SealingKey {
        let dir = tempfile::tempdir().unwrap();
        SealingKey::load_or_create(&dir.path().join("key"), &mut StdRng::seed_from_u64(seed)).unwrap()
    }

    proptest! {
        #[test]
        fn opens_where_it_was_sealed_and_nowhere_else(text: Vec<u8>, seed: u64, flip: prop::sample::Index) {
            let (mine, other) = (key(1), key(2));
            let sealed = seal(&mine, "here", &text, &mut StdRng::seed_from_u64(seed)).unwrap();
            let opened = open(&mine, "here", &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), text.as_slice());
            prop_assert!(open(&mine, "there", &sealed).is_none());
            prop_assert!(open(&other, "here", &sealed).is_none());
            let mut touched = sealed.clone();
            touched[flip.index(sealed.len())] ^= 1;
            prop_assert!(open(&mine, "here", &touched).is_none());
            prop_assert!(open(&mine, "here", &sealed[..flip.index(sealed.len())]).is_none());
        }
    }
}
