//! Amounts: CPU in thousandths of a core, memory and disk in bytes; how people write them and how they are shown.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An amount that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not of the form the unit takes.
    #[error("`{text}` is not {expected}")]
    Malformed {
        /// What was read, shortened and escaped.
        text: String,
        /// What was expected, with an example.
        expected: &'static str,
    },
    /// Zero where something is needed, or more than any machine has.
    #[error("`{text}` is out of range: {range}")]
    Range {
        /// What was read.
        text: String,
        /// The range allowed.
        range: &'static str,
    },
}

fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_default).collect()
}

/// CPU in thousandths of a core.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MilliCpu(pub u64);

impl MilliCpu {
    const MAX: u64 = 1_000_000_000;

    /// Whole cores, rounded up, at least one: what a Slurm node with this much CPU says it has.
    #[must_use]
    pub fn cores_ceil(self) -> u32 {
        u32::try_from(self.0.div_ceil(1000).max(1)).unwrap_or(u32::MAX)
    }

    /// Cores as a fraction, for JSON.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "at most a billion, exact in an f64")]
    pub fn cores(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl FromStr for MilliCpu {
    type Err = UnitError;

    /// Cores as `2`, `0.5` (at most three decimals) or thousandths as `500m`.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let malformed = || UnitError::Malformed {
            text: shown(text),
            expected: "a number of CPUs such as 2, 0.5 or 500m",
        };
        let digits =
            |part: &str| !part.is_empty() && part.len() <= 12 && part.bytes().all(|b| b.is_ascii_digit());
        let milli = if let Some(milli) = text.strip_suffix('m') {
            if !digits(milli) {
                return Err(malformed());
            }
            milli.parse().map_err(|_| malformed())?
        } else {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
            if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
                return Err(malformed());
            }
            let whole: u64 = whole.parse().map_err(|_| malformed())?;
            let fraction: u64 = format!("{fraction:0<3}").parse().map_err(|_| malformed())?;
            whole * 1000 + fraction
        };
        match milli {
            1..=Self::MAX => Ok(Self(milli)),
            _ => Err(UnitError::Range { text: shown(text), range: "more than 0, at most 1000000 CPUs" }),
        }
    }
}

impl fmt::Display for MilliCpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, milli) = (self.0 / 1000, self.0 % 1000);
        let text = match milli {
            0 => whole.to_string(),
            _ => format!("{whole}.{milli:03}").trim_end_matches('0').to_owned(),
        };
        f.pad(&text)
    }
}

/// Memory or disk in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    const MAX: u64 = 1 << 50;

    /// This many mebibytes.
    #[must_use]
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// Whole mebibytes, rounded down: Slurm's RealMemory.
    #[must_use]
    pub fn as_mib(self) -> u64 {
        self.0 >> 20
    }
}

impl FromStr for Bytes {
    type Err = UnitError;

    /// A number with a binary unit: `512m`, `64Mi`, `2g`, `2GiB`, `1t`, or plain bytes; case does not matter.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let malformed =
            || UnitError::Malformed { text: shown(text), expected: "a size such as 512m, 64MiB or 2g" };
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        if number.is_empty() || number.len() > 18 {
            return Err(malformed());
        }
        let shift = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "ki" | "kb" | "kib" => 10,
            "m" | "mi" | "mb" | "mib" => 20,
            "g" | "gi" | "gb" | "gib" => 30,
            "t" | "ti" | "tb" | "tib" => 40,
            _ => return Err(malformed()),
        };
        let number: u64 = number.parse().map_err(|_| malformed())?;
        match number.checked_mul(1 << shift) {
            Some(bytes @ 1..=Self::MAX) => Ok(Self(bytes)),
            _ => Err(UnitError::Range { text: shown(text), range: "more than 0, at most 1024 TiB" }),
        }
    }
}

impl fmt::Display for Bytes {
    /// The largest binary unit that leaves at least one, with one decimal where it is not whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 4] =
            [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let text = match UNITS.iter().find(|(size, _)| self.0 >= *size) {
            None => format!("{} B", self.0),
            Some((size, unit)) => match (self.0 % size) * 10 / size {
                0 => format!("{} {unit}", self.0 / size),
                tenths => format!("{}.{tenths} {unit}", self.0 / size),
            },
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_in_few_words(text in "\\PC{0,300}|[-+.0-9eE]{0,40}[a-zA-Z]{0,4}") {
            if let Err(error) = text.parse::<MilliCpu>() {
                prop_assert!(error.to_string().len() < 1000);
            }
            match text.parse::<Bytes>() {
                Ok(bytes) => prop_assert!((1..=Bytes::MAX).contains(&bytes.0)),
                Err(error) => prop_assert!(error.to_string().len() < 1000),
            }
        }

        #[test]
        fn cpus_are_read_as_they_are_shown(milli in 1..=MilliCpu::MAX) {
            let cpus = MilliCpu(milli);
            prop_assert_eq!(cpus.to_string().parse(), Ok(cpus));
            prop_assert_eq!(format!("{milli}m").parse(), Ok(cpus));
        }

        #[test]
        fn whole_sizes_are_read_as_they_are_shown(number in 1..1024_u64, shift in 0..4_u32) {
            let bytes = Bytes(number << (shift * 10));
            prop_assert_eq!(bytes.to_string().replace(' ', "").parse(), Ok(bytes));
        }
    }

    #[test]
    fn cpu_forms() {
        for (text, milli) in [("2", 2000), ("0.05", 50), ("500m", 500), ("1.5", 1500), ("0.001", 1)] {
            assert_eq!(text.parse::<MilliCpu>(), Ok(MilliCpu(milli)), "{text}");
        }
        for bad in ["", "0", "-1", "1.2345", "x", ".5", "1.", "1e3", "0m", "99999999999999999999", "1000001"]
        {
            assert!(bad.parse::<MilliCpu>().is_err(), "{bad}");
        }
        assert_eq!(MilliCpu(1050).to_string(), "1.05");
        assert_eq!(MilliCpu(50).cores_ceil(), 1);
    }

    #[test]
    fn size_forms() {
        for (text, bytes) in
            [("512m", 512 << 20), ("64MiB", 64 << 20), ("2G", 2 << 30), ("10", 10), ("1kib", 1024)]
        {
            assert_eq!(text.parse::<Bytes>(), Ok(Bytes(bytes)), "{text}");
        }
        for bad in ["", "0", "m", "-1m", "1.5g", "1x", "99999999999999999999", "2048t"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
        assert_eq!(Bytes::mib(1536).to_string(), "1.5 GiB");
        assert_eq!(Bytes(10).to_string(), "10 B");
    }
}
