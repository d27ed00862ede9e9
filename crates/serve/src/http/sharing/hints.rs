//! Which files a client needs, by what it says it is going to read. Pure.
//!
//! Hints are hints: the client filters and cuts what it gets. So a file is left out only when what
//! the log says of it proves that none of its rows can be wanted; whatever is not understood proves
//! nothing.

mod json;
mod sql;
mod truth;

use std::cmp::Ordering;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use lake::TableFile;
use serde_json::Value as Json;

use self::truth::Truth;

/// Comparisons that are looked at of each kind of hints: each is made for every file. Of those beyond
/// them nothing is concluded.
const COMPARISONS_MAX: usize = 256;

/// What a client wants of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Predicate {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Compare {
        column: String,
        how: Comparison,
        literal: Literal,
    },
    IsNull {
        column: String,
    },
    /// As the other says, if the column is of this type by itself; unknown if it is cast to it.
    OfType {
        column: String,
        cast: String,
        then: Box<Self>,
    },
    /// Not understood.
    Unknown,
}

/// How a column is compared with a literal behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// Returns the same with the sides exchanged.
    fn turned(self) -> Self {
        match self {
            Self::Equal => Self::Equal,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }
}

/// A value as a client writes it. What it means is decided by the column beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    Bool(bool),
    Number(String),
    Text(String),
    Date(String),
    Timestamp(String),
}

impl Predicate {
    /// Joins all hints of a query: a row is wanted if all of them hold.
    pub(super) fn of_hints(sql: &[String], json: Option<&str>) -> Self {
        let sql = sql.iter().take(COMPARISONS_MAX).map(|text| sql::parse(text));
        Self::And(sql.chain(json.map(|text| json::parse(text, COMPARISONS_MAX))).collect())
    }

    /// Returns what can be true of this for rows of a file.
    fn truth(&self, file: &FileFacts<'_>) -> Truth {
        match self {
            Self::And(parts) => {
                parts.iter().fold(Truth::TRUE, |all, part| all.and(part.truth(file)))
            }
            Self::Or(parts) => {
                parts.iter().fold(Truth::FALSE, |any, part| any.or(part.truth(file)))
            }
            Self::Not(part) => part.truth(file).not(),
            Self::Compare { column, how, literal } => file.compare(column, *how, literal),
            Self::IsNull { column } => file.is_null(column),
            Self::OfType { column, cast, then } => match file.columns.get(column) {
                Some(found) if found.protocol_type == Some(cast.as_str()) => then.truth(file),
                _ => Truth::ANY,
            },
            Self::Unknown => Truth::ANY,
        }
    }
}

/// Returns the files that can have rows that are wanted; of those no more than make up `limit`.
///
/// Only files all of whose rows are wanted count for the limit: of the others nobody knows how many.
pub(super) fn choose<'f>(
    files: &'f [TableFile],
    columns: &Columns,
    predicate: &Predicate,
    limit: Option<u64>,
) -> Vec<&'f TableFile> {
    let mut chosen = Vec::new();
    let mut rows: u64 = 0;
    for file in files {
        if limit.is_some_and(|limit| limit <= rows) {
            break;
        }
        let facts = FileFacts::of(columns, file);
        let truth = predicate.truth(&facts);
        if !truth.can_be_true {
            continue;
        }
        if !truth.can_be_false && !truth.can_be_null {
            rows = rows.saturating_add(facts.rows().unwrap_or(0));
        }
        chosen.push(file);
    }
    chosen
}

/// A table's columns that can be compared.
#[derive(Debug)]
pub(super) struct Columns(Vec<Column>);

#[derive(Debug)]
struct Column {
    name: String,
    kind: Kind,
    /// What the protocol calls its type in predicates.
    protocol_type: Option<&'static str>,
    is_partition: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bool,
    Integer,
    Text,
    Date,
    Timestamp,
}

impl Columns {
    /// Reads the columns of the log's metadata; of other types than these nothing is concluded.
    pub(super) fn of(metadata: &Json) -> Self {
        let schema = metadata["schemaString"].as_str().unwrap_or_default();
        let schema: Json = serde_json::from_str(schema).unwrap_or_default();
        let partitions = metadata["partitionColumns"].as_array();
        let column = |field: &Json| {
            let name = field["name"].as_str()?.to_owned();
            let (kind, protocol_type) = match field["type"].as_str()? {
                "boolean" => (Kind::Bool, Some("bool")),
                "byte" | "short" => (Kind::Integer, None),
                "integer" => (Kind::Integer, Some("int")),
                "long" => (Kind::Integer, Some("long")),
                "string" => (Kind::Text, Some("string")),
                "date" => (Kind::Date, Some("date")),
                "timestamp" => (Kind::Timestamp, Some("timestamp")),
                _ => return None,
            };
            let is_partition = partitions.is_some_and(|names| names.contains(&field["name"]));
            Some(Column { name, kind, protocol_type, is_partition })
        };
        let fields = schema["fields"].as_array();
        Self(fields.into_iter().flatten().filter_map(column).collect())
    }

    fn get(&self, name: &str) -> Option<&Column> {
        // Delta's names differ in more than their case.
        self.0.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

/// A value that can be compared with others of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Bool(bool),
    Integer(i64),
    Text(String),
    Date(NaiveDate),
    Timestamp(DateTime<Utc>),
}

impl Value {
    /// Reads a text of the log, which writes every value so in partitions.
    fn read(kind: Kind, text: &str) -> Option<Self> {
        Some(match kind {
            Kind::Bool => Self::Bool(text.parse().ok()?),
            Kind::Integer => Self::Integer(text.parse().ok()?),
            Kind::Text => Self::Text(text.to_owned()),
            Kind::Date => Self::Date(date(text)?),
            // Without a zone nobody knows which moment is meant.
            Kind::Timestamp => Self::Timestamp(DateTime::parse_from_rfc3339(text).ok()?.to_utc()),
        })
    }

    /// Reads a value of the log's statistics.
    fn of_stats(kind: Kind, value: &Json) -> Option<Self> {
        match (kind, value) {
            (Kind::Integer, Json::Number(number)) => number.as_i64().map(Self::Integer),
            (Kind::Text | Kind::Date | Kind::Timestamp, Json::String(text)) => {
                Self::read(kind, text)
            }
            _ => None,
        }
    }

    /// Reads a literal as a value of the column beside it, if it is one without a doubt.
    fn of_literal(kind: Kind, literal: &Literal) -> Option<Self> {
        match (kind, literal) {
            (Kind::Bool, Literal::Bool(value)) => Some(Self::Bool(*value)),
            (Kind::Integer, Literal::Number(text))
            | (Kind::Text, Literal::Text(text))
            | (Kind::Date, Literal::Date(text) | Literal::Text(text))
            | (Kind::Timestamp, Literal::Timestamp(text) | Literal::Text(text)) => {
                Self::read(kind, text)
            }
            _ => None,
        }
    }

    fn cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(left), Self::Bool(right)) => Some(left.cmp(right)),
            (Self::Integer(left), Self::Integer(right)) => Some(left.cmp(right)),
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            (Self::Date(left), Self::Date(right)) => Some(left.cmp(right)),
            (Self::Timestamp(left), Self::Timestamp(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }
}

/// Reads a date, in its one spelling.
fn date(text: &str) -> Option<NaiveDate> {
    let is_plain = text.len() == 10 && text.bytes().all(|byte| b"0123456789-".contains(&byte));
    text.parse().ok().filter(|_| is_plain)
}

/// What the log says of a column in a file. Where it says nothing, everything is possible.
#[derive(Debug, Default)]
struct Facts {
    least: Option<Value>,
    most: Option<Value>,
    has_no_null: bool,
    has_no_value: bool,
}

/// What the log says of a file.
struct FileFacts<'a> {
    columns: &'a Columns,
    file: &'a TableFile,
    stats: Json,
}

impl<'a> FileFacts<'a> {
    fn of(columns: &'a Columns, file: &'a TableFile) -> Self {
        let stats = file.stats.as_deref().and_then(|text| serde_json::from_str(text).ok());
        Self { columns, file, stats: stats.unwrap_or_default() }
    }

    fn rows(&self) -> Option<u64> {
        self.stats["numRecords"].as_u64()
    }

    fn facts(&self, column: &Column) -> Facts {
        let Column { name, kind, is_partition, .. } = column;
        if *is_partition {
            return match self.file.partition_values.get(name) {
                None => Facts::default(),
                // The protocol takes an empty text for null, whatever the type.
                Some(value) if value.as_deref().is_none_or(str::is_empty) => {
                    Facts { has_no_value: true, ..Facts::default() }
                }
                Some(value) => {
                    let value = value.as_deref().and_then(|text| Value::read(*kind, text));
                    Facts {
                        least: value.clone(),
                        most: value,
                        has_no_null: true,
                        has_no_value: false,
                    }
                }
            };
        }
        let nulls = self.stats["nullCount"][name].as_u64();
        let (least, most) = (&self.stats["minValues"][name], &self.stats["maxValues"][name]);
        let (least, most) = (Value::of_stats(*kind, least), Value::of_stats(*kind, most));
        Facts {
            least: least.and_then(|value| widened(value, -1)),
            most: most.and_then(|value| widened(value, 1)),
            has_no_null: nulls == Some(0),
            has_no_value: nulls.is_some() && nulls == self.rows(),
        }
    }

    fn is_null(&self, column: &str) -> Truth {
        let Some(column) = self.columns.get(column) else { return Truth::ANY };
        let facts = self.facts(column);
        Truth {
            can_be_true: !facts.has_no_null,
            can_be_false: !facts.has_no_value,
            can_be_null: false,
        }
    }

    fn compare(&self, column: &str, how: Comparison, literal: &Literal) -> Truth {
        let Some(column) = self.columns.get(column) else { return Truth::ANY };
        let Some(value) = Value::of_literal(column.kind, literal) else { return Truth::ANY };
        let facts = self.facts(column);
        let side = |bound: &Option<Value>| bound.as_ref().and_then(|bound| bound.cmp(&value));
        let (least, most) = (side(&facts.least), side(&facts.most));
        // Unknown bounds can be anything.
        let can = |bound: Option<Ordering>, wanted: fn(Ordering) -> bool| bound.is_none_or(wanted);
        let (can_be_true, can_be_false) = match how {
            Comparison::Equal => (
                can(least, Ordering::is_le) && can(most, Ordering::is_ge),
                (least, most) != (Some(Ordering::Equal), Some(Ordering::Equal)),
            ),
            Comparison::Less => (can(least, Ordering::is_lt), can(most, Ordering::is_ge)),
            Comparison::LessOrEqual => (can(least, Ordering::is_le), can(most, Ordering::is_gt)),
            Comparison::Greater => (can(most, Ordering::is_gt), can(least, Ordering::is_le)),
            Comparison::GreaterOrEqual => (can(most, Ordering::is_ge), can(least, Ordering::is_lt)),
        };
        Truth {
            can_be_true: can_be_true && !facts.has_no_value,
            can_be_false: can_be_false && !facts.has_no_value,
            can_be_null: !facts.has_no_null,
        }
    }
}

/// Moves the bound of a column of moments by a millisecond: the log keeps no more, and writers differ
/// in how they round.
fn widened(value: Value, millis: i64) -> Option<Value> {
    match value {
        Value::Timestamp(ts) => {
            ts.checked_add_signed(TimeDelta::milliseconds(millis)).map(Value::Timestamp)
        }
        value => Some(value),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
