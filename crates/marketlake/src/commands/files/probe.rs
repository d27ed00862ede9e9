//! `files probe`: whether the events of a source arrive, and how fast.

use std::time::Duration;

use autoloader::files::discover::SelfTest;
use serde_json::json;

use crate::{
    assemble::{ResultExt, folder::open_events},
    cli::{FolderArgs, Output},
    commands::{Context, Ended},
    failure::Failure,
    render,
};

pub(super) async fn run(
    context: Context,
    args: &FolderArgs,
    count: u8,
    patience: Duration,
    ending: &str,
) -> Result<Ended, Failure> {
    let bench = context.without_data();
    let mut events = open_events(&bench, args).await?;
    // Nobody else's, and hidden from every load by the first letter.
    let run: u64 = rand::random();
    let names: Vec<String> =
        (1..=count).map(|it| format!("_probe-{run:016x}-{it}{ending}")).collect();
    let found = events.self_test(&names, bench.clock.as_ref(), patience).await.or_fail()?;
    match context.output {
        Output::Json => render::print(&format!("{}\n", as_json(&found)))?,
        Output::Text | Output::Csv => render::print(&as_text(&found))?,
    }
    match found.lost() {
        0 => Ok(Ended::default()),
        lost => Err(Failure::config(format!(
            "of {lost} of {} probes no event came within {} seconds: check that the bucket sends its \
             events of new objects to this queue, for this folder and for names that end in \
             `{ending}`; files are found by listing all the same",
            found.sent,
            patience.as_secs()
        ))),
    }
}

/// The fastest, the one in the middle, and the slowest.
fn latencies(found: &SelfTest) -> Option<[Duration; 3]> {
    let all = &found.latencies;
    Some([*all.first()?, *all.get(all.len() / 2)?, *all.last()?])
}

fn as_json(found: &SelfTest) -> serde_json::Value {
    let latencies = latencies(found).map(|all| all.map(|latency| latency.as_secs_f64()));
    let [fastest, median, slowest] = latencies.map_or([None; 3], |all| all.map(Some));
    json!({
        "sent": found.sent, "lost": found.lost(),
        "latency_s": { "fastest": fastest, "median": median, "slowest": slowest },
    })
}

fn as_text(found: &SelfTest) -> String {
    let mut table = render::table(&["probes", "lost", "fastest", "median", "slowest"]);
    let shown = |latency: Duration| format!("{latency:.1?}");
    let none = || [const { String::new() }; 3];
    let [fastest, median, slowest] = latencies(found).map_or_else(none, |all| all.map(shown));
    table.add_row([found.sent.to_string(), found.lost().to_string(), fastest, median, slowest]);
    format!("{table}\n")
}
