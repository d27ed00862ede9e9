//! What becomes of JSON, behaviour by behaviour.

use proptest::prelude::*;

use super::relaxed::Relaxed;
use crate::files::{
    format::tests::{Case, all, check, json_options, lines, read, schema, shown},
    options::{Format, JsonOptions},
    schema::Observed,
};

mod documents;
mod values;

fn lines_of(options: JsonOptions) -> Format {
    Format::Json(options)
}

fn row(
    name: &'static str,
    columns: &'static str,
    input: &'static str,
    rows: &'static [&'static str],
) -> Case {
    let format = lines_of(json_options());
    Case { name, format, columns, is_rescuing: true, input, rows, bad: &[] }
}

fn with(options: JsonOptions, case: Case) -> Case {
    Case { format: Format::Json(options), ..case }
}

#[test]
fn records_are_lines() {
    let bad = |name, input, rows, bad| Case { bad, ..row(name, "a:long", input, rows) };
    check(&[
        row(
            "lines: every line end",
            "a:long",
            "{\"a\":1}\n{\"a\":2}\r\n{\"a\":3}\r{\"a\":4}",
            &["1", "2", "3", "4"],
        ),
        row("lines: empty ones are no records", "a:long", "\n \n{\"a\":1}\n\n", &["1"]),
        row("lines: an array holds records", "a:long", "[{\"a\":1}, {\"a\":2}]\n", &["1", "2"]),
        row("lines: an empty array holds none", "a:long", "[]\n{\"a\":1}", &["1"]),
        bad(
            "lines: an element that is no object is bad by itself",
            "[{\"a\":1},7]",
            &["1"],
            &["1:9 no object <7>"],
        ),
        bad(
            "lines: a broken one is bad, the next is read",
            "{\"a\":\n{\"a\":2}\n",
            &["2"],
            &["1:0 not JSON at byte 5 <{\"a\":>"],
        ),
        bad(
            "lines: a line's number and offset",
            "{\"a\":1}\r\n\r\n{\"a\" 1}\n",
            &["1"],
            &["3:11 not JSON at byte 5 <{\"a\" 1}>"],
        ),
        bad(
            "lines: something behind the record",
            "{\"a\":1} x",
            &[],
            &["1:0 not JSON at byte 8 <{\"a\":1} x>"],
        ),
        bad(
            "lines: a scalar is no record",
            "12\n\"x\"\n",
            &[],
            &[
                "1:0 no object, and no array of them <12>",
                "2:3 no object, and no array of them <\"x\">",
            ],
        ),
        bad(
            "lines: half an array is bad as a whole",
            "[{\"a\":1},",
            &[],
            &["1:0 not JSON at byte 9 <[{\"a\":1},>"],
        ),
    ]);
    let options = JsonOptions { line_sep: Some("\u{1e}\n".to_owned()), ..json_options() };
    check(&[with(
        options,
        row(
            "lineSep: of several characters",
            "a:long",
            "{\"a\":1}\u{1e}\n{\"a\":\n2}\u{1e}\n",
            &["1", "2"],
        ),
    )]);
}

#[test]
fn fields_without_a_column_are_rescued_or_dropped() {
    let drops = |name, columns, input, rows, bad| Case {
        is_rescuing: false,
        bad,
        ..row(name, columns, input, rows)
    };
    check(&[
        row(
            "rescue: an unknown field, verbatim",
            "a:long",
            "{\"b\": {\"c\" : 1.50},\"a\":1}",
            &["1 + {\"b\":{\"c\" : 1.50}}"],
        ),
        row(
            "rescue: in the order of the record",
            "b:long",
            "{\"c\":1,\"b\":\"x\",\"a\":2}",
            &["∅ + {\"c\":1,\"b\":\"x\",\"a\":2}"],
        ),
        row("rescue: not a null, which says nothing", "a:long", "{\"a\":1,\"z\":null}", &["1"]),
        row("rescue: another case is another field", "a:long", "{\"A\":1}", &["∅ + {\"A\":1}"]),
        row(
            "rescue: the earlier of a repeated field, the last one wins",
            "a:long",
            "{\"a\":1,\"a\":2}",
            &["2 + {\"a\":1}"],
        ),
        row(
            "rescue: names stay escaped",
            "a:long",
            r#"{"\u0062\"":1}"#,
            &[r#"∅ + {"\u0062\"":1}"#],
        ),
        row("fields: an escaped name is the name", "ab:long", r#"{"\u0061b":1}"#, &["1"]),
        drops("no rescue: unknown fields are dropped", "a:long", "{\"a\":1,\"b\":2}", &["1"], &[]),
        drops(
            "no rescue: a misfit makes the record bad",
            "z:long a:long",
            "{\"z\":1,\"a\":\"x\"}\n{\"a\":2}",
            &["∅ | 2"],
            &["1:0 \"a\" does not fit its column <{\"z\":1,\"a\":\"x\"}>"],
        ),
        drops(
            "no rescue: unknown fields inside are dropped",
            "a:point",
            "{\"a\":{\"x\":1,\"q\":2}}",
            &["{x: 1, y: ∅}"],
            &[],
        ),
    ]);
}

#[test]
fn case_does_not_matter_when_told_so() {
    let mut schema = schema("close:long a:point", true);
    schema.is_case_sensitive = false;
    let input = b"{\"Close\":1,\"A\":{\"X\":2}}\n{\"CLOSE\":3}";
    let out = read(&lines_of(json_options()), &schema, &[input]).unwrap();
    assert_eq!(shown(&out), ["1 | {x: 2, y: ∅}", "3 | ∅"]);
}

#[test]
fn fields_of_the_path_are_neither_read_nor_rescued() {
    let mut schema = schema("a:long", true);
    schema.ignored = ["year".to_owned()].into();
    schema.is_observing = true;
    let out =
        read(&lines_of(json_options()), &schema, &[b"{\"a\":1,\"year\":2026,\"b\":2}"]).unwrap();
    assert_eq!(shown(&out), ["1 + {\"b\":2}"]);
    let Observed::Object(fields) = out.unknown else { panic!("an object") };
    assert_eq!(fields.into_keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn fields_of_the_path_go_by_name_in_whatever_case() {
    for (name, is_case_sensitive, expected) in [
        ("another case is another field", true, r#"1 + {"länder":"de"}"#),
        ("another case is the same", false, "1"),
    ] {
        let mut schema = schema("a:long", true);
        schema.ignored = ["LÄNDER".to_owned()].into();
        schema.is_case_sensitive = is_case_sensitive;
        let input = r#"{"a":1,"länder":"de"}"#.as_bytes();
        let out = read(&lines_of(json_options()), &schema, &[input]).unwrap();
        assert_eq!(shown(&out), [expected], "{name}");
    }
}

#[test]
fn unknown_fields_and_misfits_are_observed() {
    let mut schema = schema("a:long b:point c:long", false);
    schema.is_observing = true;
    let input = b"{\"a\":1,\"a\":2,\"b\":{\"q\":1},\"n\":true}\n";
    let out = read(&lines_of(json_options()), &schema, &[input]).unwrap();
    assert_eq!(shown(&out), ["2 | {x: ∅, y: ∅} | ∅"]);
    let Observed::Object(fields) = out.unknown else { panic!("an object") };
    assert_eq!(fields.into_keys().collect::<Vec<_>>(), ["b", "n"]);
}

#[test]
fn a_bad_record_tells_of_its_new_fields() {
    let mut schema = schema("a:long", false);
    schema.is_observing = true;
    for (name, input) in
        [("a line", r#"{"n":true,"a":"x"}"#), ("an element of a line", r#"[{"n":true,"a":"x"}]"#)]
    {
        let out = read(&lines_of(json_options()), &schema, &[input.as_bytes()]).unwrap();
        let (rows, bad) = all(&out);
        assert_eq!((rows.len(), bad.len()), (0, 1), "{name}");
        let Observed::Object(fields) = out.unknown else { panic!("{name}: an object") };
        assert_eq!(fields.into_keys().collect::<Vec<_>>(), ["a", "n"], "{name}");
    }
}

#[test]
fn what_is_nearly_json_is_read_where_options_allow_it() {
    let none =
        JsonOptions { allow_single_quotes: false, allow_non_numeric: false, ..json_options() };
    let one = |change: fn(&mut JsonOptions)| {
        let mut options = none.clone();
        change(&mut options);
        options
    };
    let cases: [(&str, JsonOptions, &str, &str); 10] = [
        ("allowSingleQuotes", one(|o| o.allow_single_quotes = true), r#"{'a':'x"y\'z'}"#, "x\"y'z"),
        ("allowUnquotedFieldNames", one(|o| o.allow_unquoted_names = true), "{a : \"x\"}", "x"),
        (
            "allowComments: in the line",
            one(|o| o.allow_comments = true),
            "{/* { */\"a\":/**/1} // end",
            "1",
        ),
        ("allowNumericLeadingZeros", one(|o| o.allow_leading_zeros = true), "{\"a\":007}", "7"),
        (
            "allowNumericLeadingZeros: zero stays",
            one(|o| o.allow_leading_zeros = true),
            "{\"a\":-000.50}",
            "-0.50",
        ),
        (
            "allowBackslashEscapingAnyCharacter",
            one(|o| o.allow_any_escape = true),
            r#"{"a":"\x\$"}"#,
            "x$",
        ),
        (
            "allowUnquotedControlChars",
            one(|o| o.allow_control_chars = true),
            "{\"a\":\"x\ty\"}",
            "x\ty",
        ),
        (
            "allowNonNumericNumbers",
            one(|o| o.allow_non_numeric = true),
            "{\"a\":-Infinity}",
            "-Infinity",
        ),
        ("allowNonNumericNumbers: NaN", one(|o| o.allow_non_numeric = true), "{\"a\":NaN}", "NaN"),
        (
            "allowNonNumericNumbers: +INF",
            one(|o| o.allow_non_numeric = true),
            "{\"a\":+INF}",
            "+INF",
        ),
    ];
    let schema = schema("a:string", true);
    for (name, options, input, expected) in cases {
        for is_multi_line in [false, true] {
            let options = JsonOptions { is_multi_line, ..options.clone() };
            let pieces: Vec<&[u8]> = input.as_bytes().chunks(1).collect();
            let out = read(&Format::Json(options), &schema, &pieces).unwrap();
            assert_eq!(all(&out), (vec![expected.to_owned()], vec![]), "{name}");
        }
        let out = read(&Format::Json(none.clone()), &schema, &[input.as_bytes()]).unwrap();
        assert_eq!((out.batches.len(), out.bad.len()), (0, 1), "{name}: switched off");
    }
    let doubles = self::schema("a:double", true);
    let out = read(&Format::Json(json_options()), &doubles, &[b"{\"a\":Infinity}"]).unwrap();
    assert_eq!(shown(&out), ["inf"]);
}

#[test]
fn a_whole_document_in_one_column() {
    let options = JsonOptions { single_column: Some("doc".to_owned()), ..json_options() };
    check(&[with(
        options,
        row(
            "singleVariantColumn",
            "doc:string",
            "{\"a\": 1}\n{\"doc\":2}",
            &["{\"a\": 1}", "{\"doc\":2}"],
        ),
    )]);
}

#[test]
fn limits_are_named() {
    let deep = format!("{{\"a\":{}1{}}}\n{{\"a\":1}}", "[".repeat(70), "]".repeat(70));
    let wide: Vec<_> = (0..5000).map(|field| format!("\"f{field}\":1")).collect();
    let wide = format!("{{{}}}", wide.join(","));
    for (input, reason) in [(&deep, "nested deeper than 64"), (&wide, "more than 4096 fields")] {
        let out =
            read(&lines_of(json_options()), &schema("a:long", true), &[input.as_bytes()]).unwrap();
        assert_eq!(out.bad[0].reason, reason);
    }
}

#[test]
fn long_files_come_in_stretches() {
    let input = "{\"a\":1}\n".repeat(70_000);
    let out =
        read(&lines_of(json_options()), &schema("a:long", true), &[input.as_bytes()]).unwrap();
    let sizes: Vec<_> =
        out.batches.iter().map(arrow::record_batch::RecordBatch::num_rows).collect();
    assert_eq!(sizes, [65_536, 4464]);
    let array = format!("[{}{{\"a\":2}}]", "{\"a\":1},".repeat(300_000));
    let options = JsonOptions { is_multi_line: true, ..json_options() };
    let out = read(&Format::Json(options), &schema("a:long", true), &[array.as_bytes()]).unwrap();
    assert_eq!(lines(&out).len(), 300_001);
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f32>().prop_map(serde_json::Value::from),
        any::<String>().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_json_already_is_rewritten_into_itself(value in any_json()) {
        let everything = JsonOptions {
            allow_comments: true,
            allow_unquoted_names: true,
            allow_leading_zeros: true,
            allow_any_escape: true,
            allow_control_chars: true,
            ..json_options()
        };
        let text = value.to_string();
        let mut out = String::new();
        Relaxed::of(&everything).unwrap().rewrite_all(&text, &mut out).unwrap();
        let parsed = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
        prop_assert_eq!(parsed(&out), parsed(&text));
    }

    #[test]
    fn a_line_is_read_the_same_whatever_was_before_it(
        others in prop::collection::vec((0..250_usize, 0..OTHERS.len()), 0..6),
        is_rescuing in any::<bool>(),
    ) {
        let mut lines = vec![r#"{"a":1,"c":2.5,"t":"2026-01-05T14:30:00Z","b":"x"}"#; 250];
        for (place, other) in others {
            lines[place] = OTHERS[other];
        }
        let schema = schema("a:long b:string c:price t:time", is_rescuing);
        let found = |text: &str| {
            all(&read(&lines_of(json_options()), &schema, &[text.as_bytes()]).unwrap())
        };
        let reasons = |bad: Vec<String>| -> Vec<String> {
            bad.iter().map(|bad| bad.split_once(' ').unwrap().1.to_owned()).collect()
        };
        let (rows, bad) = found(&lines.join("\n"));
        let alone: Vec<_> = lines.iter().map(|line| found(line)).collect();
        prop_assert_eq!(rows, alone.iter().flat_map(|(rows, _)| rows.clone()).collect::<Vec<_>>());
        prop_assert_eq!(
            reasons(bad),
            alone.into_iter().flat_map(|(_, bad)| reasons(bad)).collect::<Vec<_>>()
        );
    }
}

/// Lines unlike most.
const OTHERS: &[&str] = &[
    r#"{"a":1,"c":"y","t":"2026-01-05T14:30:00Z","b":"x"}"#,
    r#"{"a":1,"c":2.5,"t":"2026-01-05T14:30:00Z","b":"x"} z"#,
    r#"{"a":1,"c":2.5,"t":"2026-01-05T14:30:00Z","b":"x""#,
    r#"{"a":1,"c":2.5,"t":"2026-01-05T14:30:00Z","b":}"#,
    r#"{"a":1,"b":"x"}"#,
    r#"{"a":1,"c":2.5,"t":"2026-01-05T14:30:00Z","b":"x","d":4}"#,
    r#"{"a":1,"a":7,"c":2.5,"t":"2026-01-05T14:30:00Z","b":"x"}"#,
    r#"{"a":"n","c":null,"t":null,"b":{"x":1}}"#,
    r#" { "a" : 3 , "c" : 1e2 , "t" : "2026-01-05" , "b" : "\u00e9" } "#,
    r#"{"c":2.5,"b":"x","t":"2026-01-05T14:30:00Z","a":1}"#,
    r#"{"a":-0,"c":-0.10,"t":"2026-01-05T15:30:00.25+01:00","b":"\u00e9"}"#,
    r#"{"a":1.5,"c":1e2,"t":1767623400,"b":""}"#,
    r#"{"a":12345678901234567,"c":1234567890123456.75,"t":"2026-01-05","b":"ü"}"#,
    r#"{"a":1,"c":0.12345678901234567890123456789,"t":"soon","b":5}"#,
    r#"{"a":12345678901234567890,"c":99999999999999999999999999999999999,"t":"","b":true}"#,
    r#"{"a":01,"c":2.5,"t":"2026-01-05T14:30:00Z","b":"x"}"#,
    r#"{"a":1,"c":1.,"t":"2026-01-05T14:30:00Z","b":"x"}"#,
    r#"{"a":1,"c":.5,"t":"2026-01-05T14:30:00Z","b":"x"}"#,
    r#"{"a":-,"c":2.5,"t":"2026-01-05T14:30:00Z","b":"x"}"#,
    "{}",
    "",
];
