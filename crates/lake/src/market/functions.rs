//! The list of the market functions, for whoever shows functions to people.

use super::average::Weights;

/// A function as a catalog describes it.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// The name.
    pub name: &'static str,
    /// How it is used.
    pub kind: FunctionKind,
    /// The arguments, as PostgreSQL writes them.
    pub arguments: &'static str,
    /// The result, as PostgreSQL writes it.
    pub result: &'static str,
    /// What it returns, in a sentence.
    pub comment: &'static str,
}

/// How a function is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// Once per row.
    Scalar,
    /// Over a group, or over a window.
    Aggregate,
    /// With OVER.
    Window,
    /// In FROM.
    Table,
}

pub(super) const VWAP: &str = "vwap";
pub(super) const TWAP: &str = "twap";
pub(super) const BAR_START: &str = "bar_start";
pub(super) const BAR_END: &str = "bar_end";
pub(super) const RESAMPLE: &str = "resample";
pub(super) const AS_OF: &str = "as_of";

/// A moving average.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Moving {
    Over(Weights),
    Exponential,
}

/// The moving averages by their names.
pub(super) const MOVING: [(&str, Moving); 3] = [
    ("sma", Moving::Over(Weights::Equal)),
    ("wma", Moving::Over(Weights::Rising)),
    ("ema", Moving::Exponential),
];

/// Every market function.
pub const FUNCTIONS: [Function; 9] = [
    Function {
        name: VWAP,
        kind: FunctionKind::Aggregate,
        arguments: "price numeric, volume numeric",
        result: "numeric",
        comment: "volume-weighted average price",
    },
    Function {
        name: TWAP,
        kind: FunctionKind::Aggregate,
        arguments: "price numeric, ts timestamp with time zone",
        result: "numeric",
        comment: "time-weighted average price",
    },
    Function {
        name: "sma",
        kind: FunctionKind::Window,
        arguments: "x numeric, n bigint",
        result: "numeric",
        comment: "simple average of the last n values",
    },
    Function {
        name: "wma",
        kind: FunctionKind::Window,
        arguments: "x numeric, n bigint",
        result: "numeric",
        comment: "average of the last n values, the newest weighing most",
    },
    Function {
        name: "ema",
        kind: FunctionKind::Window,
        arguments: "x double precision, n bigint",
        result: "double precision",
        comment: "exponential average with alpha = 2 / (n + 1)",
    },
    Function {
        name: BAR_START,
        kind: FunctionKind::Scalar,
        arguments: "length text, ts timestamp with time zone",
        result: "timestamp with time zone",
        comment: "start of the bar of its session that a moment belongs to",
    },
    Function {
        name: BAR_END,
        kind: FunctionKind::Scalar,
        arguments: "length text, ts timestamp with time zone",
        result: "timestamp with time zone",
        comment: "end of the bar of its session that a moment belongs to",
    },
    Function {
        name: RESAMPLE,
        kind: FunctionKind::Table,
        arguments: "bars text, length text",
        result: "SETOF record",
        comment: "bars of another length",
    },
    Function {
        name: AS_OF,
        kind: FunctionKind::Table,
        arguments: "table_name text, ts timestamp with time zone",
        result: "SETOF record",
        comment: "a table as it was known at a moment",
    },
];
