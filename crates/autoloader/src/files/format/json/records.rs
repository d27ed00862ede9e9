//! One JSON object becomes one row.

use std::sync::Arc;

use super::relaxed::Relaxed;
use crate::{
    decode::{
        columns::{Fit, Rules},
        scan::{FieldIndex, Member, RowScan, ScanError, Shape, Span, Value, skip_space, value},
        value::unescape,
    },
    files::{
        decoded::ReadSchema,
        format::{
            FileProblem, ReadTimes,
            rows::{Rows, bad},
            stretches::Stretches,
        },
        options::JsonOptions,
        schema::{Observed, Strings},
    },
};

/// Turns objects into rows.
#[derive(Debug)]
pub(super) struct Records {
    pub rows: Rows,
    /// `None`: nothing but JSON is read.
    pub relaxed: Option<Relaxed>,
    /// Whether the text was rewritten, so that some of its strings were numbers.
    pub is_rewritten: bool,
    fields: FieldIndex,
    scan: RowScan,
    /// The column that takes whole documents.
    single: Option<usize>,
    /// Rows to come before the quick way is tried again.
    detour: u32,
    scratch: String,
}

/// Rows read the ordinary way once the quick one was left: where rows differ from each other it
/// costs more than it saves.
const DETOUR_ROWS: u32 = 100;

impl Records {
    pub(super) fn new(
        options: &JsonOptions,
        schema: Arc<ReadSchema>,
        times: Arc<dyn ReadTimes>,
    ) -> Result<Self, FileProblem> {
        let names = schema.columns.fields().iter().map(|field| field.name().as_str());
        let fields = FieldIndex::with_case(names, schema.is_case_sensitive);
        let single = options.single_column.as_deref();
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let non_finite = if options.allow_non_numeric {
            [
                texts(&["NaN"]),
                texts(&["Infinity", "+Infinity", "+INF"]),
                texts(&["-Infinity", "-INF"]),
            ]
        } else {
            Default::default()
        };
        Ok(Self {
            relaxed: Relaxed::of(options),
            is_rewritten: false,
            scan: RowScan::new(&fields),
            single: single.and_then(|name| fields.column(name)),
            detour: 0,
            fields,
            rows: Rows::new(schema, Rules { non_finite, times })?,
            scratch: String::new(),
        })
    }

    /// Scans the object at `start`, for [`Self::append`]; returns where it ends.
    pub(super) fn scan(&mut self, text: &str, start: usize) -> Result<usize, ScanError> {
        self.scan.scan(&self.fields, text, start)
    }

    /// Appends the record that is all of `text` from `start` on, as long as it has the keys of the one
    /// before and every value fits: then each goes where it belongs as soon as it is found. Returns
    /// whether it did; a row that was begun in vain is left out again.
    pub(super) fn append_alike(
        &mut self,
        text: &str,
        start: usize,
        line: u64,
        out: &mut Stretches<'_>,
    ) -> bool {
        if self.single.is_some() || !self.rows.are_flat() || 0 < self.detour {
            self.detour = self.detour.saturating_sub(1);
            return false;
        }
        let Self { rows, scan, scratch, .. } = self;
        let Rows { columns, rules, .. } = rows;
        let end = scan.scan_alike(text, start, |column, at| {
            let column = columns.get_mut(column)?;
            if let Some(end) = column.append_at(text, at, rules) {
                return Some(end);
            }
            let value = value(text.as_bytes(), at, 2).ok()?;
            let fit = column.append_json(value, text, rules, scratch);
            matches!(fit, Fit::Kept(_)).then_some(value.span.end)
        });
        let bytes = text.len() - start;
        if end.is_some_and(|end| skip_space(text.as_bytes(), end) == text.len()) {
            self.rows.end_row(line, bytes, out);
            return true;
        }
        if self.rows.abandon(bytes, out) {
            self.detour = DETOUR_ROWS;
        }
        false
    }

    /// Reads an element of an array of rows, scanned as JSON before.
    pub(super) fn element(
        &mut self,
        text: &str,
        value: Value,
        line: u64,
        offset: u64,
        out: &mut Stretches<'_>,
    ) {
        let raw = value.span.of(text);
        let scanned = if value.shape == Shape::Nested && raw.starts_with('{') {
            self.scan(text, value.span.start).map_err(|error| error.to_string())
        } else {
            Err("no object".to_owned())
        };
        match scanned {
            Ok(_) => self.append(text, value.span, line, offset, out),
            Err(reason) => out.bad(bad(line, offset, reason, raw.as_bytes())),
        }
    }

    /// Appends the row that was scanned last, at `span` of `text`.
    pub(super) fn append(
        &mut self,
        text: &str,
        span: Span,
        line: u64,
        offset: u64,
        out: &mut Stretches<'_>,
    ) {
        let bytes = span.end - span.start;
        let misfit = self.columns(text, span);
        // A bad record tells of new fields as any other does.
        self.extra(text);
        if let Some(member) = misfit
            && !self.rows.schema.is_rescuing
        {
            let reason = format!("{} does not fit its column", member.key.of(text));
            out.bad(bad(line, offset, reason, span.of(text).as_bytes()));
            return self.rows.leave_out(bytes, out);
        }
        self.rows.end_row(line, bytes, out);
    }

    /// Appends a value to each column; returns the first member that does not fit.
    fn columns(&mut self, text: &str, span: Span) -> Option<Member> {
        let Self { rows, scan, single, scratch, .. } = self;
        let wants_partly = rows.schema.is_rescuing || rows.schema.is_observing;
        let mut misfit = None;
        let Rows { columns, rules, .. } = rows;
        for (index, column) in columns.iter_mut().enumerate() {
            if *single == Some(index) {
                column.append_verbatim(span.of(text));
                continue;
            }
            let Some(member) = scan.slots.get(index).copied().flatten() else {
                column.append_null();
                continue;
            };
            if column.append_plain(member.value, text) {
                continue;
            }
            let is_kept = match column.append_json(member.value, text, rules, scratch) {
                Fit::Kept(_) => true,
                Fit::Partly => !wants_partly,
                Fit::Misfit => {
                    misfit = misfit.or(Some(member));
                    false
                }
            };
            if !is_kept {
                scan.extra.push(member);
            }
        }
        if single.is_some() {
            scan.extra.clear();
        }
        misfit
    }

    /// Rescues and observes the members that are no column or did not fit theirs.
    fn extra(&mut self, text: &str) {
        let Self { rows, scan, scratch, fields, is_rewritten, .. } = self;
        let schema = &rows.schema;
        if scan.extra.is_empty() || !(schema.is_rescuing || schema.is_observing) {
            return;
        }
        let schema = Arc::clone(schema);
        scan.extra.sort_unstable_by_key(|member| member.key.start);
        for member in &scan.extra {
            let quoted = member.key.of(text);
            let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
            // Half of a surrogate pair is no name; the field is kept under what stands there.
            if !unescape(inner, scratch) {
                inner.clone_into(scratch);
            }
            if schema.is_ignored(scratch) {
                continue;
            }
            let raw = member.value.span.of(text);
            // A null of no column is nothing that could be lost.
            if schema.is_rescuing && raw != "null" {
                rows.rescue(quoted, raw);
            }
            if schema.is_observing {
                let column = fields.column(scratch);
                let is_last = column.is_none_or(|column| {
                    scan.slots.get(column).copied().flatten() == Some(*member)
                });
                // An earlier one of a repeated key says nothing about the column.
                if is_last {
                    let Rules { times, .. } = &rows.rules;
                    let is_number =
                        |text: &str| *is_rewritten && rows.rules.non_finite(text).is_some();
                    let strings = Strings { times: &**times, is_number: &is_number };
                    let seen = Observed::of_json_with(raw, &strings);
                    rows.observe(scratch, seen.unwrap_or(Observed::Text));
                }
            }
        }
    }
}
