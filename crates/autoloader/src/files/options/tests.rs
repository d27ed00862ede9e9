//! Options as users give them: what they become, and what is refused.

mod contradictions;
mod document;
mod first_start;
mod given;
mod refused;
mod sources;

use super::{LoadOptions, OptionProblems};

/// Parses options written as `name=value` lines; `format=json` unless they say otherwise.
fn parse(lines: &[&str]) -> Result<LoadOptions, OptionProblems> {
    let pairs = lines.iter().map(|line| {
        let (name, value) = line.split_once('=').expect("name=value");
        (name.to_owned(), value.to_owned())
    });
    let has_format = lines.iter().any(|line| is_format(line));
    let json = (!has_format).then(|| ("format".to_owned(), "json".to_owned()));
    LoadOptions::parse(json.into_iter().chain(pairs))
}

#[track_caller]
fn parsed(lines: &[&str]) -> LoadOptions {
    match parse(lines) {
        Ok(options) => options,
        Err(problems) => panic!("{lines:?}: {problems}"),
    }
}

/// Checks that the options have this one problem, of this option.
#[track_caller]
fn check_refused(name: &str, lines: &[&str], option: &str, told: &str) {
    let problems = parse(lines).expect_err(name).0;
    let shown: Vec<String> =
        problems.iter().map(|found| format!("{}: {}", found.option, found.problem)).collect();
    assert_eq!(problems.len(), 1, "{name}: {shown:?}");
    assert_eq!(problems[0].option, option, "{name}: {shown:?}");
    assert!(problems[0].problem.contains(told), "{name}: {shown:?}");
}

fn is_format(line: &str) -> bool {
    line.starts_with("format=") || line.starts_with("cloudFiles.format=")
}
