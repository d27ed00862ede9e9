//! `doctor`: a table for people, JSON for programs, an exit code for scripts.

use std::{io, sync::Arc};

use comfy_table::{Cell, Color};
use serde_json::json;

use super::{Ended, Setup};
use crate::{
    cli::Output,
    doctor::{Doctor, Finding, Outcome, exit_code},
    failure::Failure,
    render,
};

pub(crate) async fn run(setup: Setup) -> Result<Ended, Failure> {
    let output = setup.output;
    let findings = {
        let mut work = setup.bars.begin("doctor", "services", 0, Arc::clone(&setup.clock));
        Doctor::examine(setup, |service| {
            work.at(service);
            work.advance(1);
        })
        .await?
    };
    match output {
        Output::Json => render::print(&as_json(&findings))?,
        _ => render::print(&as_text(&findings, render::has_color(&io::stdout())))?,
    }
    Ok(Ended { code: exit_code(&findings), ..Ended::default() })
}

const fn name(outcome: Outcome) -> (&'static str, Color) {
    match outcome {
        Outcome::Ok => ("ok", Color::Green),
        Outcome::Warning => ("warning", Color::Yellow),
        Outcome::Failed(_) => ("failed", Color::Red),
        Outcome::Skipped => ("skipped", Color::DarkGrey),
    }
}

fn as_text(findings: &[Finding], has_color: bool) -> String {
    let mut table = render::table(&["service", "check", "result", "what was found"]);
    for Finding { service, check, outcome, detail, remedy } in findings {
        let (name, color) = name(*outcome);
        let result = if has_color { Cell::new(name).fg(color) } else { Cell::new(name) };
        let found =
            if remedy.is_empty() { detail.clone() } else { format!("{detail}\nremedy: {remedy}") };
        table.add_row([Cell::new(service), Cell::new(check), result, Cell::new(found)]);
    }
    let count = |wanted: fn(Outcome) -> bool| {
        findings.iter().filter(|finding| wanted(finding.outcome)).count()
    };
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let warned = count(|outcome| outcome == Outcome::Warning);
    let verdict = match (failed, warned) {
        (0, 0) => "everything the settings name is there and works".to_owned(),
        (0, _) => format!("it works; {warned} of {} checks should be looked at", findings.len()),
        _ => format!("{failed} of {} checks failed", findings.len()),
    };
    format!("{table}\n{verdict}\n")
}

fn as_json(findings: &[Finding]) -> String {
    let checks: Vec<_> = findings
        .iter()
        .map(|Finding { service, check, outcome, detail, remedy }| {
            let kind = match outcome {
                Outcome::Failed(kind) => Some(kind.to_string()),
                _ => None,
            };
            json!({
                "service": service, "check": check, "result": name(*outcome).0, "kind": kind,
                "detail": detail, "remedy": remedy,
            })
        })
        .collect();
    let is_well = exit_code(findings) == 0;
    format!("{:#}\n", json!({"is_well": is_well, "checks": checks}))
}
