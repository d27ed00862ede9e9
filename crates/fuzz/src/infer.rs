//! Columns of several files: their order and their cuts do not matter.

use std::{iter::once, sync::Arc};

use autoloader::files::{
    LoadOptions,
    format::{FileProblem, observe},
    options::Format,
    schema::{
        Evolution, FileObservation, Observed, SchemaVersion, decide, infer as inferred, parse_type,
        type_text,
    },
};

use crate::{
    decode::times,
    said::{Said, file, pieces},
};

/// What stands between the files of an input.
const BETWEEN: &[u8] = b"\n--file--\n";

/// Most files of an input: three are enough for any order.
const FILES_MAX: usize = 4;

/// Infers columns from the files of an input.
///
/// # Panics
/// Something panics, the order or the cuts of files make another schema, or a schema does not come
/// back from its file.
pub fn infer(input: &[u8]) {
    let Some(said) = Said::parse(input) else { return };
    if said.options.format == Format::Parquet {
        return;
    }
    let mut seen = Vec::new();
    for (at, body) in files(said.body).enumerate() {
        let path = format!("x={at}/{at}");
        let whole = observed(&said.options, &path, body, once(body));
        let cut = observed(&said.options, &path, body, pieces(body));
        assert_eq!(whole.is_ok(), cut.is_ok(), "whole {whole:?}, in pieces {cut:?}");
        if let (Ok(whole), Ok(cut)) = (whole, cut) {
            assert_eq!((&whole.observed, &whole.order), (&cut.observed, &cut.order));
            seen.push(whole);
        }
    }
    check_lattice(&seen);
    let forwards = inferred(&seen, &said.options.format, &said.options.schema);
    seen.reverse();
    let backwards = inferred(&seen, &said.options.format, &said.options.schema);
    assert_eq!(forwards, backwards);
    if let Ok(schema) = forwards {
        check_schema(&schema);
        let all = seen.iter().map(|file| file.observed.clone());
        let all = all.fold(Observed::Nothing, Observed::merged);
        check_evolution(&schema, &all, &said.options, 0);
        // As if the other files had come later.
        if let Some(first) = seen.get(..1)
            && let Ok(first) = inferred(first, &said.options.format, &said.options.schema)
        {
            check_evolution(&first, &all, &said.options, 1);
        }
    }
}

fn files(mut body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_over = false;
    let next = move || {
        if is_over {
            return None;
        }
        let at = body.windows(BETWEEN.len()).position(|window| window == BETWEEN);
        is_over = at.is_none();
        let (file, rest) = body.split_at(at.unwrap_or(body.len()));
        body = rest.get(BETWEEN.len()..).unwrap_or_default();
        Some(file)
    };
    std::iter::from_fn(next).take(FILES_MAX)
}

fn observed<'a>(
    options: &LoadOptions,
    path: &str,
    body: &[u8],
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Result<FileObservation, FileProblem> {
    let format = &options.format;
    let is_case_sensitive = options.schema.is_case_sensitive;
    let mut observer =
        observe(format, &file(path, body), is_case_sensitive, Arc::new(times(format)))?;
    for piece in pieces {
        observer.push(piece)?;
    }
    observer.finish()?;
    Ok(observer.seen())
}

/// Merging is commutative, associative and idempotent.
fn check_lattice(seen: &[FileObservation]) {
    let merge = |one: &Observed, other: &Observed| one.clone().merged(other.clone());
    for one in seen.iter().map(|file| &file.observed) {
        assert_eq!(merge(one, one), *one, "twice the same");
        for other in seen.iter().map(|file| &file.observed) {
            assert_eq!(merge(one, other), merge(other, one), "the other way round");
            for third in seen.iter().map(|file| &file.observed) {
                let left = merge(&merge(one, other), third);
                assert_eq!(left, merge(one, &merge(other, third)), "in another order");
            }
        }
    }
}

/// A schema grows at most so often by the same files, or their stream would stop for ever.
fn check_evolution(
    schema: &SchemaVersion,
    seen: &Observed,
    options: &LoadOptions,
    versions_max: usize,
) {
    let mut schema = schema.clone();
    for _ in 0..versions_max {
        match decide(&schema, seen, &options.format, &options.schema) {
            Evolution::New { schema: next, .. } => schema = next,
            Evolution::Keep | Evolution::Fail { .. } => return,
        }
        check_schema(&schema);
    }
    let last = decide(&schema, seen, &options.format, &options.schema);
    assert!(!matches!(last, Evolution::New { .. }), "{last:?} again, after {schema:?}");
}

fn check_schema(schema: &SchemaVersion) {
    for column in &schema.columns {
        let text = type_text(column.data_type());
        // Inferred types may be deeper than users write them: those are read back below.
        if let Ok(again) = parse_type(&text) {
            assert_eq!(again, *column.data_type(), "{text}");
        }
    }
    let written = serde_json::to_string(schema).expect("a schema is JSON");
    let again: SchemaVersion = serde_json::from_str(&written).expect("what was written is read");
    assert_eq!(again, *schema, "{written}");
}
