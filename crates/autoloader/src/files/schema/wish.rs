//! What the user gives after the first start: columns that come, types that grow, or a refusal.
//!
//! Rows are in the table already, so a wish may add and widen, and nothing else.

use arrow::datatypes::{DataType, FieldRef, Fields};

use super::{
    ddl::{path_text, type_text},
    hints,
    infer::{InferError, refuse_for_text, refuse_reserved, spelled_of},
    types::{field, is_among, is_same_name, list_of, map_of, map_parts},
    versions::SchemaVersion,
    widen::widened,
};
use crate::files::options::{Format, SchemaOptions};

/// Returns the version that has what `options` give and `current` lacks; `None`: it lacks nothing.
/// `paths` are those of the files to come; what they spell of a given schema is read from them.
///
/// # Errors
/// A column would have to go or to change, a hint leads nowhere, or a name is ours.
pub fn wished<'a>(
    current: &SchemaVersion,
    paths: impl Iterator<Item = &'a str>,
    format: &Format,
    options: &SchemaOptions,
) -> Result<Option<SchemaVersion>, InferError> {
    let mut next = SchemaVersion {
        version: current.version.saturating_add(1),
        sample: Vec::new(),
        ..current.clone()
    };
    let mut adopting =
        Adopting { is_parquet: *format == Format::Parquet, keeps_others: false, path: Vec::new() };
    if let Some(schema) = &options.given {
        let wish = spelled_of(schema, paths, options)?;
        next.columns = adopting.fields(&current.columns, &wish.columns)?;
        let is_new =
            |name: &String| !current.columns.iter().any(|old| is_same_name(old.name(), name));
        next.partition_columns.extend(wish.partition_columns.into_iter().filter(is_new));
        refuse_for_text(&next, format)?;
    }
    let mut hinted = next.columns.to_vec();
    for hint in &options.hints {
        hints::apply(&mut hinted, hint)
            .map_err(|expected| InferError::Hint { path: path_text(&hint.path), expected })?;
        let is_hint = |path: &Vec<String>| {
            path.len() == hint.path.len()
                && path.iter().zip(&hint.path).all(|(a, b)| is_same_name(a, b))
        };
        if !next.hinted.iter().any(is_hint) {
            next.hinted.push(hint.path.clone());
        }
    }
    adopting.keeps_others = true;
    next.columns = adopting.fields(&next.columns, &hinted.into())?;
    refuse_reserved(&next.columns, options)?;
    let is_same = next.columns == current.columns && next.hinted == current.hinted;
    Ok((!is_same).then_some(next))
}

/// Takes over what is wished for as far as rows that are there allow it.
struct Adopting {
    is_parquet: bool,
    /// Whether what the wish lacks stays: a given schema names everything, a hint what it is about.
    keeps_others: bool,
    path: Vec<String>,
}

impl Adopting {
    /// Returns the fields as they are spelled and ordered, with the wished types, and new ones last.
    fn fields(&mut self, current: &Fields, wish: &Fields) -> Result<Fields, InferError> {
        let mut adopted: Vec<FieldRef> = Vec::with_capacity(wish.len());
        for old in current {
            let name = old.name();
            self.path.push(name.clone());
            let data_type = match wish.iter().find(|new| is_same_name(new.name(), name)) {
                Some(new) => self.data_type(old.data_type(), new.data_type())?,
                None if self.keeps_others => old.data_type().clone(),
                None => return Err(InferError::Lacking { path: path_text(&self.path) }),
            };
            adopted.push(field(name, data_type).into());
            self.path.pop();
        }
        let names: Vec<String> = current.iter().map(|old| old.name().clone()).collect();
        adopted.extend(wish.iter().filter(|new| !is_among(new.name(), &names)).cloned());
        Ok(adopted.into())
    }

    fn inside(
        &mut self,
        name: &str,
        old: &DataType,
        new: &DataType,
    ) -> Result<DataType, InferError> {
        self.path.push(name.to_owned());
        let adopted = self.data_type(old, new)?;
        self.path.pop();
        Ok(adopted)
    }

    fn data_type(&mut self, old: &DataType, new: &DataType) -> Result<DataType, InferError> {
        match (old, new) {
            _ if old == new => Ok(old.clone()),
            (DataType::Struct(members), DataType::Struct(wish)) => {
                Ok(DataType::Struct(self.fields(members, wish)?))
            }
            (DataType::List(old), DataType::List(new)) => {
                Ok(list_of(self.inside("element", old.data_type(), new.data_type())?))
            }
            (DataType::Map(old_entries, _), DataType::Map(new_entries, _)) => {
                match (map_parts(old_entries), map_parts(new_entries)) {
                    (Some((old_key, old_value)), Some((new_key, new_value))) => Ok(map_of(
                        self.inside("key", old_key, new_key)?,
                        self.inside("value", old_value, new_value)?,
                    )),
                    _ => Err(self.fixed(old, new)),
                }
            }
            _ => match widened(old, new, self.is_parquet) {
                Some(wider) if wider == *new => Ok(wider),
                _ => Err(self.fixed(old, new)),
            },
        }
    }

    fn fixed(&self, old: &DataType, new: &DataType) -> InferError {
        InferError::Fixed { path: path_text(&self.path), is: type_text(old), wish: type_text(new) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Schema;

    use super::*;
    use crate::files::schema::{
        ddl::{field_text, parse_fields, parse_hints},
        evolve::tests::version,
        typing::tests::{inferring, json},
    };

    fn shown(wish: Result<Option<SchemaVersion>, InferError>) -> String {
        match wish {
            Ok(None) => "keep".to_owned(),
            Ok(Some(next)) => {
                assert_eq!(next.version, 4);
                let columns: Vec<_> = next.columns.iter().map(|it| field_text(it)).collect();
                columns.join(", ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_given_schema_adds_and_widens() {
        for (name, current, given, expected) in [
            ("the same", "a INT, b STRING", "a INT, b STRING", "keep"),
            ("a column more", "a INT", "a INT, b STRING", "a INT, b STRING"),
            (
                "one between comes last",
                "a INT, c INT",
                "a INT, b INT, c INT",
                "a INT, c INT, b INT",
            ),
            ("another case is the same", "a INT", "A INT", "keep"),
            ("a wider type", "a INT", "a BIGINT", "a BIGINT"),
            (
                "a member more",
                "s STRUCT<x: INT>",
                "s STRUCT<x: INT, y: INT>",
                "s STRUCT<x: INT, y: INT>",
            ),
            ("inside an array", "l ARRAY<INT>", "l ARRAY<BIGINT>", "l ARRAY<BIGINT>"),
            (
                "a narrower type",
                "a BIGINT",
                "a INT",
                "column `a` is BIGINT in the table and cannot become INT; take that back, or load into a new table",
            ),
            (
                "inside a map",
                "m MAP<STRING, INT>",
                "m MAP<STRING, STRING>",
                "column `m.value` is INT in the table and cannot become STRING; take that back, or load into a new table",
            ),
            (
                "a column less",
                "a INT, b INT",
                "a INT",
                "the table has a column `b` that the given schema does not; add it there",
            ),
        ] {
            let schema = Arc::new(Schema::new(parse_fields(given).unwrap()));
            let options = SchemaOptions { given: Some(schema), ..inferring() };
            let wish =
                wished(&version(current), std::iter::empty(), &Format::Json(json()), &options);
            assert_eq!(shown(wish), expected, "{name}");
        }
    }

    #[test]
    fn a_path_is_read_for_a_column_that_comes() {
        let schema = Arc::new(Schema::new(parse_fields("a INT, day DATE").unwrap()));
        let options = SchemaOptions { given: Some(schema), ..inferring() };
        let paths = ["day=2026-11-23/f"].into_iter();
        let wish = wished(&version("a INT"), paths, &Format::Json(json()), &options);
        assert_eq!(wish.unwrap().unwrap().partition_columns, ["day"]);
    }

    #[test]
    fn columns_of_text_come_from_the_path_alone() {
        let text = Format::Text { is_whole: false, line_sep: None, encoding: encoding_rs::UTF_8 };
        let current = SchemaVersion {
            partition_columns: vec!["year".to_owned()],
            ..version("value STRING, year INT")
        };
        let wish = |given: &str, path| {
            let schema = Arc::new(Schema::new(parse_fields(given).unwrap()));
            let options = SchemaOptions { given: Some(schema), ..SchemaOptions::default() };
            shown(wished(&current, [path].into_iter(), &text, &options))
        };
        // What is the path's stays so, though no file of this batch spells it.
        assert_eq!(wish("value STRING, year INT", "f"), "keep");
        let more = "value STRING, year INT, day DATE";
        assert_eq!(wish(more, "year=2026/day=2026-11-23/f"), more);
        assert!(wish(more, "year=2026/f").starts_with("text files have one column"));
    }

    #[test]
    fn hints_add_and_widen() {
        for (name, current, hints, expected) in [
            ("no hint", "a INT", "", "keep"),
            ("a new column", "a INT", "b DECIMAL(18,6)", "a INT, b DECIMAL(18,6)"),
            ("a new member", "s STRUCT<x: INT>", "s.y DATE", "s STRUCT<x: INT, y: DATE>"),
            ("a wider type", "a INT", "A BIGINT", "a BIGINT"),
            (
                "members that grew stay",
                "s STRUCT<x: INT, y: BIGINT>",
                "s STRUCT<x: INT>",
                "s STRUCT<x: INT, y: BIGINT>",
            ),
            ("what it is already stays so", "a INT", "a INT", "a INT"),
            (
                "another type",
                "a INT",
                "a STRING",
                "column `a` is INT in the table and cannot become STRING; take that back, or load into a new table",
            ),
            (
                "the way is none",
                "l ARRAY<INT>",
                "l.x INT",
                "schema hint `l.x` leads nowhere: expected `element`, since it is an array",
            ),
            (
                "ours",
                "a INT",
                "_metadata INT",
                "the files have a column `_metadata`, which is also the name of a column that the loader adds; give that one another name with `metadataColumn`",
            ),
        ] {
            let hints = if hints.is_empty() { vec![] } else { parse_hints(hints).unwrap() };
            let options = SchemaOptions { hints, ..inferring() };
            let wish =
                wished(&version(current), std::iter::empty(), &Format::Json(json()), &options);
            assert_eq!(shown(wish.clone()), expected, "{name}");
            // What was adopted is not adopted again.
            if let Ok(Some(next)) = wish {
                let again = wished(&next, std::iter::empty(), &Format::Json(json()), &options);
                assert_eq!(again, Ok(None), "{name}");
            }
        }
    }
}
