//! One symbol, one interval, one trading date: how its rows become bars. Pure.
//!
//! The vendor's intraday row is a *reading*: `open`, `high` and `low` are the day's so far, `close`
//! is the previous session's, volume is cumulative (vendor documentation of `/intraday`, v2). A bar
//! is the difference of two consecutive readings, so a late reading changes its successor's bar too.
//!
//! Rows are applied one at a time, in topic order, and a revision is written whenever a row was
//! served with other values, or the values of a bar change. Batch boundaries therefore never show:
//! any split of the same rows gives the same revisions.

use std::collections::BTreeMap;

use super::{Outcome, Semantics};

/// Microseconds since 1970-01-01 UTC.
pub(crate) type Micros = i64;

/// A row as the vendor served it; prices in millionths, volume in ten-thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    pub open: i128,
    pub high: i128,
    pub low: i128,
    /// The vendor's `close`: the previous session's in a reading, the bar's own in a bar.
    pub close: Option<i128>,
    /// The price now; a row without one can only be a bar.
    pub price: Option<i128>,
    pub volume: Option<i128>,
    pub price_source: PriceSource,
}

/// Which field the price came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PriceSource {
    MarketstackLast,
    Last,
    Close,
}

impl PriceSource {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::MarketstackLast => "marketstack_last",
            Self::Last => "last",
            Self::Close => "close",
        }
    }

    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "marketstack_last" => Self::MarketstackLast,
            "last" => Self::Last,
            _ => Self::Close,
        }
    }
}

/// The values of a bar that make a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BarValues {
    pub open: i128,
    pub high: i128,
    pub low: i128,
    pub close: i128,
    pub volume: Option<i128>,
}

/// The latest revision of one bar, with the row it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub served: Served,
    /// The fetch that served the row: later fetches know better.
    pub fetch_id: i64,
    pub bar: BarValues,
    pub revision: i32,
    pub is_bar: bool,
}

/// The rows of one symbol, interval and trading date by their time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    entries: BTreeMap<Micros, Entry>,
    /// Neighbours that readings could not be, such as a day's high that fell.
    contradictions: usize,
}

/// Before four pairs of neighbours nothing is concluded from them.
const PAIRS_MIN: usize = 4;
/// One contradicting pair in four: readings have almost none, bars almost only such pairs.
const CONTRADICTING_SHARE: usize = 4;

impl Series {
    pub(crate) fn entries(&self) -> &BTreeMap<Micros, Entry> {
        &self.entries
    }

    /// Puts back an entry read from the table; [`Self::finish_loading`] follows the last one.
    pub(crate) fn load(&mut self, ts: Micros, entry: Entry) {
        let is_newer = self.entries.get(&ts).is_none_or(|known| known.revision < entry.revision);
        if is_newer {
            self.entries.insert(ts, entry);
        }
    }

    /// Counts the contradictions among loaded entries.
    pub(crate) fn finish_loading(&mut self) {
        let entries: Vec<&Entry> = self.entries.values().collect();
        self.contradictions =
            entries.windows(2).filter(|pair| contradicts(&pair[0].served, &pair[1].served)).count();
    }

    /// Applies one row. The times whose bar got a new revision are pushed to `revised`.
    pub(crate) fn apply(
        &mut self,
        ts: Micros,
        served: Served,
        fetch_id: i64,
        semantics: Semantics,
        revised: &mut Vec<Micros>,
    ) -> Outcome {
        let known = self.entries.get(&ts).copied();
        if let Some(known) = known {
            if known.served == served {
                return Outcome::Unchanged;
            }
            if fetch_id < known.fetch_id {
                return Outcome::Superseded;
            }
        }
        let was_bar = self.is_bar(semantics);
        self.contradictions -= self.contradictions_around(ts);
        // The values are placeholders until `derive` has seen the neighbours.
        let entry = known.map_or(
            Entry { served, fetch_id, bar: unset(), revision: 0, is_bar: false },
            |known| Entry { served, fetch_id, ..known },
        );
        self.entries.insert(ts, entry);
        self.contradictions += self.contradictions_around(ts);

        if was_bar == self.is_bar(semantics) {
            self.derive(ts, semantics, revised);
            for next in self.dependents(ts) {
                self.derive(next, semantics, revised);
            }
        } else {
            let all: Vec<Micros> = self.entries.keys().copied().collect();
            for ts in all {
                self.derive(ts, semantics, revised);
            }
        }
        // What was served is part of the revision even when the bar comes out the same, or a
        // restart would derive the next bar from values that are no longer true.
        if known.is_some()
            && !revised.contains(&ts)
            && let Some(entry) = self.entries.get_mut(&ts)
        {
            entry.revision += 1;
            revised.push(ts);
        }
        if known.is_some() { Outcome::Restated } else { Outcome::New }
    }

    /// Whether the rows of this series are bars.
    fn is_bar(&self, semantics: Semantics) -> bool {
        match semantics {
            Semantics::Reading => false,
            Semantics::Bar => true,
            Semantics::Auto => {
                let pairs = self.entries.len().saturating_sub(1);
                PAIRS_MIN <= pairs && pairs < self.contradictions * CONTRADICTING_SHARE
            }
        }
    }

    /// The rows whose bar may depend on the row at `ts`: those up to the next one with a price.
    fn dependents(&self, ts: Micros) -> Vec<Micros> {
        let mut dependents = Vec::new();
        for (next, entry) in self.entries.range(ts + 1..) {
            dependents.push(*next);
            if entry.served.price.is_some() {
                break;
            }
        }
        dependents
    }

    /// Contradicting pairs that the entry at `ts` takes part in, or, without one, the pair around it.
    fn contradictions_around(&self, ts: Micros) -> usize {
        let before = self.entries.range(..ts).next_back().map(|(_, entry)| entry.served);
        let at = self.entries.get(&ts).map(|entry| entry.served);
        let after = self.entries.range(ts + 1..).next().map(|(_, entry)| entry.served);
        [before, at, after]
            .into_iter()
            .flatten()
            .collect::<Vec<Served>>()
            .windows(2)
            .filter(|pair| contradicts(&pair[0], &pair[1]))
            .count()
    }

    /// Derives the bar at `ts` anew and notes it when its values changed.
    fn derive(&mut self, ts: Micros, semantics: Semantics, revised: &mut Vec<Micros>) {
        let before = self
            .entries
            .range(..ts)
            .rev()
            .map(|(_, entry)| entry.served)
            .find(|served| served.price.is_some());
        let series_is_bar = self.is_bar(semantics);
        let Some(entry) = self.entries.get_mut(&ts) else {
            return;
        };
        let was_bar = entry.is_bar;
        entry.is_bar = series_is_bar || entry.served.price.is_none();
        let bar = if entry.is_bar {
            as_bar(&entry.served)
        } else {
            from_readings(before.as_ref(), &entry.served)
        };
        if entry.revision == 0 || bar != entry.bar || was_bar != entry.is_bar {
            entry.bar = bar;
            entry.revision += 1;
            revised.push(ts);
        }
    }
}

/// Whether `after` cannot be a later reading of the same day than `before`.
fn contradicts(before: &Served, after: &Served) -> bool {
    after.open != before.open
        || after.high < before.high
        || before.low < after.low
        || matches!((before.volume, after.volume), (Some(before), Some(after)) if after < before)
}

fn as_bar(served: &Served) -> BarValues {
    let close = served.close.or(served.price).unwrap_or(served.open);
    BarValues {
        open: served.open,
        high: served.high,
        low: served.low,
        close,
        volume: served.volume,
    }
}

/// Derives a bar from a reading and the one before it.
///
/// | value | with a reading before | first of the day |
/// |---|---|---|
/// | open | the price before | the day's open |
/// | close | the price now | the price now |
/// | high | max(open, close, the day's high if it rose) | max(open, close, the day's high) |
/// | low | min(open, close, the day's low if it fell) | min(open, close, the day's low) |
/// | volume | the rise of the day's volume, never negative | the day's volume |
fn from_readings(before: Option<&Served>, now: &Served) -> BarValues {
    let close = now.price.unwrap_or(now.open);
    let open = before.and_then(|before| before.price).unwrap_or(now.open);
    let (mut high, mut low) = (open.max(close), open.min(close));
    if before.is_none_or(|before| before.high < now.high) {
        high = high.max(now.high);
    }
    if before.is_none_or(|before| now.low < before.low) {
        low = low.min(now.low);
    }
    let volume = match before {
        None => now.volume,
        Some(before) => now.volume.zip(before.volume).map(|(now, before)| (now - before).max(0)),
    };
    BarValues { open, high, low, close, volume }
}

const fn unset() -> BarValues {
    BarValues { open: 0, high: 0, low: 0, close: 0, volume: None }
}

#[cfg(test)]
mod tests;
