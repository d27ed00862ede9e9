//! Recorded one-minute bars: `source,symbol,ts_start_utc,open,high,low,close,volume`.

use std::{collections::BTreeMap, fs, path::Path};

use chrono::DateTime;
use model::decimal::{DecimalType, PRICE, VOLUME};

use super::{Instrument, Minute};
use crate::Error;

const HEADER: &str = "source,symbol,ts_start_utc,open,high,low,close,volume";

/// Reads a file of bars; their order does not matter, each minute may occur once per symbol.
pub(super) fn read(path: &Path) -> Result<Vec<Instrument>, Error> {
    let text = fs::read_to_string(path)
        .map_err(|source| Error::ReadBars { path: path.to_owned(), source })?;
    parse(&text).map_err(|(line, reason)| Error::InvalidBar { path: path.to_owned(), line, reason })
}

fn parse(text: &str) -> Result<Vec<Instrument>, (usize, &'static str)> {
    let mut lines = text.lines().zip(1..);
    if lines.next().is_none_or(|(header, _)| header.trim_end() != HEADER) {
        return Err((1, "not the expected column names"));
    }
    let mut symbols: BTreeMap<&str, BTreeMap<i64, Minute>> = BTreeMap::new();
    for (line, number) in lines.filter(|(line, _)| !line.trim().is_empty()) {
        let (symbol, minute) = parse_line(line).map_err(|reason| (number, reason))?;
        if symbols.entry(symbol).or_default().insert(minute.ts, minute).is_some() {
            return Err((number, "a second bar for the same minute"));
        }
    }
    Ok(symbols
        .into_iter()
        .map(|(symbol, minutes)| {
            let minutes: Vec<Minute> = minutes.into_values().collect();
            Instrument::new(symbol, listing_mic(symbol), &minutes)
        })
        .collect())
}

fn parse_line(line: &str) -> Result<(&str, Minute), &'static str> {
    let columns: Vec<&str> = line.trim_end().split(',').collect();
    let [_, symbol, ts, open, high, low, close, volume] = columns[..] else {
        return Err("not eight columns");
    };
    if symbol.is_empty() {
        return Err("no symbol");
    }
    let ts = DateTime::parse_from_rfc3339(ts).map_err(|_| "no RFC 3339 time")?.timestamp();
    if ts.rem_euclid(60) != 0 {
        return Err("not the start of a minute");
    }
    let minute = Minute {
        ts,
        open: number(PRICE, open)?,
        high: number(PRICE, high)?,
        low: number(PRICE, low)?,
        close: number(PRICE, close)?,
        volume: number(VOLUME, volume)?,
    };
    let (lowest, highest) = (minute.open.min(minute.close), minute.open.max(minute.close));
    if minute.low <= 0 || lowest < minute.low || minute.high < highest || minute.volume < 0 {
        return Err("prices or volume contradict each other");
    }
    Ok((symbol, minute))
}

fn number(kind: DecimalType, text: &str) -> Result<i64, &'static str> {
    let unscaled = kind.parse(text).map_err(|_| "a column is no decimal number")?;
    i64::try_from(unscaled).map_err(|_| "a column is out of range")
}

/// Where well-known symbols are listed; the vendor's answer for most others is Nasdaq.
fn listing_mic(symbol: &str) -> &'static str {
    match symbol {
        "AMT" | "BAC" | "BK" | "DFS" | "JPM" | "TRV" | "V" => "XNYS",
        "GLD" | "PPLT" | "SLV" | "SPY" | "TZA" | "UGA" | "VOO" | "XLP" => "ARCX",
        "VIX" => "XCBO",
        "VXXB" => "BATS",
        _ => "XNAS",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_decimal_is_lost() {
        let text = format!("{HEADER}\nx,ABC,2019-02-11T14:31:00Z,1,1.1001,0.9999,1.000001,7\n");
        let instruments = parse(&text).unwrap();
        let bar = instruments[0].slots(model::BarInterval::Minute1)[0].bar;
        assert_eq!([bar.high, bar.low, bar.close], [1_100_100, 999_900, 1_000_001]);
        assert_eq!(bar.volume, 70_000);
    }

    #[test]
    fn a_line_that_is_no_bar_is_named() {
        let check = |line: &str, number| {
            let text = format!("{HEADER}\nx,ABC,2019-02-11T14:31:00Z,1,1,1,1,7\n{line}\n");
            assert_eq!(parse(&text).unwrap_err().0, number, "{line}");
        };
        check("x,ABC,2019-02-11T14:31:00Z,1,1,1,1,7", 3);
        check("x,ABC,2019-02-11T14:32:30Z,1,1,1,1,7", 3);
        check("x,ABC,2019-02-11T14:32:00Z,1,1,1,1e3,7", 3);
        check("x,ABC,2019-02-11T14:32:00Z,1,0.5,1,1,7", 3);
        check("x,ABC", 3);
        assert_eq!(parse("symbol,open\n").unwrap_err().0, 1);
    }
}
