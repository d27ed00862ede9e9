//! What stands on which page of the report, and where.

use serde_json::json;

use super::{
    report::{FALL, LONG_MEAN, PLAIN, RISE, SHORT_MEAN},
    shapes::{DIM_DATE, DIM_SYMBOL},
    visual::{
        Field, Place, Sort, Title, Visual, color, error_bars, number, rule, series_rule, text,
        truth,
    },
};

/// The size of every page in pixels: 16 to 9, as screens are.
pub(super) const WIDTH: u32 = 1280;
pub(super) const HEIGHT: u32 = 720;

/// Around and between visuals.
const GAP: u32 = 12;
/// The row of slicers and cards on top.
const TOP_HEIGHT: u32 = 88;
const BELOW_TOP: u32 = GAP + TOP_HEIGHT + GAP;
const REST: u32 = HEIGHT - BELOW_TOP - GAP;
const FULL: u32 = WIDTH - 2 * GAP;
/// A chart of prices, with columns of volume below.
const CHART_HEIGHT: u32 = 410;

const SYMBOL: Field = Field::Column(DIM_SYMBOL, "symbol");
const NAME: Field = Field::Column(DIM_SYMBOL, "name");
const DAY: Field = Field::Column(DIM_DATE, "date");
const MONTH: Field = Field::Column(DIM_DATE, "year_month");

/// A page of the report.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// Its name, which is its folder's.
    pub(super) name: &'static str,
    /// What its tab says.
    pub(super) title: &'static str,
    /// What is on it, in the order of the Tab key.
    pub(super) visuals: Vec<Visual>,
}

/// Returns the pages in the order of their tabs.
pub(super) fn all() -> Vec<Page> {
    vec![candles(), intraday(), movers(), coverage(), quality()]
}

/// The columns of volume below a chart of prices.
fn volumes(
    name: &'static str,
    title: &'static str,
    about: &'static str,
    time: Field,
    measure: &'static str,
) -> Visual {
    Visual {
        sort: Some((time, Sort::Ascending)),
        objects: vec![("categoryAxis", untitled()), ("valueAxis", untitled())],
        ..visual(
            name,
            "columnChart",
            place(GAP, BELOW_TOP + CHART_HEIGHT + GAP, FULL, REST - CHART_HEIGHT - GAP),
            title,
            about,
            vec![("Category", vec![time]), ("Y", vec![Field::Measure(measure)])],
        )
    }
}

fn candles() -> Page {
    let visuals = vec![
        one_symbol(),
        days(1),
        card("close", 2, "Last Close", "Close of the last day in view."),
        card("change", 3, "Price Change %", "Change against the day before."),
        card("return", 4, "Period Return %", "Change over all days in view."),
        card("volume", 5, "Total Volume", "Volume of all days in view."),
        candle_chart(place(GAP, BELOW_TOP, FULL, CHART_HEIGHT)),
        Visual {
            objects: vec![("categoryAxis", by_category()), ("valueAxis", untitled())],
            ..volumes("volumes", "Volume", "Columns: volume of each day.", DAY, "Total Volume")
        },
    ];
    Page { name: "candles", title: "Candles", visuals }
}

/// Power BI has no candles of its own: here a line without strokes carries bars from low to high,
/// and two more carry the bodies, one for days that rose and one for days that fell.
fn candle_chart(place: Place) -> Visual {
    let [wick, rise, fall] = ["Candle Wick", "Candle Rise", "Candle Fall"].map(Field::Measure);
    let [short, long] = ["Moving Average 20", "Moving Average 50"].map(Field::Measure);
    let hidden = json!({"strokeShow": truth(false), "showMarker": truth(false)});
    let mut objects = vec![
        ("categoryAxis", by_category()),
        ("valueAxis", untitled()),
        ("legend", rule(json!({"show": truth(false)}))),
        ("lineStyles", rule(hidden)),
    ];
    for (series, paint) in [(short, SHORT_MEAN), (long, LONG_MEAN)] {
        let thin = json!({"strokeShow": truth(true), "strokeWidth": number(2)});
        objects.push(("lineStyles", series_rule(series, thin)));
        objects.push(("dataPoint", series_rule(series, json!({"fill": color(paint)}))));
    }
    objects.extend(error_bars(wick, ["Period Low", "Period High"], (1, PLAIN)));
    objects.extend(error_bars(rise, ["First Open", "Last Close"], (7, RISE)));
    objects.extend(error_bars(fall, ["Last Close", "First Open"], (7, FALL)));
    let prices = ["First Open", "Period High", "Period Low", "Last Close", "Price Change %"];
    Visual {
        title: Title::Measure("Candle Title"),
        sort: Some((DAY, Sort::Ascending)),
        objects,
        ..visual(
            "candles",
            "lineChart",
            place,
            "",
            "Candles of one symbol, a day each, with its moving averages over 20 and 50 sessions.",
            vec![
                ("Category", vec![DAY]),
                ("Y", vec![wick, rise, fall, short, long]),
                ("Tooltips", prices.map(Field::Measure).to_vec()),
            ],
        )
    }
}

fn intraday() -> Page {
    let moment = Field::Column("bars_1m", "ts");
    let close = Field::Measure("Minute Close");
    let visuals = vec![
        one_symbol(),
        days(1),
        card("price", 2, "Last Price", "The newest price."),
        card("newest", 3, "Newest Quote UTC", "When the newest price was true, UTC."),
        card("vwap", 4, "VWAP", "Average price weighted by volume, from minutes in view."),
        card("volume", 5, "Minute Volume", "Volume of the minutes in view."),
        Visual {
            sort: Some((moment, Sort::Ascending)),
            objects: vec![
                ("categoryAxis", untitled()),
                ("valueAxis", untitled()),
                ("legend", rule(json!({"show": truth(false)}))),
            ],
            ..visual(
                "minutes",
                "lineChart",
                place(GAP, BELOW_TOP, FULL, CHART_HEIGHT),
                "Price by minute (UTC)",
                "Line: close of each minute of one symbol.",
                vec![("Category", vec![moment]), ("Y", vec![close])],
            )
        },
        volumes(
            "minute-volumes",
            "Volume by minute (UTC)",
            "Columns: volume of each minute.",
            moment,
            "Minute Volume",
        ),
    ];
    Page { name: "intraday", title: "Intraday", visuals }
}

fn movers() -> Page {
    let half = (REST - GAP) / 2;
    let chart_width = 420;
    let ranking = |name, title, about, measure: &'static str, top, paint, sort| Visual {
        sort: Some((Field::Measure(measure), sort)),
        objects: vec![
            ("categoryAxis", untitled()),
            ("valueAxis", untitled()),
            ("labels", rule(json!({"show": truth(true)}))),
            ("dataPoint", rule(json!({"fill": color(paint)}))),
        ],
        ..visual(
            name,
            "barChart",
            place(GAP, top, chart_width, half),
            title,
            about,
            vec![("Category", vec![SYMBOL]), ("Y", vec![Field::Measure(measure)])],
        )
    };
    let columns = [
        "Last Close",
        "Price Change",
        "Price Change %",
        "Period Return %",
        "Total Volume",
        "Last Price",
        "Quote Change %",
    ];
    let columns = [SYMBOL, NAME].into_iter().chain(columns.map(Field::Measure)).collect();
    let table_x = GAP + chart_width + GAP;
    let visuals = vec![
        symbols(),
        days(1),
        card("up", 2, "Symbols Up", "Symbols that rose on their last day in view."),
        card("down", 3, "Symbols Down", "Symbols that fell on their last day in view."),
        card("volume", 4, "Total Volume", "Volume of all symbols and days in view."),
        card("newest", 5, "Newest Quote UTC", "When the newest price was true, UTC."),
        ranking(
            "gainers",
            "Risen most",
            "Bars: the ten symbols that rose most.",
            "Gainer %",
            BELOW_TOP,
            RISE,
            Sort::Descending,
        ),
        ranking(
            "losers",
            "Fallen most",
            "Bars: the ten symbols that fell most.",
            "Loser %",
            BELOW_TOP + half + GAP,
            FALL,
            Sort::Ascending,
        ),
        Visual {
            sort: Some((Field::Measure("Price Change %"), Sort::Descending)),
            ..visual(
                "symbols",
                "tableEx",
                place(table_x, BELOW_TOP, WIDTH - table_x - GAP, REST),
                "All symbols",
                "Table: prices, changes and volume of each symbol.",
                vec![("Values", columns)],
            )
        },
    ];
    Page { name: "movers", title: "Movers", visuals }
}

fn coverage() -> Page {
    let chart_height = 200;
    let visuals = vec![
        symbols(),
        days(1),
        card("symbols", 2, "Symbols Covered", "Symbols with bars."),
        card("days", 3, "Days Covered", "Days with bars."),
        card("missing", 4, "Minutes Missing", "Minutes without a bar."),
        card("complete", 5, "Complete Sessions %", "Sessions without a missing minute."),
        Visual {
            sort: Some((DAY, Sort::Ascending)),
            objects: vec![("categoryAxis", untitled()), ("valueAxis", untitled())],
            ..visual(
                "missing-by-day",
                "columnChart",
                place(GAP, BELOW_TOP, FULL, chart_height),
                "Minutes missing by day",
                "Columns: minutes without a bar on each day.",
                vec![("Category", vec![DAY]), ("Y", vec![Field::Measure("Minutes Missing")])],
            )
        },
        Visual {
            ..visual(
                "by-month",
                "pivotTable",
                place(GAP, BELOW_TOP + chart_height + GAP, FULL, REST - chart_height - GAP),
                "Complete sessions by symbol and month",
                "Matrix: share of sessions without a missing minute, by symbol and month.",
                vec![
                    ("Rows", vec![SYMBOL]),
                    ("Columns", vec![MONTH]),
                    ("Values", vec![Field::Measure("Complete Sessions %")]),
                ],
            )
        },
    ];
    Page { name: "coverage", title: "Coverage", visuals }
}

fn quality() -> Page {
    let chart_height = 280;
    let [kept, rejected, revised, share] =
        ["Rows Kept", "Rows Rejected", "Rows Revised", "Rejected %"].map(Field::Measure);
    let visuals = vec![
        days(0),
        card("kept", 2, "Rows Kept", "Rows that kept every rule."),
        card("rejected", 3, "Rows Rejected", "Rows that broke a rule."),
        card("revised", 4, "Rows Revised", "Rows that replaced a known value."),
        card("share", 5, "Rejected %", "Rejected rows as a share of all."),
        Visual {
            sort: Some((DAY, Sort::Ascending)),
            objects: vec![("categoryAxis", untitled()), ("valueAxis", untitled())],
            ..visual(
                "by-day",
                "clusteredColumnChart",
                place(GAP, BELOW_TOP, FULL, chart_height),
                "Rejected and revised by day",
                "Columns: rejected and revised rows of each day.",
                vec![("Category", vec![DAY]), ("Y", vec![rejected, revised])],
            )
        },
        Visual {
            sort: Some((DAY, Sort::Descending)),
            ..visual(
                "days",
                "tableEx",
                place(GAP, BELOW_TOP + chart_height + GAP, FULL, REST - chart_height - GAP),
                "By day",
                "Table: rows kept, rejected and revised on each day.",
                vec![("Values", vec![DAY, kept, rejected, revised, share])],
            )
        },
    ];
    Page { name: "quality", title: "Quality", visuals }
}

fn place(x: u32, y: u32, width: u32, height: u32) -> Place {
    Place { x, y, width, height }
}

/// One of the six places in the top row.
fn top_place(slot: u32) -> Place {
    let width = (FULL - 5 * GAP) / 6;
    place(GAP + slot * (width + GAP), GAP, width, TOP_HEIGHT)
}

fn visual(
    name: &'static str,
    kind: &'static str,
    place: Place,
    title: &'static str,
    about: &'static str,
    roles: Vec<(&'static str, Vec<Field>)>,
) -> Visual {
    let title = Title::Text(title);
    Visual { name, kind, place, title, about, roles, sort: None, objects: Vec::new(), group: None }
}

fn card(name: &'static str, slot: u32, measure: &'static str, about: &'static str) -> Visual {
    Visual {
        objects: vec![
            ("labels", rule(json!({"fontSize": number(20), "labelDisplayUnits": number(0)}))),
            // The title says it already.
            ("categoryLabels", rule(json!({"show": truth(false)}))),
        ],
        ..visual(
            name,
            "card",
            top_place(slot),
            measure,
            about,
            vec![("Values", vec![Field::Measure(measure)])],
        )
    }
}

/// Chooses exactly one symbol, for pages that show prices; the same on all of them.
fn one_symbol() -> Visual {
    let one = json!({"strictSingleSelect": truth(true)});
    let about = "Chooses the symbol that is shown.";
    Visual {
        group: Some("symbol"),
        ..slicer(("choose-symbol", "Symbol", about), 0, SYMBOL, "Dropdown", Some(one))
    }
}

/// Chooses any symbols.
fn symbols() -> Visual {
    let any = json!({
        "selectAllCheckboxEnabled": truth(true), "singleSelect": truth(false),
    });
    let about = "Chooses the symbols that are counted.";
    Visual {
        group: Some("symbols"),
        ..slicer(("choose-symbols", "Symbols", about), 0, SYMBOL, "Dropdown", Some(any))
    }
}

/// Chooses the first and last day; the same on every page.
fn days(slot: u32) -> Visual {
    let about = "Chooses the first and the last day that are shown.";
    Visual {
        group: Some("days"),
        ..slicer(("choose-days", "Days", about), slot, DAY, "Between", None)
    }
}

fn slicer(
    (name, title, about): (&'static str, &'static str, &'static str),
    slot: u32,
    field: Field,
    mode: &str,
    selection: Option<serde_json::Value>,
) -> Visual {
    let mut objects = vec![
        ("data", rule(json!({"mode": text(mode)}))),
        // The title says it already.
        ("header", rule(json!({"show": truth(false)}))),
    ];
    objects.extend(selection.map(|selection| ("selection", rule(selection))));
    let roles = vec![("Values", vec![field])];
    Visual { objects, ..visual(name, "slicer", top_place(slot), title, about, roles) }
}

/// An axis without a title: the visual's own says it.
fn untitled() -> serde_json::Value {
    rule(json!({"showAxisTitle": truth(false)}))
}

/// An axis that shows the days there are, and no gap where a weekend is.
fn by_category() -> serde_json::Value {
    rule(json!({"showAxisTitle": truth(false), "axisType": text("Categorical")}))
}
