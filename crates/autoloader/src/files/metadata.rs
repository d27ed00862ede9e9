//! What a row says of where it came from: the `_metadata` struct, and the file in rescued data.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, AsArray, Int64Array, StringArray, StringBuilder, StructArray,
        TimestampMicrosecondArray,
    },
    datatypes::{DataType, Field, Fields, Int64Type, TimeUnit},
    error::ArrowError,
    record_batch::RecordBatch,
};

use super::{
    decoded::{LINE, RESCUED},
    source_file::SourceFile,
};

/// The key of the file's path in rescued data: Auto Loader's own.
const RESCUED_FILE: &str = "_file_path";

/// Returns the fields of the metadata struct: Auto Loader's, then ours.
#[must_use]
pub fn metadata_fields() -> Fields {
    let moment = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    [
        ("file_path", DataType::Utf8),
        ("file_name", DataType::Utf8),
        ("file_size", DataType::Int64),
        ("file_block_start", DataType::Int64),
        ("file_block_length", DataType::Int64),
        ("file_modification_time", moment),
        ("file_etag", DataType::Utf8),
        ("line", DataType::Int64),
    ]
    .into_iter()
    .map(|(name, kind)| Field::new(name, kind, true))
    .collect()
}

/// Returns the metadata of the rows of a stretch of `file`, which lies at `url`.
///
/// # Errors
/// The stretch has no lines: no reader makes such.
pub fn metadata_column(
    file: &SourceFile,
    url: &str,
    stretch: &RecordBatch,
) -> Result<ArrayRef, ArrowError> {
    let rows = stretch.num_rows();
    let lines =
        stretch.column_by_name(LINE).and_then(|lines| lines.as_primitive_opt::<Int64Type>());
    let lines = lines.ok_or_else(|| missing(LINE))?;
    let text = |value: Option<&str>| -> ArrayRef { Arc::new(StringArray::from(vec![value; rows])) };
    let number = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value; rows])) };
    let size = i64::try_from(file.size).unwrap_or(i64::MAX);
    let modified = TimestampMicrosecondArray::from(vec![file.modified.timestamp_micros(); rows]);
    let arrays: Vec<ArrayRef> = vec![
        text(Some(url)),
        text(Some(file.name())),
        number(size),
        // A file is read whole, by one reader.
        number(0),
        number(size),
        Arc::new(modified.with_timezone("UTC")),
        text(file.etag.as_deref()),
        Arc::new(lines.clone()),
    ];
    Ok(Arc::new(StructArray::try_new(metadata_fields(), arrays, None)?))
}

/// Returns the rescued data of a stretch with the file's path in it, as Auto Loader writes it, and
/// with what the path spells that did not fit its columns.
///
/// # Errors
/// The stretch has no rescued column: no reader makes such.
pub fn rescued_column(
    url: &str,
    spelled: &[(String, String)],
    stretch: &RecordBatch,
) -> Result<ArrayRef, ArrowError> {
    let rescued = stretch.column_by_name(RESCUED).and_then(|found| found.as_string_opt::<i32>());
    let rescued = rescued.ok_or_else(|| missing(RESCUED))?;
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let own = spelled.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let own: Vec<String> = own
        .chain([(RESCUED_FILE, url)])
        .map(|(name, value)| format!("{}:{}", text(name), text(value)))
        .collect();
    let own = own.join(",");
    let mut whole = StringBuilder::new();
    for fields in rescued {
        match fields.and_then(|fields| fields.strip_suffix('}')) {
            None if spelled.is_empty() => whole.append_null(),
            None | Some("{") => whole.append_value(format!("{{{own}}}")),
            Some(fields) => whole.append_value(format!("{fields},{own}}}")),
        }
    }
    Ok(Arc::new(whole.finish()))
}

fn missing(column: &str) -> ArrowError {
    ArrowError::SchemaError(format!("a stretch of rows has no column `{column}`"))
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::Array,
        datatypes::{Schema, TimestampMicrosecondType},
    };

    use super::*;

    fn stretch() -> RecordBatch {
        let fields = vec![
            Field::new(RESCUED, DataType::Utf8, true),
            Field::new(LINE, DataType::Int64, false),
        ];
        let rescued = StringArray::from(vec![Some(r#"{"a":1}"#), None]);
        let lines = Int64Array::from(vec![1, 7]);
        let columns: Vec<ArrayRef> = vec![Arc::new(rescued), Arc::new(lines)];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("fits")
    }

    fn file() -> SourceFile {
        SourceFile {
            path: "2026/a \"b\".json".to_owned(),
            size: 12,
            modified: "2026-01-02T03:04:05.678901Z".parse().expect("a time"),
            etag: None,
            version: None,
        }
    }

    #[test]
    fn metadata_tells_file_and_line() {
        let column = metadata_column(&file(), "s3://b/2026/a", &stretch()).expect("builds");
        let column = column.as_struct();
        let text = |name: &str| {
            let column = column.column_by_name(name).expect("is a field");
            arrow::util::display::array_value_to_string(column, 1).expect("shows")
        };
        assert_eq!(text("file_path"), "s3://b/2026/a");
        assert_eq!(text("file_name"), "a \"b\".json");
        let modified = column.column_by_name("file_modification_time").expect("is a field");
        let modified = modified.as_primitive::<TimestampMicrosecondType>().value(1);
        assert_eq!(modified, file().modified.timestamp_micros());
        assert_eq!((text("file_size").as_str(), text("line").as_str()), ("12", "7"));
        assert!(column.column_by_name("file_etag").expect("is a field").is_null(0));
    }

    #[test]
    fn rescued_data_names_its_file() {
        let column = rescued_column("s3://b/\"x\"", &[], &stretch()).expect("builds");
        let column = column.as_string::<i32>();
        let value: serde_json::Value = serde_json::from_str(column.value(0)).expect("is JSON");
        assert_eq!(value, serde_json::json!({"a": 1, "_file_path": "s3://b/\"x\""}));
        assert!(column.is_null(1), "a row that fits has none");
    }
}
