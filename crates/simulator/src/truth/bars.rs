//! From served rows to bars, by the rule of the pipeline, written down a second time.

use model::{
    BarInterval,
    session::{Session, trading_date},
};

use crate::{
    Semantics,
    intraday::Values,
    tape::{Micros, Seconds, Volume, time},
};

/// A bar that the pipeline must arrive at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) start: Seconds,
    pub(crate) end: Seconds,
    pub(crate) open: Micros,
    pub(crate) high: Micros,
    pub(crate) low: Micros,
    pub(crate) close: Micros,
    pub(crate) volume: Volume,
}

/// Makes a bar of each row of one symbol; `rows` are oldest first.
///
/// A reading only says how the day stands, so its bar is what changed since the reading before
/// it on the same day in New York: the first of a day is compared with nothing.
pub(crate) fn bars_of_rows(
    semantics: Semantics,
    interval: BarInterval,
    rows: &[Values],
) -> Vec<Bar> {
    let length = interval.length().num_seconds();
    let mut before: Option<&Values> = None;
    let mut bars = Vec::with_capacity(rows.len());
    for row in rows {
        let (start, end) = (row.ts, row.ts + length);
        let same_day = |other: &&Values| trading_date(time(other.ts)) == trading_date(time(row.ts));
        bars.push(match semantics {
            Semantics::Bar => Bar {
                start,
                end,
                open: row.open,
                high: row.high,
                low: row.low,
                close: row.close.unwrap_or(row.price),
                volume: row.volume,
            },
            Semantics::Reading => match before.filter(same_day) {
                None => Bar {
                    start,
                    end,
                    open: row.open,
                    high: row.open.max(row.price).max(row.high),
                    low: row.open.min(row.price).min(row.low),
                    close: row.price,
                    volume: row.volume,
                },
                Some(before) => {
                    let mut high = before.price.max(row.price);
                    if before.high < row.high {
                        high = high.max(row.high);
                    }
                    let mut low = before.price.min(row.price);
                    if row.low < before.low {
                        low = low.min(row.low);
                    }
                    let volume = (row.volume - before.volume).max(0);
                    Bar { start, end, open: before.price, high, low, close: row.price, volume }
                }
            },
        });
        before = Some(row);
    }
    bars
}

/// Resamples bars to a longer interval: regular session only, buckets from its opening on, the
/// last one cut at the close.
pub(crate) fn gold_bars(interval: BarInterval, bars: &[Bar]) -> Vec<Bar> {
    let mut gold: Vec<Bar> = Vec::new();
    for bar in bars {
        let Some(session) = Session::on(trading_date(time(bar.start))) else { continue };
        let (open, close) = (session.open.timestamp(), session.close.timestamp());
        if bar.start < open || close <= bar.start {
            continue;
        }
        let length = match interval {
            BarInterval::Day1 => close - open,
            _ => interval.length().num_seconds(),
        };
        let start = open + (bar.start - open) / length * length;
        let end = (start + length).min(close);
        match gold.last_mut().filter(|last| last.start == start) {
            Some(last) => {
                last.high = last.high.max(bar.high);
                last.low = last.low.min(bar.low);
                last.close = bar.close;
                last.volume += bar.volume;
            }
            None => gold.push(Bar { start, end, ..*bar }),
        }
    }
    gold
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::tests::OPEN;

    fn reading(minute: i64, [open, high, low, price]: [i64; 4], volume: i64) -> Values {
        Values { ts: OPEN + minute * 60, open, high, low, price, close: None, volume }
    }

    fn bars(rows: &[Values]) -> Vec<([i64; 4], i64)> {
        bars_of_rows(Semantics::Reading, BarInterval::Minute1, rows)
            .iter()
            .map(|bar| ([bar.open, bar.high, bar.low, bar.close], bar.volume))
            .collect()
    }

    #[test]
    fn a_bar_is_what_changed_since_the_reading_before() {
        let rows = [
            reading(0, [10, 12, 9, 11], 100),
            reading(1, [10, 12, 9, 10], 150),
            reading(2, [10, 15, 9, 13], 150),
            reading(5, [10, 15, 4, 6], 140),
            reading(24 * 60, [20, 20, 20, 20], 7),
        ];
        assert_eq!(
            bars(&rows),
            [
                ([10, 12, 9, 11], 100),
                ([11, 11, 10, 10], 50),
                ([10, 15, 10, 13], 0),
                ([13, 13, 4, 6], 0),
                ([20, 20, 20, 20], 7),
            ]
        );
    }

    #[test]
    fn buckets_start_at_the_opening_and_end_at_the_close() {
        let rows: Vec<Values> =
            [0, 29, 60, 389, 390].map(|minute| reading(minute, [5, 5, 5, 5], minute)).to_vec();
        let bars = bars_of_rows(Semantics::Bar, BarInterval::Minute1, &rows);
        let hours = gold_bars(BarInterval::Hour1, &bars);
        let shown: Vec<_> = hours
            .iter()
            .map(|bar| ((bar.start - OPEN) / 60, (bar.end - OPEN) / 60, bar.volume))
            .collect();
        assert_eq!(shown, [(0, 60, 29), (60, 120, 60), (360, 390, 389)]);
        let days = gold_bars(BarInterval::Day1, &bars);
        assert_eq!((days.len(), days[0].end), (1, OPEN + 390 * 60));
    }
}
