//! The answers of the API as they are sent: exact decimals as text, times in UTC.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use model::decimal::{self, DecimalType, Unscaled};
use serde::{Serialize, Serializer};

/// A moment, sent as RFC 3339 with a `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) DateTime<Utc>);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

/// A price, sent as a decimal text: a JSON number would become a float in most clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Price(pub(super) Unscaled);

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&decimal::PRICE.format(self.0))
    }
}

/// A volume, sent as a decimal text: fractional shares exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Volume(pub(super) Unscaled);

impl Serialize for Volume {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&decimal::VOLUME.format(self.0))
    }
}

/// Percent with four decimals, enough to tell a cent on a price of 10,000.
const PERCENT: DecimalType = DecimalType { precision: 38, scale: 4 };

/// A change in percent, sent as a decimal text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Percent(Unscaled);

impl Percent {
    /// Returns by how much `price` differs from `base`, rounded half away from zero; `None` when
    /// there is nothing to divide by.
    pub(super) fn change(price: Price, base: Price) -> Option<Self> {
        if base.0 <= 0 {
            return None;
        }
        // Hundred for percent, 10^4 for the decimals: 18 digits of price leave room in 38.
        let scaled = price.0.checked_sub(base.0)?.checked_mul(1_000_000)?;
        let (quotient, rest) = (scaled / base.0, scaled % base.0);
        let rounds_away = base.0 <= rest.abs().checked_mul(2)?;
        Some(Self(if rounds_away { quotient + scaled.signum() } else { quotient }))
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&PERCENT.format(self.0))
    }
}

/// `GET /api/v1/health`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Health {
    pub(super) status: &'static str,
    pub(super) release: &'static str,
}

/// `GET /api/v1/symbols`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Symbols {
    pub(super) symbols: Vec<SymbolRow>,
}

/// One line of a watchlist.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SymbolRow {
    pub(super) symbol: String,
    pub(super) mic: String,
    pub(super) name: Option<String>,
    pub(super) price: Option<Price>,
    pub(super) change: Option<Price>,
    pub(super) change_percent: Option<Percent>,
    pub(super) volume: Option<Volume>,
    pub(super) ts_quote: Option<Moment>,
}

/// `GET /api/v1/bars`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Bars {
    pub(super) symbol: String,
    pub(super) interval: &'static str,
    pub(super) bars: Vec<Bar>,
}

/// One bar of gold.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Bar {
    pub(super) ts_start: Moment,
    pub(super) ts_end: Moment,
    pub(super) open: Price,
    pub(super) high: Price,
    pub(super) low: Price,
    pub(super) close: Price,
    pub(super) volume: Option<Volume>,
    pub(super) revision: i32,
}

/// `GET /api/v1/quotes`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Quotes {
    pub(super) quotes: Vec<Quote>,
}

/// The newest reading of one listing.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Quote {
    pub(super) symbol: String,
    pub(super) mic: String,
    pub(super) price: Price,
    pub(super) open: Option<Price>,
    pub(super) high: Option<Price>,
    pub(super) low: Option<Price>,
    pub(super) previous_close: Option<Price>,
    pub(super) volume: Option<Volume>,
    pub(super) ts_quote: Moment,
    pub(super) session_date: NaiveDate,
}

/// The data of an `event: bar` of `GET /api/v1/stream`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct BarChange {
    pub(super) symbol: String,
    pub(super) mic: String,
    pub(super) interval: String,
    pub(super) ts_start: Moment,
    pub(super) ts_end: Moment,
    pub(super) open: Price,
    pub(super) high: Price,
    pub(super) low: Price,
    pub(super) close: Price,
    pub(super) volume: Option<Volume>,
    pub(super) revision: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_percent(price: &str, base: &str, expected: Option<&str>) {
        let parse = |text| Price(decimal::PRICE.parse(text).unwrap());
        let shown = Percent::change(parse(price), parse(base))
            .map(|percent| serde_json::to_value(percent).unwrap().as_str().unwrap().to_owned());
        assert_eq!(shown.as_deref(), expected, "{price} against {base}");
    }

    #[test]
    fn a_change_in_percent_is_exact_to_four_decimals() {
        check_percent("101", "100", Some("1"));
        check_percent("99.5", "100", Some("-0.5"));
        check_percent("2", "3", Some("-33.3333"));
        check_percent("4", "3", Some("33.3333"));
        check_percent("5", "3", Some("66.6667"));
        check_percent("1", "3", Some("-66.6667"));
        check_percent("999999999999.999999", "0.000001", Some("99999999999999999800"));
        check_percent("1", "0", None);
    }
}
