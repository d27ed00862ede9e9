//! The schema `bi`: views over gold and silver for tools that people click in.
//!
//! Plain types only, one row per key, and the keys are declared, so that a tool finds by itself
//! what belongs together. A key that is declared here holds by construction, within one statement:
//! a symbol that several feeds or markets have is taken from one of them a day, and the dimensions
//! are made of everything the other views are made of.

use std::sync::LazyLock;

use arrow::datatypes::{DataType, TimeUnit};
use model::decimal::{DecimalType, PRICE, VOLUME};

mod definitions;
mod session_minutes;

pub(crate) use session_minutes::session_minutes;

/// The schema's name.
pub const SCHEMA: &str = "bi";

/// A view: what it is called, what it holds, and how its rows are told apart.
#[derive(Debug)]
pub struct View {
    /// The name within the schema.
    pub name: &'static str,
    /// What a row is, for people.
    pub comment: &'static str,
    /// The columns, in their order.
    pub columns: &'static [ViewColumn],
    /// The columns that no two rows share, and that are never empty.
    pub primary_key: &'static [&'static str],
    /// The columns whose values another view has.
    pub foreign_keys: &'static [ForeignKey],
    /// The query behind it.
    pub sql: String,
}

/// A column of a view.
#[derive(Debug)]
pub struct ViewColumn {
    /// The column's name.
    pub name: &'static str,
    kind: Kind,
    /// What it holds where the name does not say it; else empty.
    pub comment: &'static str,
}

/// A column of a view whose values are the key of another view.
#[derive(Debug)]
pub struct ForeignKey {
    /// The column.
    pub column: &'static str,
    /// The other view.
    pub parent: &'static str,
    /// Its primary key.
    pub parent_column: &'static str,
}

/// The types of the views: those that every BI tool has.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Integer,
    BigInt,
    Double,
    Price,
    Volume,
    Date,
    /// UTC, without saying so: BI tools have no type for a zone.
    Timestamp,
}

impl ViewColumn {
    /// Returns the Arrow type, which the view's rows have exactly.
    #[must_use]
    pub fn data_type(&self) -> DataType {
        let decimal = |kind: DecimalType| DataType::Decimal128(kind.precision, kind.scale);
        match self.kind {
            Kind::Text => DataType::Utf8,
            Kind::Integer => DataType::Int32,
            Kind::BigInt => DataType::Int64,
            Kind::Double => DataType::Float64,
            Kind::Price => decimal(PRICE),
            Kind::Volume => decimal(VOLUME),
            Kind::Date => DataType::Date32,
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        }
    }
}

impl View {
    /// Returns whether a column may be empty.
    #[must_use]
    pub fn is_nullable(&self, column: &ViewColumn) -> bool {
        !self.primary_key.contains(&column.name)
            && !self.foreign_keys.iter().any(|key| key.column == column.name)
    }
}

/// Returns every view, those first that others refer to.
#[must_use]
pub fn views() -> &'static [View] {
    static VIEWS: LazyLock<Vec<View>> = LazyLock::new(definitions::all);
    &VIEWS
}

/// Returns the view of that name.
#[must_use]
pub fn view(name: &str) -> Option<&'static View> {
    views().iter().find(|view| view.name == name)
}
