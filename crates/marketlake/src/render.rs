//! Results on standard output: tables for people, JSON and CSV for programs.

use std::io::{self, IsTerminal, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use lake::arrow::{
    array::{Array, RecordBatch},
    datatypes::DataType,
    error::ArrowError,
    util::display::{ArrayFormatter, FormatOptions},
};
use model::ErrorKind;
use serde_json::{Map, Value};

use crate::failure::Failure;

/// Times as everywhere in marketlake: RFC 3339, UTC, `Z`.
const TIME: &str = "%Y-%m-%dT%H:%M:%S%.fZ";

/// Writes to standard output; a reader that has gone, as in `| head`, is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(ErrorKind::Transient, error).context("writing to standard output"))
        }
        _ => Ok(()),
    }
}

/// Returns whether a stream shows colours: a terminal, unless <https://no-color.org> is asked for.
pub(crate) fn has_color(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Creates a table that fits the terminal, if there is one.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(header);
    let arrangement = if io::stdout().is_terminal() {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    };
    table.set_content_arrangement(arrangement);
    table
}

/// Right-aligns the numbers of a column.
pub(crate) fn align_right(table: &mut Table, columns: impl IntoIterator<Item = usize>) {
    for index in columns {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Shows a query's result as a table.
pub(crate) fn as_table(batches: &[RecordBatch]) -> Result<String, Failure> {
    let Some(first) = batches.first() else {
        return Ok("no rows\n".to_owned());
    };
    let schema = first.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut table = table(&names);
    let mut rows: usize = 0;
    for_each_row(batches, |cells| {
        rows += 1;
        table.add_row(cells.iter().map(|cell| cell.as_deref().unwrap_or("")));
        Ok(())
    })?;
    let numbers = schema.fields().iter().enumerate();
    let numbers = numbers.filter(|(_, field)| field.data_type().is_numeric());
    align_right(&mut table, numbers.map(|(index, _)| index));
    let plural = if rows == 1 { "" } else { "s" };
    Ok(format!("{table}\n{rows} row{plural}\n"))
}

/// Shows a query's result as a JSON list of objects. Whole numbers and truth values are JSON's
/// own; decimals, which JSON readers would turn into floats, and all else are text.
pub(crate) fn as_json(batches: &[RecordBatch]) -> Result<String, Failure> {
    let Some(first) = batches.first() else {
        return Ok("[]\n".to_owned());
    };
    let schema = first.schema();
    let mut rows = Vec::new();
    for_each_row(batches, |cells| {
        let fields = schema.fields().iter().zip(cells);
        let object: Map<String, Value> = fields
            .map(|(field, cell)| (field.name().clone(), json_value(field.data_type(), cell)))
            .collect();
        rows.push(Value::Object(object));
        Ok(())
    })?;
    let texts: Vec<String> = rows.iter().map(|row| format!("  {row}")).collect();
    Ok(format!("[\n{}\n]\n", texts.join(",\n")))
}

/// Shows a query's result as CSV with a header, as in RFC 4180.
pub(crate) fn as_csv(batches: &[RecordBatch]) -> Result<String, Failure> {
    let Some(first) = batches.first() else {
        return Ok(String::new());
    };
    let schema = first.schema();
    let names: Vec<String> = schema.fields().iter().map(|field| csv_cell(field.name())).collect();
    let mut text = format!("{}\n", names.join(","));
    for_each_row(batches, |cells| {
        let cells: Vec<String> =
            cells.iter().map(|cell| csv_cell(cell.as_deref().unwrap_or(""))).collect();
        text.push_str(&cells.join(","));
        text.push('\n');
        Ok(())
    })?;
    Ok(text)
}

/// Returns the first row's first cell as text; `None` for null or no rows.
pub(crate) fn first_cell(batches: &[RecordBatch]) -> Result<Option<String>, Failure> {
    let mut first = None;
    for_each_row(batches, |cells| {
        if first.is_none() {
            first = Some(cells.first().cloned().flatten());
        }
        Ok(())
    })?;
    Ok(first.flatten())
}

fn for_each_row(
    batches: &[RecordBatch],
    mut each: impl FnMut(Vec<Option<String>>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let failed = |error: ArrowError| {
        Failure::new(ErrorKind::Internal, error).context("showing a query's result")
    };
    let options = FormatOptions::default()
        .with_timestamp_tz_format(Some(TIME))
        .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.f"));
    for batch in batches {
        let columns: Result<Vec<ArrayFormatter<'_>>, ArrowError> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect();
        let columns = columns.map_err(failed)?;
        for row in 0..batch.num_rows() {
            let cells: Result<Vec<Option<String>>, ArrowError> = columns
                .iter()
                .zip(batch.columns())
                .map(|(formatter, column)| {
                    if column.is_null(row) {
                        return Ok(None);
                    }
                    formatter.value(row).try_to_string().map(Some)
                })
                .collect();
            each(cells.map_err(failed)?)?;
        }
    }
    Ok(())
}

fn json_value(data_type: &DataType, cell: Option<String>) -> Value {
    let Some(text) = cell else { return Value::Null };
    let is_plain = data_type.is_integer() || *data_type == DataType::Boolean;
    match is_plain.then(|| serde_json::from_str(&text)) {
        Some(Ok(value)) => value,
        _ => Value::String(text),
    }
}

fn csv_cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lake::arrow::{
        array::{Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
        datatypes::{DataType, Field, Schema, TimeUnit},
    };

    use super::{as_csv, as_json, as_table, first_cell};

    fn batch() -> RecordBatch {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let schema = Schema::new(vec![
            Field::new("ts_start", time, false),
            Field::new("symbol", DataType::Utf8, false),
            Field::new("close", DataType::Decimal128(18, 6), true),
            Field::new("n", DataType::Int64, false),
        ]);
        let times =
            TimestampMicrosecondArray::from(vec![1_549_895_400_000_000, 1_549_895_460_000_000]);
        let prices = Decimal128Array::from(vec![Some(189_430_000), None]);
        RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(times.with_timezone("UTC")),
                Arc::new(StringArray::from(vec!["AAPL", "a\"b,c"])),
                Arc::new(prices.with_precision_and_scale(18, 6).unwrap()),
                Arc::new(Int64Array::from(vec![1, 2])),
            ],
        )
        .unwrap()
    }

    #[test]
    fn every_form_keeps_decimals_and_times_exact() {
        let batches = [batch()];
        assert_eq!(
            as_csv(&batches).unwrap(),
            "ts_start,symbol,close,n\n\
             2019-02-11T14:30:00Z,AAPL,189.430000,1\n\
             2019-02-11T14:31:00Z,\"a\"\"b,c\",,2\n"
        );
        let json: serde_json::Value = serde_json::from_str(&as_json(&batches).unwrap()).unwrap();
        assert_eq!(json[0]["close"], "189.430000");
        assert_eq!(json[1]["close"], serde_json::Value::Null);
        assert_eq!(json[1]["n"], 2);
        assert!(as_table(&batches).unwrap().ends_with("2 rows\n"));
        assert_eq!(first_cell(&batches).unwrap().as_deref(), Some("2019-02-11T14:30:00Z"));
    }

    #[test]
    fn no_rows_are_no_failure() {
        assert_eq!(as_json(&[]).unwrap(), "[]\n");
        assert_eq!(as_csv(&[]).unwrap(), "");
        assert_eq!(first_cell(&[]).unwrap(), None);
    }
}
