//! `session_minutes(date, until)`: how long the session of a date has been open by then.

use std::sync::Arc;

use arrow::{
    array::{Array as _, AsArray as _, Int64Array},
    compute::cast,
    datatypes::{DataType, Date32Type, TimestampMicrosecondType},
};
use chrono::{DateTime, Utc};
use datafusion::{
    common::DataFusionError,
    logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf},
};
use model::session::Session;

use crate::{
    rows::{date_of_days, utc},
    schema::timestamp,
};

/// The function, for the views only.
pub(crate) fn session_minutes() -> ScalarUDF {
    create_udf(
        "session_minutes",
        vec![DataType::Date32, timestamp()],
        DataType::Int64,
        Volatility::Immutable,
        Arc::new(invoke),
    )
}

fn invoke(arguments: &[ColumnarValue]) -> Result<ColumnarValue, DataFusionError> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let [dates, untils] = arrays.as_slice() else {
        return Err(DataFusionError::Plan("session_minutes takes a date and a time".to_owned()));
    };
    let dates = cast(dates, &DataType::Date32)?;
    let untils = cast(untils, &timestamp())?;
    let (dates, untils) =
        (dates.as_primitive::<Date32Type>(), untils.as_primitive::<TimestampMicrosecondType>());
    let minutes = (0..dates.len()).map(|row| {
        let session = dates.is_valid(row).then(|| date_of_days(dates.value(row))).flatten();
        let until = untils.is_valid(row).then(|| utc(untils.value(row))).flatten();
        session.and_then(Session::on).map_or(0, |session| minutes_open(&session, until))
    });
    Ok(ColumnarValue::Array(Arc::new(Int64Array::from_iter_values(minutes))))
}

/// The minutes of `session` before `until`; all of them where that is not known.
fn minutes_open(session: &Session, until: Option<DateTime<Utc>>) -> i64 {
    let end = until.map_or(session.close, |until| until.min(session.close));
    (end - session.open).num_minutes().max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(date: &str, until: Option<&str>, expected: i64) {
        let session = Session::on(date.parse().unwrap()).unwrap();
        let until = until.map(|text| text.parse().unwrap());
        assert_eq!(minutes_open(&session, until), expected, "{date} {until:?}");
    }

    #[test]
    fn a_session_counts_as_far_as_it_has_come() {
        check("2019-02-11", None, 390);
        check("2019-02-11", Some("2019-02-11T14:00:00Z"), 0);
        check("2019-02-11", Some("2019-02-11T14:37:00Z"), 7);
        check("2019-02-11", Some("2019-02-12T14:37:00Z"), 390);
        // The day after Thanksgiving ends at one o'clock.
        check("2019-11-29", None, 210);
    }
}
