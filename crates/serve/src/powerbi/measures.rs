//! What is counted from the tables: every measure of the model, its formula in DAX, and its format.
//!
//! Prices mean something for one symbol only, so every measure of a price is empty where several
//! are in view. A measure reads the days and symbols that its visual and the slicers leave.

/// A measure of the model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    pub(super) name: &'static str,
    /// The table whose measure it is; the first of its formula.
    pub(super) table: &'static str,
    /// The folder it is shown in.
    pub(super) folder: &'static str,
    /// What it says, for people.
    pub(super) about: &'static str,
    /// How it is shown; empty for text.
    pub(super) format: &'static str,
    /// Its formula.
    pub(super) dax: &'static str,
}

const PRICE: &str = "#,0.00##";
const PRICE_CHANGE: &str = "+#,0.00##;-#,0.00##;0.00";
const PERCENT: &str = "0.00%";
const PERCENT_CHANGE: &str = "+0.00%;-0.00%;0.00%";
const COUNT: &str = "#,0";
const MOMENT: &str = "yyyy-mm-dd hh:nn:ss";
const TEXT: &str = "";

/// Returns every measure, table by table, in the order in which they are written.
pub(super) fn all() -> impl Iterator<Item = &'static Measure> {
    [DAILY, CANDLES, MOVERS, MINUTES, QUOTES, COVERAGE, QUALITY].into_iter().flatten()
}

const fn daily(
    name: &'static str,
    format: &'static str,
    about: &'static str,
    dax: &'static str,
) -> Measure {
    Measure { name, table: "bars_daily", folder: "Prices", about, format, dax }
}

/// The mean of so many sessions, looked for in so many days.
macro_rules! moving_average {
    ($sessions:literal, $days:literal) => {
        daily(
            concat!("Moving Average ", $sessions),
            PRICE,
            concat!(
                "Mean of the last ",
                $sessions,
                " closes up to the day, of one symbol; empty before there are ",
                $sessions,
                "."
            ),
            concat!(
                "VAR LastDay = MAX ( bars_daily[date] )
VAR Near =
    CALCULATETABLE (
        SELECTCOLUMNS ( bars_daily, \"@day\", bars_daily[date], \"@close\", bars_daily[close] ),
        REMOVEFILTERS ( dim_date ),
        bars_daily[date] > LastDay - ",
                $days,
                ",
        bars_daily[date] <= LastDay
    )
VAR Sessions = TOPN ( ",
                $sessions,
                ", Near, [@day], DESC )
RETURN
    IF (
        HASONEVALUE ( dim_symbol[symbol] ) && COUNTROWS ( Sessions ) = ",
                $sessions,
                ",
        AVERAGEX ( Sessions, [@close] )
    )"
            ),
        )
    };
}

const DAILY: &[Measure] = &[
    daily(
        "First Open",
        PRICE,
        "Open of the first day in view, of one symbol.",
        "VAR FirstDay = MIN ( bars_daily[date] )
RETURN
    IF (
        HASONEVALUE ( dim_symbol[symbol] ),
        CALCULATE ( MIN ( bars_daily[open] ), bars_daily[date] = FirstDay )
    )",
    ),
    daily(
        "Period High",
        PRICE,
        "Highest price of the days in view, of one symbol.",
        "IF ( HASONEVALUE ( dim_symbol[symbol] ), MAX ( bars_daily[high] ) )",
    ),
    daily(
        "Period Low",
        PRICE,
        "Lowest price of the days in view, of one symbol.",
        "IF ( HASONEVALUE ( dim_symbol[symbol] ), MIN ( bars_daily[low] ) )",
    ),
    daily(
        "Last Close",
        PRICE,
        "Close of the last day in view, of one symbol.",
        "VAR LastDay = MAX ( bars_daily[date] )
RETURN
    IF (
        HASONEVALUE ( dim_symbol[symbol] ),
        CALCULATE ( MAX ( bars_daily[close] ), bars_daily[date] = LastDay )
    )",
    ),
    daily(
        "Previous Close",
        PRICE,
        "Close of the day before the last day in view, of one symbol.",
        "VAR LastDay = MAX ( bars_daily[date] )
RETURN
    IF (
        HASONEVALUE ( dim_symbol[symbol] ),
        CALCULATE ( MAX ( bars_daily[previous_close] ), bars_daily[date] = LastDay )
    )",
    ),
    daily(
        "Price Change",
        PRICE_CHANGE,
        "Last close less the previous close; empty on a symbol's first day.",
        "VAR Before = [Previous Close]
RETURN
    IF ( NOT ISBLANK ( Before ), [Last Close] - Before )",
    ),
    daily(
        "Price Change %",
        PERCENT_CHANGE,
        "Change as a share of the previous close.",
        "DIVIDE ( [Price Change], [Previous Close] )",
    ),
    daily(
        "Period Return %",
        PERCENT_CHANGE,
        "From the first open to the last close in view, as a share of that open.",
        "DIVIDE ( [Last Close] - [First Open], [First Open] )",
    ),
    daily(
        "Total Volume",
        COUNT,
        "What was traded on the days in view.",
        "SUM ( bars_daily[volume] )",
    ),
    daily(
        "Average Daily Volume",
        COUNT,
        "Volume of a symbol and day, on average over those that have one.",
        "AVERAGE ( bars_daily[volume] )",
    ),
    daily(
        "Turnover Estimate",
        COUNT,
        "Close times volume, summed over days: near to what was paid, and not exactly it.",
        "SUMX ( bars_daily, bars_daily[close] * bars_daily[volume] )",
    ),
    daily(
        "Typical Price VWAP",
        PRICE,
        "Average of (high + low + close) / 3 weighted by volume, from days; VWAP is from minutes.",
        "VAR Known = FILTER ( bars_daily, NOT ISBLANK ( bars_daily[volume] ) )
RETURN
    IF (
        HASONEVALUE ( dim_symbol[symbol] ),
        DIVIDE (
            SUMX (
                Known,
                ( bars_daily[high] + bars_daily[low] + bars_daily[close] ) / 3 * bars_daily[volume]
            ),
            SUMX ( Known, bars_daily[volume] )
        )
    )",
    ),
    // Twenty sessions fit into 40 days, fifty into 90: holidays never come so thick. A span that is
    // bounded keeps what DirectQuery has to ask for small.
    moving_average!("20", "40"),
    moving_average!("50", "90"),
];

const fn candle(name: &'static str, about: &'static str, dax: &'static str) -> Measure {
    Measure { name, table: "bars_daily", folder: "Candles", about, format: PRICE, dax }
}

const CANDLES: &[Measure] = &[
    candle(
        "Candle Wick",
        "Where a candle's thin line hangs: it reaches from low to high.",
        "[Last Close]",
    ),
    candle(
        "Candle Rise",
        "Where the body of a rising candle hangs: it reaches from open to close.",
        "IF ( [First Open] <= [Last Close], [Last Close] )",
    ),
    candle(
        "Candle Fall",
        "Where the body of a falling candle hangs: it reaches from close to open.",
        "IF ( [Last Close] < [First Open], [Last Close] )",
    ),
    Measure {
        name: "Candle Title",
        table: "bars_daily",
        folder: "Candles",
        about: "Whose candles are shown, or that one symbol has to be chosen.",
        format: TEXT,
        dax: "IF (
    HASONEVALUE ( dim_symbol[symbol] ),
    SELECTEDVALUE ( dim_symbol[symbol] ) & \": daily bars\",
    \"Choose one symbol\"
)",
    },
];

const fn mover(
    name: &'static str,
    format: &'static str,
    about: &'static str,
    dax: &'static str,
) -> Measure {
    Measure { name, table: "bars_daily", folder: "Movers", about, format, dax }
}

const MOVERS: &[Measure] = &[
    mover(
        "Gainer %",
        PERCENT_CHANGE,
        "Change of the ten symbols that rose most on their last day in view; else empty.",
        "VAR Own = [Price Change %]
VAR Place = RANKX ( ALLSELECTED ( dim_symbol[symbol] ), [Price Change %], , DESC )
RETURN
    IF ( 0 < Own && Place <= 10, Own )",
    ),
    mover(
        "Loser %",
        PERCENT_CHANGE,
        "Change of the ten symbols that fell most on their last day in view; else empty.",
        "VAR Own = [Price Change %]
VAR Place = RANKX ( ALLSELECTED ( dim_symbol[symbol] ), [Price Change %], , ASC )
RETURN
    IF ( Own < 0 && Place <= 10, Own )",
    ),
    mover(
        "Symbols Up",
        COUNT,
        "Symbols whose last close in view is above the one before it.",
        "COUNTROWS ( FILTER ( VALUES ( dim_symbol[symbol] ), 0 < [Price Change %] ) ) + 0",
    ),
    mover(
        "Symbols Down",
        COUNT,
        "Symbols whose last close in view is below the one before it.",
        "COUNTROWS ( FILTER ( VALUES ( dim_symbol[symbol] ), [Price Change %] < 0 ) ) + 0",
    ),
];

const fn minute(
    name: &'static str,
    format: &'static str,
    about: &'static str,
    dax: &'static str,
) -> Measure {
    Measure { name, table: "bars_1m", folder: "Intraday", about, format, dax }
}

const MINUTES: &[Measure] = &[
    minute(
        "Minute Close",
        PRICE,
        "Close of the last minute in view, of one symbol.",
        "VAR LastMinute = MAX ( bars_1m[ts] )
RETURN
    IF (
        HASONEVALUE ( dim_symbol[symbol] ),
        CALCULATE ( MAX ( bars_1m[close] ), bars_1m[ts] = LastMinute )
    )",
    ),
    minute(
        "Minute Volume",
        COUNT,
        "What was traded in the minutes in view.",
        "SUM ( bars_1m[volume] )",
    ),
    minute(
        "VWAP",
        PRICE,
        "Average of (high + low + close) / 3 of minutes weighted by volume, of one symbol; empty \
         where no volume is known.",
        "VAR Known = FILTER ( bars_1m, NOT ISBLANK ( bars_1m[volume] ) )
RETURN
    IF (
        HASONEVALUE ( dim_symbol[symbol] ),
        DIVIDE (
            SUMX (
                Known,
                ( bars_1m[high] + bars_1m[low] + bars_1m[close] ) / 3 * bars_1m[volume]
            ),
            SUMX ( Known, bars_1m[volume] )
        )
    )",
    ),
];

const fn quote(
    name: &'static str,
    format: &'static str,
    about: &'static str,
    dax: &'static str,
) -> Measure {
    Measure { name, table: "quotes_latest", folder: "Quotes", about, format, dax }
}

const QUOTES: &[Measure] = &[
    quote(
        "Last Price",
        PRICE,
        "The newest price, of one symbol; dates that are chosen do not change it.",
        "IF ( HASONEVALUE ( dim_symbol[symbol] ), MAX ( quotes_latest[price] ) )",
    ),
    quote(
        "Quote Change %",
        PERCENT_CHANGE,
        "The newest price against the previous close, of one symbol.",
        "IF (
    HASONEVALUE ( dim_symbol[symbol] ),
    DIVIDE ( MAX ( quotes_latest[change] ), MAX ( quotes_latest[previous_close] ) )
)",
    ),
    quote(
        "Newest Quote UTC",
        MOMENT,
        "When the newest quote in view was true, UTC: how fresh the data is.",
        "MAX ( quotes_latest[ts] )",
    ),
];

const fn covered(
    name: &'static str,
    format: &'static str,
    about: &'static str,
    dax: &'static str,
) -> Measure {
    Measure { name, table: "coverage", folder: "Coverage", about, format, dax }
}

const COVERAGE: &[Measure] = &[
    covered(
        "Symbols Covered",
        COUNT,
        "Symbols with at least one bar.",
        "CALCULATE ( DISTINCTCOUNT ( coverage[symbol] ), coverage[bars] > 0 ) + 0",
    ),
    covered(
        "Days Covered",
        COUNT,
        "Days with at least one bar.",
        "CALCULATE ( DISTINCTCOUNT ( coverage[date] ), coverage[bars] > 0 ) + 0",
    ),
    covered(
        "Bar Count",
        COUNT,
        "Bars of the shortest interval there is.",
        "SUM ( coverage[bars] )",
    ),
    covered(
        "Minutes Missing",
        COUNT,
        "Minutes of sessions without a bar.",
        "SUM ( coverage[minutes_missing] )",
    ),
    covered(
        "Complete Sessions %",
        PERCENT,
        "Sessions of a symbol without a missing minute, as a share of all there are.",
        "VAR Whole = CALCULATE ( COUNTROWS ( coverage ), coverage[minutes_missing] = 0 )
RETURN
    DIVIDE ( Whole + 0, COUNTROWS ( coverage ) )",
    ),
];

const fn checked(
    name: &'static str,
    format: &'static str,
    about: &'static str,
    dax: &'static str,
) -> Measure {
    Measure { name, table: "quality_daily", folder: "Quality", about, format, dax }
}

const QUALITY: &[Measure] = &[
    checked(
        "Rows Kept",
        COUNT,
        "Rows that kept every rule and are in silver.",
        "SUM ( quality_daily[rows] )",
    ),
    checked(
        "Rows Rejected",
        COUNT,
        "Rows that broke a rule and are in quarantine.",
        "SUM ( quality_daily[rejected] )",
    ),
    checked(
        "Rows Revised",
        COUNT,
        "Rows kept that replaced a known value.",
        "SUM ( quality_daily[revised] )",
    ),
    checked(
        "Rejected %",
        "0.000%",
        "Rejected rows as a share of kept and rejected ones.",
        "DIVIDE ( [Rows Rejected] + 0, [Rows Kept] + [Rows Rejected] )",
    ),
];
