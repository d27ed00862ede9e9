//! Bars of a longer interval from bars of a shorter one. Pure.
//!
//! Buckets are anchored at the session's open and the last one is cut at its close. Only bars with
//! data contribute: open is the first, high the maximum, low the minimum, close the last, volume
//! the sum. Bars before the open and after the close are never mixed in.

use std::collections::{BTreeMap, HashMap};

use model::{BarInterval, session::Session};

use crate::{
    rows::utc,
    silver::{
        bar::Day,
        series::{BarValues, Micros, Series},
        source_row::SeriesKey,
    },
};

/// A bar of a gold table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GoldBar {
    pub ts_end: Micros,
    pub bar: BarValues,
    /// How many source bars it is made of.
    pub n_source: i32,
    /// The highest revision among them.
    pub revision: i32,
}

/// An instrument of one feed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Instrument {
    pub source: String,
    pub symbol: String,
    pub mic: String,
}

/// The series of every instrument from which its gold bars are made: the shortest interval it has.
pub(crate) fn base_series(day: &Day) -> BTreeMap<Instrument, (BarInterval, &Series)> {
    let mut shortest: HashMap<Instrument, (&SeriesKey, &Series)> = HashMap::new();
    for (key, series) in day {
        let instrument = Instrument {
            source: key.source.clone(),
            symbol: key.symbol.clone(),
            mic: key.mic.clone(),
        };
        let best = shortest.entry(instrument).or_insert((key, series));
        if key.interval < best.0.interval {
            *best = (key, series);
        }
    }
    shortest
        .into_iter()
        .map(|(instrument, (key, series))| (instrument, (key.interval, series)))
        .collect()
}

/// Returns the bars of `interval` by their start. An interval that is no multiple of the
/// source's has none, and neither has one of sources that lie across the session's open.
pub(crate) fn resample(
    session: &Session,
    source: BarInterval,
    series: &Series,
    interval: BarInterval,
) -> BTreeMap<Micros, GoldBar> {
    let mut bars: BTreeMap<Micros, GoldBar> = BTreeMap::new();
    // A bar that lies across two buckets belongs to none: ten minutes do not add up to fifteen, and
    // an hour that starts at the full hour has one end before an open at half past nine.
    let length = source.length().num_seconds();
    let is_multiple =
        interval == BarInterval::Day1 || interval.length().num_seconds() % length == 0;
    let is_aligned = session.open.timestamp() % length == 0;
    if interval < source || !is_multiple || !is_aligned {
        return bars;
    }
    for (ts, entry) in series.entries() {
        let Some((start, end)) = utc(*ts).and_then(|ts| interval.bucket(session, ts)) else {
            continue;
        };
        let (start, ts_end) = (start.timestamp_micros(), end.timestamp_micros());
        let first = GoldBar { ts_end, bar: entry.bar, n_source: 1, revision: entry.revision };
        bars.entry(start).and_modify(|bar| bar.fold(&first)).or_insert(first);
    }
    bars
}

impl GoldBar {
    /// Adds a later source bar.
    fn fold(&mut self, later: &Self) {
        self.bar.high = self.bar.high.max(later.bar.high);
        self.bar.low = self.bar.low.min(later.bar.low);
        self.bar.close = later.bar.close;
        self.bar.volume = match (self.bar.volume, later.bar.volume) {
            (Some(sum), Some(volume)) => Some(sum + volume),
            (one, other) => one.or(other),
        };
        self.n_source += later.n_source;
        self.revision = self.revision.max(later.revision);
    }
}
