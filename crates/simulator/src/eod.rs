//! End-of-day rows: preliminary after the close, revised next morning, rewritten by actions.

use chrono::{Days, NaiveDate, TimeDelta};
use model::{BarInterval, Dataset, decimal::ADJUSTED_PRICE};

use crate::{
    ApiVersion, Quirk, Quirks,
    actions::{Adjustment, actions_of, published},
    row::{Row, vendor_time},
    schedule::{RowKey, Schedule},
    tape::{Day, Instrument, Micros, Seconds, Terms, Volume},
};

/// The vendor publishes this long after the close.
const PUBLISHED_AFTER: TimeDelta = TimeDelta::minutes(70);
/// Revisions of the night are out at 06:00 UTC.
pub(crate) const NIGHT_DONE: TimeDelta = TimeDelta::hours(6);

/// What a served end-of-day row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EodValues {
    pub(crate) date: NaiveDate,
    pub(crate) open: Micros,
    pub(crate) high: Micros,
    pub(crate) low: Micros,
    pub(crate) close: Micros,
    pub(crate) volume: Volume,
    pub(crate) adjusted: Adjusted,
    /// Ten decimals.
    pub(crate) split_factor: i128,
    pub(crate) dividend: Micros,
    /// Whether only a later split or dividend can change the row.
    pub(crate) is_final: bool,
}

/// Adjusted values, prices with ten decimals; `close` alone is known at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Adjusted {
    pub(crate) open: Option<i128>,
    pub(crate) high: Option<i128>,
    pub(crate) low: Option<i128>,
    pub(crate) close: i128,
    pub(crate) volume: Option<Volume>,
}

/// Returns the identity of a day's row.
pub(crate) fn row_key(instrument: &Instrument, day: &Day) -> RowKey {
    let ts = midnight(day.date);
    RowKey { dataset: Dataset::Eod, symbol: instrument.hash, interval: BarInterval::Day1, ts }
}

/// Returns midnight UTC of a date, which is how the vendor dates a day.
pub(crate) fn midnight(date: NaiveDate) -> Seconds {
    date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp()
}

/// Returns what is served of a day at `now`: nothing, a preliminary row, the final one.
pub(crate) fn values(
    quirks: Quirks,
    instrument: &Instrument,
    day: &Day,
    now: Seconds,
) -> Option<EodValues> {
    let session = day.session?;
    if now < (session.close + PUBLISHED_AFTER).timestamp() {
        return None;
    }
    let revised_at = day.date.checked_add_days(Days::new(1)).map_or(i64::MAX, midnight)
        + NIGHT_DONE.num_seconds();
    let is_final = revised_at <= now || !quirks.has(Quirk::EodTwoStage);
    let bar = day.bar;
    // Preliminary volumes are whole hundreds of shares.
    let volume = if is_final { bar.volume } else { (bar.volume + 500_000) / 1_000_000 * 1_000_000 };
    let adjustment = if quirks.has(Quirk::AdjustedRewrite) {
        Adjustment::of(instrument, day.date, now)
    } else {
        Adjustment::default()
    };
    let adjusted = |price| adjustment.price(price);
    let (mut split_factor, mut dividend) = (10_i128.pow(10), 0);
    for action in actions_of(instrument, day.date).filter(|action| published(action, now)) {
        match action.terms {
            Terms::Split { new, old } => {
                split_factor = i128::from(new) * 10_i128.pow(10) / i128::from(old.max(1));
            }
            Terms::Dividend(amount) => dividend = amount,
        }
    }
    Some(EodValues {
        date: day.date,
        open: bar.open,
        high: bar.high,
        low: bar.low,
        close: bar.close,
        volume,
        adjusted: Adjusted {
            open: Some(adjusted(bar.open)).filter(|_| is_final),
            high: Some(adjusted(bar.high)).filter(|_| is_final),
            low: Some(adjusted(bar.low)).filter(|_| is_final),
            close: adjusted(bar.close),
            volume: Some(adjustment.volume(volume)).filter(|_| is_final),
        },
        split_factor,
        dividend,
        is_final,
    })
}

/// Writes a row.
pub(crate) fn row(
    version: ApiVersion,
    schedule: &Schedule,
    instrument: &Instrument,
    values: &EodValues,
) -> Row {
    let ts = midnight(values.date);
    let interval = BarInterval::Day1;
    let key = RowKey { dataset: Dataset::Eod, symbol: instrument.hash, interval, ts };
    let adjusted = &values.adjusted;
    let mut row = Row::new(schedule.writes_integers(&key))
        .price("open", Some(values.open))
        .price("high", Some(values.high))
        .price("low", Some(values.low))
        .price("close", Some(values.close))
        .volume("volume", Some(values.volume))
        .decimal("adj_high", ADJUSTED_PRICE, adjusted.high)
        .decimal("adj_low", ADJUSTED_PRICE, adjusted.low)
        .decimal("adj_close", ADJUSTED_PRICE, Some(adjusted.close))
        .decimal("adj_open", ADJUSTED_PRICE, adjusted.open)
        .volume("adj_volume", adjusted.volume)
        .decimal("split_factor", ADJUSTED_PRICE, Some(values.split_factor))
        .price("dividend", Some(values.dividend));
    let mut unimportant = "";
    if version == ApiVersion::V2 {
        row = match &instrument.name {
            Some(name) => row.text("name", name),
            None => row.null("name"),
        };
        row = row
            .text("exchange_code", crate::reference::acronym(instrument.mic))
            .text("asset_type", "Stock")
            .text("price_currency", "usd");
        unimportant = "asset_type";
    }
    row.text("symbol", &instrument.symbol)
        .text("exchange", instrument.mic)
        .text("date", &vendor_time(ts))
        .drifted(schedule.drift(&key), unimportant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{
        Action,
        tests::{OPEN, two_days},
    };

    const CLOSE: Seconds = OPEN + 390 * 60;

    fn at(now: Seconds) -> Option<EodValues> {
        let mut instrument = two_days();
        let ex_date = NaiveDate::from_ymd_opt(2019, 2, 12).unwrap();
        instrument.actions = vec![Action { ex_date, terms: Terms::Split { new: 4, old: 1 } }];
        values(Quirks::default(), &instrument, &instrument.days[0], now)
    }

    #[test]
    fn a_row_is_preliminary_at_first_and_revised_in_the_night() {
        assert_eq!(at(CLOSE + 70 * 60 - 1), None);
        let first = at(CLOSE + 70 * 60).unwrap();
        assert_eq!((first.open, first.close, first.volume), (100_000_000, 109_000_000, 1_000_000));
        assert_eq!((first.adjusted.open, first.adjusted.close), (None, 1_090_000_000_000));
        assert!(!first.is_final);
    }

    #[test]
    fn a_split_rewrites_the_days_before_it() {
        let revised =
            at(midnight(NaiveDate::from_ymd_opt(2019, 2, 12).unwrap()) + 6 * 3_600).unwrap();
        assert!(revised.is_final);
        assert_eq!(revised.close, 109_000_000, "the plain values stay");
        assert_eq!(revised.adjusted.close, 272_500_000_000);
        assert_eq!(revised.adjusted.volume, Some(4_000_000));
    }
}
