//! Days and moments in short become such in full, as Spark casts texts: `2026-1-5`, `2026-01`.

/// Returns the ISO 8601 time that `text` is short for, down to the second; `None`: it is none.
///
/// Months, days, hours, minutes and seconds may have one digit, or be left out from some place on;
/// a clock needs its day, and what is behind the clock (fraction and zone) its seconds.
pub(super) fn in_full(text: &str) -> Option<String> {
    let (day, clock) =
        text.split_once(['T', ' ']).map_or((text, None), |(day, at)| (day, Some(at)));
    let mut parts = day.split('-');
    let year = parts.next().filter(|year| year.len() == 4 && is_digits(year))?;
    let (month, day) = (parts.next(), parts.next());
    if parts.next().is_some() || (clock.is_some() && day.is_none()) {
        return None;
    }
    let [month, day] = [month, day].map(|part| two(part.unwrap_or("1")));
    let [hour, minute, second, rest] = clock.map_or(Some(["00", "00", "00", ""]), clock_parts)?;
    let [hour, minute, second] = [hour, minute, second].map(two);
    Some(format!("{year}-{}-{}T{}:{}:{}{rest}", month?, day?, hour?, minute?, second?))
}

/// Splits a clock into hours, minutes, seconds and what is behind the seconds.
fn clock_parts(text: &str) -> Option<[&str; 4]> {
    let Some((hour, text)) = text.split_once(':') else { return Some([text, "00", "00", ""]) };
    let Some((minute, text)) = text.split_once(':') else { return Some([hour, text, "00", ""]) };
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (second, rest) = text.split_at_checked(end)?;
    Some([hour, minute, second, rest])
}

/// Returns one or two digits as two.
fn two(text: &str) -> Option<String> {
    let is_such = matches!(text.len(), 1 | 2) && is_digits(text);
    is_such.then(|| format!("{text:0>2}"))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_out_is_the_least_there_is() {
        for (name, text, expected) in [
            ("a year", "2026", "2026-01-01T00:00:00"),
            ("a month", "2026-01", "2026-01-01T00:00:00"),
            ("a month of one digit", "2026-1", "2026-01-01T00:00:00"),
            ("a day of one digit", "2026-01-5", "2026-01-05T00:00:00"),
            ("a month and a day of one digit", "2026-1-5", "2026-01-05T00:00:00"),
            ("an hour", "2026-03-04T05", "2026-03-04T05:00:00"),
            ("an hour of one digit", "2026-03-04 5", "2026-03-04T05:00:00"),
            ("no seconds", "2026-03-04T05:06", "2026-03-04T05:06:00"),
            ("no seconds, by a blank", "2026-03-04 05:06", "2026-03-04T05:06:00"),
            ("one digit everywhere", "2026-3-4T5:6:7", "2026-03-04T05:06:07"),
            ("a fraction and a zone", "2026-3-4T5:6:7.5Z", "2026-03-04T05:06:07.5Z"),
            ("an offset", "2026-3-4 5:6:7+0100", "2026-03-04T05:06:07+0100"),
        ] {
            assert_eq!(in_full(text).as_deref(), Some(expected), "{name}: {text}");
        }
    }

    #[test]
    fn refuses_what_spark_takes_for_no_time() {
        for (name, text) in [
            ("nothing", ""),
            ("a year of three digits", "202"),
            ("a year of five digits", "20265"),
            ("digits alone", "20260105"),
            ("no month behind the dash", "2026-"),
            ("no day behind the dash", "2026-1-"),
            ("a month of three digits", "2026-001"),
            ("a day of three digits", "2026-1-005"),
            ("a part too many", "2026-1-5-1"),
            ("slashes", "2026/1/5"),
            ("a sign", "+2026-1-5"),
            ("a blank in front", " 2026-1-5"),
            ("a blank behind", "2026-1-5 "),
            ("a clock without a day", "2026-03T05:06"),
            ("a clock without a month", "2026T05:06"),
            ("no clock behind the T", "2026-03-04T"),
            ("no minutes behind the colon", "2026-03-04T05:"),
            ("no seconds behind the colon", "2026-03-04T05:06:"),
            ("an hour of three digits", "2026-03-04T005:06"),
            ("a clock without colons", "2026-03-04T0506"),
            ("a zone without seconds", "2026-03-04T05:06Z"),
            ("an offset without seconds", "2026-03-04T05:06+01:00"),
            ("a zone without minutes", "2026-03-04T05Z"),
            ("a zone without a clock", "2026-3-4Z"),
            ("a fraction of minutes", "2026-03-04T05:06.5"),
            ("half a day", "2026-03-04 05:06 PM"),
            ("digits that are not ASCII", "2026-１"),
        ] {
            assert_eq!(in_full(text), None, "{name}: {text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_short_for_a_time_or_not(text in "[0-9TZ:. +-]{0,24}|.{0,24}") {
            if let Some(full) = in_full(&text) {
                // What is in full already stays as it is.
                prop_assert_eq!(in_full(&full), Some(full));
            }
        }
    }
}
