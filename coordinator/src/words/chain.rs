//! An error with its sources, on one line.

use std::error::Error;

/// The error and its sources on one line; a source whose text is already there is not repeated.
pub(crate) fn text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use shoal_docker::{Endpoint, EngineError};

    use super::*;
    use crate::words::fault::Fault;

    #[test]
    fn sources_are_told_once() {
        let endpoint: Endpoint = "tcp://10.0.0.1:2376".parse().unwrap();
        let host = "host1".parse().unwrap();
        let fault = Fault::engine(&host)(EngineError::Refused {
            endpoint,
            source: std::io::Error::other("no route"),
        });
        assert_eq!(text(&fault), "host host1: tcp://10.0.0.1:2376 refused the connection: no route");
    }
}
