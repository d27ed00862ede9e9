//! Options of single formats: how bytes become records, and text becomes values.

use super::{
    FormatName::{self, Avro, Csv, Json, Parquet, Text},
    OptionSpec, Value, values,
};
use crate::files::options::{ParseMode, UnescapedQuotes, time_pattern::TimePattern};

const RECORDS: &[FormatName] = &[Json, Csv];
const LINES: &[FormatName] = &[Json, Csv, Text];

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "multiLine",
        Value::Flag(|draft, value| draft.is_multi_line = value),
        "false",
        "whether a record may go over several lines: whole JSON documents, line ends in quotes",
    )
    .of(RECORDS),
    OptionSpec::new(
        "lineSep",
        Value::Escaped(|draft, value| draft.line_sep = Some(value).filter(|text| !text.is_empty())),
        r"(\n, \r\n or \r)",
        "what ends a line",
    )
    .of(LINES),
    OptionSpec::new(
        "encoding",
        Value::Other("label: `UTF-8`, `windows-1252`", |draft, text| {
            let label = text.trim();
            let encoding = encoding_rs::Encoding::for_label_no_replacement(label.as_bytes());
            draft.text.encoding = encoding.ok_or_else(|| {
                format!("`{label}` is no encoding of text that is read; write for example UTF-8, UTF-16LE")
            })?;
            Ok(())
        }),
        "UTF-8",
        "how bytes are text",
    )
    .or(&["charset"])
    .of(LINES),
    OptionSpec::new(
        "mode",
        Value::Words(&[
            ("PERMISSIVE", |draft| draft.bad.mode = ParseMode::Permissive),
            ("DROPMALFORMED", |draft| draft.bad.mode = ParseMode::DropMalformed),
            ("FAILFAST", |draft| draft.bad.mode = ParseMode::FailFast),
        ]),
        "PERMISSIVE",
        "a record that is none goes to quarantine, is counted and dropped, or stops the stream",
    )
    .of(RECORDS),
    OptionSpec::new(
        "dateFormat",
        Value::Other("pattern: `dd/MM/yyyy`", |draft, text| {
            TimePattern::compile(text).map(|pattern| draft.text.date_format = Some(pattern))
        }),
        "(ISO 8601)",
        "how days are written",
    )
    .of(RECORDS),
    OptionSpec::new(
        "timestampFormat",
        Value::Other("pattern: `yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]`", |draft, text| {
            TimePattern::compile(text).map(|pattern| draft.text.timestamp_format = Some(pattern))
        }),
        "(ISO 8601)",
        "how moments are written",
    )
    .of(RECORDS),
    OptionSpec::new(
        "locale",
        Value::Other("`en-US`", |_, text| {
            let is_english = ["us", "en", "en-us", "en_us"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(text.trim()));
            if is_english { Ok(()) } else { Err("names of months and days are read in English".into()) }
        }),
        "en-US",
        "the language of names of months and days: English",
    )
    .of(RECORDS),
    OptionSpec::new(
        "rows",
        Value::Other("path: `data`, `result.items`", |draft, text| {
            let path: Vec<String> = text.split('.').map(|part| part.trim().to_owned()).collect();
            if path.iter().any(String::is_empty) {
                return Err(format!("`{text}` is no path; write for example data, result.items"));
            }
            draft.json.rows = Some(path);
            Ok(())
        }),
        "(each document is a row)",
        "the array inside each document whose elements are the rows",
    )
    .ours()
    .of(&[Json]),
    OptionSpec::new(
        "allowComments",
        Value::Flag(|draft, value| draft.json.allow_comments = value),
        "false",
        "whether `//` and `/* */` are passed over",
    )
    .of(&[Json]),
    OptionSpec::new(
        "allowSingleQuotes",
        Value::Flag(|draft, value| draft.json.allow_single_quotes = value),
        "true",
        "whether text may stand in single quotes",
    )
    .of(&[Json]),
    OptionSpec::new(
        "allowUnquotedFieldNames",
        Value::Flag(|draft, value| draft.json.allow_unquoted_names = value),
        "false",
        "whether names of fields may stand without quotes",
    )
    .of(&[Json]),
    OptionSpec::new(
        "allowNonNumericNumbers",
        Value::Flag(|draft, value| draft.json.allow_non_numeric = value),
        "true",
        "whether NaN, Infinity and the like are numbers",
    )
    .of(&[Json]),
    OptionSpec::new(
        "allowNumericLeadingZeros",
        Value::Flag(|draft, value| draft.json.allow_leading_zeros = value),
        "false",
        "whether numbers may begin with zeros",
    )
    .of(&[Json]),
    OptionSpec::new(
        "allowBackslashEscapingAnyCharacter",
        Value::Flag(|draft, value| draft.json.allow_any_escape = value),
        "false",
        "whether a backslash may stand before any letter",
    )
    .of(&[Json]),
    OptionSpec::new(
        "allowUnquotedControlChars",
        Value::Flag(|draft, value| draft.json.allow_control_chars = value),
        "false",
        "whether text may hold tabs and other control characters as they are",
    )
    .of(&[Json]),
    OptionSpec::new(
        "dropFieldIfAllNull",
        Value::Flag(|draft, value| draft.json.is_all_null_dropped = value),
        "false",
        "whether a field that is null in the whole sample is no column",
    )
    .of(&[Json]),
    OptionSpec::new(
        "primitivesAsString",
        Value::Flag(|draft, value| draft.json.are_primitives_text = value),
        "false",
        "whether inferred columns that are not nested are text",
    )
    .of(&[Json]),
    OptionSpec::new(
        "singleVariantColumn",
        Value::Other("name", |draft, text| {
            if text.is_empty() {
                return Err("it is empty; name the column".to_owned());
            }
            draft.json.single_column = Some(text.to_owned());
            Ok(())
        }),
        "(none)",
        "the one column that takes each document whole, as JSON text",
    )
    .of(&[Json]),
    OptionSpec::new(
        "header",
        Value::Flag(|draft, value| draft.csv.has_header = value),
        "true",
        "whether the first line names the columns, as Auto Loader assumes; else `_c0`, `_c1`, …",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "sep",
        Value::Escaped(|draft, value| draft.csv.separator = value),
        ",",
        "what separates values: a letter or more",
    )
    .or(&["delimiter"])
    .of(&[Csv]),
    OptionSpec::new(
        "quote",
        Value::Letter(|draft, value| draft.csv.quote = value),
        "\"",
        "what values are quoted with; empty: nothing is",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "escape",
        Value::Letter(|draft, value| draft.csv.escape = value),
        r"\",
        "what stands before a quote inside of a quoted value",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "charToEscapeQuoteEscaping",
        Value::Letter(|draft, value| draft.csv.escape_of_escape = value),
        r"\0",
        "what stands before an escape that is meant as itself",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "comment",
        Value::Letter(|draft, value| draft.csv.comment = value),
        r"\u0000",
        "lines that begin so are passed over",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "skipRows",
        Value::Count(0, |draft, value| draft.csv.skip_rows = value),
        "0",
        "lines to pass over in front of everything else",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "ignoreLeadingWhiteSpace",
        Value::Flag(|draft, value| draft.csv.is_leading_space_ignored = value),
        "false",
        "whether spaces in front of values are dropped",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "ignoreTrailingWhiteSpace",
        Value::Flag(|draft, value| draft.csv.is_trailing_space_ignored = value),
        "false",
        "whether spaces behind values are dropped",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "nullValue",
        Value::Text(|draft, value| draft.csv.null = value),
        "",
        "the text that stands for null",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "emptyValue",
        Value::Text(|draft, value| draft.csv.empty = value),
        "",
        "what a quoted value without letters is",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "nanValue",
        Value::Text(|draft, value| draft.csv.non_finite[0] = value),
        "NaN",
        "the text of a number that is none",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "positiveInf",
        Value::Text(|draft, value| draft.csv.non_finite[1] = value),
        "Inf",
        "the text of infinity",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "negativeInf",
        Value::Text(|draft, value| draft.csv.non_finite[2] = value),
        "-Inf",
        "the text of infinity below zero",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "preferDate",
        Value::Flag(|draft, value| draft.csv.prefers_date = value),
        "true",
        "whether inferred columns of days are dates, and not moments; needs `inferColumnTypes`",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "maxColumns",
        Value::Count(1, |draft, value| {
            draft.csv.columns_max = usize::try_from(value).unwrap_or(usize::MAX);
        }),
        "20480",
        "values in a record at most",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "maxCharsPerColumn",
        Value::Other("number, `-1` for no limit", |draft, text| {
            draft.csv.chars_max = match text.trim() {
                "-1" => None,
                text => Some(values::count(text, 1)?.try_into().unwrap_or(usize::MAX)),
            };
            Ok(())
        }),
        "-1",
        "letters in a value at most",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "unescapedQuoteHandling",
        Value::Words(&[
            ("STOP_AT_DELIMITER", |draft| {
                draft.csv.unescaped_quotes = UnescapedQuotes::StopAtDelimiter;
            }),
            ("STOP_AT_CLOSING_QUOTE", |draft| {
                draft.csv.unescaped_quotes = UnescapedQuotes::StopAtClosingQuote;
            }),
            ("BACK_TO_DELIMITER", |draft| {
                draft.csv.unescaped_quotes = UnescapedQuotes::BackToDelimiter;
            }),
            ("SKIP_VALUE", |draft| draft.csv.unescaped_quotes = UnescapedQuotes::SkipValue),
            ("RAISE_ERROR", |draft| draft.csv.unescaped_quotes = UnescapedQuotes::RaiseError),
        ]),
        "STOP_AT_DELIMITER",
        "what a quote does where none may be",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "enforceSchema",
        Value::Only("false", "columns go by the header's names; give `header` = false to go by place"),
        "false",
        "whether columns go by their place, whatever the header says",
    )
    .of(&[Csv]),
    OptionSpec::new(
        "wholeText",
        Value::Flag(|draft, value| draft.is_whole_text = value),
        "false",
        "whether a file is one row, and not each of its lines",
    )
    .of(&[Text]),
    OptionSpec::new(
        "datetimeRebaseMode",
        Value::Only("CORRECTED", REBASE),
        "CORRECTED",
        "which calendar old dates are in: today's",
    )
    .of(&[Parquet, Avro]),
    OptionSpec::new(
        "int96RebaseMode",
        Value::Only("CORRECTED", REBASE),
        "CORRECTED",
        "which calendar old moments are in: today's",
    )
    .of(&[Parquet]),
];

const REBASE: &str = "dates are read as they are written; those before 1582-10-15 that Spark 2 wrote \
     come out some days off";
