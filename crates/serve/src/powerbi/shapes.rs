//! The views of schema `bi` as the model relies on them: columns, keys, and what each is.

/// A type of PostgreSQL that Power BI reads without loss or surprise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlType {
    /// `text`
    Text,
    /// `integer`
    Integer,
    /// `bigint`
    Bigint,
    /// `double precision`
    Double,
    /// `numeric(18,6)`
    Price,
    /// `numeric(20,4)`
    Volume,
    /// `date`
    Date,
    /// `timestamp` without zone, UTC
    Timestamp,
}

impl SqlType {
    /// Returns the type as the catalog of PostgreSQL writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Bigint => "bigint",
            Self::Double => "double precision",
            Self::Price => "numeric(18,6)",
            Self::Volume => "numeric(20,4)",
            Self::Date => "date",
            Self::Timestamp => "timestamp without time zone",
        }
    }

    /// Returns the type of the model's column.
    ///
    /// A price is a `double`, which keeps 15 digits: the model's own decimal keeps four behind the
    /// point only.
    pub(super) fn model_name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Integer | Self::Bigint => "int64",
            Self::Double | Self::Price | Self::Volume => "double",
            Self::Date | Self::Timestamp => "dateTime",
        }
    }
}

/// A column of a view.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name in the view and in the model.
    pub name: &'static str,
    /// Its type in the view.
    pub sql_type: SqlType,
    /// What it holds, for people.
    pub about: &'static str,
}

const fn column(name: &'static str, sql_type: SqlType, about: &'static str) -> Column {
    Column { name, sql_type, about }
}

/// A view, which is a table of the model.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name in schema `bi` and in the model.
    pub name: &'static str,
    /// One row of it, for people.
    pub about: &'static str,
    /// Its columns in the view's order.
    pub columns: &'static [Column],
    /// The columns that tell its rows apart.
    pub key: &'static [&'static str],
}

impl Table {
    /// Returns whether others refer to it.
    pub(super) fn is_dimension(&self) -> bool {
        [DIM_SYMBOL, DIM_DATE].contains(&self.name)
    }

    /// Returns the dimensions it refers to, each by the column of the same name in both.
    pub(super) fn references(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        let is_dimension = self.is_dimension();
        let columns = self.columns;
        [("symbol", DIM_SYMBOL), ("date", DIM_DATE)].into_iter().filter(move |(name, _)| {
            !is_dimension && columns.iter().any(|column| column.name == *name)
        })
    }
}

/// The name of the dimension of symbols.
pub(super) const DIM_SYMBOL: &str = "dim_symbol";
/// The name of the dimension of days.
pub(super) const DIM_DATE: &str = "dim_date";

/// Every view, dimensions first.
pub const TABLES: [Table; 7] =
    [SYMBOLS, DAYS, BARS_DAILY, BARS_1M, QUOTES_LATEST, COVERAGE, QUALITY_DAILY];

const SYMBOL: Column = column("symbol", SqlType::Text, "The symbol in the vendor's spelling.");
const DAY: Column = column("date", SqlType::Date, "The day of the market's session.");
const OPEN: Column = column("open", SqlType::Price, "Price at the beginning of the bar.");
const HIGH: Column = column("high", SqlType::Price, "Highest price within the bar.");
const LOW: Column = column("low", SqlType::Price, "Lowest price within the bar.");
const CLOSE: Column = column("close", SqlType::Price, "Price at the end of the bar.");
const VOLUME: Column =
    column("volume", SqlType::Volume, "What was traded within the bar; empty where unknown.");
const PREVIOUS_CLOSE: Column =
    column("previous_close", SqlType::Price, "The close of the session before.");
const CHANGE: Column = column("change", SqlType::Price, "Price less the previous close.");
const CHANGE_PERCENT: Column = column(
    "change_percent",
    SqlType::Double,
    "The change in hundredths of the previous close: 2 is two percent.",
);

const SYMBOLS: Table = Table {
    name: DIM_SYMBOL,
    about: "One row for each symbol of the lake.",
    columns: &[
        SYMBOL,
        column("mic", SqlType::Text, "Market identifier code (ISO 10383) of its exchange."),
        column("name", SqlType::Text, "Name of the company or fund, where known."),
        column("first_date", SqlType::Date, "First day it was seen."),
        column("last_date", SqlType::Date, "Last day it was seen."),
    ],
    key: &["symbol"],
};

const DAYS: Table = Table {
    name: DIM_DATE,
    about: "One row for each day from the first to the last of the lake; the date table.",
    columns: &[
        column("date", SqlType::Date, "The day."),
        column("year", SqlType::Integer, "Year."),
        column("quarter", SqlType::Integer, "Quarter, 1 to 4."),
        column("month", SqlType::Integer, "Month, 1 to 12."),
        column("month_name", SqlType::Text, "Name of the month, sorted as in the year."),
        column("year_month", SqlType::Integer, "Year and month as one number, such as 201902."),
        column("week", SqlType::Integer, "Week of the year (ISO 8601)."),
        column("day", SqlType::Integer, "Day of the month."),
        column("weekday", SqlType::Integer, "Day of the week, 1 is Monday."),
        column("weekday_name", SqlType::Text, "Name of the weekday, sorted from Monday."),
    ],
    key: &["date"],
};

const BARS_DAILY: Table = Table {
    name: "bars_daily",
    about: "One bar for each symbol and session: the vendor's own, or made of the day so far.",
    columns: &[SYMBOL, DAY, OPEN, HIGH, LOW, CLOSE, VOLUME, PREVIOUS_CLOSE, CHANGE, CHANGE_PERCENT],
    key: &["symbol", "date"],
};

const BARS_1M: Table = Table {
    name: "bars_1m",
    about: "One bar for each symbol and minute of the regular session.",
    columns: &[
        SYMBOL,
        column("ts", SqlType::Timestamp, "Beginning of the minute, UTC."),
        DAY,
        column("hour", SqlType::Integer, "Hour of the day, UTC."),
        column("minute", SqlType::Integer, "Minute of the hour."),
        OPEN,
        HIGH,
        LOW,
        CLOSE,
        VOLUME,
    ],
    key: &["symbol", "ts"],
};

const QUOTES_LATEST: Table = Table {
    name: "quotes_latest",
    about: "The newest quote of each symbol.",
    columns: &[
        SYMBOL,
        column("ts", SqlType::Timestamp, "Market time of the price, UTC."),
        column("price", SqlType::Price, "The newest price."),
        PREVIOUS_CLOSE,
        CHANGE,
        CHANGE_PERCENT,
        VOLUME,
    ],
    key: &["symbol"],
};

const COVERAGE: Table = Table {
    name: "coverage",
    about: "What there is of each symbol and session.",
    columns: &[
        SYMBOL,
        DAY,
        column("bars", SqlType::Integer, "Bars of the shortest interval there is."),
        column("first_ts", SqlType::Timestamp, "Beginning of the first of them, UTC."),
        column("last_ts", SqlType::Timestamp, "Beginning of the last of them, UTC."),
        column("minutes_missing", SqlType::Integer, "Minutes of the session so far without a bar."),
    ],
    key: &["symbol", "date"],
};

const QUALITY_DAILY: Table = Table {
    name: "quality_daily",
    about: "What became of the rows of each session.",
    columns: &[
        DAY,
        column("rows", SqlType::Bigint, "Rows that kept every rule and are in silver."),
        column("rejected", SqlType::Bigint, "Rows that broke a rule and are in quarantine."),
        column("revised", SqlType::Bigint, "Rows kept that replaced a known value."),
    ],
    key: &["date"],
};
