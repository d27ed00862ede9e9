//! Sessions against the exchanges' published calendars.

use super::*;

fn date(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

#[track_caller]
fn check(day: &str, expected: Option<(&str, &str)>) {
    let hours = Session::on(date(day)).map(|session| {
        (session.open.format("%H:%M").to_string(), session.close.format("%H:%M").to_string())
    });
    let expected = expected.map(|(open, close)| (open.to_owned(), close.to_owned()));
    assert_eq!(hours, expected, "on {day}");
}

#[test]
fn follows_new_york_through_daylight_saving() {
    check("2019-02-11", Some(("14:30", "21:00")));
    check("2019-03-08", Some(("14:30", "21:00")));
    check("2019-03-11", Some(("13:30", "20:00")));
    check("2019-11-01", Some(("13:30", "20:00")));
    check("2019-11-04", Some(("14:30", "21:00")));
}

#[test]
fn closes_on_holidays_and_their_observed_days() {
    for day in [
        "2019-01-01",
        "2019-01-21",
        "2019-02-18",
        "2019-04-19",
        "2019-05-27",
        "2019-07-04",
        "2019-09-02",
        "2019-11-28",
        "2019-12-25",
        "2022-06-20",
        "2021-07-05",
        "2020-07-03",
        "2021-12-24",
        "2022-12-26",
        "2018-12-05",
        "2012-10-30",
        "2025-01-09",
        "2026-06-19",
    ] {
        check(day, None);
    }
    // A Saturday New Year's Day and Juneteenth before 2022 are ordinary days around them.
    check("2021-12-31", Some(("14:30", "21:00")));
    check("2021-06-18", Some(("13:30", "20:00")));
}

#[test]
fn closes_early_before_and_after_holidays() {
    check("2019-07-03", Some(("13:30", "17:00")));
    check("2019-11-29", Some(("14:30", "18:00")));
    check("2019-12-24", Some(("14:30", "18:00")));
    check("2024-11-29", Some(("14:30", "18:00")));
    check("2021-11-26", Some(("14:30", "18:00")));
    check("2020-12-24", Some(("14:30", "18:00")));
    check("2020-07-02", Some(("13:30", "20:00")));
}

#[test]
fn the_current_session_runs_until_its_close() {
    let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
    let friday_evening = Session::current_or_next(at("2019-02-15T21:00:00Z")).expect("a session");
    assert_eq!(friday_evening.date, date("2019-02-19"), "Monday is Washington's Birthday");
    let running = Session::current_or_next(at("2019-02-15T20:59:59Z")).expect("a session");
    assert_eq!(running.date, date("2019-02-15"));
}

#[test]
fn names_the_part_of_the_day() {
    let part = |text: &str| session_part(text.parse().expect("a time"));
    assert_eq!(part("2019-02-11T09:00:00Z"), SessionPart::Pre);
    assert_eq!(part("2019-02-11T14:30:00Z"), SessionPart::Regular);
    assert_eq!(part("2019-02-11T21:00:00Z"), SessionPart::Post);
    assert_eq!(part("2019-02-12T01:00:00Z"), SessionPart::Closed);
    assert_eq!(part("2019-02-16T15:00:00Z"), SessionPart::Closed);
}
