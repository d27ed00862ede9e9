//! Every table of the lake: its columns, its partitioning, in one place.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use model::{
    Dataset,
    decimal::{ADJUSTED_PRICE, DecimalType, PRICE, VOLUME},
};

use crate::bronze;

/// A table's definition.
#[derive(Debug)]
pub(crate) struct TableDef {
    /// `bronze`, `silver` or `gold`.
    pub layer: &'static str,
    /// The name within its layer.
    pub name: &'static str,
    /// Columns, partition columns included.
    pub schema: SchemaRef,
    /// Partition columns.
    pub partition_by: &'static [&'static str],
    /// Columns that no two rows share and that are never null, where its step sees to that.
    pub primary_key: &'static [&'static str],
}

/// What tells the bars of a gold table apart.
const GOLD_BAR_KEY: &[&str] = &["source", "symbol", "mic", "ts_start"];

/// A bar of silver is there once for each value it had.
const SILVER_BAR_KEY: &[&str] = &["source", "symbol", "mic", "interval", "ts_start", "revision"];

/// What tells bars of silver apart, whichever value they had.
pub(crate) fn bar_key() -> impl Iterator<Item = &'static str> {
    SILVER_BAR_KEY.iter().copied().filter(|column| *column != "revision")
}

const QUOTE_KEY: &[&str] = &["source", "symbol", "mic"];

impl TableDef {
    /// Returns layer and name, such as `gold.bar_1m`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.layer, self.name)
    }
}

/// Every table, in the order in which a row reaches them.
pub(crate) static TABLES: LazyLock<Vec<TableDef>> = LazyLock::new(|| {
    let mut tables: Vec<TableDef> = Dataset::ALL.into_iter().map(bronze_table).collect();
    tables.extend([
        TableDef {
            primary_key: SILVER_BAR_KEY,
            ..def("silver", "bar", silver_bar(), &["session_date"])
        },
        def("silver", "eod", silver_eod(), &["session_month"]),
        def("silver", "corporate_action", corporate_action(), &[]),
        def("silver", "instrument", instrument(), &[]),
        def("silver", "exchange", exchange(), &[]),
        def("silver", "quarantine", quarantine(), &[]),
    ]);
    tables.extend(["bar_1m", "bar_5m", "bar_15m", "bar_1h", "bar_1d"].into_iter().map(|name| {
        TableDef { primary_key: GOLD_BAR_KEY, ..def("gold", name, gold_bar(), &["session_date"]) }
    }));
    tables.push(TableDef {
        primary_key: QUOTE_KEY,
        ..def("gold", "quote_latest", quote_latest(), &[])
    });
    tables.push(def("gold", "eod", gold_eod(), &["session_month"]));
    tables
});

/// Returns layer and name of every table there is, such as `gold.bar_1m`.
pub fn table_names() -> impl Iterator<Item = String> {
    TABLES.iter().map(TableDef::full_name)
}

/// Returns the definition of a table that is known to exist.
///
/// # Panics
/// On a name that is no table: a typing error in this crate, found by its tests.
pub(crate) fn table_def(layer: &str, name: &str) -> &'static TableDef {
    TABLES
        .iter()
        .find(|table| table.layer == layer && table.name == name)
        .expect("only names of this file are asked for")
}

/// Returns the columns of a table that no two rows share; none where nothing sees to that.
#[must_use]
pub fn primary_key(layer: &str, name: &str) -> &'static [&'static str] {
    let table = TABLES.iter().find(|table| table.layer == layer && table.name == name);
    table.map_or(&[], |table| table.primary_key)
}

/// The Arrow type of a UTC moment; with a zone, or Delta would need a newer reader version.
pub(crate) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn def(
    layer: &'static str,
    name: &'static str,
    fields: Vec<Field>,
    partition_by: &'static [&'static str],
) -> TableDef {
    TableDef { layer, name, schema: Arc::new(Schema::new(fields)), partition_by, primary_key: &[] }
}

fn bronze_table(dataset: Dataset) -> TableDef {
    TableDef {
        layer: "bronze",
        name: dataset.as_str(),
        schema: autoloader::output_schema(&bronze::row_schema(dataset)),
        partition_by: &["date_key"],
        primary_key: &[],
    }
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn decimal(name: &str, kind: DecimalType) -> Field {
    Field::new(name, DataType::Decimal128(kind.precision, kind.scale), true)
}

fn price(name: &str) -> Field {
    decimal(name, PRICE)
}

fn int(name: &str) -> Field {
    Field::new(name, DataType::Int32, true)
}

fn long(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn date(name: &str) -> Field {
    Field::new(name, DataType::Date32, true)
}

fn moment(name: &str) -> Field {
    Field::new(name, timestamp(), true)
}

/// What every revision carries: which one it is, and how we came to know it.
fn provenance() -> Vec<Field> {
    vec![
        int("revision"),
        long("fetch_id"),
        moment("knowledge_from"),
        int("topic_partition"),
        long("topic_offset"),
    ]
}

fn silver_bar() -> Vec<Field> {
    let mut fields = vec![
        text("source"),
        text("symbol"),
        text("mic"),
        text("interval"),
        moment("ts_start"),
        moment("ts_end"),
        date("session_date"),
        text("session_part"),
        price("open"),
        price("high"),
        price("low"),
        price("close"),
        decimal("volume", VOLUME),
        text("price_source"),
        text("volume_scope"),
        text("semantics"),
        // The row as served, so that its successor can be derived from this table alone.
        price("served_open"),
        price("served_high"),
        price("served_low"),
        price("served_close"),
        price("served_price"),
        decimal("served_volume", VOLUME),
        long("served_fetch_id"),
    ];
    fields.extend(provenance());
    fields
}

fn eod_values() -> Vec<Field> {
    vec![
        price("open"),
        price("high"),
        price("low"),
        price("close"),
        decimal("volume", VOLUME),
        decimal("adj_open", ADJUSTED_PRICE),
        decimal("adj_high", ADJUSTED_PRICE),
        decimal("adj_low", ADJUSTED_PRICE),
        decimal("adj_close", ADJUSTED_PRICE),
        decimal("adj_volume", VOLUME),
        decimal("split_factor", ADJUSTED_PRICE),
        decimal("dividend", ADJUSTED_PRICE),
    ]
}

fn eod_key() -> Vec<Field> {
    vec![text("source"), text("symbol"), text("mic"), date("session_date"), int("session_month")]
}

fn silver_eod() -> Vec<Field> {
    [eod_key(), eod_values(), provenance()].concat()
}

fn gold_eod() -> Vec<Field> {
    [eod_key(), eod_values(), vec![int("revision")]].concat()
}

fn corporate_action() -> Vec<Field> {
    let mut fields = vec![
        text("source"),
        text("symbol"),
        text("action"),
        date("ex_date"),
        decimal("split_factor", ADJUSTED_PRICE),
        text("stock_split"),
        decimal("dividend", ADJUSTED_PRICE),
        text("payment_date"),
        text("record_date"),
        text("declaration_date"),
        text("frequency"),
    ];
    fields.extend(provenance());
    fields
}

fn instrument() -> Vec<Field> {
    let mut fields =
        vec![text("source"), text("symbol"), text("mic"), text("name"), text("exchange")];
    fields.extend(provenance());
    fields
}

fn exchange() -> Vec<Field> {
    let mut fields: Vec<Field> =
        ["source", "mic", "name", "acronym", "country", "country_code", "city", "website"]
            .into_iter()
            .map(text)
            .collect();
    fields.extend(provenance());
    fields
}

fn quarantine() -> Vec<Field> {
    vec![
        text("dataset"),
        text("symbol"),
        text("file"),
        long("line"),
        text("reason"),
        text("record"),
        long("fetch_id"),
        moment("ts_fetched"),
        int("topic_partition"),
        long("topic_offset"),
    ]
}

fn gold_bar() -> Vec<Field> {
    vec![
        text("source"),
        text("symbol"),
        text("mic"),
        moment("ts_start"),
        moment("ts_end"),
        date("session_date"),
        price("open"),
        price("high"),
        price("low"),
        price("close"),
        decimal("volume", VOLUME),
        int("n_source"),
        int("revision"),
    ]
}

fn quote_latest() -> Vec<Field> {
    vec![
        text("source"),
        text("symbol"),
        text("mic"),
        price("price"),
        price("open"),
        price("high"),
        price("low"),
        price("previous_close"),
        decimal("volume", VOLUME),
        moment("ts_quote"),
        date("session_date"),
    ]
}
