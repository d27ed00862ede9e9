//! What columns become when they take in what was seen, and what no type of theirs can hold.

use std::collections::{BTreeMap, HashMap};

use arrow::datatypes::{DataType, FieldRef, Fields};

use super::{
    ddl::path_text,
    evolve::Change,
    infer::reserved,
    observed::{Observed, is_ntz},
    types::{self, field, folded, is_among, is_same_name, list_of, map_of, map_parts},
    typing::{TypeRules, fold_case},
    versions::SchemaVersion,
    widen::{common, widened},
};
use crate::files::options::{EvolutionMode, Format, SchemaOptions};

/// What the columns become under a mode, and what of `seen` still does not fit.
#[derive(Debug)]
pub(crate) struct Growth {
    pub columns: Fields,
    pub changes: Vec<Change>,
    /// Paths whose values no type holds that the column may become.
    pub unfit: Vec<String>,
}

/// Returns what `current` grows into under the mode of `options`, as far as the mode lets it look:
/// a mode that adds nothing still says what there would be to add.
pub(crate) fn grow(
    current: &SchemaVersion,
    seen: &Observed,
    format: &Format,
    options: &SchemaOptions,
) -> Growth {
    let Observed::Object(seen) = seen else {
        return Growth { columns: current.columns.clone(), changes: vec![], unfit: vec![] };
    };
    let is_evolving = options.evolution == EvolutionMode::Evolve;
    let mut rules = TypeRules::new(format, options);
    // Where nobody has to stop for a column, it can wait for its first value and the right type.
    rules.is_all_null_dropped |= is_evolving;
    let may_widen =
        is_evolving || options.evolution == EvolutionMode::AddNewColumnsWithTypeWidening;
    let mut grower = Grower {
        rules,
        may_widen,
        is_parquet: *format == Format::Parquet,
        is_case_sensitive: options.is_case_sensitive,
        hinted: &current.hinted,
        path: Vec::new(),
        changes: Vec::new(),
        unfit: Vec::new(),
    };
    // Names that are ours, or the path's, are no columns of files.
    let is_ours = |name: &str| {
        is_among(name, &current.partition_columns)
            || reserved(options).any(|(ours, _)| is_same_name(name, ours))
    };
    let seen = seen.iter().filter(|(name, _)| !is_ours(name));
    let columns = grower.fields(&current.columns, seen);
    Growth { columns, changes: grower.changes, unfit: grower.unfit }
}

struct Grower<'a> {
    rules: TypeRules,
    may_widen: bool,
    is_parquet: bool,
    is_case_sensitive: bool,
    hinted: &'a [Vec<String>],
    path: Vec<String>,
    changes: Vec<Change>,
    unfit: Vec<String>,
}

impl Grower<'_> {
    fn fields<'s>(
        &mut self,
        fields: &Fields,
        seen: impl Iterator<Item = (&'s String, &'s Observed)>,
    ) -> Fields {
        let by_name: HashMap<String, usize> =
            fields.iter().enumerate().map(|(at, field)| (folded(field.name()), at)).collect();
        let mut held: BTreeMap<usize, Observed> = BTreeMap::new();
        let mut unknown: BTreeMap<String, Observed> = BTreeMap::new();
        for (name, observed) in seen {
            match by_name.get(&folded(name)) {
                None => {
                    unknown.insert(name.clone(), observed.clone());
                }
                Some(&at) if !self.is_case_sensitive || fields[at].name() == name => {
                    held.entry(at).or_default().merge(observed.clone());
                }
                Some(_) => self.unfit.push(self.path_to(name)),
            }
        }
        let mut grown: Vec<FieldRef> = fields.to_vec();
        for (at, observed) in held {
            let name = fields[at].name();
            let data_type = self.inside(name, fields[at].data_type(), &observed);
            grown[at] = field(name, data_type).into();
        }
        for (name, observed) in fold_case(&unknown) {
            if let Some(data_type) = observed.to_type(&self.rules) {
                let mut path = self.path.clone();
                path.push(name.to_owned());
                grown.push(field(name, data_type.clone()).into());
                self.changes.push(Change::Added { path, data_type });
            }
        }
        grown.into()
    }

    fn inside(&mut self, name: &str, current: &DataType, seen: &Observed) -> DataType {
        self.path.push(name.to_owned());
        let grown = self.data_type(current, seen);
        self.path.pop();
        grown
    }

    fn data_type(&mut self, current: &DataType, seen: &Observed) -> DataType {
        match (current, seen) {
            (DataType::Struct(fields), Observed::Object(members)) => {
                DataType::Struct(self.fields(fields, members.iter()))
            }
            (DataType::List(element), Observed::List(seen)) => {
                list_of(self.inside("element", element.data_type(), seen))
            }
            (DataType::Map(entries, _), Observed::Map(..) | Observed::Object(_)) => {
                self.map(current, map_parts(entries), seen)
            }
            _ if fits(current, seen) => current.clone(),
            _ => {
                let wider = self.wider(current, seen);
                match &wider {
                    Some(to) => self.changes.push(Change::Widened {
                        path: self.path.clone(),
                        from: current.clone(),
                        to: to.clone(),
                    }),
                    None => self.unfit.push(path_text(&self.path)),
                }
                wider.unwrap_or_else(|| current.clone())
            }
        }
    }

    /// Objects go into maps, their names as keys.
    fn map(
        &mut self,
        current: &DataType,
        parts: Option<(&DataType, &DataType)>,
        seen: &Observed,
    ) -> DataType {
        let Some((key, value)) = parts else {
            return current.clone();
        };
        match seen {
            Observed::Map(keys, values) => {
                let key = self.inside("key", key, keys);
                map_of(key, self.inside("value", value, values))
            }
            Observed::Object(members) => {
                let values = members.values().cloned().fold(Observed::Nothing, Observed::merged);
                map_of(key.clone(), self.inside("value", value, &values))
            }
            _ => current.clone(),
        }
    }

    /// Returns the type that holds what was seen too, if the mode and the path allow one.
    fn wider(&self, current: &DataType, seen: &Observed) -> Option<DataType> {
        if !self.may_widen || self.is_hinted() {
            return None;
        }
        let seen = match seen {
            Observed::Typed(data_type) => data_type.clone(),
            // A decimal grows by the digits that were seen, not by those of a type for all numbers.
            Observed::Number { whole, fraction, is_float: false }
                if matches!(current, DataType::Decimal128(..)) =>
            {
                types::decimal(*whole, *fraction)?
            }
            Observed::Number { whole, fraction, is_float } => {
                self.rules.number_type(*whole, *fraction, *is_float)
            }
            _ => return None,
        };
        widened(current, &seen, self.is_parquet)
    }

    /// Whether a hint set the type here, or of something that this is inside of.
    fn is_hinted(&self) -> bool {
        self.hinted.iter().any(|hint| {
            hint.len() <= self.path.len()
                && hint.iter().zip(&self.path).all(|(hint, name)| is_same_name(hint, name))
        })
    }

    fn path_to(&self, name: &str) -> String {
        let mut path = self.path.clone();
        path.push(name.to_owned());
        path_text(&path)
    }
}

/// Whether a column holds everything seen as it is.
fn fits(data_type: &DataType, seen: &Observed) -> bool {
    match seen {
        _ if *data_type == DataType::Utf8 => true,
        Observed::Nothing => true,
        Observed::Bool => *data_type == DataType::Boolean,
        Observed::Date => *data_type == DataType::Date32 || is_moment(data_type),
        Observed::Timestamp => is_moment(data_type),
        Observed::Typed(seen) => common(data_type, seen).is_some_and(|both| both == *data_type),
        Observed::Number { whole, fraction, is_float } => {
            // Every number of so many digits fits; of one more, some do not.
            let is_whole_of = |digits| !is_float && *fraction == 0 && *whole <= digits;
            match data_type {
                DataType::Float32 | DataType::Float64 => true,
                DataType::Int8 => is_whole_of(2),
                DataType::Int16 => is_whole_of(4),
                DataType::Int32 => is_whole_of(9),
                DataType::Int64 => is_whole_of(19),
                DataType::Decimal128(precision, scale) => {
                    let (wholes, fractions) = types::decimal_digits(*precision, *scale);
                    !is_float && *whole <= wholes && *fraction <= fractions
                }
                _ => false,
            }
        }
        Observed::Text | Observed::Object(_) | Observed::List(_) | Observed::Map(..) => false,
    }
}

fn is_moment(data_type: &DataType) -> bool {
    *data_type == types::timestamp() || is_ntz(data_type)
}
