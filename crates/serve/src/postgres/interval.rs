//! `interval '1 day' * n`, by which BI tools move dates.

use std::sync::Arc;

use lake::datafusion::{
    arrow::{
        array::{Array as _, AsArray as _, IntervalMonthDayNanoArray},
        datatypes::{
            DataType, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
        },
    },
    error::DataFusionError,
    logical_expr::{ColumnarValue, Volatility, create_udf},
    prelude::SessionContext,
};

/// What stands instead of the multiplication: the engine has none.
pub(super) const FUNCTION: &str = "interval_times";

const NANOS_PER_DAY: f64 = 86_400e9;

/// PostgreSQL's length of a month where a part of one is wanted.
const DAYS_PER_MONTH: f64 = 30.0;

/// Makes the function known to one statement.
pub(super) fn register(ctx: &SessionContext) {
    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    ctx.register_udf(create_udf(
        FUNCTION,
        vec![interval.clone(), DataType::Float64],
        interval,
        Volatility::Immutable,
        Arc::new(invoke),
    ));
}

fn invoke(arguments: &[ColumnarValue]) -> Result<ColumnarValue, DataFusionError> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let [intervals, factors] = arrays.as_slice() else {
        return Err(DataFusionError::Plan(format!("{FUNCTION} takes an interval and a number")));
    };
    let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
    let factors = factors.as_primitive::<Float64Type>();
    let products = (0..intervals.len()).map(|row| {
        if intervals.is_null(row) || factors.is_null(row) {
            return Ok(None);
        }
        let product = times(intervals.value(row), factors.value(row));
        product
            .map(Some)
            .ok_or_else(|| DataFusionError::Execution("interval out of range".to_owned()))
    });
    let products = products.collect::<Result<IntervalMonthDayNanoArray, _>>()?;
    Ok(ColumnarValue::Array(Arc::new(products)))
}

/// The product, part by part: what is left of a month becomes days, and of a day, hours.
fn times(interval: IntervalMonthDayNano, factor: f64) -> Option<IntervalMonthDayNano> {
    let months = f64::from(interval.months) * factor;
    let days = f64::from(interval.days) * factor + months.fract() * DAYS_PER_MONTH;
    #[expect(clippy::cast_precision_loss, reason = "a moment is told to the microsecond")]
    let nanos = interval.nanoseconds as f64 * factor + days.fract() * NANOS_PER_DAY;
    Some(IntervalMonthDayNano {
        months: whole(months.trunc())?,
        days: whole(days.trunc())?,
        nanoseconds: {
            // Microseconds are what PostgreSQL has.
            let micros = (nanos / 1e3).round();
            if micros.abs() >= 9.2e15 {
                return None;
            }
            #[expect(clippy::cast_possible_truncation, reason = "bounded by the check above")]
            let micros = micros as i64;
            micros.checked_mul(1_000)?
        },
    })
}

fn whole(value: f64) -> Option<i32> {
    if !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded by the check above")]
    let whole = value as i32;
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_postgresqls() {
        const HOUR: i64 = 3_600_000_000_000;
        for ((months, days, nanos), factor, expected) in [
            ((0, 1, 0), 3.0, Some((0, 3, 0))),
            ((1, 0, 0), -2.0, Some((-2, 0, 0))),
            ((1, 0, 0), 1.5, Some((1, 15, 0))),
            ((0, 1, 0), 0.5, Some((0, 0, 12 * HOUR))),
            ((0, 0, HOUR), 24.0, Some((0, 0, 24 * HOUR))),
            ((0, i32::MAX, 0), 2.0, None),
            ((0, 1, 0), f64::NAN, None),
        ] {
            let interval = IntervalMonthDayNano::new(months, days, nanos);
            let expected = expected
                .map(|(months, days, nanos)| IntervalMonthDayNano::new(months, days, nanos));
            assert_eq!(times(interval, factor), expected, "{interval:?} * {factor}");
        }
    }
}
