//! What a table says of itself in its log: how it is born, how it grows, and which tables of others
//! can be written.

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use deltalake_core::{
    DeltaTableError, StructType,
    kernel::{
        Action, MetadataExt, Protocol, engine::arrow_conversion::TryIntoKernel, new_metadata,
    },
    table::state::DeltaTableState,
};
use serde_json::{Value, json};

/// The feature of columns whose clock has no zone; readers that do not know it must not read.
const NTZ: &str = "timestampNtz";

/// Other writers need not write checkpoints sooner than we do.
const CHECKPOINT_INTERVAL: (&str, &str) = ("delta.checkpointInterval", "100");

/// Returns what creates an empty table.
pub(super) fn birth(
    columns: &SchemaRef,
    partition_by: &[String],
) -> Result<Vec<Action>, DeltaTableError> {
    let plain = json!({"minReaderVersion": 1, "minWriterVersion": 2});
    let protocol = if has_ntz(columns) { with_ntz(plain) } else { plain };
    let metadata = new_metadata(&kernel(columns)?, partition_by, [CHECKPOINT_INTERVAL])?;
    Ok(vec![Action::Protocol(parsed(protocol)?), Action::Metadata(metadata)])
}

/// Returns what gives a table these columns.
pub(super) fn growth(
    state: &DeltaTableState,
    columns: &SchemaRef,
    partition_by: &[String],
) -> Result<Vec<Action>, DeltaTableError> {
    let (old, kernel) = (state.metadata(), kernel(columns)?);
    let metadata = if is_unborn(state) {
        // It gets its partitions together with its columns.
        new_metadata(&kernel, partition_by, old.configuration())?
            .with_table_id(old.id().to_owned())?
    } else {
        old.clone().with_schema(&kernel)?
    };
    let mut actions = Vec::new();
    let protocol = serde_json::to_value(state.protocol())?;
    let is_known = has(&protocol, "readerFeatures", NTZ);
    if has_ntz(columns) && !is_known {
        actions.push(Action::Protocol(parsed(with_ntz(protocol))?));
    }
    actions.push(Action::Metadata(metadata));
    Ok(actions)
}

/// The column of a table that was created before anybody knew its columns: a first batch may have no
/// rows, and readers refuse a table without columns. It goes when columns come.
const UNBORN: &str = "_marketlake";

/// Returns the columns of a table of which nothing is known yet.
pub(super) fn unborn() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(UNBORN, DataType::Boolean, true)]))
}

/// Whether nobody knew the columns of this table yet.
pub(super) fn is_unborn(state: &DeltaTableState) -> bool {
    state.schema().fields().map(|field| field.name()).eq([UNBORN])
}

/// Says why rows must not be written into a table of somebody else's, if so.
pub(super) fn check(state: &DeltaTableState) -> Result<(), String> {
    let configuration = state.metadata().configuration();
    let mode = configuration.get("delta.columnMapping.mode").map_or("none", String::as_str);
    if !mode.eq_ignore_ascii_case("none") {
        return Err(format!(
            "it maps its columns (delta.columnMapping.mode is `{mode}`), and files are written by \
             name here; load into a table without, or copy this one"
        ));
    }
    let rule = configuration.keys().find(|key| key.starts_with("delta.constraints."));
    if let Some(rule) = rule {
        return Err(format!(
            "it has the constraint `{}`, which is not checked here; drop it, or load into another \
             table and check on the way",
            rule.trim_start_matches("delta.constraints.")
        ));
    }
    let computed = ["delta.generationExpression", "delta.identity.start", "delta.invariants"];
    for field in state.schema().fields() {
        if computed.iter().any(|key| field.metadata().contains_key(*key)) {
            return Err(format!(
                "its column `{}` is computed or has a rule, which is not done here; load into \
                 another table",
                field.name()
            ));
        }
    }
    Ok(())
}

fn kernel(columns: &SchemaRef) -> Result<StructType, DeltaTableError> {
    let converted = columns.as_ref().try_into_kernel();
    converted.map_err(|source| DeltaTableError::GenericError { source: Box::new(source) })
}

fn parsed(protocol: Value) -> Result<Protocol, DeltaTableError> {
    Ok(serde_json::from_value(protocol)?)
}

fn has(protocol: &Value, list: &str, feature: &str) -> bool {
    protocol[list].as_array().is_some_and(|found| found.iter().any(|name| name == feature))
}

/// Adds the feature. A table of versions before features existed names those that its version
/// stands for (the table in "Valid Feature Names in Table Features" of the Delta protocol).
fn with_ntz(protocol: Value) -> Value {
    let list = |name: &str| -> BTreeSet<String> {
        let names = protocol[name].as_array().into_iter().flatten();
        names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let (mut reader, mut writer) = (list("readerFeatures"), list("writerFeatures"));
    let stands_for = [
        (2, "appendOnly"),
        (2, "invariants"),
        (3, "checkConstraints"),
        (4, "changeDataFeed"),
        (4, "generatedColumns"),
        (5, "columnMapping"),
        (6, "identityColumns"),
    ];
    let version = protocol["minWriterVersion"].as_u64().unwrap_or(2);
    if version < 7 {
        let old = stands_for.iter().filter(|(since, _)| *since <= version);
        writer.extend(old.map(|(_, name)| (*name).to_owned()));
    }
    if protocol["minReaderVersion"] == 2 {
        reader.insert("columnMapping".to_owned());
    }
    reader.insert(NTZ.to_owned());
    writer.insert(NTZ.to_owned());
    json!({
        "minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": reader, "writerFeatures": writer,
    })
}

fn has_ntz(columns: &SchemaRef) -> bool {
    fn in_type(kind: &DataType) -> bool {
        match kind {
            DataType::Timestamp(TimeUnit::Microsecond, None) => true,
            DataType::Struct(fields) => fields.iter().any(|field| in_type(field.data_type())),
            DataType::List(inner) | DataType::Map(inner, _) => in_type(inner.data_type()),
            _ => false,
        }
    }
    columns.fields().iter().any(|field| in_type(field.data_type()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_gets_a_feature_keeps_what_its_version_stood_for() {
        let plain = json!({"minReaderVersion": 1, "minWriterVersion": 4});
        assert_eq!(
            with_ntz(plain),
            json!({
                "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": [NTZ],
                "writerFeatures": [
                    "appendOnly", "changeDataFeed", "checkConstraints", "generatedColumns",
                    "invariants", NTZ,
                ],
            })
        );
        let modern = json!({
            "minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": ["v2Checkpoint"], "writerFeatures": ["v2Checkpoint"],
        });
        let grown = with_ntz(modern);
        assert_eq!(grown["readerFeatures"], json!([NTZ, "v2Checkpoint"]));
        assert_eq!(grown["writerFeatures"], json!([NTZ, "v2Checkpoint"]));
    }
}
