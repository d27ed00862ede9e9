//! What becomes of separated values, behaviour by behaviour.

use proptest::prelude::*;

mod decimals;
mod quotes;

use crate::files::{
    format::tests::{Case, all, check, csv_options, lines, read, schema, shown},
    options::{CsvOptions, Format, UnescapedQuotes},
    schema::Observed,
};

fn row(
    name: &'static str,
    columns: &'static str,
    input: &'static str,
    rows: &'static [&'static str],
) -> Case {
    let format = Format::Csv(csv_options());
    Case { name, format, columns, is_rescuing: true, input, rows, bad: &[] }
}

fn with(change: fn(&mut CsvOptions), case: Case) -> Case {
    let mut options = csv_options();
    change(&mut options);
    Case { format: Format::Csv(options), ..case }
}

#[test]
fn values_fit_their_columns_or_are_rescued() {
    check(&[
        row(
            "csv boolean: any case",
            "a:bool",
            "a\ntrue\nFALSE\nyes",
            &["true", "false", "∅ + {\"a\":\"yes\"}"],
        ),
        row("csv byte: its range", "a:byte", "a\n127\n128", &["127", "∅ + {\"a\":\"128\"}"]),
        row("csv short and int", "a:short b:int", "a,b\n-5,+7", &["-5 | 7"]),
        row("csv long: no fraction", "a:long", "a\n12\n12.0", &["12", "∅ + {\"a\":\"12.0\"}"]),
        row(
            "csv double: numbers",
            "a:double",
            "a\n1.5\n-2e3\n.5\ninfinity",
            &["1.5", "-2000.0", "0.5", "∅ + {\"a\":\"infinity\"}"],
        ),
        row(
            "csv nanValue, positiveInf, negativeInf",
            "a:double",
            "a\nNaN\nInf\n-Inf",
            &["NaN", "inf", "-inf"],
        ),
        row("csv float: too large", "a:float", "a\n1e40", &["∅ + {\"a\":\"1e40\"}"]),
        row(
            "csv decimal: every digit",
            "a:price",
            "a\n189.430001\n+1\n1e-3\n0.0000001",
            &["189.430001", "1.000000", "0.001000", "∅ + {\"a\":\"0.0000001\"}"],
        ),
        row(
            "csv date and timestamp",
            "a:date b:time c:clock",
            "a,b,c\n2026-01-05,2026-01-05 14:30:00,2026-01-05T14:30:00Z",
            &["2026-01-05 | 2026-01-05T14:30:00Z | 2026-01-05T14:30:00"],
        ),
        row("csv binary: the text's bytes", "a:binary", "a\nAB", &["4142"]),
        row("csv nested: nothing fits", "a:longs", "a\n[1]", &["∅ + {\"a\":\"[1]\"}"]),
        row("csv rescue: text is escaped", "a:long", "a\n\"x\\\"y\"", &[r#"∅ + {"a":"x\"y"}"#]),
    ]);
}

#[test]
fn columns_go_by_the_header() {
    check(&[
        row("header: another order", "b:string a:long", "a,b\n1,x", &["x | 1"]),
        row("header: a column the file lacks is null", "a:long z:string", "a,b\n1,", &["1 | ∅"]),
        row("header: an unknown column is rescued", "a:long", "a,b\n1,x", &["1 + {\"b\":\"x\"}"]),
        row("header: a null is not rescued", "a:long", "a,b\n1,\n2,\"\"", &["1", "2"]),
        row(
            "header: too few values are null",
            "a:long b:string c:string",
            "a,b,c\n1,x\n2",
            &["1 | x | ∅", "2 | ∅ | ∅"],
        ),
        row(
            "header: too many are rescued by place",
            "a:long",
            "a\n1,x,,y",
            &["1 + {\"_c1\":\"x\",\"_c3\":\"y\"}"],
        ),
        row("header: a name that is empty", "a:long _c1:string", "a,\n1,x", &["1 | x"]),
        row("header: a name that is there twice", "a0:long a1:long", "a,a\n1,2", &["1 | 2"]),
        row("header: another case is another column", "a:long", "A\n1", &["∅ + {\"A\":\"1\"}"]),
        row("header: alone there are no rows", "a:long", "a\n", &[]),
        with(
            |o| o.has_header = false,
            row(
                "header=false: by order",
                "x:long y:string",
                "1,u\n2,v,w",
                &["1 | u", "2 | v + {\"_c2\":\"w\"}"],
            ),
        ),
        with(
            |o| o.has_header = false,
            row("header=false: by name", "_c1:string _c0:long", "1,u", &["u | 1"]),
        ),
        Case {
            is_rescuing: false,
            bad: &["2:4 `b` does not fit its column <1,x>"],
            ..row(
                "csv without rescue: a misfit is bad",
                "a:long b:long",
                "a,b\n1,x\n2,3",
                &["2 | 3"],
            )
        },
        Case {
            is_rescuing: false,
            ..row("csv without rescue: unknown columns are dropped", "a:long", "a,b\n1,x,y", &["1"])
        },
    ]);
    let mut schema = schema("close:long", true);
    schema.is_case_sensitive = false;
    let out = read(&Format::Csv(csv_options()), &schema, &[b"Close\n1"]).unwrap();
    assert_eq!(shown(&out), ["1"]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn options_mean_what_they_say() {
    check(&[
        with(
            |o| o.separator = "||".to_owned(),
            row(
                "sep: of several characters",
                "a:string b:string",
                "a||b\nx|y||\"z||\"",
                &["x|y | z||"],
            ),
        ),
        with(
            |o| o.separator = "\t".to_owned(),
            row("sep: a tab is no white space", "a:string b:string", "a\tb\n\"x\"\ty", &["x | y"]),
        ),
        with(
            |o| o.quote = Some('\''),
            row("quote", "a:string b:string", "a,b\n'x,y',z", &["x,y | z"]),
        ),
        with(
            |o| o.quote = None,
            row("quote: none", "a:string b:string", "a,b\n\"x,y\"", &["\"x | y\""]),
        ),
        with(
            |o| o.escape = Some('"'),
            row("escape: the quote itself", "a:string", "a\n\"x\"\"y\"", &["x\"y"]),
        ),
        row("escape: a quote", "a:string", "a\n\"x\\\"y,\"", &["x\"y,"]),
        row(
            "escape: itself in front of the closing quote",
            "a:string b:string",
            "a,b\n\"x\\\\\",y",
            &["x\\ | y"],
        ),
        with(
            |o| o.escape_of_escape = Some('^'),
            row(
                "charToEscapeQuoteEscaping",
                "a:string b:string",
                "a,b\n\"x^\\\",\"^x\\\"\"",
                &["x\\ | ^x\""],
            ),
        ),
        with(
            |o| o.escape_of_escape = Some('é'),
            row("charToEscapeQuoteEscaping: any letter", "a:string", "a\n\"xé\\\"", &["x\\"]),
        ),
        row("escape: before anything else it stays", "a:string", "a\n\"x\\n\"", &["x\\n"]),
        row("escape: unquoted it stays", "a:string", "a\nx\\\"y", &["x\\\"y"]),
        with(
            |o| o.comment = Some('#'),
            row("comment", "a:string", "#one\na\n#two\nx#y\n", &["x#y"]),
        ),
        with(
            |o| o.skip_rows = 2,
            row("skipRows: in front of the header", "a:string", "junk,\"\n\na\nx", &["x"]),
        ),
        with(
            |o| o.line_sep = Some(";".to_owned()),
            row("lineSep", "a:string", "a;x\n;y;", &["x\n", "y"]),
        ),
        row("white space is kept", "a:string b:string", "a,b\n x , y ", &[" x  |  y "]),
        with(
            |o| o.is_leading_space_ignored = true,
            row("ignoreLeadingWhiteSpace", "a:string b:string", "a,b\n x , \"y\"", &["x  | y"]),
        ),
        with(
            |o| o.is_trailing_space_ignored = true,
            row("ignoreTrailingWhiteSpace", "a:string b:string", "a,b\n x , y ", &[" x |  y"]),
        ),
        row(
            "white space behind a closing quote goes",
            "a:string b:string",
            "a,b\n\"x\"  ,y",
            &["x | y"],
        ),
        row(
            "nullValue: nothing is null, in quotes too",
            "a:string b:string",
            "a,b\n,\"\"",
            &["∅ | ∅"],
        ),
        with(
            |o| o.null = "NA".to_owned(),
            row(
                "nullValue: a word, quoted or not; quoted nothing is text",
                "a:string b:string c:string",
                "a,b,c\nNA,\"NA\",\"\"",
                &["∅ | ∅ | "],
            ),
        ),
        with(
            |o| o.empty = "-".to_owned(),
            row("emptyValue", "a:string b:string", "a,b\n\"\",", &["- | ∅"]),
        ),
        with(
            |o| o.columns_max = 2,
            Case {
                bad: &["2:4 more than 2 columns <1,2,3>"],
                ..row("maxColumns", "a:string b:string", "a,b\n1,2,3\n4,5", &["4 | 5"])
            },
        ),
        with(
            |o| o.chars_max = Some(2),
            Case {
                bad: &["2:2 a value of more than 2 characters <xyz>"],
                ..row("maxCharsPerColumn", "a:string", "a\nxyz\nxé", &["xé"])
            },
        ),
        row("lines: empty ones and blanks are no records", "a:string", "\na\n\n  \nx\n", &["x"]),
        row(
            "lines: a quote never closed",
            "a:string b:string",
            "a,b\n1,\"x,y\n2,z",
            &["1 | x,y", "2 | z"],
        ),
    ]);
}

#[test]
fn quoted_values_may_hold_line_ends() {
    let multi = |change: fn(&mut CsvOptions), case: Case| {
        let Case { format, .. } = with(change, row("", "", "", &[]));
        let Format::Csv(options) = format else { unreachable!() };
        Case { format: Format::Csv(CsvOptions { is_multi_line: true, ..options }), ..case }
    };
    let plain = |case| multi(|_| (), case);
    check(&[
        plain(row(
            "multiLine: a line end in quotes",
            "a:string b:long",
            "a,b\n\"x\ny\",1\n\"z\r\n\",2\r\n",
            &["x\ny | 1", "z\r\n | 2"],
        )),
        plain(row("multiLine: every line end", "a:string", "a\nx\ry\r\nz", &["x", "y", "z"])),
        plain(row("multiLine: empty lines", "a:string", "\n\na\n\nx\n\n", &["x"])),
        plain(row(
            "multiLine: a quote never closed takes the rest",
            "a:string b:string",
            "a,b\n1,\"x\n2,y\n",
            &["1 | x\n2,y\n"],
        )),
        multi(
            |o| o.comment = Some('#'),
            row("multiLine: comments", "a:string", "#\"\na\n#,\nx", &["x"]),
        ),
        multi(
            |o| o.skip_rows = 1,
            row("multiLine: skipRows", "a:string", "\"junk\na\n\"x\n\"", &["x\n"]),
        ),
        multi(
            |o| o.line_sep = Some("\r\n".to_owned()),
            row("multiLine: lineSep", "a:string", "a\r\nx\ny\r\n", &["x\ny"]),
        ),
        multi(
            |o| o.columns_max = 1,
            Case {
                bad: &["2:2 more than 1 columns <1,2>"],
                ..row("multiLine: a bad record is a line", "a:string", "a\n1,2\n3", &["3"])
            },
        ),
    ]);
    let format = Format::Csv(CsvOptions { is_multi_line: true, ..csv_options() });
    let out = read(&format, &schema("a:string", true), &[b"a\n\"x\n\n\"\ny\n\nz"]).unwrap();
    assert_eq!(lines(&out), [2, 5, 7]);
}

#[test]
fn stray_quotes_do_what_the_option_says() {
    let input = "a,b\n\"x\"y,1\n\"u,v\"w\",2\n";
    let modes: [(UnescapedQuotes, &[&str], usize); 5] = [
        (UnescapedQuotes::StopAtDelimiter, &["\"x\"y | 1", "\"u,v\"w\" | 2"], 0),
        (UnescapedQuotes::StopAtClosingQuote, &["x\"y,1 | ∅", "u,v\"w | 2"], 0),
        (UnescapedQuotes::BackToDelimiter, &["\"x\"y | 1", "\"u | v\"w\" + {\"_c2\":\"2\"}"], 0),
        (UnescapedQuotes::SkipValue, &["∅ | 1", "∅ | 2"], 0),
        (UnescapedQuotes::RaiseError, &[], 2),
    ];
    for (mode, rows, bad) in modes {
        for is_multi_line in [false, true] {
            // Without a closing quote the first record would take the second one with it.
            if mode == UnescapedQuotes::StopAtClosingQuote && is_multi_line {
                continue;
            }
            let options = CsvOptions { unescaped_quotes: mode, is_multi_line, ..csv_options() };
            let out = read(
                &Format::Csv(options),
                &schema("a:string b:string", true),
                &[input.as_bytes()],
            )
            .unwrap();
            let (shown, errors) = all(&out);
            assert_eq!(shown, rows, "unescapedQuoteHandling {mode:?}, multiLine {is_multi_line}");
            assert_eq!(errors.len(), bad, "unescapedQuoteHandling {mode:?}: {errors:?}");
        }
    }
    let escaped = "a,b\n\"x\\\"y\"z,1\n";
    let out = read(
        &Format::Csv(csv_options()),
        &schema("a:string b:string", true),
        &[escaped.as_bytes()],
    )
    .unwrap();
    assert_eq!(shown(&out), ["\"x\"y\"z | 1"], "what was unescaped stays so");
}

#[test]
fn fields_of_the_path_go_by_name_in_whatever_case() {
    for (name, is_case_sensitive, expected) in [
        ("another case is another column", true, r#"1 + {"länder":"de"}"#),
        ("another case is the same", false, "1"),
    ] {
        let mut schema = schema("a:long", true);
        schema.ignored.insert("LÄNDER".to_owned());
        schema.is_case_sensitive = is_case_sensitive;
        let input = "a,länder\n1,de\n".as_bytes();
        let out = read(&Format::Csv(csv_options()), &schema, &[input]).unwrap();
        assert_eq!(shown(&out), [expected], "{name}");
    }
}

#[test]
fn names_without_case_are_folded_letter_by_letter() {
    let mut schema = schema("ΟΔΟΣ1:string ΟΔΟΣ:string", true);
    schema.is_case_sensitive = false;
    // The lower case of the last letter alone depends on where it stands.
    let input = "οδος,οδοσ1\nx,y\n".as_bytes();
    let out = read(&Format::Csv(csv_options()), &schema, &[input]).unwrap();
    assert_eq!(shown(&out), [r#"y | ∅ + {"οδος":"x"}"#]);
}

#[test]
fn unknown_columns_are_observed() {
    let mut schema = schema("a:long", false);
    schema.is_observing = true;
    let out = read(&Format::Csv(csv_options()), &schema, &[b"a,b\n1,2026-01-05\n2,2026-01-06,x"])
        .unwrap();
    let Observed::Object(fields) = out.unknown else { panic!("an object") };
    assert_eq!(fields.get("b"), Some(&Observed::Date));
    assert_eq!(fields.get("_c2"), Some(&Observed::Text));
}

#[test]
fn a_bad_record_tells_of_its_new_columns() {
    let mut schema = schema("a:long", false);
    schema.is_observing = true;
    let out = read(&Format::Csv(csv_options()), &schema, &[b"a,b\nx,2026-01-05,y\n"]).unwrap();
    let (rows, bad) = all(&out);
    assert_eq!((rows.len(), bad.len()), (0, 1));
    let Observed::Object(fields) = out.unknown else { panic!("an object") };
    assert_eq!(fields.into_keys().collect::<Vec<_>>(), ["_c2", "a", "b"]);
}

#[test]
fn a_header_that_is_none_breaks_its_file() {
    for is_multi_line in [false, true] {
        let options = CsvOptions { columns_max: 2, is_multi_line, ..csv_options() };
        let input = b"#\na,b,c\n1,2\n";
        let options = CsvOptions { comment: Some('#'), ..options };
        let problem = read(&Format::Csv(options), &schema("a:string", true), &[input]).unwrap_err();
        assert_eq!(problem.to_string(), "line 2, byte 2: more than 2 columns");
    }
}

#[test]
fn lines_that_are_no_text_are_bad() {
    let out =
        read(&Format::Csv(csv_options()), &schema("a:string", true), &[b"a\n\xff\nx\n"]).unwrap();
    let (rows, bad) = all(&out);
    assert_eq!((rows, bad.len()), (vec!["x".to_owned()], 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Where both readers have the same rules: what the package writes, read by both.
    #[test]
    fn agrees_with_the_csv_package(
        records in prop::collection::vec(prop::array::uniform3("[a-c,\"\n\r ]{0,6}"), 0..8),
        size in 1_usize..20,
    ) {
        let mut writer = csv::WriterBuilder::new()
            .quote_style(csv::QuoteStyle::Always)
            .from_writer(Vec::new());
        writer.write_record(["a", "b", "c"]).unwrap();
        for record in &records {
            writer.write_record(record).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        let options = CsvOptions {
            is_multi_line: true,
            escape: Some('"'),
            null: "never".to_owned(),
            ..csv_options()
        };
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        let out = read(
            &Format::Csv(options),
            &schema("a:string b:string c:string", true),
            &pieces,
        ).unwrap();
        let expected: Vec<_> = records.iter().map(|record| record.join(" | ")).collect();
        prop_assert_eq!(all(&out), (expected, vec![]));
    }
}
