//! Executables of the agent for hosts of another architecture; the file says itself which one it is for.

use std::{fs::File, io::Read, path::PathBuf, str::FromStr};

/// `e_machine` of an ELF header (elf(5)) -> the architecture in Docker's words.
const MACHINES: [(u16, &str); 6] = [
    (0x03, "i686"),
    (0x15, "ppc64le"),
    (0x16, "s390x"),
    (0x28, "armv7l"),
    (0x3e, "x86_64"),
    (0xb7, "aarch64"),
];

/// An executable that was named and cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentBinaryError {
    /// It cannot be read.
    #[error("the file cannot be read")]
    Read(#[from] std::io::Error),
    /// It is no ELF executable.
    #[error("not a Linux executable")]
    NotElf,
    /// It is for an architecture no engine runs on.
    #[error("an executable for an unknown architecture (ELF machine {machine:#x})")]
    Machine {
        /// What its header says.
        machine: u16,
    },
}

/// An executable and what it runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentBinary {
    /// Architecture in Docker's words, such as `aarch64`.
    pub(crate) architecture: &'static str,
    /// The file.
    pub(crate) path: PathBuf,
}

impl FromStr for AgentBinary {
    type Err = AgentBinaryError;

    fn from_str(text: &str) -> Result<Self, AgentBinaryError> {
        let path = PathBuf::from(text);
        let mut header = Vec::new();
        File::open(&path)?.take(20).read_to_end(&mut header)?;
        let architecture = machine(&header)?;
        Ok(Self { architecture, path })
    }
}

/// The architecture in the first 20 bytes of a file.
fn machine(header: &[u8]) -> Result<&'static str, AgentBinaryError> {
    let [0x7f, b'E', b'L', b'F', _, data, .., low, high] = *header else {
        return Err(AgentBinaryError::NotElf);
    };
    if header.len() != 20 {
        return Err(AgentBinaryError::NotElf);
    }
    let machine = match data {
        2 => u16::from_be_bytes([low, high]),
        _ => u16::from_le_bytes([low, high]),
    };
    let known = MACHINES.iter().find(|(number, _)| *number == machine);
    known.map(|(_, name)| *name).ok_or(AgentBinaryError::Machine { machine })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_which() {
        let header = |data: u8, machine: [u8; 2]| {
            let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, data];
            bytes.extend([0; 12]);
            bytes.extend(machine);
            bytes
        };
        assert_eq!(machine(&header(1, [0xb7, 0])).unwrap(), "aarch64");
        assert_eq!(machine(&header(2, [0, 0x16])).unwrap(), "s390x");
        assert!(matches!(machine(&header(1, [0xff, 0])), Err(AgentBinaryError::Machine { machine: 0xff })));
        for bad in [&b""[..], b"#!/bin/sh\nexec true\n", &header(1, [0xb7, 0])[..19]] {
            assert!(matches!(machine(bad), Err(AgentBinaryError::NotElf)));
        }
    }

    #[test]
    fn this_very_program_is_one() {
        let own = std::env::current_exe().unwrap();
        let binary: AgentBinary = own.to_str().unwrap().parse().unwrap();
        assert_eq!(binary.architecture, std::env::consts::ARCH);
    }
}
