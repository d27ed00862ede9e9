//! Splits and dividends: their rows, and what they make of earlier prices.

use chrono::NaiveDate;

use crate::{
    ApiVersion,
    eod::{NIGHT_DONE, midnight},
    row::Row,
    tape::{Action, Instrument, Micros, Seconds, Terms, Volume},
};
use model::decimal::ADJUSTED_PRICE;

/// Returns the actions of a day.
pub(crate) fn actions_of(
    instrument: &Instrument,
    ex_date: NaiveDate,
) -> impl Iterator<Item = &Action> {
    instrument.actions.iter().filter(move |action| action.ex_date == ex_date)
}

/// Returns whether the vendor knows of `action` at `now`: from the morning of its day on.
pub(crate) fn published(action: &Action, now: Seconds) -> bool {
    midnight(action.ex_date) + NIGHT_DONE.num_seconds() <= now
}

/// What later splits and dividends make of a price: factors in order, each a fraction.
#[derive(Debug, Default)]
pub(crate) struct Adjustment {
    /// Numerator and denominator for prices, then for volumes.
    factors: Vec<([i128; 2], [i128; 2])>,
}

impl Adjustment {
    /// Collects the published actions after `date`, CRSP style: prices before a split are
    /// divided by it, prices before a dividend shrink by its share of the close before it.
    pub(crate) fn of(instrument: &Instrument, date: NaiveDate, now: Seconds) -> Self {
        let later = |action: &&Action| date < action.ex_date && published(action, now);
        let factors = instrument
            .actions
            .iter()
            .filter(later)
            .filter_map(|action| match action.terms {
                Terms::Split { new, old } => {
                    let (new, old) = (i128::from(new), i128::from(old));
                    Some(([old, new], [new, old]))
                }
                Terms::Dividend(amount) => {
                    let before = instrument.days.iter().rfind(|day| day.date < action.ex_date)?;
                    let close = i128::from(before.bar.close);
                    Some(([close - i128::from(amount), close], [1, 1]))
                }
            })
            .collect();
        Self { factors }
    }

    /// Returns an adjusted price with ten decimals, rounded half up at each factor.
    pub(crate) fn price(&self, price: Micros) -> i128 {
        self.factors.iter().fold(i128::from(price) * 10_000, |price, ([up, down], _)| {
            (price * up + down / 2) / (*down).max(1)
        })
    }

    /// Returns an adjusted volume, in whole ten-thousandths.
    pub(crate) fn volume(&self, volume: Volume) -> Volume {
        let volume = self
            .factors
            .iter()
            .fold(i128::from(volume), |volume, (_, [up, down])| volume * up / (*down).max(1));
        i64::try_from(volume).unwrap_or(i64::MAX)
    }
}

/// Writes a row of `/splits`, or `None` for a dividend.
pub(crate) fn split_row(version: ApiVersion, symbol: &str, action: &Action) -> Option<Row> {
    let Terms::Split { new, old } = action.terms else { return None };
    let factor = i128::from(new) * 10_i128.pow(10) / i128::from(old.max(1));
    let row = Row::new(false).text("date", &action.ex_date.to_string()).decimal(
        "split_factor",
        ADJUSTED_PRICE,
        Some(factor),
    );
    let row = match version {
        ApiVersion::V1 => row,
        ApiVersion::V2 => row.text("stock_split", &format!("{new}:{old}")),
    };
    Some(row.text("symbol", symbol))
}

/// Writes a row of `/dividends`, or `None` for a split.
pub(crate) fn dividend_row(version: ApiVersion, symbol: &str, action: &Action) -> Option<Row> {
    let Terms::Dividend(amount) = action.terms else { return None };
    let row =
        Row::new(false).text("date", &action.ex_date.to_string()).price("dividend", Some(amount));
    let row = match version {
        ApiVersion::V1 => row,
        ApiVersion::V2 => row
            .null("payment_date")
            .text("record_date", &format!("{} 05:00:00", action.ex_date))
            .null("declaration_date")
            .text("distr_freq", "q"),
    };
    Some(row.text("symbol", symbol))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::tests::two_days;

    #[test]
    fn a_dividend_takes_its_share_of_the_close_before_it() {
        let mut instrument = two_days();
        let ex_date = instrument.days[1].date;
        instrument.actions = vec![Action { ex_date, terms: Terms::Dividend(1_090_000) }];
        let adjusted = Adjustment::of(&instrument, instrument.days[0].date, i64::MAX);
        assert_eq!(adjusted.price(100_000_000), 990_000_000_000, "one percent less");
        assert_eq!(adjusted.volume(70_000), 70_000);
        let before = Adjustment::of(&instrument, instrument.days[0].date, 0);
        assert_eq!(before.price(100_000_000), 1_000_000_000_000, "not yet published");
    }

    #[test]
    fn rows_have_the_keys_of_their_version() {
        let ex_date = NaiveDate::from_ymd_opt(2020, 8, 31).unwrap();
        let split = Action { ex_date, terms: Terms::Split { new: 4, old: 1 } };
        assert_eq!(
            split_row(ApiVersion::V2, "AAPL", &split).unwrap().finish(),
            r#"{"date":"2020-08-31","split_factor":4.0,"stock_split":"4:1","symbol":"AAPL"}"#
        );
        assert_eq!(
            split_row(ApiVersion::V1, "AAPL", &split).unwrap().finish(),
            r#"{"date":"2020-08-31","split_factor":4.0,"symbol":"AAPL"}"#
        );
        assert!(dividend_row(ApiVersion::V1, "AAPL", &split).is_none());
    }
}
