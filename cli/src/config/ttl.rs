//! `ttl`: how long the cluster lives.

use std::str::FromStr;

use shoal_types::TtlError;

/// How long a cluster lives: `30m`, `4h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ttl(pub(crate) shoal_types::Ttl);

impl FromStr for Ttl {
    type Err = TtlError;

    fn from_str(text: &str) -> Result<Self, TtlError> {
        let ms = crate::duration::millis(text).ok_or(TtlError)?;
        shoal_types::Ttl::try_from(ms).map(Self)
    }
}

/// The same, or `none`: it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TtlSetting(pub(crate) Option<shoal_types::Ttl>);

/// A text that is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither none nor a time from 1m to 365d, such as 30m, 4h or 7d")]
pub(crate) struct TtlSettingError;

impl FromStr for TtlSetting {
    type Err = TtlSettingError;

    fn from_str(text: &str) -> Result<Self, TtlSettingError> {
        match text {
            "none" => Ok(Self(None)),
            text => text.parse().map(|Ttl(ttl)| Self(Some(ttl))).map_err(|TtlError| TtlSettingError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, ms) in [("1m", 60_000), ("4h", 14_400_000), ("1h30m", 5_400_000), ("365d", 31_536_000_000)]
        {
            assert_eq!(text.parse::<Ttl>().map(|ttl| ttl.0.as_millis()), Ok(ms), "{text}");
            assert_eq!(
                text.parse::<TtlSetting>().map(|ttl| ttl.0.map(shoal_types::Ttl::as_millis)),
                Ok(Some(ms))
            );
        }
        assert_eq!("none".parse(), Ok(TtlSetting(None)));
        for bad in ["", "0", "0s", "59s", "366d", "-4h", "4", "soon", "None"] {
            assert_eq!(bad.parse::<Ttl>(), Err(TtlError), "{bad}");
            assert_eq!(bad.parse::<TtlSetting>(), Err(TtlSettingError), "{bad}");
        }
        assert_eq!("none".parse::<Ttl>(), Err(TtlError));
    }
}
