//! Every option, given: where its value goes, and what holds without it.

use std::time::Duration;

use super::parsed;
use crate::files::options::{
    CleanSource, CsvOptions, EvolutionMode, Format, HintSource, JsonOptions, LoadOptions,
    LoadTrigger, Overwrites, ParseMode, PartitionColumns, UnescapedQuotes,
    draft::Draft,
    registry::{self, FormatName},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn json(options: &LoadOptions) -> &JsonOptions {
    match &options.format {
        Format::Json(json) => json,
        other => panic!("{other:?}"),
    }
}

fn csv(options: &LoadOptions) -> &CsvOptions {
    match &options.format {
        Format::Csv(csv) => csv,
        other => panic!("{other:?}"),
    }
}

/// A name that one can read, options, and what has to hold of them.
type Row = (&'static str, &'static [&'static str], fn(&LoadOptions) -> bool);

#[track_caller]
fn check(rows: &[Row]) {
    for (name, lines, holds) in rows {
        let options = parsed(lines);
        assert!(holds(&options), "{name}: {lines:?} are {options:?}");
    }
}

#[test]
fn names() {
    check(&[
        ("the prefix may be there", &["cloudFiles.maxFilesPerTrigger=7"], |o| {
            o.limits.files_max == 7
        }),
        ("or not", &["maxFilesPerTrigger=7"], |o| o.limits.files_max == 7),
        ("case does not count", &["CLOUDFILES.maxfilespertrigger=7"], |o| o.limits.files_max == 7),
        ("a format's may have the prefix", &["cloudFiles.multiLine=true"], |o| {
            json(o).is_multi_line
        }),
        ("an alias of files", &["fileNamePattern=*.json"], |o| o.discovery.path_glob.is_some()),
        ("an alias of values", &["format=csv", "delimiter=;"], |o| csv(o).separator == ";"),
        (
            "Spark's setting of the sample",
            &["spark.databricks.cloudFiles.schemaInference.sampleSize.numFiles=9"],
            |o| o.schema.sample.0 == 9,
        ),
    ]);
}

#[test]
fn discovery() {
    check(&[
        ("existing files are loaded", &[], |o| o.discovery.includes_existing),
        ("or not", &["includeExistingFiles=false"], |o| !o.discovery.includes_existing),
        ("folders are looked into", &[], |o| o.discovery.is_recursive),
        ("or not", &["recursiveFileLookup=false"], |o| !o.discovery.is_recursive),
        ("a filter of names", &["pathGlobFilter=*.json"], |o| {
            o.discovery
                .path_glob
                .as_ref()
                .is_some_and(|g| g.matches("a.json") && !g.matches("a.csv"))
        }),
        ("globs reach into folders", &[], |o| !o.discovery.is_glob_strict),
        ("or not", &["useStrictGlobber=true"], |o| o.discovery.is_glob_strict),
        ("later than, in UTC", &["modifiedAfter=2026-01-01T00:00:00"], |o| {
            o.discovery
                .modified_after
                .is_some_and(|t| t.to_rfc3339() == "2026-01-01T00:00:00+00:00")
        }),
        (
            "earlier than, in the option's zone",
            &["modifiedBefore=2026-01-01", "timeZone=Asia/Tokyo"],
            |o| {
                let before = o.discovery.modified_before;
                before.is_some_and(|t| t.to_rfc3339() == "2025-12-31T15:00:00+00:00")
            },
        ),
        ("files may rest", &["minFileAge=90s"], |o| o.discovery.age_min.as_secs() == 90),
        ("a window of names", &["listingWindow=5000"], |o| o.discovery.window == Some(5000)),
        ("a backfill alone", &["backfillInterval=1 day"], |o| {
            o.discovery.backfill_interval == Some(DAY)
        }),
        ("a backfill of a window", &["listingWindow=5", "backfillInterval=1 day"], |o| {
            o.discovery.window == Some(5) && o.discovery.backfill_interval == Some(DAY)
        }),
    ]);
}

#[test]
fn notifications() {
    check(&[
        ("none", &[], |o| o.discovery.hints.is_empty()),
        ("none, said so", &["useNotifications=false"], |o| o.discovery.hints.is_empty()),
        ("of the file system", &["useNotifications=true"], |o| {
            o.discovery.hints == [HintSource::LocalWatch]
        }),
        ("of SQS", &["useNotifications=true", "queueUrl=https://sqs/1/q"], |o| {
            o.discovery.hints == [HintSource::Sqs("https://sqs/1/q".to_owned())]
        }),
        ("a queue says enough", &["queueName=events"], |o| {
            o.discovery.hints == [HintSource::AzureQueue("events".to_owned())]
        }),
    ]);
}

#[test]
fn limits_and_triggers() {
    check(&[
        ("1000 files, any size", &[], |o| {
            o.limits.files_max == 1000 && o.limits.bytes_max.is_none()
        }),
        ("a soft limit", &["maxBytesPerTrigger=10g"], |o| o.limits.bytes_max == Some(10 << 30)),
        ("what is there", &[], |o| o.trigger == LoadTrigger::AvailableNow),
        ("for ever", &["trigger=continuous"], |o| o.trigger == LoadTrigger::Continuous),
        ("every ten seconds", &["trigger=10 seconds"], |o| {
            o.trigger == LoadTrigger::ProcessingTime(Duration::from_secs(10))
        }),
        ("Spark's word for an interval", &["trigger=interval 1 hour"], |o| {
            o.trigger == LoadTrigger::ProcessingTime(Duration::from_secs(3600))
        }),
    ]);
}

#[test]
fn columns() {
    check(&[
        ("inferred columns grow", &[], |o| o.schema.evolution == EvolutionMode::AddNewColumns),
        ("given ones do not", &["schema=a INT"], |o| o.schema.evolution == EvolutionMode::None),
        ("inferred ones rescue", &[], |o| {
            o.schema.rescued_column.as_deref() == Some("_rescued_data")
        }),
        ("given ones do not rescue", &["schema=a INT"], |o| o.schema.rescued_column.is_none()),
        ("unless told", &["schema=a INT", "rescuedDataColumn=rest"], |o| {
            o.schema.rescued_column.as_deref() == Some("rest")
        }),
        ("widening", &["schemaEvolutionMode=addNewColumnsWithTypeWidening"], |o| {
            o.schema.evolution == EvolutionMode::AddNewColumnsWithTypeWidening
        }),
        ("rescue", &["schemaEvolutionMode=rescue"], |o| {
            o.schema.evolution == EvolutionMode::Rescue
        }),
        (
            "rescue with a given schema",
            &["schema=a INT", "schemaEvolutionMode=rescue", "rescuedDataColumn=r"],
            |o| o.schema.evolution == EvolutionMode::Rescue,
        ),
        ("fail", &["schema=a INT", "schemaEvolutionMode=failOnNewColumns"], |o| {
            o.schema.evolution == EvolutionMode::FailOnNewColumns
        }),
        ("none", &["schemaEvolutionMode=NONE"], |o| o.schema.evolution == EvolutionMode::None),
        ("ours", &["schemaEvolutionMode=evolve"], |o| o.schema.evolution == EvolutionMode::Evolve),
        ("hints inside of structs", &["schemaHints=a.b INT, c MAP<STRING, DATE>"], |o| {
            o.schema.hints.len() == 2 && o.schema.hints[0].path == ["a", "b"]
        }),
        ("text unless asked for", &[], |o| !o.schema.infers_types && o.schema.prefers_decimal),
        ("types", &["inferColumnTypes=true", "inferTimestamp=true"], |o| {
            o.schema.infers_types && o.schema.infers_timestamps
        }),
        ("doubles as in Auto Loader", &["inferColumnTypes=true", "prefersDecimal=false"], |o| {
            !o.schema.prefers_decimal
        }),
        ("partitions that paths spell", &[], |o| {
            o.schema.partition_columns == PartitionColumns::Inferred
        }),
        ("partitions by name", &["partitionColumns=year, month"], |o| {
            o.schema.partition_columns
                == PartitionColumns::Named(vec!["year".to_owned(), "month".to_owned()])
        }),
        ("partitions ignored", &["partitionColumns="], |o| {
            o.schema.partition_columns == PartitionColumns::Named(Vec::new())
        }),
        ("case counts", &[], |o| o.schema.is_case_sensitive),
        ("or not", &["readerCaseSensitive=false"], |o| !o.schema.is_case_sensitive),
        ("no metadata", &["metadataColumn="], |o| o.schema.metadata_column.is_none()),
        ("metadata by another name", &["metadataColumn=file"], |o| {
            o.schema.metadata_column.as_deref() == Some("file")
        }),
        ("Auto Loader's sample", &[], |o| o.schema.sample == (1000, 50 << 30)),
        ("another sample", &["sampleFiles=10", "sampleBytes=1m"], |o| {
            o.schema.sample == (10, 1 << 20)
        }),
        ("text has its own columns", &["format=text"], |o| {
            o.schema.evolution == EvolutionMode::None && o.schema.rescued_column.is_none()
        }),
        ("text, and what its paths spell", &["format=text", "schema=line STRING, y INT"], |o| {
            o.schema.given.as_ref().is_some_and(|schema| schema.fields().len() == 2)
                && o.schema.evolution == EvolutionMode::None
                && o.schema.rescued_column.is_none()
        }),
        ("documents whole", &["singleVariantColumn=doc"], |o| {
            o.schema.evolution == EvolutionMode::None
                && json(o).single_column.as_deref() == Some("doc")
        }),
    ]);
}

#[test]
fn overwrites_and_cleaning() {
    check(&[
        ("changes are noted", &[], |o| o.overwrites == Overwrites::Ignore),
        ("Auto Loader's word for it", &["allowOverwrites=true"], |o| {
            o.overwrites == Overwrites::Append
        }),
        ("both words agree", &["allowOverwrites=true", "overwrites=replace"], |o| {
            o.overwrites == Overwrites::Replace
        }),
        ("fail", &["overwrites=fail"], |o| o.overwrites == Overwrites::Fail),
        ("files stay", &[], |o| o.clean == CleanSource::Off),
        ("deleted after 30 days", &["cleanSource=delete"], |o| {
            o.clean == CleanSource::Delete { retention: DAY * 30 }
        }),
        (
            "deleted after more than a week",
            &["cleanSource=DELETE", "cleanSource.retentionDuration=7 days 1 second"],
            |o| matches!(&o.clean, CleanSource::Delete { retention } if DAY * 7 < *retention),
        ),
        (
            "moved at once",
            &[
                "cloudFiles.cleanSource=MOVE",
                "cloudFiles.cleanSource.moveDestination=/done",
                "cloudFiles.cleanSource.retentionDuration=0 seconds",
            ],
            |o| {
                let destination = "/done".to_owned();
                o.clean == CleanSource::Move { retention: Duration::ZERO, destination }
            },
        ),
    ]);
}

#[test]
fn broken_records_and_files() {
    check(&[
        ("quarantine", &[], |o| o.bad.mode == ParseMode::Permissive),
        ("drop", &["mode=dropmalformed"], |o| o.bad.mode == ParseMode::DropMalformed),
        ("stop", &["mode=FAILFAST"], |o| o.bad.mode == ParseMode::FailFast),
        (
            "missing and corrupt files",
            &["ignoreMissingFiles=true", "ignoreCorruptFiles=true"],
            |o| o.bad.is_missing_ignored && o.bad.is_corrupt_ignored,
        ),
        ("tries", &["maxFileFailures=5"], |o| o.bad.failures_max == 5),
    ]);
}

#[test]
fn json_options() {
    check(&[
        ("Spark's defaults", &[], |o| *json(o) == JsonOptions::default()),
        ("the rows inside", &["rows=result.data"], |o| {
            json(o).rows.as_deref() == Some(&["result".to_owned(), "data".to_owned()][..])
                && json(o).is_multi_line
        }),
        ("comments", &["allowComments=true"], |o| json(o).allow_comments),
        ("single quotes", &["allowSingleQuotes=false"], |o| !json(o).allow_single_quotes),
        ("bare names", &["allowUnquotedFieldNames=true"], |o| json(o).allow_unquoted_names),
        ("NaN", &["allowNonNumericNumbers=false"], |o| !json(o).allow_non_numeric),
        ("leading zeros", &["allowNumericLeadingZeros=true"], |o| json(o).allow_leading_zeros),
        ("any escape", &["allowBackslashEscapingAnyCharacter=true"], |o| json(o).allow_any_escape),
        ("control characters", &["allowUnquotedControlChars=true"], |o| {
            json(o).allow_control_chars
        }),
        ("nulls only", &["dropFieldIfAllNull=true"], |o| json(o).is_all_null_dropped),
        ("text only", &["primitivesAsString=true"], |o| json(o).are_primitives_text),
        ("a line's end", &["lineSep=\\u001e"], |o| json(o).line_sep.as_deref() == Some("\u{1e}")),
        ("UTF-16 by lines", &["encoding=utf-16le"], |o| {
            json(o).text.encoding == encoding_rs::UTF_16LE
        }),
        ("patterns", &["dateFormat=dd/MM/yyyy", "timestampFormat=yyyy-MM-dd HH:mm"], |o| {
            let date = json(o).text.date_format.as_ref().and_then(|p| p.parse("03/09/2026"));
            date.is_some() && json(o).text.timestamp_format.is_some()
        }),
        ("a zone", &["timeZone=+02:00"], |o| json(o).text.time_zone.to_string() == "+02:00"),
    ]);
}

#[test]
fn csv_options() {
    check(&[
        ("Auto Loader's defaults", &["format=csv"], |o| *csv(o) == CsvOptions::default()),
        ("a tab", &["format=csv", "sep=\\t"], |o| csv(o).separator == "\t"),
        ("several letters", &["format=csv", "sep=||"], |o| csv(o).separator == "||"),
        ("no quotes", &["format=csv", "quote="], |o| csv(o).quote.is_none()),
        ("doubled quotes", &["format=csv", "escape=\""], |o| csv(o).escape == Some('"')),
        ("an escape's escape", &["format=csv", "charToEscapeQuoteEscaping=\\\\"], |o| {
            csv(o).escape_of_escape == Some('\\')
        }),
        ("comments", &["format=csv", "comment=#"], |o| csv(o).comment == Some('#')),
        ("no header", &["format=csv", "header=false"], |o| !csv(o).has_header),
        ("hints by place", &["format=csv", "header=false", "schemaHints=_c1 INT"], |o| {
            o.schema.hints.len() == 1
        }),
        (
            "a hint for the path",
            &["format=csv", "header=false", "schemaHints=y INT", "partitionColumns=y"],
            |o| o.schema.hints.len() == 1,
        ),
        ("line ends in quotes", &["format=csv", "multiLine=true"], |o| csv(o).is_multi_line),
        ("rows in front", &["format=csv", "skipRows=2"], |o| csv(o).skip_rows == 2),
        (
            "spaces",
            &["format=csv", "ignoreLeadingWhiteSpace=true", "ignoreTrailingWhiteSpace=true"],
            |o| csv(o).is_leading_space_ignored && csv(o).is_trailing_space_ignored,
        ),
        ("null and empty", &["format=csv", "nullValue=NULL", "emptyValue=-"], |o| {
            csv(o).null == "NULL" && csv(o).empty == "-"
        }),
        (
            "numbers that are none",
            &["format=csv", "nanValue=nan", "positiveInf=inf", "negativeInf=-inf"],
            |o| csv(o).non_finite == ["nan", "inf", "-inf"],
        ),
        ("limits", &["format=csv", "maxColumns=9", "maxCharsPerColumn=99"], |o| {
            csv(o).columns_max == 9 && csv(o).chars_max == Some(99)
        }),
        ("no limit", &["format=csv", "maxCharsPerColumn=-1"], |o| csv(o).chars_max.is_none()),
        ("stray quotes", &["format=csv", "unescapedQuoteHandling=raise_error"], |o| {
            csv(o).unescaped_quotes == UnescapedQuotes::RaiseError
        }),
        ("days are moments", &["format=csv", "inferColumnTypes=true", "preferDate=false"], |o| {
            !csv(o).prefers_date
        }),
        ("Windows", &["format=csv", "charset=windows-1252"], |o| {
            csv(o).text.encoding == encoding_rs::WINDOWS_1252
        }),
    ]);
}

#[test]
fn other_formats() {
    check(&[
        ("Parquet", &["cloudFiles.format=PARQUET"], |o| o.format == Format::Parquet),
        ("Avro", &["format=avro"], |o| o.format == Format::Avro),
        ("binary", &["format=binaryFile"], |o| o.format == Format::Binary),
        (
            "text by lines",
            &["format=text", "lineSep=;"],
            |o| matches!(&o.format, Format::Text { is_whole: false, line_sep: Some(sep), .. } if sep == ";"),
        ),
        ("text by files", &["format=text", "wholeText=true"], |o| {
            matches!(o.format, Format::Text { is_whole: true, line_sep: None, .. })
        }),
    ]);
}

#[test]
fn what_the_registry_tells_of_defaults_is_what_holds() {
    for option in registry::options().filter(|option| !option.default.starts_with('(')) {
        let mut draft = Draft::default();
        option.apply(&mut draft, option.default).expect(option.name);
        // These differ from not being given, so what they come to is compared.
        draft.notifies = draft.notifies.filter(|notifies| *notifies);
        draft.allows_overwrites = draft.allows_overwrites.filter(|allows| *allows);
        draft.overwrites = draft.overwrites.filter(|overwrites| *overwrites != Overwrites::Ignore);
        assert_eq!(draft, Draft::default(), "{}", option.name);
    }
}

#[test]
fn names_are_told_apart() {
    let mut names: Vec<String> = registry::options()
        .flat_map(|option| option.aliases.iter().chain([&option.name]))
        .chain(registry::refusals().map(|refusal| &refusal.name))
        .map(|name| name.to_lowercase())
        .collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
    for option in registry::options() {
        assert!(option.formats.iter().all(|format| *format != FormatName::Xml), "{}", option.name);
        assert!(!option.meaning.ends_with('.') && option.meaning.len() < 100, "{}", option.name);
    }
}
