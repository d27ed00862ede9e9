//! Intraday rows: readings of the running day, or bars, as they stand at a moment of market time.

use model::{BarInterval, Dataset};

use crate::{
    ApiVersion, Quirk, Quirks, Semantics, SimulatorConfig,
    row::{Row, vendor_time},
    schedule::{RowKey, Schedule, end},
    tape::{Instrument, Micros, Minute, Seconds, Slot, Volume, merge},
};

/// The venue of every intraday row.
pub(crate) const INTRADAY_MIC: &str = "IEXG";
/// A running minute shows its opening, then its high, its low and its close, a quarter each.
const QUARTER: Seconds = 15;

/// What a served row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Values {
    pub(crate) ts: Seconds,
    pub(crate) open: Micros,
    pub(crate) high: Micros,
    pub(crate) low: Micros,
    /// The last price; served as `last`, as `marketstack_last`, or both.
    pub(crate) price: Micros,
    /// The field `close`: yesterday's for a reading, its own for a bar.
    pub(crate) close: Option<Micros>,
    pub(crate) volume: Volume,
}

/// Decides what is served of a symbol's slots, and how it is written.
#[derive(Debug)]
pub(crate) struct Intraday {
    schedule: Schedule,
    semantics: Semantics,
    quirks: Quirks,
    share_permille: i64,
}

impl Intraday {
    pub(crate) fn new(config: &SimulatorConfig) -> Self {
        Self {
            schedule: Schedule::new(config),
            semantics: config.semantics,
            quirks: config.quirks,
            share_permille: i64::from(config.iex_share_permille),
        }
    }

    pub(crate) const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Returns whether anything of `slot` is served at `now`.
    pub(crate) fn is_visible(
        &self,
        instrument: &Instrument,
        key: &RowKey,
        slot: &Slot,
        now: Seconds,
    ) -> bool {
        if end(key) <= now {
            return self.schedule.served_from(key) <= now;
        }
        self.schedule.runs(key)
            && instrument.minutes_of(slot).first().is_some_and(|minute| minute.bar.ts <= now)
    }

    /// Returns what a visible slot says at `now`.
    pub(crate) fn values(
        &self,
        instrument: &Instrument,
        key: &RowKey,
        slot: &Slot,
        now: Seconds,
    ) -> Values {
        let seen = if now < end(key) {
            running(instrument, slot, now)
        } else if self.schedule.restated_at(key, slot).is_some_and(|at| now < at) {
            before_restatement(slot)
        } else {
            *slot
        };
        let day = instrument.days.get(slot.day);
        let close = day.and_then(|day| day.session).map(|session| session.close.timestamp());
        let is_consolidated =
            self.schedule.consolidated_at(slot, close).is_some_and(|at| at <= now);
        let bar = seen.bar;
        match self.semantics {
            Semantics::Reading => Values {
                ts: key.ts,
                open: seen.day_open,
                high: seen.day_high,
                low: seen.day_low,
                price: bar.close,
                close: day.and_then(|day| day.previous_close),
                volume: if is_consolidated { seen.day_volume } else { self.share(seen.day_volume) },
            },
            Semantics::Bar => Values {
                ts: key.ts,
                open: bar.open,
                high: bar.high,
                low: bar.low,
                price: bar.close,
                close: Some(bar.close),
                volume: self.share(bar.volume),
            },
        }
    }

    /// Writes a row.
    pub(crate) fn row(
        &self,
        version: ApiVersion,
        symbol: &str,
        key: &RowKey,
        values: &Values,
    ) -> Row {
        let has_quotes = !self.quirks.has(Quirk::NullQuotes);
        let quoted = |value| Some(value).filter(|_| has_quotes);
        let row = Row::new(self.schedule.writes_integers(key))
            .price("open", Some(values.open))
            .price("high", Some(values.high))
            .price("low", Some(values.low));
        let drift = self.schedule.drift(key);
        match version {
            ApiVersion::V1 => row
                .price("last", Some(values.price))
                .price("close", values.close)
                .volume("volume", Some(values.volume))
                .text("date", &vendor_time(values.ts))
                .text("symbol", symbol)
                .text("exchange", INTRADAY_MIC)
                // Every field of a v1 row matters; `exchange` is the same in all of them, and
                // its loss would still change the key. So v1 rows only gain fields.
                .drifted(drift, ""),
            ApiVersion::V2 => row
                .price("mid", quoted(values.price))
                .volume("last_size", quoted(100 * 10_000))
                .volume("bid_size", quoted(120 * 10_000))
                .price("bid_price", quoted(values.price - 10_000))
                .price("ask_price", quoted(values.price + 10_000))
                .volume("ask_size", quoted(100 * 10_000))
                .price("last", quoted(values.price))
                .price("close", values.close)
                .volume("volume", Some(values.volume))
                .price("marketstack_last", Some(values.price))
                .text("date", &vendor_time(values.ts))
                .text("symbol", symbol)
                .text("exchange", INTRADAY_MIC)
                .drifted(drift, "bid_size"),
        }
    }

    /// Writes the row without price that v1 serves after the session, its time `shifted`.
    pub(crate) fn row_without_price(symbol: &str, slot: &Slot, shifted: Seconds) -> Row {
        Row::new(false)
            .price("open", Some(slot.bar.open))
            .price("high", Some(slot.bar.high))
            .price("low", Some(slot.bar.low))
            .null("last")
            .null("close")
            .null("volume")
            .text("date", &vendor_time(shifted))
            .text("symbol", symbol)
            .text("exchange", INTRADAY_MIC)
    }

    /// Returns the wrong time of the row without price that belongs to `slot`: later by New
    /// York's offset, served once that lies after the session and has passed.
    pub(crate) fn shifted_ts(
        &self,
        instrument: &Instrument,
        key: &RowKey,
        slot: &Slot,
        now: Seconds,
    ) -> Option<Seconds> {
        if !self.quirks.has(Quirk::KindB) {
            return None;
        }
        let session = instrument.days.get(slot.day)?.session?;
        // 09:30 New York is 14:30 UTC in winter, 13:30 in summer.
        let open = session.open.timestamp().rem_euclid(86_400);
        let shifted = key.ts + (open - (9 * 3_600 + 1_800));
        let length = key.interval.length().num_seconds();
        (session.close.timestamp() <= shifted && shifted + length <= now).then_some(shifted)
    }

    const fn share(&self, volume: Volume) -> Volume {
        // Whole shares, as the vendor's: rounding down keeps the running sum from ever falling.
        if self.share_permille == 1_000 {
            volume
        } else {
            volume / 1_000 * self.share_permille / 10_000 * 10_000
        }
    }
}

/// Returns the identity of a slot's row.
pub(crate) const fn row_key(instrument: &Instrument, interval: BarInterval, slot: &Slot) -> RowKey {
    RowKey { dataset: Dataset::Intraday, symbol: instrument.hash, interval, ts: slot.bar.ts }
}

/// Returns the slot as it stands in the middle of its interval.
fn running(instrument: &Instrument, slot: &Slot, now: Seconds) -> Slot {
    let mut before = instrument.minute_before(slot);
    let mut seen: Option<Slot> = None;
    for minute in instrument.minutes_of(slot).iter().take_while(|minute| minute.bar.ts <= now) {
        let part = partial(minute, before, now);
        seen = Some(match seen {
            None => Slot { bar: Minute { ts: slot.bar.ts, ..part.bar }, ..part },
            Some(seen) => Slot { bar: merge(&seen.bar, &part.bar), ..part },
        });
        before = Some(minute);
    }
    seen.unwrap_or(*slot)
}

/// Returns a minute as it stands at `now`, with the state of its day; `before` is the minute
/// before it on the same day.
fn partial(minute: &Slot, before: Option<&Slot>, now: Seconds) -> Slot {
    let bar = minute.bar;
    let Minute { open, high, low, .. } = bar;
    let quarter_volume = bar.volume / 40_000 * 10_000;
    let bar = match (now - bar.ts) / QUARTER {
        0 => Minute { high: open, low: open, close: open, volume: quarter_volume, ..bar },
        1 => Minute { low: open, close: high, volume: 2 * quarter_volume, ..bar },
        2 => Minute { close: low, volume: 3 * quarter_volume, ..bar },
        _ => bar,
    };
    Slot {
        day_high: before.map_or(bar.high, |before| before.day_high.max(bar.high)),
        day_low: before.map_or(bar.low, |before| before.day_low.min(bar.low)),
        day_volume: before.map_or(0, |before| before.day_volume) + bar.volume,
        bar,
        ..*minute
    }
}

/// Returns the wrong values that a restated slot has at first: an earlier price, a tenth of the
/// interval's volume not yet counted.
fn before_restatement(slot: &Slot) -> Slot {
    let Minute { open, high, low, close, volume, .. } = slot.bar;
    let price = [open, low, high].into_iter().find(|price| *price != close).unwrap_or(close);
    let missing = volume / 100_000 * 10_000;
    Slot {
        bar: Minute { close: price, volume: volume - missing, ..slot.bar },
        day_volume: slot.day_volume - missing,
        ..*slot
    }
}

#[cfg(test)]
mod tests;
