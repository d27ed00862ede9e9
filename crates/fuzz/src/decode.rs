//! Reading from front to back: nothing panics, memory is bounded, cuts change no row.

use std::{iter::once, sync::Arc};

use arrow::{compute::concat_batches, record_batch::RecordBatch};
use autoloader::files::{
    BadRecord, Decoded, ReadSchema,
    decoded::RESCUED_FIELDS_MAX,
    format::{FileProblem, open_file},
    options::{Format, LoadOptions, TextOptions},
    schema::Observed,
};

use crate::said::{Said, file, pieces};

/// Most memory of what one step hands on, four times the stretch of a reader: buffers grow by
/// doubling, and a type may be wider than its text.
pub(crate) const STEP_BYTES_MAX: usize = 64 << 20;

/// Most rows that are compared: a small file may unpack to more than there is time for.
const ROWS_MAX: usize = 1 << 16;

/// Reads a file as its options say, whole and in pieces.
///
/// # Panics
/// A reader panics, hands on too much at once, or reads other rows from other pieces.
pub fn decode(input: &[u8]) {
    let Some(said) = Said::parse(input) else { return };
    if said.options.format == Format::Parquet {
        return;
    }
    let Some(schema) = said.read_schema().map(Arc::new) else { return };
    let whole = read(&said.options, &schema, said.body, once(said.body));
    if whole.as_ref().is_ok_and(Read::is_long) {
        return;
    }
    let cut = read(&said.options, &schema, said.body, pieces(said.body));
    match (whole, cut) {
        // What is said about a broken file depends on how much of it was seen.
        (Err(_), Err(_)) => (),
        (Ok(whole), Ok(cut)) => assert_eq!(whole.told(), cut.told()),
        (whole, cut) => {
            assert_eq!(whole.is_ok(), cut.is_ok(), "whole {whole:?}, in pieces {cut:?}");
        }
    }
}

/// Everything that came of a file.
#[derive(Debug, Default)]
struct Read {
    all: Decoded,
    rows: usize,
}

impl Read {
    const fn is_long(&self) -> bool {
        ROWS_MAX <= self.rows
    }

    fn take(&mut self, step: Decoded) {
        let bytes = step.batches.iter().map(RecordBatch::get_array_memory_size).sum::<usize>();
        assert!(bytes <= STEP_BYTES_MAX, "{bytes} bytes at once");
        if self.is_long() {
            return;
        }
        self.rows += step.bad.len();
        self.rows += step.batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        self.all.batches.extend(step.batches);
        self.all.bad.extend(step.bad);
        self.all.unknown.merge(step.unknown);
        self.all.rows_rescued += step.rows_rescued;
        self.all.rescued_fields.extend(step.rescued_fields);
    }

    /// Returns what must not depend on pieces.
    fn told(&self) -> Told<'_> {
        let batches = &self.all.batches;
        let rows = batches.first().map(|first| {
            concat_batches(first.schema_ref(), batches).expect("a file's batches have one schema")
        });
        let is_capped = RESCUED_FIELDS_MAX <= self.all.rescued_fields.len();
        let fields = (!is_capped).then(|| self.all.rescued_fields.iter().collect());
        (rows, &self.all.bad, &self.all.unknown, self.all.rows_rescued, fields)
    }
}

type Told<'a> = (Option<RecordBatch>, &'a [BadRecord], &'a Observed, u64, Option<Vec<&'a String>>);

fn read<'a>(
    options: &LoadOptions,
    schema: &Arc<ReadSchema>,
    body: &[u8],
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Result<Read, FileProblem> {
    let times = Arc::new(times(&options.format));
    let mut opened = open_file(&options.format, &file("a", body), Arc::clone(schema), times)?;
    let mut read = Read::default();
    let mut take = |step| {
        read.take(step);
        Ok::<_, FileProblem>(())
    };
    for piece in pieces {
        opened.push(piece, &mut take)?;
    }
    opened.finish(&mut take)?;
    Ok(read)
}

/// Returns how texts of a format become times.
pub(crate) fn times(format: &Format) -> TextOptions {
    match format {
        Format::Json(json) => json.text.clone(),
        Format::Csv(csv) => csv.text.clone(),
        Format::Text { .. } | Format::Parquet | Format::Avro | Format::Binary => {
            TextOptions::default()
        }
    }
}
