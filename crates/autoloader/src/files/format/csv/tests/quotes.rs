//! Quotes inside of quoted values: which of them end the value, as Spark's reader has it.

use proptest::prelude::*;

use super::{all, csv_options, read, schema};
use crate::files::{
    format::FileProblem,
    options::{CsvOptions, Format, UnescapedQuotes},
};

/// Reads two columns by lines, and as records that come byte by byte; both make the same rows.
fn rows(input: &str, mode: UnescapedQuotes) -> Result<Vec<String>, FileProblem> {
    let schema = schema("a:string b:string", true);
    let csv = |is_multi_line| {
        let has_header = false;
        let options =
            CsvOptions { unescaped_quotes: mode, is_multi_line, has_header, ..csv_options() };
        Format::Csv(options)
    };
    let lines = all(&read(&csv(false), &schema, &[input.as_bytes()])?);
    let bytes: Vec<&[u8]> = input.as_bytes().chunks(1).collect();
    assert_eq!(all(&read(&csv(true), &schema, &bytes)?), lines, "in pieces: {input}");
    assert_eq!(lines.1, Vec::<String>::new(), "bad records of {input}");
    Ok(lines.0)
}

#[test]
fn of_quotes_in_front_of_a_separator_the_last_one_ends_the_value() {
    use UnescapedQuotes::{
        BackToDelimiter, RaiseError, SkipValue, StopAtClosingQuote, StopAtDelimiter,
    };
    for (name, input, expected) in [
        ("two quotes", r#""x"",z"#, r#"x" | z"#),
        ("three", r#""x""",z"#, r#"x"" | z"#),
        ("four", r#""x"""",z"#, r#"x""" | z"#),
        ("five", r#""x""""",z"#, r#"x"""" | z"#),
        ("a value of one quote", r#"""",z"#, r#"" | z"#),
        ("a value of two", r#""""",z"#, r#""" | z"#),
        ("a value of three", r#"""""",z"#, r#"""" | z"#),
        ("spaces behind", r#""x""" ,z"#, r#"x"" | z"#),
        ("at the end of the record", r#""x""""#, r#"x"" | ∅"#),
        ("behind a quote that is escaped", r#""x\""",z"#, r#"x"" | z"#),
        ("behind an escape that is escaped", r#""x\\""",z"#, r#"x\"" | z"#),
    ] {
        let modes = [StopAtDelimiter, StopAtClosingQuote, BackToDelimiter, SkipValue, RaiseError];
        for mode in modes {
            let input = format!("{input}\n1,2\n");
            assert_eq!(rows(&input, mode).unwrap(), [expected, "1 | 2"], "{name}, {mode:?}");
        }
    }
}

#[test]
fn quotes_in_front_of_anything_else_end_no_value() {
    use UnescapedQuotes::{SkipValue, StopAtClosingQuote, StopAtDelimiter};
    for (name, input, mode, expected) in [
        ("a letter", r#""x"""y,z"#, StopAtDelimiter, r#""x"""y | z"#),
        ("a letter, behind an escaped quote", r#""x\"""y,z"#, StopAtDelimiter, r#""x"""y | z"#),
        ("spaces and another quote", r#""x"" ",z"#, StopAtDelimiter, r#""x"" " | z"#),
        ("a letter and several quotes", r#""a""b""",z"#, StopAtDelimiter, r#""a""b""" | z"#),
        ("quotes on both sides", r#""""x""",z"#, StopAtDelimiter, r#""""x""" | z"#),
        ("spaces and another quote", r#""x"" ",z"#, StopAtClosingQuote, r#"x""  | z"#),
        ("a letter and several quotes", r#""a""b""",z"#, StopAtClosingQuote, r#"a""b"" | z"#),
        ("quotes on both sides", r#""""x""",z"#, StopAtClosingQuote, r#"""x"" | z"#),
        ("a letter", r#""x"""y,z"#, SkipValue, "∅ | z"),
        ("quotes on both sides", r#""""x""",z"#, SkipValue, "∅ | z"),
    ] {
        assert_eq!(rows(input, mode).unwrap(), [expected], "{name}, {mode:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_value_may_end_in_any_number_of_quotes(text in "[a-z, ]{0,4}[a-z]\"{0,9}") {
        let found = rows(&format!("\"{text}\",z\n"), UnescapedQuotes::StopAtDelimiter).unwrap();
        prop_assert_eq!(found, [format!("{text} | z")]);
    }
}
