//! The settings of a simulated vendor: plain data, easy to build from flags.

use std::{num::NonZeroU32, path::PathBuf, str::FromStr, time::Duration};

use chrono::NaiveDate;
use model::{BarInterval, clock::MarketTime};

use crate::{Error, FaultPlan, Quirks};

/// What an intraday row of this vendor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semantics {
    /// A reading: the day's open, high and low so far, cumulative volume, yesterday's close.
    Reading,
    /// A bar of its own interval.
    Bar,
}

impl FromStr for Semantics {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "reading" => Ok(Self::Reading),
            "bar" => Ok(Self::Bar),
            _ => Err(Error::InvalidSetting {
                what: "semantics",
                text: text.to_owned(),
                known: "known are reading, bar",
            }),
        }
    }
}

/// A version of the vendor's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiVersion {
    /// `/v1`: deprecated, still answering.
    V1,
    /// `/v2`: current.
    V2,
}

impl FromStr for ApiVersion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "v1" => Ok(Self::V1),
            "v2" => Ok(Self::V2),
            _ => Err(Error::InvalidSetting {
                what: "API version",
                text: text.to_owned(),
                known: "known are v1, v2",
            }),
        }
    }
}

/// Where the one-minute bars come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file with the columns `source,symbol,ts_start_utc,open,high,low,close,volume`.
    Csv(PathBuf),
    /// Bars made from a seed.
    Generated(GeneratedSource),
}

/// What to generate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedSource {
    /// How many symbols.
    pub symbols: u32,
    /// Names for the first symbols; the others get names of four letters.
    pub names: Vec<String>,
    /// First day; the first session is the one on or after it.
    pub first_date: NaiveDate,
    /// How many trading sessions.
    pub sessions: u32,
    /// Where all prices are derived from.
    pub seed: u64,
}

impl FromStr for Source {
    type Err = Error;

    /// Parses `csv:PATH` or `generated:SYMBOLSxSESSIONS@DATE#SEED`, such as
    /// `generated:24x5@2019-02-11#7`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let generated = |text: &str| {
            let (size, rest) = text.split_once('@')?;
            let (symbols, sessions) = size.split_once('x')?;
            let (date, seed) = rest.split_once('#').unwrap_or((rest, "0"));
            Some(GeneratedSource {
                symbols: symbols.parse().ok()?,
                names: Vec::new(),
                first_date: date.parse().ok()?,
                sessions: sessions.parse().ok()?,
                seed: seed.parse().ok()?,
            })
        };
        match text.split_once(':') {
            Some(("csv", path)) if !path.is_empty() => Some(Self::Csv(PathBuf::from(path))),
            Some(("generated", rest)) => generated(rest).map(Self::Generated),
            _ => None,
        }
        .ok_or_else(|| Error::InvalidSetting {
            what: "source of bars",
            text: text.to_owned(),
            known: "known are csv:PATH, generated:SYMBOLSxSESSIONS@DATE#SEED",
        })
    }
}

/// Everything a simulated vendor is told.
#[derive(Clone, Debug)]
pub struct SimulatorConfig {
    /// Where the bars come from.
    pub source: Source,
    /// What an intraday row is.
    pub semantics: Semantics,
    /// Market time: a row appears when its interval has ended in it.
    pub time: MarketTime,
    /// The vendor's habits.
    pub quirks: Quirks,
    /// What goes wrong, if anything.
    pub faults: Option<FaultPlan>,
    /// Requests per second of wall time and account; the vendor allows 5. Also the burst.
    pub requests_per_second: NonZeroU32,
    /// Requests per month and account, one per symbol; `None` is what the account's plan allows.
    pub quota_monthly: Option<u64>,
    /// Share of the real volume that IEX sees, in thousandths. 1000 keeps volumes exact.
    pub iex_share_permille: u32,
    /// A late reading appears at most this many market minutes after its interval.
    pub late_minutes_max: u32,
    /// A restated reading changes at most this many market minutes after its interval.
    pub restated_minutes_max: u32,
    /// The served interval that the truth is about.
    pub truth_interval: BarInterval,
    /// The API version whose rows the truth quotes (poison rows, rows without price).
    pub truth_version: ApiVersion,
    /// Where the truth is written, at shutdown and while running.
    pub truth_file: Option<PathBuf>,
    /// How often the truth file is renewed when something changed.
    pub truth_every: Duration,
}

/// The vendor's published limit.
const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(5).expect("five is not zero");
/// Late and restated rows settle within these, so that a poller that looks back half an hour of
/// market time sees all of them.
const LATE_MINUTES_MAX: u32 = 20;
const RESTATED_MINUTES_MAX: u32 = 30;

impl SimulatorConfig {
    /// Creates the settings of a well-behaved vendor: the everyday quirks, no faults.
    #[must_use]
    pub fn new(source: Source, time: MarketTime) -> Self {
        Self {
            source,
            semantics: Semantics::Reading,
            time,
            quirks: Quirks::default(),
            faults: None,
            requests_per_second: REQUESTS_PER_SECOND,
            quota_monthly: None,
            iex_share_permille: 1_000,
            late_minutes_max: LATE_MINUTES_MAX,
            restated_minutes_max: RESTATED_MINUTES_MAX,
            truth_interval: BarInterval::Minute1,
            truth_version: ApiVersion::V2,
            truth_file: None,
            truth_every: Duration::from_secs(3),
        }
    }

    /// Checks what one setting's type cannot say.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let unusable = |reason| Err(Error::Unusable { reason });
        if 1_000 < self.iex_share_permille {
            return unusable("the IEX share is more than the whole market");
        }
        if self.truth_interval == BarInterval::Day1 {
            return unusable("the truth is about an intraday interval, `1d` is none");
        }
        if self.faults.as_ref().is_some_and(|plan| !(0.0..=1.0).contains(&plan.rate)) {
            return unusable("the fault rate is a probability, from 0 to 1");
        }
        if self.late_minutes_max == 0 || self.restated_minutes_max == 0 {
            return unusable("late and restated rows need at least one minute");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_from_flags() {
        let source: Source = "generated:500x5@2019-02-11#7".parse().unwrap();
        let Source::Generated(generated) = source else { panic!("{source:?}") };
        assert_eq!((generated.symbols, generated.sessions, generated.seed), (500, 5, 7));
        assert_eq!("csv:a/b.csv".parse::<Source>().unwrap(), Source::Csv(PathBuf::from("a/b.csv")));
        for text in ["", "csv:", "generated:5", "generated:ax5@2019-02-11", "web:x"] {
            assert!(text.parse::<Source>().is_err(), "{text:?}");
        }
    }
}
