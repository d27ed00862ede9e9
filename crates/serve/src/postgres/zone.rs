//! `AT TIME ZONE`: from instants to the wall time of a place, and back.

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _};
use lake::datafusion::{
    arrow::{
        array::{Array as _, ArrayRef, AsArray as _, TimestampMicrosecondArray, timezone::Tz},
        datatypes::{DataType, TimeUnit, TimestampMicrosecondType},
    },
    error::DataFusionError,
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
    prelude::SessionContext,
};
use std::sync::Arc;

use super::failure::Failure;

/// PostgreSQL's function behind the notation: `timezone(zone, timestamp)`.
pub(super) const FUNCTION: &str = "timezone";

const MICROS: i64 = 1_000_000;

/// Makes the function known to one statement.
pub(super) fn register(ctx: &SessionContext) {
    ctx.register_udf(ScalarUDF::new_from_impl(Timezone {
        signature: Signature::user_defined(Volatility::Immutable),
    }));
}

/// Finds a zone by its name in the time zone database, in any case.
///
/// Numbers are refused: PostgreSQL counts `+02` in such a text westwards, as POSIX does, and
/// whoever writes it means the opposite.
pub(super) fn find(name: &str) -> Result<Tz, Failure> {
    let unknown = || {
        Failure::new("22023", format!("time zone \"{name}\" not recognized"))
            .with_hint("Use a name such as 'America/New_York' or 'UTC'.")
    };
    if name.contains(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '/' | '_' | '-' | '+'))
        || !name.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        return Err(unknown());
    }
    let spellings = [name.to_owned(), name.to_ascii_uppercase(), capitalized(name)];
    spellings.iter().find_map(|name| name.parse().ok()).ok_or_else(unknown)
}

/// `america/new_york` as `America/New_York`.
fn capitalized(name: &str) -> String {
    let mut is_start = true;
    name.chars()
        .map(|c| {
            let c = if is_start { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            is_start = !c.is_ascii_alphabetic();
            c
        })
        .collect()
}

/// What a clock in `zone` shows at an instant. Both are microseconds since 1970.
fn wall_time(instant: i64, zone: Tz) -> Option<i64> {
    let utc = naive(instant)?;
    shifted(instant, zone.offset_from_utc_datetime(&utc).fix().local_minus_utc())
}

/// When a clock in `zone` shows `wall`. An hour that comes twice is taken for its second time, and
/// one that is left out as if the clock had not been put forward yet, both as PostgreSQL does.
fn instant(wall: i64, zone: Tz) -> Option<i64> {
    let time = naive(wall)?;
    let offset = match zone.offset_from_local_datetime(&time) {
        LocalResult::Single(offset) | LocalResult::Ambiguous(_, offset) => offset,
        LocalResult::None => {
            // No clock was ever put forward by more than a day.
            let before = time.checked_sub_signed(TimeDelta::days(1))?;
            zone.offset_from_local_datetime(&before).latest()?
        }
    };
    shifted(wall, -offset.fix().local_minus_utc())
}

fn naive(micros: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros).map(|time| time.naive_utc())
}

fn shifted(micros: i64, seconds: i32) -> Option<i64> {
    micros.checked_add(i64::from(seconds) * MICROS)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Timezone {
    signature: Signature,
}

fn instant_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn wall_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

impl ScalarUDFImpl for Timezone {
    fn name(&self) -> &str {
        FUNCTION
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// As PostgreSQL, a date or an untyped literal is taken for an instant.
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        let refused = || {
            let types: Vec<String> = types.iter().map(ToString::to_string).collect();
            DataFusionError::Plan(format!("no timezone({})", types.join(", ")))
        };
        let [zone, time] = types else { return Err(refused()) };
        let is_text = |data_type: &DataType| {
            matches!(
                data_type,
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
            )
        };
        let time = match time {
            DataType::Timestamp(_, None) => wall_type(),
            DataType::Timestamp(_, Some(_)) | DataType::Date32 | DataType::Date64 => instant_type(),
            text if is_text(text) => instant_type(),
            _ => return Err(refused()),
        };
        if is_text(zone) { Ok(vec![DataType::Utf8, time]) } else { Err(refused()) }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(match types {
            [_, DataType::Timestamp(_, None)] => instant_type(),
            _ => wall_type(),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let [zones, times] = args.args.as_slice() else {
            return Err(DataFusionError::Internal("timezone of other than two".to_owned()));
        };
        // A constant zone is looked up once.
        let is_constant = matches!(zones, ColumnarValue::Scalar(_));
        let zones = zones.to_array(if is_constant { 1 } else { args.number_rows })?;
        let times = times.to_array(args.number_rows)?;
        let has_zone = matches!(times.data_type(), DataType::Timestamp(_, Some(_)));
        let (zones, times) =
            (zones.as_string::<i32>(), times.as_primitive::<TimestampMicrosecondType>());

        let mut known: Option<(&str, Tz)> = None;
        let mut values = Vec::with_capacity(times.len());
        for row in 0..times.len() {
            let zone_row = if is_constant { 0 } else { row };
            if zones.is_null(zone_row) || times.is_null(row) {
                values.push(None);
                continue;
            }
            let name = zones.value(zone_row);
            let zone = match known {
                Some((known, zone)) if known == name => zone,
                _ => find(name).map_err(external)?,
            };
            known = Some((name, zone));
            let time = times.value(row);
            let value = if has_zone { wall_time(time, zone) } else { instant(time, zone) };
            let value =
                value.ok_or_else(|| external(Failure::new("22008", "timestamp out of range")))?;
            values.push(Some(value));
        }
        let values = TimestampMicrosecondArray::from(values);
        let values: ArrayRef =
            Arc::new(if has_zone { values } else { values.with_timezone("UTC") });
        Ok(ColumnarValue::Array(values))
    }
}

fn external(failure: Failure) -> DataFusionError {
    DataFusionError::External(Box::new(failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> i64 {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap().and_utc().timestamp_micros()
    }

    #[test]
    fn clocks_are_put_forward_and_back() {
        let zone = find("America/New_York").unwrap();
        for (utc, wall) in [
            ("2026-03-08 06:59", "2026-03-08 01:59"),
            ("2026-03-08 07:00", "2026-03-08 03:00"),
            ("2026-11-01 05:59", "2026-11-01 01:59"),
            ("2026-11-01 06:59", "2026-11-01 01:59"),
            ("2026-11-01 07:00", "2026-11-01 02:00"),
        ] {
            assert_eq!(wall_time(micros(utc), zone), Some(micros(wall)), "{utc}");
        }
        for (wall, utc) in [
            ("2026-03-08 01:59", "2026-03-08 06:59"),
            // Left out: as if it were still winter.
            ("2026-03-08 02:30", "2026-03-08 07:30"),
            ("2026-03-08 03:00", "2026-03-08 07:00"),
            // Twice: the second time.
            ("2026-11-01 01:30", "2026-11-01 06:30"),
            ("2026-11-01 02:00", "2026-11-01 07:00"),
        ] {
            assert_eq!(instant(micros(wall), zone), Some(micros(utc)), "{wall}");
        }
        // Samoa left out a whole day.
        let apia = find("Pacific/Apia").unwrap();
        assert_eq!(instant(micros("2011-12-30 12:00"), apia), Some(micros("2011-12-30 22:00")));
    }

    #[test]
    fn the_ends_of_time_are_no_panic() {
        let zone = find("Asia/Tokyo").unwrap();
        for micros in [i64::MIN, i64::MAX] {
            assert_eq!(wall_time(micros, zone), None);
            assert_eq!(instant(micros, zone), None);
        }
    }

    #[test]
    fn zones_have_names_in_any_case() {
        for name in ["UTC", "utc", "EST5EDT", "america/new_york", "EUROPE/BERLIN", "Etc/GMT+5"] {
            assert!(find(name).is_ok(), "{name}");
        }
        for name in ["", "Mars/Olympus", "+02:00", "-05", "New York", "é", "2"] {
            let failure = find(name).unwrap_err();
            assert_eq!(failure.code, "22023", "{name}");
            assert!(failure.hint.is_some());
        }
    }
}
