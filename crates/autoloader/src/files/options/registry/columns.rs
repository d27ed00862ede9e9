//! Options of the table's columns: given, inferred, hinted, evolved.

use super::{FormatName, OptionSpec, Value};
use crate::files::{
    options::{EvolutionMode, PartitionColumns},
    schema::{parse_fields, parse_hints},
};

const ALL_BUT_FIXED: &[FormatName] =
    &[FormatName::Json, FormatName::Csv, FormatName::Parquet, FormatName::Avro];
/// What somebody may give columns for: those of text are one, beside what paths spell.
const ALL_BUT_BINARY: &[FormatName] =
    &[FormatName::Json, FormatName::Csv, FormatName::Parquet, FormatName::Avro, FormatName::Text];
const UNTYPED: &[FormatName] = &[FormatName::Json, FormatName::Csv];

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "schema",
        Value::Other("columns: `id BIGINT, price DECIMAL(18,6)`", |draft, text| {
            let fields = parse_fields(text).map_err(|problem| problem.to_string())?;
            if fields.is_empty() {
                return Err("it names no columns; leave it out and they are inferred".to_owned());
            }
            draft.schema.given = Some(arrow::datatypes::Schema::new(fields).into());
            Ok(())
        }),
        "(inferred)",
        "the columns, as Spark takes them with `.schema(…)`; a later start may add some at the end",
    )
    .ours()
    .of(ALL_BUT_BINARY),
    OptionSpec::new(
        "schemaHints",
        Value::Other("columns: `price DECIMAL(18,6), user.born DATE`", |draft, text| {
            draft.schema.hints = parse_hints(text).map_err(|problem| problem.to_string())?;
            Ok(())
        }),
        "(none)",
        "types of columns, also inside of structs, arrays and maps; a later start may add and widen",
    )
    .of(ALL_BUT_FIXED),
    OptionSpec::new(
        "schemaEvolutionMode",
        Value::Words(&[
            (EvolutionMode::AddNewColumns.as_str(), |draft| draft.evolution = Some(EvolutionMode::AddNewColumns)),
            (EvolutionMode::AddNewColumnsWithTypeWidening.as_str(), |draft| {
                draft.evolution = Some(EvolutionMode::AddNewColumnsWithTypeWidening);
            }),
            (EvolutionMode::Rescue.as_str(), |draft| draft.evolution = Some(EvolutionMode::Rescue)),
            (EvolutionMode::FailOnNewColumns.as_str(), |draft| draft.evolution = Some(EvolutionMode::FailOnNewColumns)),
            (EvolutionMode::None.as_str(), |draft| draft.evolution = Some(EvolutionMode::None)),
            (EvolutionMode::Evolve.as_str(), |draft| draft.evolution = Some(EvolutionMode::Evolve)),
        ]),
        "(addNewColumns; none with a given schema)",
        "what a column that is not in the schema does; `evolve` is ours and never stops",
    )
    .of(ALL_BUT_FIXED),
    OptionSpec::new(
        "inferColumnTypes",
        Value::Flag(|draft, value| draft.schema.infers_types = value),
        "false",
        "whether columns get the types of their values; else they are text",
    )
    .of(UNTYPED),
    OptionSpec::new(
        "inferTimestamp",
        Value::Flag(|draft, value| draft.schema.infers_timestamps = value),
        "false",
        "whether text that is a moment becomes one; needs `inferColumnTypes`",
    )
    .of(&[FormatName::Json]),
    OptionSpec::new(
        "prefersDecimal",
        Value::Flag(|draft, value| draft.schema.prefers_decimal = value),
        "true",
        "whether numbers with a fraction are decimals, and keep their digits; needs `inferColumnTypes`",
    )
    .of(UNTYPED),
    OptionSpec::new(
        "sampleFiles",
        Value::Count(1, |draft, value| {
            draft.schema.sample.0 = usize::try_from(value).unwrap_or(usize::MAX);
        }),
        "1000",
        "files that a schema is inferred from",
    )
    .or(&["spark.databricks.cloudFiles.schemaInference.sampleSize.numFiles"])
    .ours()
    .of(ALL_BUT_FIXED),
    OptionSpec::new(
        "sampleBytes",
        Value::Bytes(|draft, value| draft.schema.sample.1 = value),
        "50g",
        "bytes that a schema is inferred from",
    )
    .or(&["spark.databricks.cloudFiles.schemaInference.sampleSize.numBytes"])
    .ours()
    .of(ALL_BUT_FIXED),
    OptionSpec::new(
        "partitionColumns",
        Value::Names(|draft, value| {
            draft.schema.partition_columns = PartitionColumns::Named(value);
        }),
        "(those that all paths spell)",
        "columns that the path spells, as in `year=2026/`; levels that a path lacks are null",
    ),
    OptionSpec::new(
        "readerCaseSensitive",
        Value::Flag(|draft, value| draft.schema.is_case_sensitive = value),
        "true",
        "whether a field in another case is rescued; else it is the same field",
    )
    .of(ALL_BUT_FIXED),
    OptionSpec::new(
        "rescuedDataColumn",
        Value::Other("name", |draft, text| {
            if text.is_empty() {
                return Err("it is empty; a given schema without this option rescues nothing".into());
            }
            draft.rescued_column = Some(text.to_owned());
            Ok(())
        }),
        "(_rescued_data; none with a given schema)",
        "the column of fields that fit no column, as JSON with the file's path",
    )
    .of(ALL_BUT_FIXED),
    OptionSpec::new(
        "metadataColumn",
        Value::Text(|draft, value| {
            draft.schema.metadata_column = Some(value).filter(|name| !name.is_empty());
        }),
        "_metadata",
        "the struct that says which file and line a row is from; empty: none, and no `replace`",
    )
    .ours(),
    OptionSpec::new(
        "mergeSchema",
        Value::Only("true", "columns of all sampled files are always put together"),
        "true",
        "whether the columns of several files are put together",
    )
    .of(ALL_BUT_FIXED),
];
