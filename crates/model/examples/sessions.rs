//! Prints the trading sessions between two dates as CSV, for comparison with other calendars.

use std::io::{self, Write};

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use model::session::Session;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut date = || -> Result<NaiveDate, Box<dyn std::error::Error>> {
        Ok(arguments.next().ok_or("usage: sessions FIRST_DATE LAST_DATE")?.parse()?)
    };
    let (first, last) = (date()?, date()?);
    let text = |ts: DateTime<Utc>| ts.to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut out = io::stdout().lock();
    writeln!(out, "date,open,close")?;
    for Session { date, open, close } in Session::between(first, last) {
        writeln!(out, "{date},{},{}", text(open), text(close))?;
    }
    Ok(())
}
