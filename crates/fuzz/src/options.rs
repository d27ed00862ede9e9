//! Texts that users write: no text panics, and what was understood means the same when printed.

use std::collections::BTreeMap;

use autoloader::files::{
    LoadOptions,
    options::{Glob, SourcePath, TimePattern, Zone, changed, pinned},
    schema::{
        field_text, parse_fields, parse_hints, parse_path, parse_type, partition_values, path_text,
        type_text,
    },
};

use crate::said::pairs;

/// Parses an input as options, and its first two lines as everything that options hold.
///
/// # Panics
/// Something panics, or what is printed does not mean what was parsed.
pub fn options(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let second = rest.lines().next().unwrap_or_default();
    check_ddl(first);
    check_glob(first, second);
    check_times(first, second);
    for value in partition_values(first) {
        assert!(!value.name.is_empty(), "{value:?}");
    }
    check_options(pairs(&text));
}

fn check_ddl(text: &str) {
    if let Ok(data_type) = parse_type(text) {
        assert_eq!(parse_type(&type_text(&data_type)), Ok(data_type));
    }
    if let Ok(fields) = parse_fields(text) {
        let texts: Vec<_> = fields.iter().map(|field| field_text(field)).collect();
        assert_eq!(parse_fields(&texts.join(", ")), Ok(fields));
    }
    if let Ok(path) = parse_path(text) {
        assert_eq!(parse_path(&path_text(&path)), Ok(path));
    }
    if let Ok(hints) = parse_hints(text) {
        let hint = |(path, data_type): (String, String)| format!("{path} {data_type}");
        let texts: Vec<_> = hints
            .iter()
            .map(|known| hint((path_text(&known.path), type_text(&known.data_type))))
            .collect();
        assert_eq!(parse_hints(&texts.join(", ")), Ok(hints));
    }
}

fn check_glob(pattern: &str, name: &str) {
    for glob in [Glob::new(pattern), Glob::permissive(pattern)].into_iter().flatten() {
        assert_eq!(glob.to_string(), pattern);
        let covers = glob.covers(name);
        assert!(!glob.matches(name) || covers, "`{pattern}` matches `{name}`, so it covers it");
    }
    // With a `\` before each of its letters a name is a glob of nothing but itself.
    let literal: String = name.chars().flat_map(|letter| ['\\', letter]).collect();
    if let Ok(glob) = Glob::new(&literal) {
        assert!(glob.matches(name), "`{literal}` is `{name}`");
    }
    for is_strict in [false, true] {
        if let Ok(source) = SourcePath::parse(pattern, is_strict) {
            assert!(source.pattern.is_some() || source.covers(name));
        }
    }
}

fn check_times(pattern: &str, text: &str) {
    if let Ok(zone) = Zone::parse(pattern) {
        assert_eq!(Zone::parse(&zone.to_string()), Ok(zone));
    }
    if let Ok(compiled) = TimePattern::compile(pattern) {
        assert_eq!(TimePattern::compile(&compiled.to_string()), Ok(compiled.clone()));
        if let Some(time) = compiled.parse(text) {
            let moment = time.moment(Zone::utc()).map(|moment| moment.naive_utc());
            assert!(time.zone.is_some() || moment == Some(time.local()), "{time:?}");
        }
    }
}

fn check_options(pairs: Vec<(String, String)>) {
    let mut backwards = pairs.clone();
    backwards.reverse();
    // An option that is given twice is refused, and which of the two was read first then shows.
    let is_twice = |problem: &str| problem.contains("given twice");
    match (LoadOptions::parse(pairs), LoadOptions::parse(backwards)) {
        (Ok(options), Ok(other)) => {
            let (mut ours, mut theirs) = (options.ignored.clone(), other.ignored.clone());
            ours.sort();
            theirs.sort();
            assert_eq!(ours, theirs);
            let ignored = Vec::new();
            let options = LoadOptions { ignored: ignored.clone(), ..options };
            assert_eq!(options, LoadOptions { ignored, ..other }, "the order does not matter");
            let decided: BTreeMap<_, _> = pinned(&options, "s3://bucket/landing");
            assert!(changed(&decided, &decided).is_ok(), "the second start is as the first");
        }
        (Err(problems), Err(others)) => {
            assert!(!problems.0.is_empty() && !problems.to_string().is_empty());
            if !is_twice(&problems.to_string()) {
                assert_eq!(problems.0.len(), others.0.len(), "{problems}\n{others}");
            }
        }
        (ours, theirs) => assert_eq!(ours, theirs, "the order does not matter"),
    }
}
