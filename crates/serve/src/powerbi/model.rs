//! The semantic model: tables with their sources, relationships, parameters.

use serde_json::json;

use super::{
    Mode, SCHEMAS, Wishes, document,
    identity::tag,
    measures::{self, Measure},
    platform,
    shapes::{Column, DIM_DATE, SqlType, TABLES, Table},
    tmdl::{Tmdl, quoted},
};

/// What every Desktop since 2022 reads; nothing here needs more.
const COMPATIBILITY: &str = "compatibilityLevel: 1567";

/// The oldest and the first too new minute that an import keeps; incremental refresh, when somebody
/// switches it on, puts its own limits in their place.
const RANGE: [(&str, &str, &str); 2] = [
    (
        "RangeStart",
        "#datetime(1970, 1, 1, 0, 0, 0)",
        "Minute bars from here on are imported (UTC); a later moment makes the file smaller.",
    ),
    ("RangeEnd", "#datetime(2100, 1, 1, 0, 0, 0)", "Minute bars before this are imported (UTC)."),
];

/// The table of minutes, whose import has limits.
const MINUTES: &str = "bars_1m";

/// Columns that make sense when they are added up.
const SUMMED: [&str; 6] = ["volume", "bars", "minutes_missing", "rows", "rejected", "revised"];

/// Columns of text that are sorted by a number beside them.
const SORTED: [(&str, &str); 2] = [("month_name", "month"), ("weekday_name", "weekday")];

/// The levels from year to day: name and column.
const CALENDAR: [(&str, &str); 4] =
    [("Year", "year"), ("Quarter", "quarter"), ("Month", "month_name"), ("Day", "date")];

/// Returns the files of the model, with paths below its folder.
pub(super) fn files(wishes: &Wishes) -> Vec<(String, String)> {
    let definition = json!({
        "$schema": format!("{SCHEMAS}/item/semanticModel/definitionProperties/1.0.0/schema.json"),
        "version": "4.2",
        "settings": {},
    });
    let mut files = vec![
        (".platform".to_owned(), platform("SemanticModel")),
        ("definition.pbism".to_owned(), document(&definition)),
        ("definition/database.tmdl".to_owned(), database()),
        ("definition/model.tmdl".to_owned(), model()),
        ("definition/expressions.tmdl".to_owned(), expressions(wishes)),
        ("definition/relationships.tmdl".to_owned(), relationships()),
    ];
    for shape in &TABLES {
        files.push((format!("definition/tables/{}.tmdl", shape.name), table(shape, wishes.mode)));
    }
    files
}

fn database() -> String {
    let mut text = Tmdl::default();
    text.line(0, "database");
    text.line(1, COMPATIBILITY);
    text.into_text()
}

fn model() -> String {
    let mut text = Tmdl::default();
    text.line(0, "model Model");
    text.line(1, "culture: en-US");
    text.line(1, "defaultPowerBIDataSourceVersion: powerBI_V3");
    text.line(1, "sourceQueryCulture: en-US");
    text.line(1, "dataAccessOptions");
    text.line(2, "legacyRedirects");
    text.line(2, "returnErrorValuesAsNull");
    text.blank();
    // There is a date table; hidden ones for each date column would only cost memory.
    text.line(0, "annotation __PBI_TimeIntelligenceEnabled = 0");
    text.blank();
    for shape in &TABLES {
        text.line(0, &format!("ref table {}", quoted(shape.name)));
    }
    text.into_text()
}

/// The parameters: what a user changes when marketlake moves to another machine.
fn expressions(wishes: &Wishes) -> String {
    let mut text = Tmdl::default();
    let server = format!("\"{}\"", wishes.server);
    let database = format!("\"{}\"", wishes.database);
    parameter(&mut text, "Server", &server, "Text", "Host and port of marketlake's SQL port.");
    parameter(&mut text, "Database", &database, "Text", "Name of the database.");
    if wishes.mode == Mode::Import {
        for (name, value, about) in RANGE {
            parameter(&mut text, name, value, "DateTime", about);
        }
    }
    text.into_text()
}

fn parameter(text: &mut Tmdl, name: &str, value: &str, kind: &str, about: &str) {
    let meta = format!(
        "{value} meta [IsParameterQuery=true, Type=\"{kind}\", IsParameterQueryRequired=true]"
    );
    text.describe(0, about);
    text.expression(0, &format!("expression {name}"), &meta);
    text.line(1, &format!("lineageTag: {}", tag(&["expression", name])));
    text.blank();
    text.line(1, &format!("annotation PBI_ResultType = {kind}"));
    text.blank();
}

fn relationships() -> String {
    let mut text = Tmdl::default();
    for shape in &TABLES {
        for (column, dimension) in shape.references() {
            let id = tag(&["relationship", shape.name, dimension]);
            text.line(0, &format!("relationship {id}"));
            text.line(1, &format!("fromColumn: {}.{}", quoted(shape.name), quoted(column)));
            text.line(1, &format!("toColumn: {}.{}", quoted(dimension), quoted(column)));
            text.blank();
        }
    }
    text.into_text()
}

fn table(shape: &Table, mode: Mode) -> String {
    let mut text = Tmdl::default();
    text.describe(0, shape.about);
    text.line(0, &format!("table {}", quoted(shape.name)));
    text.line(1, &format!("lineageTag: {}", tag(&["table", shape.name])));
    if shape.name == DIM_DATE {
        // With the key below this is what "Mark as date table" writes.
        text.line(1, "dataCategory: Time");
    }
    text.blank();
    for measure in measures::all().filter(|measure| measure.table == shape.name) {
        write_measure(&mut text, measure);
    }
    for column in shape.columns {
        write_column(&mut text, shape, column);
    }
    if shape.name == DIM_DATE {
        write_calendar(&mut text);
    }
    write_source(&mut text, shape, mode);
    text.line(1, "annotation PBI_ResultType = Table");
    text.into_text()
}

fn write_measure(text: &mut Tmdl, measure: &Measure) {
    text.describe(1, measure.about);
    text.expression(1, &format!("measure {}", quoted(measure.name)), measure.dax);
    if !measure.format.is_empty() {
        text.line(2, &format!("formatString: {}", measure.format));
    }
    text.line(2, &format!("displayFolder: {}", measure.folder));
    text.line(2, &format!("lineageTag: {}", tag(&["measure", measure.name])));
    text.blank();
}

fn write_column(text: &mut Tmdl, shape: &Table, column: &Column) {
    text.describe(1, column.about);
    text.line(1, &format!("column {}", quoted(column.name)));
    text.line(2, &format!("dataType: {}", column.sql_type.model_name()));
    // What points at a dimension is chosen there: then it filters every table.
    if shape.references().any(|(name, _)| name == column.name) {
        text.line(2, "isHidden");
    }
    if shape.key == [column.name] && shape.is_dimension() {
        text.line(2, "isKey");
    }
    if let Some(format) = column_format(column) {
        text.line(2, &format!("formatString: {format}"));
    }
    text.line(2, &format!("lineageTag: {}", tag(&["column", shape.name, column.name])));
    let is_summed = SUMMED.contains(&column.name);
    text.line(2, if is_summed { "summarizeBy: sum" } else { "summarizeBy: none" });
    text.line(2, &format!("sourceColumn: {}", column.name));
    if let Some((_, number)) = SORTED.iter().find(|(name, _)| *name == column.name) {
        text.line(2, &format!("sortByColumn: {}", quoted(number)));
    }
    text.blank();
    if column.sql_type == SqlType::Date {
        // The model has one type for days and moments; this keeps the time of day out of sight.
        text.line(2, "annotation UnderlyingDateTimeDataType = Date");
        text.blank();
    }
}

fn column_format(column: &Column) -> Option<&'static str> {
    match column.sql_type {
        SqlType::Text => None,
        // A year is no quantity.
        SqlType::Integer if !SUMMED.contains(&column.name) => Some("0"),
        SqlType::Integer | SqlType::Bigint | SqlType::Volume => Some("#,0"),
        SqlType::Double => Some("0.00"),
        SqlType::Price => Some("#,0.00##"),
        SqlType::Date => Some("yyyy-mm-dd"),
        SqlType::Timestamp => Some("yyyy-mm-dd hh:nn:ss"),
    }
}

fn write_calendar(text: &mut Tmdl) {
    text.line(1, "hierarchy Calendar");
    text.line(2, &format!("lineageTag: {}", tag(&["hierarchy", "Calendar"])));
    text.blank();
    for (name, column) in CALENDAR {
        text.line(2, &format!("level {name}"));
        text.line(3, &format!("lineageTag: {}", tag(&["level", name])));
        text.line(3, &format!("column: {column}"));
        text.blank();
    }
}

fn write_source(text: &mut Tmdl, shape: &Table, mode: Mode) {
    text.line(1, &format!("partition {} = m", quoted(shape.name)));
    let mode_name = match mode {
        Mode::Import => "import",
        Mode::DirectQuery => "directQuery",
    };
    text.line(2, &format!("mode: {mode_name}"));
    text.expression(2, "source", &source(shape.name, mode));
    text.blank();
}

/// Returns the query of a table in M. Columns that lead to related tables are left out: the model
/// has relationships of its own, and asking for them costs a round trip for each table.
fn source(view: &str, mode: Mode) -> String {
    let open = "Source = PostgreSQL.Database(Server, Database, [CreateNavigationProperties=false])";
    let pick = format!("View = Source{{[Schema=\"bi\",Item=\"{view}\"]}}[Data]");
    if view == MINUTES && mode == Mode::Import {
        let limit = "Range = Table.SelectRows(View, each [ts] >= RangeStart and [ts] < RangeEnd)";
        format!("let\n    {open},\n    {pick},\n    {limit}\nin\n    Range")
    } else {
        format!("let\n    {open},\n    {pick}\nin\n    View")
    }
}
