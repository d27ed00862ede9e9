//! The kinds of rows a vendor serves; each has a topic, a landing chain and a bronze table.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A kind of vendor rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dataset {
    /// Readings or bars within a trading session.
    Intraday,
    /// The official end-of-day bar of a session.
    Eod,
    /// Stock splits.
    Splits,
    /// Cash dividends.
    Dividends,
    /// Instruments the vendor knows.
    Tickers,
    /// Exchanges the vendor knows.
    Exchanges,
}

impl Dataset {
    /// Every dataset, in the order in which they are shown.
    pub const ALL: [Self; 6] =
        [Self::Intraday, Self::Eod, Self::Splits, Self::Dividends, Self::Tickers, Self::Exchanges];

    /// Returns the name used in topics, landing keys, tables and settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intraday => "intraday",
            Self::Eod => "eod",
            Self::Splits => "splits",
            Self::Dividends => "dividends",
            Self::Tickers => "tickers",
            Self::Exchanges => "exchanges",
        }
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Dataset {
    type Err = UnknownDataset;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|dataset| dataset.as_str() == text)
            .ok_or_else(|| UnknownDataset { text: text.to_owned() })
    }
}

/// The text names no dataset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no dataset; known are intraday, eod, splits, dividends, tickers, exchanges")]
pub struct UnknownDataset {
    /// What was given.
    pub text: String,
}
