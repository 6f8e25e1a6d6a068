//! Who calls. A client says so in the metadata of every call; a server reads it, once, and logs it. It is a claim: nothing is
//! allowed or refused by it.

use std::fmt;

use tonic::{
    Request, Status,
    metadata::{BinaryMetadataValue, MetadataMap, MetadataValue},
    service::Interceptor,
};

/// Key of the metadata: the caller's name, UTF-8, as the machine it calls from has it.
pub const CALLER_KEY: &str = "shoal-caller-bin";

/// Most characters of a name that are kept.
const LONGEST: usize = 64;

/// Who a call says it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(String);

impl Caller {
    /// The caller of this name, on one line and of at most 64 characters.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.chars().filter(|c| !c.is_control()).take(LONGEST).collect())
    }

    /// Who the metadata of a call names, if it names somebody.
    #[must_use]
    pub fn of(metadata: &MetadataMap) -> Option<Self> {
        let name = metadata.get_bin(CALLER_KEY)?.to_bytes().ok()?;
        let caller = Self::new(std::str::from_utf8(&name).ok()?);
        (!caller.0.is_empty()).then_some(caller)
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Names the caller in every call of a client.
#[derive(Debug, Clone)]
pub struct Introduce(BinaryMetadataValue);

impl Introduce {
    /// Calls of this caller.
    #[must_use]
    pub fn new(caller: &Caller) -> Self {
        Self(MetadataValue::from_bytes(caller.0.as_bytes()))
    }
}

impl Interceptor for Introduce {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert_bin(CALLER_KEY, self.0.clone());
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_reads_who_a_client_names() {
        let told = |name: &str| {
            let request = Introduce::new(&Caller::new(name)).call(Request::new(())).unwrap();
            Caller::of(request.metadata()).map(|caller| caller.to_string())
        };
        assert_eq!(told("ann").as_deref(), Some("ann"));
        assert_eq!(told("j\u{f6}rg\n\u{1b}[1m").as_deref(), Some("j\u{f6}rg[1m"));
        assert_eq!(told(&"x".repeat(100)), Some("x".repeat(64)));
        assert_eq!(told(""), None);
        assert_eq!(Caller::of(&MetadataMap::new()), None);
    }
}
