//! Rules that hold for every project, whatever it connects to.
//!
//! `tests/acceptance/test_bi_files.py` reads what the command writes with readers of its own.

use std::collections::{BTreeMap, BTreeSet};

use lake::datafusion::arrow::datatypes::DataType;
use serde_json::Value;

use super::{Mode, TABLES, Wishes, connection, measures, project};

fn wishes(server: &str, mode: Mode) -> Wishes {
    Wishes { server: server.parse().unwrap(), database: "marketlake".parse().unwrap(), mode }
}

fn files(mode: Mode) -> BTreeMap<String, String> {
    let files = project(&wishes("localhost:5439", mode));
    let count = files.len();
    let files: BTreeMap<String, String> = files.into_iter().collect();
    assert_eq!(files.len(), count, "two files have one path");
    files
}

const MODES: [Mode; 2] = [Mode::Import, Mode::DirectQuery];

#[test]
fn the_same_wishes_give_the_same_files_in_order() {
    for mode in MODES {
        let [one, two] = [0; 2].map(|_| project(&wishes("gate:1", mode)));
        assert_eq!(one, two);
        assert!(one.is_sorted_by(|left, right| left.0 < right.0));
    }
}

#[test]
fn server_and_mode_change_only_what_speaks_of_them() {
    let base = files(Mode::Import);
    let moved: BTreeMap<String, String> =
        project(&wishes("gate:1", Mode::Import)).into_iter().collect();
    let changed: Vec<&str> = base
        .iter()
        .filter(|(path, text)| moved.get(*path) != Some(*text))
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(
        changed,
        [
            "marketlake-directquery.pbids",
            "marketlake-import.pbids",
            "marketlake.SemanticModel/definition/expressions.tmdl",
        ]
    );
    let asked = files(Mode::DirectQuery);
    for (path, text) in &base {
        let differs = asked.get(path) != Some(text);
        let is_source = path.contains("/tables/") || path.ends_with("expressions.tmdl");
        assert_eq!(differs, is_source, "{path}");
    }
}

#[test]
fn every_path_and_text_suits_windows() {
    for (path, text) in files(Mode::Import) {
        assert!(path.len() < 100, "{path} does not fit below a long folder");
        let is_plain = |part: &str| {
            part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        assert!(path.split('/').all(|part| is_plain(part) && !part.is_empty()), "{path}");
        assert!(!text.starts_with('\u{feff}'), "{path} begins with a byte order mark");
        assert!(text.ends_with('\n') && !text.contains('\r'), "{path}");
    }
}

#[test]
fn every_json_file_is_json_and_names_its_schema() {
    for (path, text) in files(Mode::Import) {
        if path.ends_with(".tmdl") || path.ends_with(".gitignore") {
            continue;
        }
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"));
        let is_free = path.ends_with(".pbids") || path.contains("StaticResources");
        assert_eq!(value.get("$schema").is_none(), is_free, "{path}");
    }
}

#[test]
fn every_visual_of_a_page_has_a_name_of_its_own() {
    for page in super::pages::all() {
        let names: BTreeSet<&str> = page.visuals.iter().map(|visual| visual.name).collect();
        assert_eq!(names.len(), page.visuals.len(), "{}: {names:?}", page.name);
    }
}

/// Collects the fields that a document reads, as kind, table and name.
fn collect_fields(value: &Value, found: &mut BTreeSet<(String, String, String)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_fields(item, found)),
        Value::Object(members) => {
            for (name, member) in members {
                if let ("Column" | "Measure", Some(field)) =
                    (name.as_str(), member["Property"].as_str())
                {
                    let table = member["Expression"]["SourceRef"]["Entity"].as_str().unwrap();
                    found.insert((name.clone(), table.to_owned(), field.to_owned()));
                }
                collect_fields(member, found);
            }
        }
        _ => (),
    }
}

#[test]
fn every_field_that_a_visual_reads_is_in_the_model() {
    let mut found = BTreeSet::new();
    for (path, text) in files(Mode::Import) {
        if path.ends_with("visual.json") {
            collect_fields(&serde_json::from_str(&text).unwrap(), &mut found);
        }
    }
    assert!(found.len() > 30, "{} fields", found.len());
    for (kind, table, name) in found {
        let is_known = match kind.as_str() {
            "Column" => TABLES
                .iter()
                .any(|it| it.name == table && it.columns.iter().any(|column| column.name == name)),
            _ => measures::all().any(|it| it.table == table && it.name == name),
        };
        assert!(is_known, "a visual reads {kind} {table}[{name}]");
    }
}

#[test]
fn a_measure_shares_its_name_with_nothing() {
    let mut names = BTreeSet::new();
    for measure in measures::all() {
        let name = measure.name.to_lowercase();
        assert!(names.insert(name.clone()), "two measures are called {name}");
        let own = TABLES.iter().find(|table| table.name == measure.table);
        let own = own.unwrap_or_else(|| panic!("{name} is of no table"));
        // Power BI keeps measures and columns of a table in one space of names, whatever the case.
        let is_column = own.columns.iter().any(|column| column.name == name);
        assert!(!is_column, "{name} is a column of {}", own.name);
    }
}

#[test]
fn keys_are_columns_and_dimensions_have_one() {
    for table in &TABLES {
        let types: BTreeMap<_, _> =
            table.columns.iter().map(|column| (column.name, column.sql_type)).collect();
        assert_eq!(types.len(), table.columns.len(), "{} has a column twice", table.name);
        assert!(table.key.iter().all(|name| types.contains_key(name)), "{}", table.name);
        for (column, dimension) in table.references() {
            let other = TABLES.iter().find(|it| it.name == dimension).unwrap();
            assert_eq!(other.key, [column], "{dimension}");
            let end = other.columns.iter().find(|it| it.name == column).unwrap();
            assert_eq!(types[column], end.sql_type, "{}.{column}", table.name);
        }
    }
}

fn sql_name(served: &DataType) -> String {
    match served {
        DataType::Utf8 => "text".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float64 => "double precision".to_owned(),
        DataType::Decimal128(precision, scale) => format!("numeric({precision},{scale})"),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(_, None) => "timestamp without time zone".to_owned(),
        other => panic!("no type for BI tools: {other}"),
    }
}

/// The catalog serves the views that the model was made for.
#[test]
fn tables_are_the_lakes_views() {
    let views = lake::bi::views();
    assert_eq!(views.len(), TABLES.len());
    for table in &TABLES {
        let view = lake::bi::view(table.name).unwrap_or_else(|| panic!("no view {}", table.name));
        let served = view.columns.iter().map(|column| (column.name, sql_name(&column.data_type())));
        let wanted =
            table.columns.iter().map(|column| (column.name, column.sql_type.name().to_owned()));
        assert_eq!(served.collect::<Vec<_>>(), wanted.collect::<Vec<_>>(), "{}", table.name);
        assert_eq!(view.primary_key, table.key, "{}", table.name);
        let parents: BTreeSet<_> =
            view.foreign_keys.iter().map(|key| (key.column, key.parent)).collect();
        assert_eq!(parents, table.references().collect(), "{}", table.name);
    }
}

#[test]
fn a_connection_holds_no_more_than_where_to() {
    for (mode, said) in [(Mode::Import, "Import"), (Mode::DirectQuery, "DirectQuery")] {
        let wishes = wishes("gate:5439", mode);
        let text = connection(&wishes.server, &wishes.database, mode);
        let value: Value = serde_json::from_str(&text).unwrap();
        let one = &value["connections"][0];
        assert_eq!(one["details"]["protocol"], "postgresql");
        assert_eq!(one["details"]["address"]["server"], "gate:5439");
        assert_eq!(one["details"]["address"]["database"], "marketlake");
        assert_eq!(one["mode"], said);
        assert_eq!(value["connections"].as_array().unwrap().len(), 1, "one connection a file");
    }
}
