//! Random rows in random files against random predicates: no row that is wanted is left out.

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::json;

use super::{tests::columns, *};

/// The values of a row; its day is that of its file.
#[derive(Clone, Debug)]
struct Row {
    n: Option<i64>,
    symbol: Option<String>,
}

#[derive(Clone, Debug)]
struct File {
    day: Option<u32>,
    rows: Vec<Row>,
    has_stats: bool,
}

fn day(number: u32) -> String {
    format!("2026-01-{number:02}")
}

fn files() -> impl Strategy<Value = Vec<File>> {
    let row = (option::of(-2_i64..5), option::of("[a-c]{0,2}"));
    let row = row.prop_map(|(n, symbol)| Row { n, symbol });
    let file = (option::of(1_u32..4), vec(row, 0..5), any::<bool>());
    vec(file.prop_map(|(day, rows, has_stats)| File { day, rows, has_stats }), 0..6)
}

fn predicates() -> impl Strategy<Value = Predicate> {
    let how = || {
        select(vec![
            Comparison::Equal,
            Comparison::Less,
            Comparison::LessOrEqual,
            Comparison::Greater,
            Comparison::GreaterOrEqual,
        ])
    };
    let compare = |column: &'static str| {
        move |(how, literal)| Predicate::Compare { column: column.to_owned(), how, literal }
    };
    let number = (-3_i64..6).prop_map(|number| Literal::Number(number.to_string()));
    let text = "[a-c]{0,2}".prop_map(Literal::Text);
    let date = (0_u32..5).prop_map(|number| Literal::Date(day(number + 1)));
    let leaf = prop_oneof![
        (how(), number).prop_map(compare("n")),
        (how(), text).prop_map(compare("symbol")),
        (how(), date).prop_map(compare("day")),
        select(vec!["n", "symbol", "day"])
            .prop_map(|column| Predicate::IsNull { column: column.to_owned() }),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(Predicate::And),
            vec(inner.clone(), 1..4).prop_map(Predicate::Or),
            inner.prop_map(|part| Predicate::Not(Box::new(part))),
        ]
    })
}

/// Answers for one row as SQL does.
fn holds(predicate: &Predicate, file: &File, row: &Row) -> Option<bool> {
    let all = |parts: &[Predicate], stops_at: bool| {
        let answers: Vec<_> = parts.iter().map(|part| holds(part, file, row)).collect();
        if answers.contains(&Some(stops_at)) {
            Some(stops_at)
        } else if answers.contains(&None) {
            None
        } else {
            Some(!stops_at)
        }
    };
    let order = |column: &str, literal: &Literal| match (column, literal) {
        ("n", Literal::Number(text)) => row.n.map(|n| n.cmp(&text.parse().unwrap())),
        ("symbol", Literal::Text(text)) => row.symbol.as_ref().map(|symbol| symbol.cmp(text)),
        (_, Literal::Date(text)) => file.day.map(|number| day(number).cmp(text)),
        other => panic!("{other:?}"),
    };
    match predicate {
        Predicate::And(parts) => all(parts, false),
        Predicate::Or(parts) => all(parts, true),
        Predicate::Not(part) => holds(part, file, row).map(|answer| !answer),
        Predicate::Compare { column, how, literal } => {
            order(column, literal).map(|order| match how {
                Comparison::Equal => order.is_eq(),
                Comparison::Less => order.is_lt(),
                Comparison::LessOrEqual => order.is_le(),
                Comparison::Greater => order.is_gt(),
                Comparison::GreaterOrEqual => order.is_ge(),
            })
        }
        Predicate::IsNull { column } => Some(match column.as_str() {
            "n" => row.n.is_none(),
            "symbol" => row.symbol.is_none(),
            _ => file.day.is_none(),
        }),
        Predicate::OfType { .. } | Predicate::Unknown => panic!("none is made here"),
    }
}

/// Returns a file as the log tells of it.
fn told(number: usize, file: &File) -> TableFile {
    let (mut least, mut most) = (json!({}), json!({}));
    let numbers = || file.rows.iter().filter_map(|row| row.n);
    let symbols = || file.rows.iter().filter_map(|row| row.symbol.as_ref());
    if let Some((low, high)) = numbers().min().zip(numbers().max()) {
        (least["n"], most["n"]) = (low.into(), high.into());
    }
    if let Some((low, high)) = symbols().min().zip(symbols().max()) {
        (least["symbol"], most["symbol"]) = (low.as_str().into(), high.as_str().into());
    }
    let rows = file.rows.len();
    let stats = json!({
        "numRecords": rows, "minValues": least, "maxValues": most,
        "nullCount": {"n": rows - numbers().count(), "symbol": rows - symbols().count()},
    });
    TableFile {
        path: number.to_string(),
        object: "x".into(),
        size: 1,
        modification_time: 0,
        partition_values: [("day".to_owned(), file.day.map(day))].into(),
        stats: file.has_stats.then(|| stats.to_string()),
    }
}

proptest! {
    #[test]
    fn no_row_that_is_wanted_is_left_out(
        files in files(),
        predicate in predicates(),
        limit in option::of(0_usize..12),
    ) {
        let told: Vec<TableFile> =
            files.iter().enumerate().map(|(number, file)| told(number, file)).collect();
        let columns = columns();
        let chosen = choose(&told, &columns, &predicate, limit.map(|limit| limit as u64));
        let wanted = |file: &File| {
            file.rows.iter().filter(|row| holds(&predicate, file, row) == Some(true)).count()
        };
        let all: usize = files.iter().map(wanted).sum();
        let sent: usize =
            chosen.iter().map(|file| wanted(&files[file.path.parse::<usize>().unwrap()])).sum();
        prop_assert!(all.min(limit.unwrap_or(usize::MAX)) <= sent, "{sent} of {all}");
    }

    #[test]
    fn whatever_is_sent_is_understood_or_proves_nothing(text in ".{0,40}", word in "[a-z='<>`0-9 -]{0,20}") {
        for text in [&text, &word] {
            let predicate = Predicate::of_hints(std::slice::from_ref(text), Some(text));
            let told = [told(0, &File { day: None, rows: Vec::new(), has_stats: false })];
            choose(&told, &columns(), &predicate, None);
        }
    }
}
