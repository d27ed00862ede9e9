//! The truth: what a correct pipeline holds, stated from what the vendor serves at a moment.
//!
//! NDJSON, one object per line, told apart by `kind`; prices and volumes are decimal text:
//!
//! | kind | one line per |
//! |---|---|
//! | `silver_bar` | row of the truth's interval, as a bar, all parts of the session |
//! | `bar_1m`, `bar_5m`, `bar_15m`, `bar_1h`, `bar_1d` | bar of the regular session; none shorter than the served interval |
//! | `eod` | end-of-day row |
//! | `split`, `dividend` | action |
//! | `poison` | row that must be rejected, with the reason |
//! | `served` | row that was served, with the number of distinct versions |
//!
//! `final` says whether a later moment can still change the line. Kinds `silver_bar`, `bar_*`,
//! `eod`, `split` and `dividend` follow from the market time alone, whoever asked for what;
//! `served` follows from what was asked, and counts only answers that left in one piece.

mod bars;
mod file;

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use model::{
    BarInterval, Dataset,
    decimal::{ADJUSTED_PRICE, PRICE, VOLUME},
    session::{SessionPart, session_part},
};

use self::bars::{Bar, bars_of_rows, gold_bars};
pub(crate) use self::file::TruthFile;
use crate::{
    ApiVersion, Quirk, SimulatorConfig, actions, eod,
    intraday::{self, INTRADAY_MIC, Intraday, Values},
    row::json_text,
    schedule::{END_OF_TIME, Poison, RowKey},
    tape::{Instrument, Seconds, Terms, time},
    vendor::Vendor,
};

/// Rows that were served, by the hash of their symbol.
pub(crate) type ServedRows = HashMap<u64, Vec<(RowKey, usize)>>;

/// States the truth at `now`.
pub(crate) fn text(
    vendor: &Vendor,
    config: &SimulatorConfig,
    served: &ServedRows,
    now: Seconds,
) -> String {
    let mut lines = Lines { vendor, config, now, text: String::new() };
    for instrument in &vendor.tape.instruments {
        lines.bars(instrument);
        lines.eod(instrument);
        lines.actions(instrument);
        lines.poison(instrument);
        lines.served(instrument, served);
    }
    lines.text
}

struct Lines<'a> {
    vendor: &'a Vendor,
    config: &'a SimulatorConfig,
    now: Seconds,
    text: String,
}

impl Lines<'_> {
    fn bars(&mut self, instrument: &Instrument) {
        let interval = self.config.truth_interval;
        let rows: Vec<Values> = instrument
            .slots(interval)
            .iter()
            .take_while(|slot| slot.bar.ts <= self.now)
            .filter_map(|slot| {
                let key = intraday::row_key(instrument, interval, slot);
                let intraday = &self.vendor.intraday;
                intraday
                    .is_visible(instrument, &key, slot, self.now)
                    .then(|| intraday.values(instrument, &key, slot, self.now))
            })
            // Rows at times without any trading are rejected, like those without a price.
            .filter(|row| session_part(time(row.ts)) != SessionPart::Closed)
            .collect();
        let bars = bars_of_rows(self.config.semantics, interval, &rows);
        let consolidations = self.consolidations(instrument);
        for bar in &bars {
            let part = session_part(time(bar.start)).as_str();
            let head =
                format!("\"silver_bar\",\"interval\":\"{interval}\",\"session_part\":\"{part}\"");
            self.bar(&head, instrument, bar, &consolidations);
        }
        for gold in BarInterval::GOLD.into_iter().filter(|gold| interval <= *gold) {
            for bar in gold_bars(gold, &bars) {
                self.bar(&format!("\"bar_{gold}\""), instrument, &bar, &consolidations);
            }
        }
    }

    /// Returns, oldest first, the rows that take on the volume of all venues, and when.
    fn consolidations(&self, instrument: &Instrument) -> Vec<(Seconds, Seconds)> {
        let slots = instrument.slots(self.config.truth_interval).iter();
        slots
            .filter_map(|slot| {
                let session = instrument.days.get(slot.day)?.session;
                let close = session.map(|session| session.close.timestamp());
                let at = self.vendor.schedule().consolidated_at(slot, close)?;
                Some((slot.bar.ts, at))
            })
            .collect()
    }

    fn bar(
        &mut self,
        head: &str,
        instrument: &Instrument,
        bar: &Bar,
        consolidations: &[(Seconds, Seconds)],
    ) {
        // A quiet symbol's last row of a day may be hours old when its volume changes once more.
        let next = consolidations.partition_point(|(ts, _)| *ts < bar.start);
        let consolidated = consolidations.get(next).filter(|(ts, _)| *ts < bar.end);
        let settled = bar.end + self.vendor.schedule().settling();
        let is_final = consolidated.map_or(settled, |(_, at)| settled.max(*at)) <= self.now;
        let price = |value: i64| PRICE.format(i128::from(value));
        let line = format!(
            "{{\"kind\":{head},\"symbol\":{},\"mic\":\"{INTRADAY_MIC}\",\"ts_start\":\"{}\",\
             \"ts_end\":\"{}\",\"open\":\"{}\",\"high\":\"{}\",\"low\":\"{}\",\"close\":\"{}\",\
             \"volume\":\"{}\",\"final\":{is_final}}}",
            json_text(&instrument.symbol),
            rfc3339(time(bar.start)),
            rfc3339(time(bar.end)),
            price(bar.open),
            price(bar.high),
            price(bar.low),
            price(bar.close),
            VOLUME.format(i128::from(bar.volume)),
        );
        self.push(&line);
    }

    fn eod(&mut self, instrument: &Instrument) {
        for day in &instrument.days {
            let Some(row) = eod::values(self.vendor.quirks, instrument, day, self.now) else {
                continue;
            };
            let price = |value: i64| quoted(&PRICE.format(i128::from(value)));
            let volume = |value: i64| quoted(&VOLUME.format(i128::from(value)));
            let adjusted = |value: Option<i128>| {
                value.map_or("null".to_owned(), |value| quoted(&ADJUSTED_PRICE.format(value)))
            };
            let line = format!(
                "{{\"kind\":\"eod\",\"symbol\":{},\"mic\":\"{}\",\"date\":\"{}\",\"open\":{},\
                 \"high\":{},\"low\":{},\"close\":{},\"volume\":{},\"adj_open\":{},\
                 \"adj_high\":{},\"adj_low\":{},\"adj_close\":{},\"adj_volume\":{},\
                 \"split_factor\":{},\"dividend\":{},\"final\":{}}}",
                json_text(&instrument.symbol),
                instrument.mic,
                row.date,
                price(row.open),
                price(row.high),
                price(row.low),
                price(row.close),
                volume(row.volume),
                adjusted(row.adjusted.open),
                adjusted(row.adjusted.high),
                adjusted(row.adjusted.low),
                adjusted(Some(row.adjusted.close)),
                row.adjusted.volume.map_or("null".to_owned(), volume),
                adjusted(Some(row.split_factor)),
                price(row.dividend),
                row.is_final,
            );
            self.push(&line);
        }
    }

    fn actions(&mut self, instrument: &Instrument) {
        let symbol = json_text(&instrument.symbol);
        for action in &instrument.actions {
            if !actions::published(action, self.now) {
                continue;
            }
            let terms = match action.terms {
                Terms::Split { new, old } => {
                    let factor = i128::from(new) * 10_i128.pow(10) / i128::from(old.max(1));
                    let factor = ADJUSTED_PRICE.format(factor);
                    format!(
                        "\"split\",\"split_factor\":\"{factor}\",\"stock_split\":\"{new}:{old}\""
                    )
                }
                Terms::Dividend(amount) => {
                    format!("\"dividend\",\"dividend\":\"{}\"", PRICE.format(i128::from(amount)))
                }
            };
            let date = action.ex_date;
            self.push(&format!("{{\"kind\":{terms},\"symbol\":{symbol},\"date\":\"{date}\"}}"));
        }
    }

    fn poison(&mut self, instrument: &Instrument) {
        let (vendor, interval, version) =
            (self.vendor, self.config.truth_interval, self.config.truth_version);
        let now = self.now;
        let has_shifted = version == ApiVersion::V1 && vendor.quirks.has(Quirk::KindB);
        for slot in instrument.slots(interval).iter().take_while(|slot| slot.bar.ts <= now) {
            let key = intraday::row_key(instrument, interval, slot);
            let intraday = &vendor.intraday;
            let symbol = &instrument.symbol;
            if let Some(poison) = vendor.schedule().poison_at(&key, now)
                && intraday.is_visible(instrument, &key, slot, self.now)
            {
                let values = intraday.values(instrument, &key, slot, END_OF_TIME);
                let row = intraday.row(version, symbol, &key, &values).poisoned(poison);
                self.poison_line(Dataset::Intraday, reason(poison), symbol, &row);
            }
            let shifted = intraday.shifted_ts(instrument, &key, slot, self.now);
            if let Some(ts) = shifted.filter(|_| has_shifted) {
                let row = Intraday::row_without_price(symbol, slot, ts).finish();
                self.poison_line(Dataset::Intraday, "no_price", symbol, &row);
            }
        }
        for day in &instrument.days {
            let poison = vendor.schedule().poison_at(&eod::row_key(instrument, day), now);
            let poison =
                poison.filter(|_| eod::values(vendor.quirks, instrument, day, now).is_some());
            let values = eod::values(vendor.quirks, instrument, day, END_OF_TIME);
            if let (Some(poison), Some(values)) = (poison, values) {
                let row = eod::row(version, vendor.schedule(), instrument, &values);
                let row = row.poisoned(poison);
                self.poison_line(Dataset::Eod, reason(poison), &instrument.symbol, &row);
            }
        }
    }

    fn poison_line(&mut self, dataset: Dataset, reason: &str, symbol: &str, row: &str) {
        let symbol = json_text(symbol);
        self.push(&format!(
            "{{\"kind\":\"poison\",\"dataset\":\"{dataset}\",\"reason\":\"{reason}\",\
             \"symbol\":{symbol},\"row\":{row}}}"
        ));
    }

    fn served(&mut self, instrument: &Instrument, served: &ServedRows) {
        let symbol = json_text(&instrument.symbol);
        for (key, values) in served.get(&instrument.hash).into_iter().flatten() {
            let (mic, date) = match key.dataset {
                Dataset::Intraday => (INTRADAY_MIC, rfc3339(time(key.ts))),
                _ => (instrument.mic, time(key.ts).date_naive().to_string()),
            };
            self.push(&format!(
                "{{\"kind\":\"served\",\"dataset\":\"{}\",\"symbol\":{symbol},\"mic\":\"{mic}\",\
                 \"interval\":\"{}\",\"date\":\"{date}\",\"values\":{values}}}",
                key.dataset, key.interval,
            ));
        }
    }

    fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

const fn reason(poison: Poison) -> &'static str {
    match poison {
        Poison::WrongTypes => "wrong_types",
        Poison::MissingDate => "missing_date",
        Poison::EmptyArray => "empty_array",
        Poison::NegativePrice => "negative_price",
    }
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}
