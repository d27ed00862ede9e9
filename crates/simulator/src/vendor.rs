//! The vendor itself, without HTTP: which rows a query gets at a moment, page by page.

use std::hash::{DefaultHasher, Hash, Hasher};

use model::Dataset;

use crate::{
    ApiVersion, Error, FaultKind, Quirk, Quirks, SimulatorConfig, actions, eod,
    eod::{EodValues, midnight},
    intraday::{self, INTRADAY_MIC, Intraday},
    reference,
    reply::{Pagination, Refusal},
    request::{Query, Route, When},
    row::Row,
    schedule::{END_OF_TIME, Poison, RowKey, Schedule},
    seed::{mix, text_hash},
    tape::{Instrument, Seconds, Tape},
};

/// Everything the vendor's answers depend on, apart from the time.
#[derive(Debug)]
pub(crate) struct Vendor {
    pub(crate) tape: Tape,
    pub(crate) intraday: Intraday,
    pub(crate) quirks: Quirks,
}

/// One place in a list of rows: cheap, written as JSON only when its page is served.
#[derive(Clone, Copy, Debug)]
struct Item {
    ts: Seconds,
    /// Index of the instrument.
    instrument: usize,
    /// Index of the slot, day or action.
    index: usize,
    part: Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Plain,
    /// A row once more, behind itself.
    Repeated,
    Poison(Poison),
    WithoutPrice,
}

impl Item {
    /// Returns the moment whose values the row has. A poison row never changes: each is one row
    /// to reject, whenever it is fetched.
    const fn moment(&self, now: Seconds) -> Seconds {
        match self.part {
            Part::Poison(_) => END_OF_TIME,
            Part::Plain | Part::Repeated | Part::WithoutPrice => now,
        }
    }
}

/// A dated query with everything its rows depend on.
#[derive(Clone, Copy, Debug)]
struct Ask<'a> {
    version: ApiVersion,
    dataset: Dataset,
    query: &'a Query,
    now: Seconds,
}

/// A page of rows, which versions of which rows it holds, and what befell them.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) pagination: Pagination,
    pub(crate) rows: Vec<String>,
    pub(crate) served: Vec<(RowKey, u64)>,
    /// One entry for each row that something befell, in no order.
    pub(crate) faults: Vec<FaultKind>,
}

/// A row, with its key and version when it belongs to the truth, and what befell it.
type Written = (Row, Option<(RowKey, u64)>, Vec<FaultKind>);

impl Vendor {
    pub(crate) fn new(config: &SimulatorConfig) -> Result<Self, Error> {
        Ok(Self {
            tape: Tape::load(config)?,
            intraday: Intraday::new(config),
            quirks: config.quirks,
        })
    }

    pub(crate) const fn schedule(&self) -> &Schedule {
        self.intraday.schedule()
    }

    /// Answers a query that has passed all checks.
    pub(crate) fn page(
        &self,
        version: ApiVersion,
        route: &Route,
        query: &Query,
        now: Seconds,
    ) -> Result<Page, Refusal> {
        match route {
            Route::Rows { dataset, when } => {
                let known: Vec<usize> =
                    query.symbols.iter().filter_map(|symbol| self.tape.find(symbol)).collect();
                if known.is_empty() {
                    return Err(Refusal::NoValidSymbols);
                }
                let ask = Ask { version, dataset: *dataset, query, now };
                Ok(self.dated_page(&ask, when, &known))
            }
            Route::Tickers => Ok(plain_page(query, self.ticker_rows(version, query))),
            Route::Exchanges => {
                Ok(plain_page(query, reference::exchange_rows(version, query.search.as_deref())))
            }
            // One ticker has no envelope; the server asks for it by name.
            Route::Ticker(_) => Err(Refusal::NotFound),
        }
    }

    /// Returns the bare object of one ticker.
    pub(crate) fn ticker(&self, version: ApiVersion, symbol: &str) -> Result<String, Refusal> {
        let index = self.tape.find(symbol).ok_or(Refusal::NotFound)?;
        Ok(reference::ticker(version, &self.tape.instruments[index]).finish())
    }

    fn ticker_rows(&self, version: ApiVersion, query: &Query) -> Vec<String> {
        let search = query.search.as_deref();
        self.tape
            .instruments
            .iter()
            .filter(|one| query.exchange.as_ref().is_none_or(|mic| mic == one.mic))
            .filter(|one| {
                reference::matches(search, &one.symbol)
                    || one.name.as_ref().is_some_and(|name| reference::matches(search, name))
            })
            .map(|one| reference::ticker_row(version, one))
            .collect()
    }

    fn dated_page(&self, ask: &Ask<'_>, when: &When, known: &[usize]) -> Page {
        let Ask { dataset, query, .. } = *ask;
        let mut items = Vec::new();
        for index in known {
            let instrument = &self.tape.instruments[*index];
            let is_asked = query.exchange.as_ref().is_none_or(|mic| {
                mic == instrument.mic || (dataset == Dataset::Intraday && mic == INTRADAY_MIC)
            });
            if is_asked {
                self.collect(ask, when, *index, &mut items);
            }
        }
        // Stable, so a poison row stays behind the row it follows.
        if query.ascending {
            items.sort_by_key(|item| (item.ts, item.instrument));
        } else {
            items.sort_by_key(|item| (std::cmp::Reverse(item.ts), item.instrument));
        }
        let drifts = !query.ascending
            && query.offset != 0
            && self.schedule().page_drifts(query_hash(dataset, query));
        let total = items.len() + usize::from(drifts);
        let start = (query.offset - usize::from(drifts)).min(items.len());
        let end = start.saturating_add(query.limit).min(items.len());
        let mut page = Page {
            pagination: Pagination {
                limit: query.limit,
                offset: query.offset,
                count: end - start,
                total,
            },
            rows: Vec::with_capacity(end - start),
            served: Vec::new(),
            faults: drifts.then_some(FaultKind::PageDrift).into_iter().collect(),
        };
        for item in &items[start..end] {
            self.write(ask, item, &mut page);
        }
        page
    }

    /// Adds the rows of one symbol, oldest first, with the extra rows that follow them.
    fn collect(&self, ask: &Ask<'_>, when: &When, index: usize, items: &mut Vec<Item>) {
        let Ask { version, dataset, query, now } = *ask;
        let instrument = &self.tape.instruments[index];
        let item = |ts, row| Item { ts, instrument: index, index: row, part: Part::Plain };
        let window = query.from..=query.to;
        match dataset {
            Dataset::Intraday if *when == When::Latest => {
                let slots = instrument.slots(query.interval);
                let begun = slots.partition_point(|slot| slot.bar.ts <= now);
                let newest = slots[..begun].iter().enumerate().rfind(|(_, slot)| {
                    let key = intraday::row_key(instrument, query.interval, slot);
                    self.intraday.is_visible(instrument, &key, slot, now)
                });
                items.extend(newest.map(|(row, slot)| item(slot.bar.ts, row)));
            }
            Dataset::Intraday => self.collect_intraday(ask, index, items),
            Dataset::Eod => {
                let days = instrument.days.iter().enumerate().filter(|(_, day)| {
                    window.contains(&midnight(day.date))
                        && eod::values(self.quirks, instrument, day, now).is_some()
                });
                if *when == When::Latest {
                    items.extend(days.last().map(|(row, day)| item(midnight(day.date), row)));
                } else {
                    for (row, day) in days {
                        let key = eod::row_key(instrument, day);
                        self.push(&key, item(key.ts, row), now, items);
                    }
                }
            }
            _ => {
                for (row, action) in instrument.actions.iter().enumerate() {
                    let ts = midnight(action.ex_date);
                    let is_kind =
                        action_row(version, dataset, &instrument.symbol, action).is_some();
                    if is_kind && window.contains(&ts) && actions::published(action, now) {
                        items.push(item(ts, row));
                    }
                }
            }
        }
    }

    /// Adds the intraday rows of one symbol, then the rows without price.
    fn collect_intraday(&self, ask: &Ask<'_>, index: usize, items: &mut Vec<Item>) {
        let Ask { version, query, now, .. } = *ask;
        let instrument = &self.tape.instruments[index];
        let item = |ts, row| Item { ts, instrument: index, index: row, part: Part::Plain };
        let slots = instrument.slots(query.interval);
        let first = slots.partition_point(|slot| slot.bar.ts < query.from);
        let to = query.to.min(now);
        for (row, slot) in slots.iter().enumerate().skip(first) {
            if to < slot.bar.ts {
                break;
            }
            let key = intraday::row_key(instrument, query.interval, slot);
            if self.intraday.is_visible(instrument, &key, slot, now) {
                self.push(&key, item(slot.bar.ts, row), now, items);
            }
        }
        if version == ApiVersion::V1 && self.quirks.has(Quirk::KindB) {
            for (row, slot) in slots.iter().enumerate() {
                let key = intraday::row_key(instrument, query.interval, slot);
                let shifted = self.intraday.shifted_ts(instrument, &key, slot, now);
                if let Some(ts) = shifted.filter(|ts| (query.from..=query.to).contains(ts)) {
                    items.push(Item { part: Part::WithoutPrice, ..item(ts, row) });
                }
            }
        }
    }

    fn push(&self, key: &RowKey, item: Item, now: Seconds, items: &mut Vec<Item>) {
        items.push(item);
        if self.schedule().is_duplicated(key) {
            items.push(Item { part: Part::Repeated, ..item });
        }
        if let Some(poison) = self.schedule().poison_at(key, now) {
            items.push(Item { part: Part::Poison(poison), ..item });
        }
    }

    fn write(&self, ask: &Ask<'_>, item: &Item, page: &mut Page) {
        let Ask { version, dataset, query, now } = *ask;
        let instrument = &self.tape.instruments[item.instrument];
        let served = match dataset {
            Dataset::Intraday => self.write_intraday(version, instrument, query, item, now),
            Dataset::Eod => self.write_eod(version, instrument, item, now),
            _ => instrument.actions.get(item.index).and_then(|action| {
                action_row(version, dataset, &instrument.symbol, action)
                    .map(|row| (row, None, Vec::new()))
            }),
        };
        // Every item was made from the row it points at, so there is one.
        let Some((row, version_served, faults)) = served else { return };
        match item.part {
            Part::Poison(poison) => {
                page.faults.push(FaultKind::Poison);
                page.rows.push(row.poisoned(poison));
            }
            Part::Plain | Part::Repeated | Part::WithoutPrice => {
                if item.part == Part::Repeated {
                    page.faults.push(FaultKind::Duplicate);
                }
                page.faults.extend(faults);
                page.rows.push(row.finish());
                page.served.extend(version_served);
            }
        }
    }

    fn write_intraday(
        &self,
        version: ApiVersion,
        instrument: &Instrument,
        query: &Query,
        item: &Item,
        now: Seconds,
    ) -> Option<Written> {
        let slot = instrument.slots(query.interval).get(item.index)?;
        if item.part == Part::WithoutPrice {
            let row = Intraday::row_without_price(&instrument.symbol, slot, item.ts);
            return Some((row, None, Vec::new()));
        }
        let key = intraday::row_key(instrument, query.interval, slot);
        let values = self.intraday.values(instrument, &key, slot, item.moment(now));
        let row = self.intraday.row(version, &instrument.symbol, &key, &values);
        let faults = self.schedule().faults(&key, slot, now);
        Some((row, Some((key, values_hash(&values))), faults))
    }

    fn write_eod(
        &self,
        version: ApiVersion,
        instrument: &Instrument,
        item: &Item,
        now: Seconds,
    ) -> Option<Written> {
        let day = instrument.days.get(item.index)?;
        let values: EodValues = eod::values(self.quirks, instrument, day, item.moment(now))?;
        let row = eod::row(version, self.schedule(), instrument, &values);
        let key = eod::row_key(instrument, day);
        let faults = self.schedule().drift(&key).map(|_| FaultKind::KeyDrift);
        Some((row, Some((key, values_hash(&values))), faults.into_iter().collect()))
    }
}

fn action_row(
    version: ApiVersion,
    dataset: Dataset,
    symbol: &str,
    action: &crate::tape::Action,
) -> Option<Row> {
    match dataset {
        Dataset::Splits => actions::split_row(version, symbol, action),
        Dataset::Dividends => actions::dividend_row(version, symbol, action),
        _ => None,
    }
}

fn plain_page(query: &Query, mut rows: Vec<String>) -> Page {
    let total = rows.len();
    let rows: Vec<String> = rows.drain(query.offset.min(total)..).take(query.limit).collect();
    let pagination =
        Pagination { limit: query.limit, offset: query.offset, count: rows.len(), total };
    Page { pagination, rows, served: Vec::new(), faults: Vec::new() }
}

/// Tells versions of a row apart, within this process only.
fn values_hash(values: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    values.hash(&mut hasher);
    hasher.finish()
}

/// Returns the identity of a query in what is derived from the seed.
fn query_hash(dataset: Dataset, query: &Query) -> u64 {
    let length = query.interval.length().num_seconds();
    let mut parts: Vec<u64> =
        [length, query.from, query.to].iter().map(|part| part.cast_unsigned()).collect();
    parts.extend(query.symbols.iter().map(|symbol| text_hash(symbol.as_bytes())));
    mix(dataset as u64, &parts)
}

#[cfg(test)]
mod tests;
