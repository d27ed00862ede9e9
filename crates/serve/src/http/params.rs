//! Query parameters become types that cannot be wrong, or an answer that says what is allowed.

use std::{collections::BTreeSet, str::FromStr};

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use model::BarInterval;

use super::reply::Refusal;

/// Most symbols in one request; a watchlist of that length is asked for without the parameter.
const SYMBOLS_MAX: usize = 200;
/// Longest symbol: the longest the vendor lists has 21 characters.
const SYMBOL_CHARS_MAX: usize = 32;
/// Bars in an answer when nobody says how many: two to three sessions of one-minute bars.
pub(super) const BARS_DEFAULT: usize = 1_000;
/// Most bars in an answer: about 1.5 MB of JSON.
pub(super) const BARS_MAX: usize = 10_000;

const SYMBOL_ALLOWED: &str = "1 to 32 letters, digits and `.` `-` `_` `^` `=`";
const SYMBOLS_ALLOWED: &str =
    "up to 200 symbols separated by commas, each 1 to 32 letters, digits and `.` `-` `_` `^` `=`";
const INTERVAL_ALLOWED: &str = "1m, 5m, 15m, 1h, 1d";
const TIME_ALLOWED: &str = "RFC 3339 such as `2026-01-05T14:30:00Z` (write `+` as `%2B`), or a \
                            date such as `2026-01-05`, which means its midnight in UTC";
const LIMIT_ALLOWED: &str = "1 to 10000";

/// The parameters of a request as names and values, each name once.
#[derive(Debug)]
pub(super) struct Params {
    pairs: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map(|Query(pairs)| pairs)
            .map_err(|_| {
                let given = parts.uri.query().unwrap_or_default();
                Refusal::parameter("query", given, "`name=value` pairs joined by `&`, UTF-8")
            })?;
        Ok(Self { pairs })
    }
}

impl Params {
    /// Refuses every parameter that is not in `allowed`, and every second value of one that is: a
    /// misspelled `from` would otherwise answer a question nobody asked.
    pub(super) fn only(self, allowed: &[&str]) -> Result<Self, Refusal> {
        let mut seen = BTreeSet::new();
        for (name, value) in &self.pairs {
            if !allowed.contains(&name.as_str()) {
                let list = match allowed {
                    [] => "no parameters".to_owned(),
                    _ => format!("the parameters {}", allowed.join(", ")),
                };
                return Err(Refusal::parameter(name, value, &list));
            }
            if !seen.insert(name.as_str()) {
                return Err(Refusal::parameter(name, value, "each parameter once"));
            }
        }
        Ok(self)
    }

    /// Returns a parameter as it was given.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns `symbol`, which has to be given.
    pub(super) fn symbol(&self) -> Result<String, Refusal> {
        let given = self.get("symbol").ok_or_else(|| Refusal::missing("symbol", SYMBOL_ALLOWED))?;
        if is_symbol(given) {
            Ok(given.to_owned())
        } else {
            Err(Refusal::parameter("symbol", given, SYMBOL_ALLOWED))
        }
    }

    /// Returns `symbols`; `None` when it is not given, which means all of them.
    pub(super) fn symbols(&self) -> Result<Option<BTreeSet<String>>, Refusal> {
        let Some(given) = self.get("symbols") else {
            return Ok(None);
        };
        let symbols: Vec<&str> = given.split(',').collect();
        if SYMBOLS_MAX < symbols.len() || !symbols.iter().copied().all(is_symbol) {
            return Err(Refusal::parameter("symbols", given, SYMBOLS_ALLOWED));
        }
        Ok(Some(symbols.into_iter().map(str::to_owned).collect()))
    }

    /// Returns `interval`, which has to be given and kept in gold.
    pub(super) fn interval(&self) -> Result<BarInterval, Refusal> {
        let given =
            self.get("interval").ok_or_else(|| Refusal::missing("interval", INTERVAL_ALLOWED))?;
        BarInterval::GOLD
            .into_iter()
            .find(|interval| interval.as_str() == given)
            .ok_or_else(|| Refusal::parameter("interval", given, INTERVAL_ALLOWED))
    }

    /// Returns `from` and `to`; together they are `[from, to)`.
    pub(super) fn range(&self) -> Result<TimeRange, Refusal> {
        let range = TimeRange { from: self.time("from")?, to: self.time("to")? };
        match (range.from, range.to) {
            (Some(from), Some(to)) if to <= from => {
                let given = self.get("to").unwrap_or_default();
                Err(Refusal::parameter("to", given, "a time after `from`"))
            }
            _ => Ok(range),
        }
    }

    /// Returns `limit` of an answer that is kept whole, or its default.
    pub(super) fn limit(&self) -> Result<usize, Refusal> {
        let Some(given) = self.get("limit") else {
            return Ok(BARS_DEFAULT);
        };
        parse_count(given)
            .filter(|limit| (1..=BARS_MAX).contains(limit))
            .ok_or_else(|| Refusal::parameter("limit", given, LIMIT_ALLOWED))
    }

    /// Returns `limit` of an answer that is streamed; `None` when it is not given.
    pub(super) fn rows_limit(&self) -> Result<Option<u64>, Refusal> {
        let Some(given) = self.get("limit") else {
            return Ok(None);
        };
        let limit = parse_count(given).filter(|limit| *limit > 0);
        limit.map(Some).ok_or_else(|| Refusal::parameter("limit", given, "1 and more"))
    }

    fn time(&self, name: &'static str) -> Result<Option<DateTime<Utc>>, Refusal> {
        let Some(given) = self.get(name) else {
            return Ok(None);
        };
        parse_time(given).map(Some).ok_or_else(|| Refusal::parameter(name, given, TIME_ALLOWED))
    }
}

/// A half-open range of market time; a missing end is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeRange {
    pub(super) from: Option<DateTime<Utc>>,
    pub(super) to: Option<DateTime<Utc>>,
}

/// Whether `text` can be a symbol. Quotes, spaces, slashes and everything beyond ASCII cannot.
fn is_symbol(text: &str) -> bool {
    (1..=SYMBOL_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'^' | b'=')
        })
}

/// `parse` alone would take a leading `+`, which nobody means.
fn parse_count<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    // Years beyond four digits overflow the microseconds of the tables.
    let is_sane = |ts: &DateTime<Utc>| (1900..=9999).contains(&chrono::Datelike::year(ts));
    if let Ok(ts) = DateTime::parse_from_rfc3339(text) {
        return Some(ts.with_timezone(&Utc)).filter(is_sane);
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.and_time(NaiveTime::MIN).and_utc()).filter(is_sane)
}

#[cfg(test)]
impl Params {
    pub(super) fn parse(query: &str) -> Self {
        let uri = format!("/?{query}").parse().unwrap();
        Self { pairs: Query::try_from_uri(&uri).unwrap().0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params::parse(query)
    }

    #[test]
    fn a_symbol_is_what_an_exchange_could_list() {
        for text in ["AAPL", "BRK.B", "RDS-A", "^GSPC", "EURUSD=X", "a"] {
            assert!(is_symbol(text), "{text:?}");
        }
        let long = "A".repeat(33);
        for text in ["", "A B", "A'B", "A/B", "Ä", "A\n", "A,B", "\"A\"", ";", long.as_str()] {
            assert!(!is_symbol(text), "{text:?}");
        }
    }

    #[test]
    fn a_time_is_rfc_3339_or_a_date() {
        let expected = "2026-01-05T14:30:00Z".parse::<DateTime<Utc>>().unwrap();
        assert_eq!(parse_time("2026-01-05T14:30:00Z"), Some(expected));
        assert_eq!(parse_time("2026-01-05T09:30:00-05:00"), Some(expected));
        assert!(parse_time("2026-01-05").is_some());
        for text in ["", "now", "1767623400", "2026-13-01", "-9999-01-01", "2026-01-05T14:30:00"] {
            assert_eq!(parse_time(text), None, "{text:?}");
        }
    }

    #[test]
    fn each_parameter_is_known_and_given_once() {
        assert!(params("symbol=A&limit=5").only(&["symbol", "limit"]).is_ok());
        assert!(params("form=A").only(&["from"]).is_err());
        assert!(params("limit=1&limit=2").only(&["limit"]).is_err());
        assert!(params("x=1").only(&[]).is_err());
    }

    #[test]
    fn a_limit_is_a_plain_number_within_its_bounds() {
        assert_eq!(params("").limit().unwrap(), BARS_DEFAULT);
        assert_eq!(params("limit=10000").limit().unwrap(), BARS_MAX);
        for query in ["limit=0", "limit=10001", "limit=-1", "limit=", "limit=1e3", "limit=%2B5"] {
            assert!(params(query).limit().is_err(), "{query}");
        }
    }

    #[test]
    fn a_streamed_answer_has_as_many_rows_as_one_likes() {
        assert_eq!(params("").rows_limit().unwrap(), None);
        assert_eq!(params("limit=5000000").rows_limit().unwrap(), Some(5_000_000));
        for query in ["limit=0", "limit=-1", "limit=", "limit=1e3", "limit=%2B5"] {
            assert!(params(query).rows_limit().is_err(), "{query}");
        }
    }

    #[test]
    fn a_range_has_a_length() {
        assert!(params("from=2026-01-05&to=2026-01-06").range().is_ok());
        assert!(params("from=2026-01-05&to=2026-01-05").range().is_err());
    }

    #[test]
    fn only_intervals_kept_in_gold_are_served() {
        assert_eq!(params("interval=15m").interval().unwrap(), BarInterval::Minute15);
        for query in ["interval=10m", "interval=1min", "interval=", "", "interval=1M"] {
            assert!(params(query).interval().is_err(), "{query}");
        }
    }
}
