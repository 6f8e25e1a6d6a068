//! Edits of intent: decided on a snapshot without touching a host, committed in one transaction, decided anew if somebody
//! else committed first. Uses `observe/` and the floors below.

pub(crate) mod addressing;
pub(crate) mod admission;
pub(crate) mod placing;
