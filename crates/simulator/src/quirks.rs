//! The vendor's habits, each a switch; numbers are those of the vendor study's list of quirks.

use std::str::FromStr;

use crate::Error;

/// A habit of the vendor that a client has to live with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// 1: an end-of-day row is preliminary at first and revised the next morning.
    EodTwoStage,
    /// 2: a split or dividend rewrites the adjusted values of every earlier day.
    AdjustedRewrite,
    /// 3: the row of the running interval is served and changes at every poll.
    Running,
    /// 4: after the close the day's last reading carries the volume of all venues.
    ConsolidatedVolume,
    /// 5: v2 serves null bids, asks and last trades.
    NullQuotes,
    /// 6: v1 adds rows without price after the session, their time wrong by New York's offset.
    KindB,
    /// 7: readings are missing in the running session and appear later.
    Gaps,
    /// 12: newest-first lists shift between two pages.
    PageDrift,
    /// 14: whole numbers come with or without `.0`.
    NumberFormats,
    /// 15: rows gain unknown fields and lose unimportant ones.
    KeyDrift,
    /// Errors of authentication come in the gateway's form, with numeric codes.
    GatewayErrors,
}

impl Quirk {
    /// Every quirk, in the order of the list.
    pub const ALL: [Self; 11] = [
        Self::EodTwoStage,
        Self::AdjustedRewrite,
        Self::Running,
        Self::ConsolidatedVolume,
        Self::NullQuotes,
        Self::KindB,
        Self::Gaps,
        Self::PageDrift,
        Self::NumberFormats,
        Self::KeyDrift,
        Self::GatewayErrors,
    ];

    /// Returns the name used in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EodTwoStage => "eod-two-stage",
            Self::AdjustedRewrite => "adjusted-rewrite",
            Self::Running => "running",
            Self::ConsolidatedVolume => "consolidated-volume",
            Self::NullQuotes => "null-quotes",
            Self::KindB => "kind-b",
            Self::Gaps => "gaps",
            Self::PageDrift => "page-drift",
            Self::NumberFormats => "number-formats",
            Self::KeyDrift => "key-drift",
            Self::GatewayErrors => "gateway-errors",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl FromStr for Quirk {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|quirk| quirk.as_str() == text).ok_or_else(|| {
            Error::InvalidSetting {
                what: "quirk",
                text: text.to_owned(),
                known: "known are eod-two-stage, adjusted-rewrite, running, consolidated-volume, \
                        null-quotes, kind-b, gaps, page-drift, number-formats, key-drift, \
                        gateway-errors",
            }
        })
    }
}

/// Which quirks are switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    bits: u16,
}

impl Quirks {
    /// Switches every quirk off.
    pub const NONE: Self = Self { bits: 0 };

    /// Returns whether `quirk` is on.
    #[must_use]
    pub const fn has(self, quirk: Quirk) -> bool {
        self.bits & quirk.bit() != 0
    }

    /// Switches `quirk` on.
    #[must_use]
    pub const fn with(self, quirk: Quirk) -> Self {
        Self { bits: self.bits | quirk.bit() }
    }

    /// Switches `quirk` off.
    #[must_use]
    pub const fn without(self, quirk: Quirk) -> Self {
        Self { bits: self.bits & !quirk.bit() }
    }
}

impl Default for Quirks {
    /// What the vendor does every day to everybody: quirks 1 to 5.
    fn default() -> Self {
        Self::NONE
            .with(Quirk::EodTwoStage)
            .with(Quirk::AdjustedRewrite)
            .with(Quirk::Running)
            .with(Quirk::ConsolidatedVolume)
            .with(Quirk::NullQuotes)
    }
}

impl FromStr for Quirks {
    type Err = Error;

    /// Parses a comma list on top of the default: `kind-b,no-running`; `none` first clears it,
    /// `all` first sets everything.
    fn from_str(text: &str) -> Result<Self, Error> {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).try_fold(
            Self::default(),
            |quirks, name| {
                Ok(match (name, name.strip_prefix("no-")) {
                    ("none", _) => Self::NONE,
                    ("all", _) => Quirk::ALL.into_iter().fold(quirks, Self::with),
                    (_, Some(name)) => quirks.without(name.parse()?),
                    (_, None) => quirks.with(name.parse()?),
                })
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_changes_the_default() {
        let quirks: Quirks = "kind-b,no-running".parse().unwrap();
        assert!(quirks.has(Quirk::KindB) && quirks.has(Quirk::NullQuotes));
        assert!(!quirks.has(Quirk::Running));
        assert_eq!("none".parse::<Quirks>().unwrap(), Quirks::NONE);
        assert_eq!("".parse::<Quirks>().unwrap(), Quirks::default());
        assert!(Quirk::ALL.into_iter().all(|quirk| "all".parse::<Quirks>().unwrap().has(quirk)));
        assert!("sideways".parse::<Quirks>().is_err());
    }
}
