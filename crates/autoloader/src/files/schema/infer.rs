//! Observations of the sampled files become the first version of a schema.
//!
//! Columns come in the order of the files that have one (CSV headers, Parquet, Avro), those of the
//! smallest path first; elsewhere by name, as Spark orders those of JSON. Then those that only
//! hints name, then those that the paths spell. Nothing depends on the order of files or records.

use std::collections::{BTreeMap, HashMap};

use arrow::datatypes::{DataType, FieldRef, Fields, SchemaRef};

use super::{
    ddl::{field_text, path_text},
    hints,
    observed::Observed,
    partition,
    types::{field, folded, is_among, is_same_name, list_of, map_of, map_parts, timestamp},
    typing::{Detail, TypeRules, struct_fields},
    versions::{SampledFile, SchemaVersion},
};
use crate::files::{
    SourceFile,
    options::{Format, PartitionColumns, SchemaOptions},
};

/// What one file of the sample held.
#[derive(Clone, Debug)]
pub struct FileObservation {
    /// The file, and which version of it was read.
    pub file: SampledFile,
    /// Its records, as one.
    pub observed: Observed,
    /// Its columns in their order, where the format has one; only names count, also nested ones.
    pub order: Option<Fields>,
}

impl FileObservation {
    /// Returns the observation of a file in which nothing was seen.
    #[must_use]
    pub fn nothing(file: &SourceFile) -> Self {
        let file = SampledFile::from(file);
        Self { file, observed: Observed::Nothing, order: None }
    }
}

/// Why there is no schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InferError {
    /// Nothing to look into. Hints alone would make a table of the few columns that they name.
    #[error("there is no file to infer a schema from; wait for one, or give `schema`")]
    NoFiles,
    /// The files have no columns.
    #[error(
        "none of the {files} files that were looked into has a column; check `cloudFiles.format` and the format's options, or give `schema` or `schemaHints`"
    )]
    NoColumns {
        /// How many were read.
        files: usize,
    },
    /// A hint goes inside a column by a way that is not there.
    #[error("schema hint `{path}` leads nowhere: expected {expected}")]
    Hint {
        /// The hint.
        path: String,
        /// What could stand in its place.
        expected: &'static str,
    },
    /// A column has the name of one that the loader adds.
    #[error(
        "the files have a column `{name}`, which is also the name of a column that the loader adds; give that one another name with `{option}`"
    )]
    Reserved {
        /// The column.
        name: String,
        /// The option that names ours.
        option: &'static str,
    },
    /// A column that the table has, and the schema that is given now has not.
    #[error("the table has a column `{path}` that the given schema does not; add it there")]
    Lacking {
        /// The column.
        path: String,
    },
    /// A type that is given now, and that rows in the table cannot have.
    #[error(
        "column `{path}` is {is} in the table and cannot become {wish}; take that back, or load into a new table"
    )]
    Fixed {
        /// The column, or something inside it.
        path: String,
        /// Its type.
        is: String,
        /// The type that is given.
        wish: String,
    },
    /// Columns that lines cannot fill.
    #[error(
        "text files have one column, of type STRING, and the given schema has {columns}; leave that one alone beside columns that the path spells, which `partitionColumns` names"
    )]
    Text {
        /// The given columns that no path spells.
        columns: String,
    },
    /// A column of the path that the given schema does not have.
    #[error("partition column `{name}` is not in the given schema; add it there")]
    PartitionColumn {
        /// The column.
        name: String,
    },
}

/// Returns the columns of formats that always have the same ones.
#[must_use]
pub fn fixed_columns(format: &Format) -> Option<Fields> {
    match format {
        Format::Text { .. } => Some(vec![field("value", DataType::Utf8)].into()),
        Format::Binary => Some(
            vec![
                field("path", DataType::Utf8),
                field("modificationTime", timestamp()),
                field("length", DataType::Int64),
                field("content", DataType::Binary),
            ]
            .into(),
        ),
        Format::Json(json) => {
            json.single_column.as_ref().map(|name| vec![field(name, DataType::Utf8)].into())
        }
        Format::Csv(_) | Format::Parquet | Format::Avro => None,
    }
}

/// Returns the first version of a schema that is given whole. `paths` are those of the sample; what
/// they spell is read from them as far as the schema has it.
///
/// # Errors
/// A partition column is not in the schema, a column has a name that we need, or the format has no
/// such columns.
pub fn given<'a>(
    schema: &SchemaRef,
    paths: impl Iterator<Item = &'a str>,
    format: &Format,
    options: &SchemaOptions,
) -> Result<SchemaVersion, InferError> {
    let version = spelled_of(schema, paths, options)?;
    refuse_for_text(&version, format)?;
    Ok(version)
}

/// Returns the given columns, with those that the paths spell told apart.
pub(super) fn spelled_of<'a>(
    schema: &SchemaRef,
    paths: impl Iterator<Item = &'a str>,
    options: &SchemaOptions,
) -> Result<SchemaVersion, InferError> {
    let mut paths: Vec<_> = paths.collect();
    paths.sort_unstable();
    let spelled = partition::columns(paths.into_iter(), &options.partition_columns, false);
    let mut partition_columns = Vec::new();
    for spelled in &spelled {
        let name = spelled.name();
        match schema.fields().iter().find(|column| is_same_name(column.name(), name)) {
            Some(column) => partition_columns.push(column.name().clone()),
            None if matches!(options.partition_columns, PartitionColumns::Named(_)) => {
                return Err(InferError::PartitionColumn { name: name.clone() });
            }
            None => (),
        }
    }
    refuse_reserved(schema.fields(), options)?;
    let columns = schema.fields().clone();
    Ok(SchemaVersion { version: 1, columns, hinted: vec![], partition_columns, sample: vec![] })
}

/// Returns the first version of the schema of `files`, which may come in any order.
///
/// # Errors
/// There is nothing to infer from, a hint leads nowhere, or a column has a name that we need.
pub fn infer(
    files: &[FileObservation],
    format: &Format,
    options: &SchemaOptions,
) -> Result<SchemaVersion, InferError> {
    let mut files: Vec<&FileObservation> = files.iter().collect();
    files.sort_by(|left, right| left.file.cmp(&right.file));
    let fixed = fixed_columns(format);
    if files.is_empty() && fixed.is_none() {
        return Err(InferError::NoFiles);
    }

    let paths = files.iter().map(|file| file.file.path.as_str());
    let spelled = partition::columns(paths, &options.partition_columns, options.infers_types);
    let partition_columns: Vec<String> =
        spelled.iter().map(|column| column.name().clone()).collect();
    let rules = TypeRules::new(format, options);
    let mut columns = match fixed {
        Some(columns) => columns.to_vec(),
        None => observed_columns(&files, &rules, options),
    };
    // What the path says wins.
    columns.retain(|column| !is_among(column.name(), &partition_columns));

    let mut spelled = spelled.to_vec();
    for hint in &options.hints {
        let is_spelled = hint.path.first().is_some_and(|name| is_among(name, &partition_columns));
        let fields = if is_spelled { &mut spelled } else { &mut columns };
        hints::apply(fields, hint)
            .map_err(|expected| InferError::Hint { path: path_text(&hint.path), expected })?;
    }
    if columns.is_empty() {
        return Err(InferError::NoColumns { files: files.len() });
    }
    let partition_columns = spelled.iter().map(|column| column.name().clone()).collect();
    let columns: Fields = columns.into_iter().chain(spelled).collect();
    refuse_reserved(&columns, options)?;
    Ok(SchemaVersion {
        version: 1,
        columns,
        hinted: options.hints.iter().map(|hint| hint.path.clone()).collect(),
        partition_columns,
        sample: files.iter().map(|file| file.file.clone()).collect(),
    })
}

fn observed_columns(
    files: &[&FileObservation],
    rules: &TypeRules,
    options: &SchemaOptions,
) -> Vec<FieldRef> {
    let observed = files.iter().map(|file| file.observed.clone());
    let Observed::Object(members) = observed.fold(Observed::Nothing, Observed::merged) else {
        return Vec::new();
    };
    // A column that a hint goes inside of has an inside, although others are text.
    let is_entered = |name: &str| {
        options.hints.iter().any(|hint| 1 < hint.path.len() && is_same_name(&hint.path[0], name))
    };
    let (entered, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
        members.into_iter().partition(|(name, _)| is_entered(name));
    let shape = TypeRules { detail: rules.detail.max(Detail::Shape), ..*rules };
    let mut columns = struct_fields(&entered, &shape).to_vec();
    columns.extend(struct_fields(&others, rules).iter().cloned());
    columns.sort_by(|left, right| left.name().cmp(right.name()));

    let mut orders: Vec<&Fields> = files.iter().filter_map(|file| file.order.as_ref()).collect();
    orders.dedup();
    in_order(columns, &orders)
}

/// Puts `fields` into the order in which `orders` first name them; the others follow as they are.
fn in_order(fields: Vec<FieldRef>, orders: &[&Fields]) -> Vec<FieldRef> {
    let mut found: HashMap<String, (usize, Vec<&DataType>)> = HashMap::new();
    for named in orders.iter().copied().flatten() {
        let rank = found.len();
        let entry = found.entry(folded(named.name())).or_insert((rank, Vec::new()));
        entry.1.push(named.data_type());
    }
    let mut ranked: Vec<(usize, FieldRef)> = Vec::with_capacity(fields.len());
    for column in fields {
        ranked.push(match found.get(&folded(column.name())) {
            None => (usize::MAX, column),
            Some((rank, likes)) => {
                let data_type = type_in_order(column.data_type(), likes);
                (*rank, field(column.name(), data_type).into())
            }
        });
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, column)| column).collect()
}

fn type_in_order(data_type: &DataType, likes: &[&DataType]) -> DataType {
    match data_type {
        DataType::Struct(fields) => {
            let mut orders: Vec<_> = likes
                .iter()
                .filter_map(|like| match like {
                    DataType::Struct(fields) => Some(fields),
                    _ => None,
                })
                .collect();
            orders.dedup();
            DataType::Struct(in_order(fields.to_vec(), &orders).into())
        }
        DataType::List(element) => {
            let likes: Vec<_> = likes
                .iter()
                .filter_map(|like| match like {
                    DataType::List(element)
                    | DataType::LargeList(element)
                    | DataType::FixedSizeList(element, _) => Some(element.data_type()),
                    _ => None,
                })
                .collect();
            list_of(type_in_order(element.data_type(), &likes))
        }
        DataType::Map(entries, _) => {
            let likes = likes.iter().filter_map(|like| match like {
                DataType::Map(entries, _) => map_parts(entries),
                _ => None,
            });
            let (keys, values): (Vec<_>, Vec<_>) = likes.unzip();
            map_parts(entries).map_or_else(
                || data_type.clone(),
                |(key, value)| map_of(type_in_order(key, &keys), type_in_order(value, &values)),
            )
        }
        _ => data_type.clone(),
    }
}

/// The lines of text files fill one column, by whatever name.
pub(crate) fn refuse_for_text(version: &SchemaVersion, format: &Format) -> Result<(), InferError> {
    let is_spelled = |column: &&FieldRef| version.partition_columns.contains(column.name());
    let columns: Vec<&FieldRef> =
        version.columns.iter().filter(|column| !is_spelled(column)).collect();
    let fits = match columns.as_slice() {
        [] => true,
        [column] => *column.data_type() == DataType::Utf8,
        _ => false,
    };
    if fits || !matches!(format, Format::Text { .. }) {
        return Ok(());
    }
    let columns: Vec<String> = columns.iter().map(|column| field_text(column)).collect();
    Err(InferError::Text { columns: columns.join(", ") })
}

/// Our columns stand beside those of the files, so they need names of their own.
pub(crate) fn refuse_reserved(columns: &Fields, options: &SchemaOptions) -> Result<(), InferError> {
    for (name, option) in reserved(options) {
        if let Some(column) = columns.iter().find(|column| is_same_name(column.name(), name)) {
            return Err(InferError::Reserved { name: column.name().clone(), option });
        }
    }
    Ok(())
}

/// Returns the columns that the loader adds, and the options that name them.
pub(crate) fn reserved(options: &SchemaOptions) -> impl Iterator<Item = (&str, &'static str)> {
    let rescued = options.rescued_column.as_deref().map(|name| (name, "rescuedDataColumn"));
    let metadata = options.metadata_column.as_deref().map(|name| (name, "metadataColumn"));
    rescued.into_iter().chain(metadata)
}

#[cfg(test)]
mod tests;
