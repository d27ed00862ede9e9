//! The market as it was: one-minute bars per symbol, with the running state of their day.

mod csv;
mod generate;

use std::{collections::HashMap, sync::OnceLock};

use chrono::{DateTime, NaiveDate, Utc};
use model::{
    BarInterval,
    session::{Session, trading_date},
};

use crate::{Error, SimulatorConfig, Source, seed::text_hash};

/// Seconds since 1970, UTC: market time inside the simulator.
pub(crate) type Seconds = i64;
/// A price in millionths; `decimal(18,6)` fits.
pub(crate) type Micros = i64;
/// A volume in ten-thousandths of a share; `decimal(20,4)` of any real day fits.
pub(crate) type Volume = i64;

/// One trade interval's bar, as the source has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Minute {
    pub(crate) ts: Seconds,
    pub(crate) open: Micros,
    pub(crate) high: Micros,
    pub(crate) low: Micros,
    pub(crate) close: Micros,
    pub(crate) volume: Volume,
}

/// An interval that had trades: its own bar, and the state of the day at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) bar: Minute,
    pub(crate) day_open: Micros,
    pub(crate) day_high: Micros,
    pub(crate) day_low: Micros,
    /// Cumulative, this interval included.
    pub(crate) day_volume: Volume,
    /// Index into [`Instrument::days`].
    pub(crate) day: usize,
    /// Whether it is the last of its day.
    pub(crate) is_last: bool,
    /// The one-minute slots it is made of: first index and how many.
    pub(crate) minutes: (usize, usize),
}

/// One trading day of one symbol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Day {
    pub(crate) date: NaiveDate,
    /// `None` when the exchanges were closed, whatever the source says.
    pub(crate) session: Option<Session>,
    /// The day's bar; `ts` is that of its first minute.
    pub(crate) bar: Minute,
    /// The close of the day before, unknown on the first.
    pub(crate) previous_close: Option<Micros>,
}

/// A split or a dividend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    /// The first day that trades without the right.
    pub(crate) ex_date: NaiveDate,
    pub(crate) terms: Terms,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terms {
    /// `new` shares for `old` ones.
    Split { new: i64, old: i64 },
    /// Cash per share.
    Dividend(Micros),
}

/// Everything about one symbol.
#[derive(Debug)]
pub(crate) struct Instrument {
    pub(crate) symbol: String,
    /// Identity of the symbol in every hash.
    pub(crate) hash: u64,
    /// The exchange it is listed on.
    pub(crate) mic: &'static str,
    pub(crate) name: Option<String>,
    pub(crate) days: Vec<Day>,
    pub(crate) actions: Vec<Action>,
    minutes: Vec<Slot>,
    /// Longer intervals, made when first asked for: 5, 10, 15, 30 minutes, one hour.
    longer: [OnceLock<Vec<Slot>>; 5],
}

/// All symbols, by name.
#[derive(Debug)]
pub(crate) struct Tape {
    pub(crate) instruments: Vec<Instrument>,
    by_symbol: HashMap<String, usize>,
}

impl Tape {
    pub(crate) fn load(config: &SimulatorConfig) -> Result<Self, Error> {
        let mut instruments = match &config.source {
            Source::Csv(path) => csv::read(path)?,
            Source::Generated(source) => generate::instruments(source),
        };
        instruments.sort_by(|left, right| left.symbol.cmp(&right.symbol));
        let by_symbol = instruments
            .iter()
            .enumerate()
            .map(|(index, instrument)| (instrument.symbol.clone(), index))
            .collect();
        Ok(Self { instruments, by_symbol })
    }

    /// Returns the index of a symbol, or `None` when the vendor does not know it.
    pub(crate) fn find(&self, symbol: &str) -> Option<usize> {
        self.by_symbol.get(symbol).copied()
    }
}

impl Instrument {
    /// Makes the days of a symbol from its minutes, which are sorted by time.
    pub(crate) fn new(symbol: &str, mic: &'static str, minutes: &[Minute]) -> Self {
        let mut days: Vec<Day> = Vec::new();
        let mut slots: Vec<Slot> = Vec::with_capacity(minutes.len());
        for (index, minute) in minutes.iter().enumerate() {
            let date = trading_date(time(minute.ts));
            match days.last_mut().filter(|day| day.date == date) {
                Some(day) => day.bar = merge(&day.bar, minute),
                None => {
                    let previous_close = days.last().map(|day| day.bar.close);
                    let session = Session::on(date);
                    days.push(Day { date, session, bar: *minute, previous_close });
                    if let Some(slot) = slots.last_mut() {
                        slot.is_last = true;
                    }
                }
            }
            let day = days.len() - 1;
            let state = days[day].bar;
            slots.push(Slot {
                bar: *minute,
                day_open: state.open,
                day_high: state.high,
                day_low: state.low,
                day_volume: state.volume,
                day,
                is_last: false,
                minutes: (index, 1),
            });
        }
        if let Some(slot) = slots.last_mut() {
            slot.is_last = true;
        }
        Self {
            symbol: symbol.to_owned(),
            hash: text_hash(symbol.as_bytes()),
            mic,
            name: None,
            days,
            actions: Vec::new(),
            minutes: slots,
            longer: Default::default(),
        }
    }

    /// Returns the slots of an interval, oldest first. Slots start at whole multiples of the
    /// interval since midnight UTC, as the vendor labels them, not at the session's open.
    pub(crate) fn slots(&self, interval: BarInterval) -> &[Slot] {
        let longer = match interval {
            BarInterval::Minute1 => return &self.minutes,
            BarInterval::Minute5 => &self.longer[0],
            BarInterval::Minute10 => &self.longer[1],
            BarInterval::Minute15 => &self.longer[2],
            BarInterval::Minute30 => &self.longer[3],
            // The vendor's own limit is an hour for real-time rows; a day is what EOD is for.
            BarInterval::Hour1 | BarInterval::Day1 => &self.longer[4],
        };
        longer.get_or_init(|| lengthen(&self.minutes, interval.length().num_seconds().min(3_600)))
    }

    /// Returns the one-minute slots that `slot` is made of.
    pub(crate) fn minutes_of(&self, slot: &Slot) -> &[Slot] {
        let (first, count) = slot.minutes;
        self.minutes.get(first..first + count).unwrap_or_default()
    }

    /// Returns the one-minute slot before `slot` on the same day.
    pub(crate) fn minute_before(&self, slot: &Slot) -> Option<&Slot> {
        let index = slot.minutes.0.checked_sub(1)?;
        self.minutes.get(index).filter(|minute| minute.day == slot.day)
    }
}

/// Returns the time of a number of seconds; the epoch for what no calendar holds.
pub(crate) fn time(ts: Seconds) -> DateTime<Utc> {
    DateTime::from_timestamp(ts, 0).unwrap_or_default()
}

/// Extends `first` by the later bar `second`.
pub(crate) fn merge(first: &Minute, second: &Minute) -> Minute {
    Minute {
        ts: first.ts,
        open: first.open,
        high: first.high.max(second.high),
        low: first.low.min(second.low),
        close: second.close,
        volume: first.volume.saturating_add(second.volume),
    }
}

fn lengthen(minutes: &[Slot], length: Seconds) -> Vec<Slot> {
    let mut slots: Vec<Slot> = Vec::new();
    for (index, minute) in minutes.iter().enumerate() {
        let ts = minute.bar.ts.div_euclid(length) * length;
        match slots.last_mut().filter(|slot| slot.bar.ts == ts && slot.day == minute.day) {
            Some(slot) => {
                let (first, count) = slot.minutes;
                let bar = merge(&slot.bar, &minute.bar);
                *slot = Slot { bar, minutes: (first, count + 1), ..*minute };
            }
            None => {
                let bar = Minute { ts, ..minute.bar };
                slots.push(Slot { bar, minutes: (index, 1), ..*minute });
            }
        }
    }
    slots
}

#[cfg(test)]
pub(crate) mod tests;
