//! How a field of a file becomes a column, decided by their types alone.

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::{DataType, FieldRef, Fields, TimeUnit};

use crate::files::schema::{NESTING_MAX, Observed, common, folded, map_parts};

/// The zone of moments; clocks have none.
type Zone = Option<Arc<str>>;

/// How a field becomes a column.
#[derive(Debug)]
pub(super) enum Plan {
    /// As it is, or as a wider type holds it.
    Cast(DataType),
    /// Moments or clocks of another unit, whose zone the first says, as those of the second.
    Moment(Zone, Zone),
    /// Days as clocks.
    DayToClock,
    /// As text: tables have no such type.
    Text,
    /// Member by member.
    Struct {
        /// The members of the column.
        fields: Fields,
        /// Per member of the column: which of the field's it comes from, and how.
        members: Vec<Option<(usize, Self)>>,
        /// Members of the field that the column does not have.
        unknown: Vec<usize>,
    },
    /// Element by element.
    List(FieldRef, Box<Self>),
    /// Entry by entry: keys, then values.
    Map(FieldRef, Box<Self>, Box<Self>),
    /// Nothing but null fits a column of this type.
    Never(DataType),
}

impl Plan {
    /// Whether the types say that everything fits, to the last member.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Self::Cast(_) | Self::Moment(..) | Self::DayToClock | Self::Text => true,
            Self::Struct { members, unknown, .. } => {
                unknown.is_empty() && members.iter().flatten().all(|(_, plan)| plan.is_whole())
            }
            Self::List(_, element) => element.is_whole(),
            Self::Map(_, key, value) => key.is_whole() && value.is_whole(),
            Self::Never(_) => false,
        }
    }
}

/// What counts when types are compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Widening {
    pub is_parquet: bool,
    pub is_case_sensitive: bool,
}

impl Widening {
    /// Decides how a field of type `file` becomes a column of type `column`.
    pub(super) fn plan(self, file: &DataType, column: &DataType) -> Plan {
        self.at(file, column, 0)
    }

    fn at(self, file: &DataType, column: &DataType, depth: usize) -> Plan {
        let inside = |file: &DataType, column: &DataType| self.at(file, column, depth + 1);
        if *column == DataType::Utf8 && is_text_only(file, depth) {
            return Plan::Text;
        }
        match (file, column) {
            (DataType::Struct(ours), DataType::Struct(fields)) => {
                let (sources, unknown) = matches(ours, fields, self.is_case_sensitive);
                let members = sources.into_iter().zip(fields).map(|(source, field)| {
                    source.map(|at| (at, inside(ours[at].data_type(), field.data_type())))
                });
                Plan::Struct { fields: fields.clone(), members: members.collect(), unknown }
            }
            (DataType::List(ours), DataType::List(field)) => {
                let element = inside(ours.data_type(), field.data_type());
                Plan::List(Arc::clone(field), Box::new(element))
            }
            (DataType::Map(ours, _), DataType::Map(entries, _)) => {
                match (map_parts(ours), map_parts(entries)) {
                    (Some((our_key, our_value)), Some((key, value))) => Plan::Map(
                        Arc::clone(entries),
                        Box::new(inside(our_key, key)),
                        Box::new(inside(our_value, value)),
                    ),
                    _ => Plan::Never(column.clone()),
                }
            }
            (DataType::Date32, clock) if self.is_parquet && *clock == CLOCK => Plan::DayToClock,
            _ if file == column => Plan::Cast(column.clone()),
            // As Spark has it: what a clock showed may be taken for UTC, a moment never for a clock.
            (DataType::Timestamp(_, Some(_)), clock) if *clock == CLOCK => {
                Plan::Never(column.clone())
            }
            (DataType::Timestamp(_, theirs), DataType::Timestamp(TimeUnit::Microsecond, ours)) => {
                Plan::Moment(theirs.clone(), ours.clone())
            }
            _ if self.may_cast(file, column) => Plan::Cast(column.clone()),
            _ => Plan::Never(column.clone()),
        }
    }

    fn may_cast(self, file: &DataType, column: &DataType) -> bool {
        use DataType::{Binary, BinaryView, Date32, FixedSizeBinary, Null, Utf8, Utf8View};
        match (file, column) {
            (Null, _) => true,
            // Old writers did not say which bytes are text.
            (Utf8 | Utf8View | Binary | BinaryView, Utf8 | Binary)
            | (FixedSizeBinary(_), Binary) => true,
            (Date32, _) => false,
            _ => match Observed::of_type(file) {
                Observed::Typed(file) => common(&file, column).is_some_and(|both| both == *column),
                _ => false,
            },
        }
    }
}

const CLOCK: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// Whether tables have no type for it, so that its column is text.
fn is_text_only(file: &DataType, depth: usize) -> bool {
    match file {
        DataType::Utf8 | DataType::Utf8View => false,
        // A struct without members cannot be stored.
        DataType::Struct(fields) if fields.is_empty() => true,
        file if file.is_nested() => NESTING_MAX <= depth,
        file => Observed::of_type(file) == Observed::Text,
    }
}

/// Returns for each of `columns` which of `fields` it comes from, and the fields that are none.
///
/// A name spelled alike wins over one in another case; of fields of one name the first does.
pub(super) fn matches(
    fields: &Fields,
    columns: &Fields,
    is_case_sensitive: bool,
) -> (Vec<Option<usize>>, Vec<usize>) {
    let mut by_name = HashMap::new();
    let mut by_folded = HashMap::new();
    for (at, field) in fields.iter().enumerate() {
        by_name.entry(field.name().clone()).or_insert(at);
        by_folded.entry(folded(field.name())).or_insert(at);
    }
    let mut is_unknown = vec![true; fields.len()];
    let source = |column: &FieldRef| {
        let folded = || by_folded.get(&folded(column.name())).filter(|_| !is_case_sensitive);
        by_name.get(column.name()).or_else(folded).copied()
    };
    let sources: Vec<Option<usize>> = columns.iter().map(source).collect();
    for at in sources.iter().flatten() {
        is_unknown[*at] = false;
    }
    let unknown = (0..fields.len()).filter(|at| is_unknown[*at]).collect();
    (sources, unknown)
}
