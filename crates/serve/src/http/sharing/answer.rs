//! Tables as lines of JSON, in the protocol's two formats. Pure.

use chrono::{DateTime, Utc};
use lake::{TableFile, TableVersion};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::capabilities::Format;

/// The newest reader version of Delta tables that every client of the protocol knows.
const READER_VERSION_MAX: u64 = 1;

/// A data file, and the address that opens it.
#[derive(Debug)]
pub(super) struct OpenFile<'a> {
    pub(super) file: &'a TableFile,
    pub(super) url: String,
    pub(super) expires: DateTime<Utc>,
}

/// Says why a table cannot be shared, if so: our tables are plain, but others may have written them.
pub(super) fn check(table: &TableVersion) -> Result<(), String> {
    match table.protocol["minReaderVersion"].as_u64() {
        Some(version) if version <= READER_VERSION_MAX => Ok(()),
        _ => Err("the table needs features of Delta that are not shared here".to_owned()),
    }
}

/// Returns the two lines about a table: protocol and metadata.
pub(super) fn head(format: Format, table: &TableVersion) -> Vec<Value> {
    let protocol = match format {
        Format::Parquet => json!({"minReaderVersion": READER_VERSION_MAX}),
        Format::Delta => json!({"deltaProtocol": table.protocol}),
    };
    let mut metadata = match format {
        Format::Parquet => plain_metadata(&table.metadata),
        Format::Delta => Map::from_iter([("deltaMetadata".to_owned(), table.metadata.clone())]),
    };
    let size: u64 = table.files.iter().map(|file| file.size).sum();
    metadata.insert("size".to_owned(), size.into());
    metadata.insert("numFiles".to_owned(), table.files.len().into());
    if table.ts_committed.is_some() {
        metadata.insert("version".to_owned(), table.version.into());
    }
    vec![json!({"protocol": protocol}), json!({"metaData": metadata})]
}

/// Returns the line about a data file.
pub(super) fn file(format: Format, table: &TableVersion, open: &OpenFile<'_>) -> Value {
    let OpenFile { file, url, expires } = open;
    let mut line = json!({
        "id": id(&file.path),
        "size": file.size,
        "expirationTimestamp": expires.timestamp_millis(),
    });
    if let Some(ts) = table.ts_committed {
        line["version"] = table.version.into();
        line["timestamp"] = ts.timestamp_millis().into();
    }
    match format {
        Format::Parquet => {
            line["url"] = url.as_str().into();
            line["partitionValues"] = json!(file.partition_values);
            if let Some(stats) = &file.stats {
                line["stats"] = stats.as_str().into();
            }
        }
        Format::Delta => {
            let mut add = json!({
                "path": url,
                "partitionValues": file.partition_values,
                "size": file.size,
                "modificationTime": file.modification_time,
                "dataChange": true,
            });
            if let Some(stats) = &file.stats {
                add["stats"] = stats.as_str().into();
            }
            line["deltaSingleAction"] = json!({"add": add});
        }
    }
    json!({"file": line})
}

/// Returns lines as they are sent.
pub(super) fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Returns what of the log's metadata belongs into the parquet format.
fn plain_metadata(metadata: &Value) -> Map<String, Value> {
    let kept = ["id", "name", "description", "schemaString", "partitionColumns", "configuration"];
    let mut plain: Map<String, Value> = kept
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), metadata.get(key)?.clone())))
        .filter(|(_, value)| !value.is_null())
        .collect();
    plain.insert("format".to_owned(), json!({"provider": "parquet"}));
    plain
}

/// Returns what names a file for as long as there is the table: clients may keep files by it. Not the
/// path itself, which is no business of theirs.
fn id(path: &str) -> String {
    // 128 bits tell any two files apart.
    Sha256::digest(path).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(ts_committed: Option<DateTime<Utc>>) -> TableVersion {
        TableVersion {
            version: 7,
            ts_committed,
            protocol: json!({"minReaderVersion": 1, "minWriterVersion": 2}),
            metadata: json!({
                "id": "an id", "name": "gold.bar_1d", "description": null,
                "format": {"provider": "parquet", "options": {}}, "schemaString": "{}",
                "partitionColumns": ["day"], "createdTime": 1, "configuration": {},
            }),
            files: vec![TableFile {
                path: "day=1/a.parquet".to_owned(),
                object: "lake/gold/bar_1d/day=1/a.parquet".into(),
                size: 10,
                modification_time: 5,
                partition_values: [("day".to_owned(), Some("1".to_owned()))].into(),
                stats: Some("{\"numRecords\":3}".to_owned()),
            }],
        }
    }

    fn lines(format: Format, table: &TableVersion) -> Vec<Value> {
        let url = "http://h/a?b=c".to_owned();
        let expires = DateTime::from_timestamp(9, 0).unwrap();
        let open = OpenFile { file: &table.files[0], url, expires };
        let mut lines = head(format, table);
        lines.push(file(format, table, &open));
        lines
    }

    #[test]
    fn parquet_is_what_every_client_knows() {
        let expected = [
            json!({"protocol": {"minReaderVersion": 1}}),
            json!({"metaData": {
                "id": "an id", "name": "gold.bar_1d", "schemaString": "{}",
                "partitionColumns": ["day"], "configuration": {},
                "format": {"provider": "parquet"}, "size": 10, "numFiles": 1,
            }}),
            json!({"file": {
                "id": id("day=1/a.parquet"), "size": 10, "expirationTimestamp": 9000,
                "url": "http://h/a?b=c", "partitionValues": {"day": "1"},
                "stats": "{\"numRecords\":3}",
            }}),
        ];
        assert_eq!(lines(Format::Parquet, &table(None)), expected);
    }

    #[test]
    fn delta_is_what_stands_in_the_log() {
        let ts = DateTime::from_timestamp(3, 0);
        let table = table(ts);
        let expected = [
            json!({"protocol": {"deltaProtocol": table.protocol}}),
            json!({"metaData": {
                "deltaMetadata": table.metadata, "size": 10, "numFiles": 1, "version": 7,
            }}),
            json!({"file": {
                "id": id("day=1/a.parquet"), "size": 10, "expirationTimestamp": 9000,
                "version": 7, "timestamp": 3000,
                "deltaSingleAction": {"add": {
                    "path": "http://h/a?b=c", "partitionValues": {"day": "1"}, "size": 10,
                    "modificationTime": 5, "dataChange": true, "stats": "{\"numRecords\":3}",
                }},
            }}),
        ];
        assert_eq!(lines(Format::Delta, &table), expected);
    }

    #[test]
    fn a_table_that_not_every_client_can_read_is_not_shared() {
        let mut table = table(None);
        assert_eq!(check(&table), Ok(()));
        table.protocol = json!({"minReaderVersion": 3, "readerFeatures": ["timestampNtz"]});
        assert!(check(&table).is_err());
    }
}
