//! Reference rows: tickers and exchanges.

use crate::{
    ApiVersion,
    row::{Row, json_text},
    tape::Instrument,
};

struct Exchange {
    mic: &'static str,
    name: &'static str,
    acronym: &'static str,
    city: &'static str,
    website: &'static str,
}

/// The venues that symbols of the simulator are listed on, and the one of intraday rows.
const EXCHANGES: [Exchange; 6] = [
    Exchange {
        mic: "ARCX",
        name: "NYSE ARCA",
        acronym: "NYSEARCA",
        city: "New York",
        website: "www.nyse.com",
    },
    Exchange {
        mic: "BATS",
        name: "CBOE BZX US EQUITIES EXCHANGE",
        acronym: "BATS",
        city: "Chicago",
        website: "www.cboe.com",
    },
    Exchange {
        mic: "IEXG",
        name: "Investors Exchange",
        acronym: "IEX",
        city: "New York",
        website: "www.iextrading.com",
    },
    Exchange {
        mic: "XCBO",
        name: "CBOE GLOBAL MARKETS INC.",
        acronym: "CBOE",
        city: "Chicago",
        website: "www.cboe.com",
    },
    Exchange {
        mic: "XNAS",
        name: "NASDAQ - ALL MARKETS",
        acronym: "NASDAQ",
        city: "New York",
        website: "www.nasdaq.com",
    },
    Exchange {
        mic: "XNYS",
        name: "NEW YORK STOCK EXCHANGE, INC.",
        acronym: "NYSE",
        city: "New York",
        website: "www.nyse.com",
    },
];

fn exchange(mic: &str) -> Option<&'static Exchange> {
    EXCHANGES.iter().find(|exchange| exchange.mic == mic)
}

/// Returns the short name of an exchange, or the code itself.
pub(crate) fn acronym(mic: &'static str) -> &'static str {
    exchange(mic).map_or(mic, |exchange| exchange.acronym)
}

/// Returns the rows of `/exchanges` whose code or name contains `search`.
pub(crate) fn exchange_rows(version: ApiVersion, search: Option<&str>) -> Vec<String> {
    EXCHANGES
        .iter()
        .filter(|exchange| matches(search, exchange.mic) || matches(search, exchange.name))
        .map(|exchange| exchange_row(version, exchange).finish())
        .collect()
}

fn exchange_row(version: ApiVersion, exchange: &Exchange) -> Row {
    let row = Row::new(false)
        .text("name", exchange.name)
        .text("acronym", exchange.acronym)
        .text("mic", exchange.mic);
    match version {
        ApiVersion::V1 => row
            .text("country", "USA")
            .text("country_code", "US")
            .text("city", exchange.city)
            .text("website", exchange.website)
            .raw("timezone", TIMEZONE.to_owned())
            .raw("currency", CURRENCY.to_owned()),
        ApiVersion::V2 => row
            .null("country")
            .text("country_code", "US")
            .text("city", exchange.city)
            .text("website", exchange.website)
            .text("operating_mic", exchange.mic)
            .text("oprt_sgmt", "OPRT")
            .text("legal_entity_name", "")
            .text("exchange_lei", "")
            .text("market_category_code", "NSPD")
            .text("exchange_status", "ACTIVE")
            .text("date_creation", "2005-06-27")
            .text("date_last_update", "2017-10-10")
            .null("date_last_validation")
            .null("date_expiry")
            .text("comments", ""),
    }
}

const TIMEZONE: &str = r#"{"timezone":"America/New_York","abbr":"EST","abbr_dst":"EDT"}"#;
const CURRENCY: &str = r#"{"code":"USD","name":"US Dollar","symbol":"$","symbol_native":"$"}"#;

/// Returns the row of a ticker in the list: `/tickers` of v1, `/tickerslist` of v2.
pub(crate) fn ticker_row(version: ApiVersion, instrument: &Instrument) -> String {
    match version {
        ApiVersion::V1 => ticker(version, instrument).finish(),
        ApiVersion::V2 => named(instrument)
            .text("ticker", &instrument.symbol)
            .raw("has_intraday", "false".to_owned())
            .raw("has_eod", "true".to_owned())
            .raw("stock_exchange", stock_exchange(version, instrument.mic))
            .finish(),
    }
}

/// Writes one ticker, as `/tickers/{symbol}` serves it.
pub(crate) fn ticker(version: ApiVersion, instrument: &Instrument) -> Row {
    let row = named(instrument).text("symbol", &instrument.symbol);
    match version {
        ApiVersion::V1 => row
            .raw("has_intraday", "false".to_owned())
            .raw("has_eod", "true".to_owned())
            .null("country")
            .raw("stock_exchange", stock_exchange(version, instrument.mic)),
        ApiVersion::V2 => row
            .null("cik")
            .null("isin")
            .null("cusip")
            .null("lei")
            .text("series_id", "")
            .text("item_type", "equity")
            .null("sector")
            .null("industry")
            .raw("stock_exchange", stock_exchange(version, instrument.mic)),
    }
}

fn named(instrument: &Instrument) -> Row {
    match &instrument.name {
        Some(name) => Row::new(false).text("name", name),
        None => Row::new(false).null("name"),
    }
}

fn stock_exchange(version: ApiVersion, mic: &str) -> String {
    let Some(exchange) = exchange(mic) else {
        return format!("{{\"mic\":{}}}", json_text(mic));
    };
    let row = Row::new(false)
        .text("name", exchange.name)
        .text("acronym", exchange.acronym)
        .text("mic", exchange.mic);
    match version {
        ApiVersion::V1 => row
            .text("country", "USA")
            .text("country_code", "US")
            .text("city", exchange.city)
            .text("website", exchange.website)
            .finish(),
        ApiVersion::V2 => row.finish(),
    }
}

/// Returns whether `text` contains the lower-case `search`, if there is one.
pub(crate) fn matches(search: Option<&str>, text: &str) -> bool {
    search.is_none_or(|search| text.to_lowercase().contains(search))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::tests::two_days;

    #[test]
    fn a_ticker_is_named_differently_in_each_version() {
        let instrument = two_days();
        assert!(ticker_row(ApiVersion::V1, &instrument).contains(r#""symbol":"AAPL""#));
        assert!(ticker_row(ApiVersion::V2, &instrument).contains(r#""ticker":"AAPL""#));
        assert!(ticker_row(ApiVersion::V2, &instrument).starts_with(r#"{"name":null,"#));
    }

    #[test]
    fn exchanges_are_searched_by_code_and_name() {
        assert_eq!(exchange_rows(ApiVersion::V1, None).len(), EXCHANGES.len());
        assert_eq!(exchange_rows(ApiVersion::V2, Some("xnas")).len(), 1);
        for row in exchange_rows(ApiVersion::V2, Some("nyse")) {
            assert!(serde_json::from_str::<serde_json::Value>(&row).is_ok(), "{row}");
        }
    }
}
