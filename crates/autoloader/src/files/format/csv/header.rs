//! Which value of a record belongs to which column.

use std::collections::{HashMap, HashSet};

use crate::files::{decoded::ReadSchema, schema::folded};

/// Returns the names of columns that a header line says, as Spark makes them: a name that is empty
/// becomes `_c` and its place, and names that are there twice get their place as an ending.
pub(super) fn names(values: &[Option<&str>], is_case_sensitive: bool) -> Vec<String> {
    let spelled = |name: &str| {
        if is_case_sensitive { name.to_owned() } else { folded(name) }
    };
    let mut seen = HashSet::new();
    let twice: HashSet<String> = values
        .iter()
        .flatten()
        .map(|name| spelled(name))
        .filter(|name| !seen.insert(name.clone()))
        .collect();
    values
        .iter()
        .enumerate()
        .map(|(place, name)| match name.filter(|name| !name.is_empty()) {
            None => unnamed(place),
            Some(name) if twice.contains(&spelled(name)) => format!("{name}{place}"),
            Some(name) => name.to_owned(),
        })
        .collect()
}

/// Returns the name of a column that no header names.
pub(super) fn unnamed(place: usize) -> String {
    format!("_c{place}")
}

/// Where the values of a file's records go.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// For each column the place of its value in a record.
    pub places: Vec<Option<usize>>,
    /// Places whose values no column takes, with the name of each; ignored ones are left out.
    pub others: Vec<(usize, String)>,
    /// How many values a record should have.
    pub width: usize,
}

impl Layout {
    /// Matches columns by the names of a header.
    pub(super) fn by_names(names: &[String], schema: &ReadSchema) -> Self {
        let spelled = |name: &str| {
            if schema.is_case_sensitive { name.to_owned() } else { folded(name) }
        };
        let mut by_name: HashMap<String, usize> = HashMap::new();
        for (place, name) in names.iter().enumerate() {
            by_name.entry(spelled(name)).or_insert(place);
        }
        let places: Vec<Option<usize>> = schema
            .columns
            .fields()
            .iter()
            .map(|field| by_name.get(&spelled(field.name())).copied())
            .collect();
        let taken: HashSet<usize> = places.iter().flatten().copied().collect();
        let others = names
            .iter()
            .enumerate()
            .filter(|(place, name)| !taken.contains(place) && !schema.is_ignored(name))
            .map(|(place, name)| (place, name.clone()))
            .collect();
        Self { places, others, width: names.len() }
    }

    /// Matches columns without a header: by the names `_c0`, `_c1`, … if a column has such a name,
    /// else in their order.
    pub(super) fn by_places(schema: &ReadSchema) -> Self {
        let place = |name: &str| name.strip_prefix("_c").and_then(|place| place.parse().ok());
        let fields = schema.columns.fields();
        let by_name: Vec<Option<usize>> = fields.iter().map(|field| place(field.name())).collect();
        let places = if by_name.iter().any(Option::is_some) {
            by_name
        } else {
            (0..fields.len()).map(Some).collect()
        };
        let width = places.iter().flatten().max().map_or(0, |last: &usize| last.saturating_add(1));
        let taken: HashSet<usize> = places.iter().flatten().copied().collect();
        // A gap is possible only where users wrote the names; it is no wider than they said.
        let others = (0..width.min(fields.len()))
            .filter(|place| !taken.contains(place))
            .map(|place| (place, unnamed(place)))
            .collect();
        Self { places, others, width }
    }
}
