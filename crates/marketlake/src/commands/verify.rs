//! `verify`: proves the promise from what is stored, and fails when it does not hold.

use chrono::{Datelike, NaiveDate};
use ingest::{state::fetched_pages, topic::TopicReader};
use lake::{Breach, DatasetDay, FetchedPage, Verification, VerifyScope};
use model::{Dataset, ErrorKind};
use serde_json::json;

use super::{Context, Ended};
use crate::{
    assemble::{ResultExt, Workbench},
    cli::Output,
    failure::Failure,
    render,
};

pub(crate) async fn run(
    context: Context,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> Result<Ended, Failure> {
    let bench = context.open_existing()?;
    let topic = bench.topic().await?;
    let mut topics = Vec::new();
    for dataset in Dataset::ALL {
        let name = bench.topic_name(dataset);
        let existing = topic.partitions(&name).await.or_fail()?;
        topics.push((dataset, name, existing.max(bench.config.topic.partitions.get())));
    }
    let day = |date: NaiveDate| {
        let (month, day) = (date.month0() + 1, date.day0() + 1);
        date.year() * 10_000 + i32::try_from(month * 100 + day).unwrap_or_default()
    };
    let is_limited = from.is_some() || to.is_some();
    let scope = VerifyScope {
        generation: bench.config.landing.generation,
        topics,
        semantics: bench.semantics(),
        days: is_limited.then(|| (from.map_or(0, day), to.map_or(i32::MAX, day))),
    };
    // Read before anything else: what is fetched meanwhile must not look lost.
    let fetched = pages(&bench)?;
    let verification =
        lake::verify(bench.landing_store()?, &bench.lake()?, &scope, &fetched).await.or_fail()?;
    match context.output {
        Output::Json => render::print(&as_json(&verification))?,
        _ => render::print(&as_text(&verification))?,
    }
    let code = if verification.breaches.is_empty() { 0 } else { ErrorKind::Data.exit_code() };
    Ok(Ended { code, ..Ended::default() })
}

fn pages(bench: &Workbench) -> Result<Vec<FetchedPage>, Failure> {
    fetched_pages(bench.poll_state()?)
        .map(|page| {
            let page = page.or_fail()?;
            let (dataset, fetch_id) = (page.dataset, page.fetch_id);
            Ok(FetchedPage { dataset, fetch_id, page: page.page, rows: page.rows })
        })
        .collect()
}

const HEADER: [&str; 11] = [
    "dataset",
    "day",
    "fetched",
    "landed",
    "bronze",
    "corrupt",
    "new",
    "restated",
    "unchanged",
    "superseded",
    "rejected",
];

fn counts(day: &DatasetDay) -> [u64; 9] {
    [
        day.fetched,
        day.landed,
        day.bronze,
        day.corrupt,
        day.new,
        day.restated,
        day.unchanged,
        day.superseded,
        day.rejected,
    ]
}

fn as_text(verification: &Verification) -> String {
    let mut table = render::table(&HEADER);
    for (dataset, days) in &verification.days {
        for (day, found) in days {
            let name = if *day == 0 { "none".to_owned() } else { day.to_string() };
            let mut row = vec![dataset.to_string(), name];
            row.extend(counts(found).map(|count| count.to_string()));
            table.add_row(row);
        }
    }
    render::align_right(&mut table, 2..11);
    let list = |title: &str, found: &[Breach]| {
        let lines: Vec<String> = found.iter().map(|breach| format!("  {breach}\n")).collect();
        if lines.is_empty() { String::new() } else { format!("{title}:\n{}", lines.concat()) }
    };
    let verdict = match verification.breaches.len() {
        0 => "the promise holds: nothing lost, nothing invented, nothing twice\n".to_owned(),
        1 => "the promise is broken in 1 place\n".to_owned(),
        count => format!("the promise is broken in {count} places\n"),
    };
    let pending = list("not comparable yet, a stage is still at work", &verification.pending);
    let breaches = list("breaches", &verification.breaches);
    format!("{table}\n{pending}{breaches}{verdict}")
}

fn as_json(verification: &Verification) -> String {
    let days: Vec<_> = verification
        .days
        .iter()
        .flat_map(|(dataset, days)| {
            days.iter().map(move |(day, found)| {
                json!({"dataset": dataset.as_str(), "day": day, "counts": found})
            })
        })
        .collect();
    let report = json!({
        "holds": verification.breaches.is_empty(),
        "days": days,
        "pending": verification.pending,
        "breaches": verification.breaches,
    });
    format!("{report:#}\n")
}
