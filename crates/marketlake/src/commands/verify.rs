//! `verify`: proves the promise from what is stored, and fails when it does not hold.

use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use ingest::landing::generation;
use lake::{Breach, DatasetDay, FetchedPage, Looked, Verification, VerifyScope, VerifyTopic};
use model::{Dataset, ErrorKind};
use serde_json::json;

use super::{Context, Ended};
use crate::{
    assemble::{
        Access, ResultExt, Topic, Workbench, polling::PollMemory, stages::REFINE_GENERATION,
    },
    cli::{Output, VerifyArgs},
    failure::Failure,
    render,
};

pub(crate) async fn run(
    context: Context,
    VerifyArgs { from, to, settled: is_settled }: VerifyArgs,
) -> Result<Ended, Failure> {
    let bench = context.open_existing()?;
    let topic = Topic::open(&bench).await?.reader;
    let landing = bench.landing_store(Access::Read).await?;
    // Pages first, then the topic's ends, then what landed: what comes to be meanwhile must not look
    // lost.
    let fetched = pages(&bench).await?;
    let mut topics = Vec::new();
    for dataset in Dataset::ALL {
        let name = bench.topic_name(dataset);
        let mut ends = Vec::new();
        for partition in 0..topic.partitions(&name).await.or_fail()? {
            ends.push(topic.end_offset(&name, partition).await.or_fail()?);
        }
        let floor = bench.config.landing.generation;
        let generation = generation::current(&landing, &name, floor).await.or_fail()?.generation;
        topics.push(VerifyTopic { dataset, topic: name, generation, ends });
    }
    let day = |date: NaiveDate| {
        let (month, day) = (date.month0() + 1, date.day0() + 1);
        date.year() * 10_000 + i32::try_from(month * 100 + day).unwrap_or_default()
    };
    let is_limited = from.is_some() || to.is_some();
    let scope = VerifyScope {
        refine_generation: REFINE_GENERATION,
        topics,
        semantics: bench.semantics(),
        days: is_limited.then(|| (from.map_or(0, day), to.map_or(i32::MAX, day))),
    };
    let verification = {
        let mut work = context.bars.begin("verify", "rows", 0, Arc::clone(&bench.clock));
        let mut observe = |looked: Looked<'_>| {
            work.at(looked.at);
            work.advance(looked.rows);
        };
        lake::verify(landing, &bench.lake(Access::Read).await?, &scope, &fetched, &mut observe)
            .await
            .or_fail()?
    };
    match context.output {
        Output::Json => render::print(&as_json(&verification))?,
        _ => render::print(&as_text(&verification))?,
    }
    let code = match holds(&verification) {
        Some(true) => 0,
        None if !is_settled => 0,
        None => ErrorKind::Transient.exit_code(),
        Some(false) => ErrorKind::Data.exit_code(),
    };
    Ok(Ended { code, ..Ended::default() })
}

/// Whether the promise holds; `None` when something could not be compared yet.
fn holds(verification: &Verification) -> Option<bool> {
    if !verification.breaches.is_empty() {
        Some(false)
    } else if verification.pending.is_empty() {
        Some(true)
    } else {
        None
    }
}

async fn pages(bench: &Workbench) -> Result<Vec<FetchedPage>, Failure> {
    let memory = PollMemory::open(bench).await?;
    let (pages, losses) = (memory.pages().await?, memory.losses_seen_to().await?);
    let shown = pages.into_iter().map(|page| {
        let topic = bench.topic_name(page.dataset);
        FetchedPage {
            dataset: page.dataset,
            fetch_id: page.fetch_id,
            page: page.page,
            rows: page.rows,
            may_be_lost: losses.iter().any(|loss| loss.explains(&topic, &page)),
        }
    });
    Ok(shown.collect())
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
    let verdict = match (holds(verification), verification.breaches.len()) {
        (Some(true), _) => {
            "the promise holds: nothing lost, nothing invented, nothing twice\n".to_owned()
        }
        (None, _) => {
            "nothing is broken so far; let the stages finish and verify again\n".to_owned()
        }
        (Some(false), 1) => "the promise is broken in 1 place\n".to_owned(),
        (Some(false), count) => format!("the promise is broken in {count} places\n"),
    };
    let lost =
        list("lost by a topic before it landed, and fetched again since", &verification.lost);
    let pending = list("not comparable yet, a stage is still at work", &verification.pending);
    let breaches = list("breaches", &verification.breaches);
    format!("{table}\n{lost}{pending}{breaches}{verdict}")
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
        "holds": holds(verification),
        "days": days,
        "lost": verification.lost,
        "pending": verification.pending,
        "breaches": verification.breaches,
    });
    format!("{report:#}\n")
}
