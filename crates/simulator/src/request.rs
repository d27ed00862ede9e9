//! Requests: which endpoint, and what the parameters ask for.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use model::{BarInterval, Dataset};

use crate::{ApiVersion, eod::midnight, reply::Refusal, tape::Seconds};

/// The vendor's limits on one request.
const SYMBOLS_MAX: usize = 100;
const LIMIT_MAX: usize = 1_000;
const LIMIT_DEFAULT: usize = 100;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Rows of a dataset, by date.
    Rows { dataset: Dataset, when: When },
    /// The list of tickers, in the form of the version.
    Tickers,
    /// One ticker.
    Ticker(String),
    /// The list of exchanges.
    Exchanges,
}

/// Which rows by date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// As `date_from` and `date_to` say.
    Range,
    /// The newest of each symbol.
    Latest,
    /// Of the day, or exactly of the moment, in the path.
    At(Seconds, Seconds),
}

impl Route {
    /// Parses a path such as `/v2/intraday/latest`; `None` is no endpoint of that version.
    pub(crate) fn parse(path: &str) -> (ApiVersion, Option<Self>) {
        let mut parts = path.trim_matches('/').split('/');
        let version = match parts.next() {
            Some("v1") => ApiVersion::V1,
            Some("v2") => ApiVersion::V2,
            _ => return (ApiVersion::V2, None),
        };
        let parts: Vec<&str> = parts.collect();
        let by_date = |dataset, when| Some(Self::Rows { dataset, when });
        let dated = |dataset, text: &str| match text {
            "latest" => by_date(dataset, When::Latest),
            _ => {
                let (from, to) = moment(&decoded(text))?;
                by_date(dataset, When::At(from, to))
            }
        };
        let route = match (version, &parts[..]) {
            (_, ["eod"]) => by_date(Dataset::Eod, When::Range),
            (_, ["eod", when]) => dated(Dataset::Eod, when),
            (_, ["intraday"]) => by_date(Dataset::Intraday, When::Range),
            (_, ["intraday", when]) => dated(Dataset::Intraday, when),
            (_, ["splits"]) => by_date(Dataset::Splits, When::Range),
            (_, ["dividends"]) => by_date(Dataset::Dividends, When::Range),
            (ApiVersion::V1, ["tickers"]) | (ApiVersion::V2, ["tickerslist"]) => {
                Some(Self::Tickers)
            }
            (_, ["tickers", symbol]) => Some(Self::Ticker((*symbol).to_owned())),
            (_, ["exchanges"]) => Some(Self::Exchanges),
            _ => None,
        };
        (version, route)
    }

    pub(crate) const fn dataset(&self) -> Dataset {
        match self {
            Self::Rows { dataset, .. } => *dataset,
            Self::Tickers | Self::Ticker(_) => Dataset::Tickers,
            Self::Exchanges => Dataset::Exchanges,
        }
    }
}

/// What the parameters ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    /// In the order asked for, each once; empty for endpoints that take none.
    pub(crate) symbols: Vec<String>,
    pub(crate) interval: BarInterval,
    pub(crate) ascending: bool,
    /// Inclusive.
    pub(crate) from: Seconds,
    /// Inclusive.
    pub(crate) to: Seconds,
    pub(crate) limit: usize,
    pub(crate) offset: usize,
    pub(crate) exchange: Option<String>,
    pub(crate) search: Option<String>,
}

impl Query {
    /// Checks the parameters in the vendor's order: symbols first, then the others.
    pub(crate) fn parse(route: &Route, params: &BTreeMap<String, String>) -> Result<Self, Refusal> {
        let given =
            |name: &str| params.get(name).map(String::as_str).filter(|text| !text.is_empty());
        let symbols = match route {
            Route::Rows { .. } => parse_symbols(given("symbols"))?,
            _ => Vec::new(),
        };
        let wrong = |field, message| Refusal::Validation { field, key: "invalid_value", message };
        let ascending = match given("sort") {
            None | Some("DESC" | "desc") => false,
            Some("ASC" | "asc") => true,
            Some(_) => return Err(wrong("sort", "The value you selected is not a valid choice.")),
        };
        let interval = match given("interval") {
            None => BarInterval::Hour1,
            Some(name) => BarInterval::from_vendor_name(name)
                .filter(|interval| *interval != BarInterval::Day1)
                .ok_or_else(|| {
                    wrong("interval", "The value you selected is not a valid choice.")
                })?,
        };
        let limit = match given("limit").map(str::parse) {
            None => LIMIT_DEFAULT,
            Some(Ok(limit)) if (1..=LIMIT_MAX).contains(&limit) => limit,
            Some(_) => return Err(wrong("limit", "This value should be between 1 and 1000.")),
        };
        let offset = match given("offset").map(str::parse) {
            None => 0,
            Some(Ok(offset)) => offset,
            Some(_) => return Err(wrong("offset", "This value should be 0 or more.")),
        };
        let bound = |name, field| match given(name).map(moment) {
            None => Ok(None),
            Some(Some(moment)) => Ok(Some(moment)),
            Some(None) => Err(wrong(field, "This value is not a valid date.")),
        };
        let mut from = bound("date_from", "date_from")?.map_or(i64::MIN, |(first, _)| first);
        let mut to = bound("date_to", "date_to")?.map_or(i64::MAX, |(_, last)| last);
        if let Route::Rows { when: When::At(first, last), .. } = route {
            (from, to) = (*first, *last);
        }
        Ok(Self {
            symbols,
            interval,
            ascending,
            from,
            to,
            limit,
            offset,
            exchange: given("exchange").map(str::to_owned),
            search: given("search").map(str::to_lowercase),
        })
    }
}

/// Decodes what occurs in the time of a path.
fn decoded(text: &str) -> String {
    text.replace("%20", " ").replace("%3A", ":").replace("%2B", "+")
}

fn parse_symbols(list: Option<&str>) -> Result<Vec<String>, Refusal> {
    let mut symbols: Vec<String> = Vec::new();
    for symbol in list.unwrap_or_default().split(',').map(str::trim) {
        if !symbol.is_empty() && !symbols.iter().any(|known| known == symbol) {
            symbols.push(symbol.to_owned());
        }
    }
    let refusal = |key, message| Err(Refusal::Validation { field: "symbols", key, message });
    match symbols.len() {
        0 => refusal("missing_symbols", "You did not specify any symbols."),
        1..=SYMBOLS_MAX => Ok(symbols),
        _ => refusal("too_many_symbols", "You can specify up to 100 symbols."),
    }
}

/// Returns the first and last second of what a text names: a whole day, or one moment.
fn moment(text: &str) -> Option<(Seconds, Seconds)> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Some((midnight(date), midnight(date) + 86_399));
    }
    // A `+` that was not encoded arrives as a space.
    let text = match text.rsplit_once(' ') {
        Some((time, zone)) if zone.len() == 4 && time.contains('T') => format!("{time}+{zone}"),
        _ => text.to_owned(),
    };
    let zoned = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S%.f%z"]
        .iter()
        .find_map(|format| DateTime::parse_from_str(&text.replace('Z', "+0000"), format).ok())
        .map(|time| time.timestamp());
    let ts = zoned.or_else(|| {
        ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok())
            .map(|time| time.and_utc().timestamp())
    })?;
    Some((ts, ts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(params: &[(&str, &str)]) -> Result<Query, Refusal> {
        let (_, route) = Route::parse("/v2/intraday");
        let params = params.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Query::parse(&route.unwrap(), &params.collect())
    }

    #[test]
    fn paths_name_endpoints() {
        let rows = |dataset, when| Some(Route::Rows { dataset, when });
        let check = |path, expected| assert_eq!(Route::parse(path).1, expected, "{path}");
        check("/v2/intraday/latest", rows(Dataset::Intraday, When::Latest));
        check("/v1/eod/1970-01-02", rows(Dataset::Eod, When::At(86_400, 172_799)));
        check("/v2/intraday/1970-01-01%2000:01", rows(Dataset::Intraday, When::At(60, 60)));
        check("/v1/tickers", Some(Route::Tickers));
        check("/v2/tickers", None);
        check("/v2/tickerslist", Some(Route::Tickers));
        check("/v2/tickers/AAPL", Some(Route::Ticker("AAPL".to_owned())));
        for path in ["/v3/eod", "/v1/tickerslist", "/", "/v2/eod/never", "/v2/eod/latest/x"] {
            check(path, None);
        }
    }

    #[test]
    fn dates_are_inclusive_in_every_form() {
        let bounds = |from: &str, to: &str| {
            let query = query(&[("symbols", "A"), ("date_from", from), ("date_to", to)]).unwrap();
            (query.from, query.to)
        };
        assert_eq!(bounds("1970-01-02", "1970-01-02"), (86_400, 172_799));
        assert_eq!(bounds("1970-01-01T00:01:00+0000", "1970-01-01T00:02:00+0000"), (60, 120));
        assert_eq!(bounds("1970-01-01T00:01:00 0000", "1970-01-01T00:02:00Z"), (60, 120));
        assert_eq!(bounds("1970-01-01 00:01:00", "1970-01-01T00:02:00+00:00"), (60, 120));
    }

    #[test]
    fn defaults_and_limits_are_the_vendors() {
        let query = query(&[("symbols", "A,B,A")]).unwrap();
        assert_eq!(query.symbols, ["A", "B"]);
        assert_eq!((query.limit, query.offset, query.ascending), (100, 0, false));
        assert_eq!(query.interval, BarInterval::Hour1);
    }

    #[test]
    fn wrong_parameters_are_refused() {
        let many: String = (0..101).map(|n| format!("S{n},")).collect();
        for (name, value) in [
            ("symbols", ""),
            ("symbols", &many),
            ("limit", "0"),
            ("limit", "1001"),
            ("limit", "ten"),
            ("offset", "-1"),
            ("sort", "UP"),
            ("interval", "2min"),
            ("interval", "24hour"),
            ("date_from", "yesterday"),
        ] {
            let mut params = vec![("symbols", "A")];
            params.push((name, value));
            let refusal = query(&params).unwrap_err();
            assert_eq!(refusal.status().as_u16(), 422, "{name}={value}");
        }
        assert!(query(&[("symbol", "A")]).is_err(), "the parameter is `symbols`");
    }
}
