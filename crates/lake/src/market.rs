//! Market functions of SQL: averages weighted by volume and time, moving averages, bars of another
//! length, and tables as they were known at a moment.
//!
//! What they compute is here, apart from the engine: [`vwap`], [`twap`] and [`average`] take one
//! value after the other, [`length`] knows which bar a moment belongs to. [`udf`] hands all of them
//! to the engine. [`expand`] puts queries in the place of the table functions, before the engine
//! sees them: so they are planned, limited and filtered like any other query, and take parameters.

use chrono::{DateTime, Utc};
use datafusion::error::DataFusionError;

mod as_of;
mod average;
mod exact;
mod expand;
mod functions;
mod length;
mod resample;
mod twap;
pub(crate) mod udf;
mod vwap;

pub use self::{
    expand::{expand, is_table_function},
    functions::{FUNCTIONS, Function, FunctionKind},
};

/// Longest window of a moving average: each partition that is being read keeps one in memory.
const PERIODS_MAX: i64 = 10_000;

/// A market function was called in a way that has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarketError {
    /// Wrong arguments.
    #[error("{function} is called as {usage}")]
    Usage {
        /// The function's name.
        function: &'static str,
        /// How it is meant to be called.
        usage: &'static str,
    },
    /// A moving average without OVER or an order, or with a FILTER.
    #[error(
        "{function} is a window function of rows in an order: write {function}(close, 20) OVER \
         (PARTITION BY symbol ORDER BY ts_start), and leave out rows by WHERE"
    )]
    WithoutOver {
        /// The function's name.
        function: &'static str,
    },
    /// The text is no length of bars.
    #[error(
        "`{text}` is no length of bars: write minutes or hours within the session of 6h30m, such \
         as '15m' or '2h', or '1d' for the whole session"
    )]
    Length {
        /// What was given.
        text: String,
    },
    /// A bar belongs to two of the wanted length.
    #[error(
        "the bar from {start} to {end} lies across two bars of {length}: choose a length that the \
         bars divide, counted from the open"
    )]
    Across {
        /// The start of the bar.
        start: DateTime<Utc>,
        /// Its end.
        end: DateTime<Utc>,
        /// The length that was asked for.
        length: String,
    },
    /// A table that is not made of bars of one length.
    #[error(
        "resample makes bars of gold.bar_1m, bar_5m, bar_15m or bar_1h, of as_of(…) one of them, \
         or of a query with their columns, and not of `{table}`"
    )]
    NoBars {
        /// The table, as it was named.
        table: String,
    },
    /// A table whose past is not known.
    #[error("as_of knows the past of {known}, and not of `{table}`")]
    NoPast {
        /// The table, as it was named.
        table: String,
        /// The tables whose past is known.
        known: String,
    },
    /// The number of periods is none.
    #[error(
        "the second argument of {function}, how many values it averages, must be 1 to \
         {PERIODS_MAX}, and not {given}"
    )]
    Periods {
        /// The function's name.
        function: &'static str,
        /// What was given.
        given: String,
    },
    /// The number of periods differs between rows.
    #[error("the second argument of {function} must be the same for all rows")]
    PeriodsDiffer {
        /// The function's name.
        function: &'static str,
    },
    /// A result or a sum has too many digits.
    #[error("the result of {function} is out of range: cast its arguments to fewer digits")]
    OutOfRange {
        /// The function's name.
        function: &'static str,
    },
}

impl From<MarketError> for DataFusionError {
    fn from(error: MarketError) -> Self {
        Self::External(Box::new(error))
    }
}
