//! Names that are none, options that mean nothing here, and values that are none.

use proptest::prelude::*;

use super::{check_refused, parse, parsed};
use crate::files::options::{LoadOptions, registry};

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    for (name, line, nearest) in [
        ("a letter is missing", "maxFilesPerTriger=1", "did you mean `maxFilesPerTrigger`?"),
        ("with the prefix", "cloudFiles.inferColumTypes=true", "did you mean `inferColumnTypes`?"),
        ("two letters change places", "mutliLine=true", "did you mean `multiLine`?"),
        (
            "another case is fine but a letter is not",
            "SCHEMAHINT=a INT",
            "did you mean `schemaHints`?",
        ),
        ("nothing is near", "answer=42", "there is no such option"),
        ("a name that pages made up", "schemaInferenceSampleSize=50", "there is no such option"),
        ("a slip in a refused name", "schemaLocaton=/x", "did you mean `schemaLocation`?"),
        ("no name at all", "=1", "there is no such option"),
        ("letters that are none of English", "füß=1", "there is no such option"),
    ] {
        check_refused(name, &[line], line.split('=').next().expect("a name"), nearest);
    }
}

#[test]
fn options_that_mean_nothing_here_say_what_to_use() {
    for (line, told) in [
        ("cloudFiles.useManagedFileEvents=true", "use `queueUrl` or `queueName`"),
        ("useIncrementalListing=auto", "`listingWindow` does not"),
        ("cloudFiles.schemaLocation=/x", "the stream's state lies beside its table"),
        ("cloudFiles.maxFileAge=90 days", "no file that was seen is ever forgotten"),
        ("cloudFiles.resourceTag.team=a", "queues are not set up here"),
        ("cloudFiles.pathRewrites={}", "buckets are not mounted here"),
        ("cloudFiles.fetchParallelism=4", "as fast as its events are planned"),
        ("cloudFiles.roleArn=arn", "is a setting of the store"),
        ("cloudFiles.subscription=s", "`listingWindow` keeps listings short"),
        ("badRecordsPath=/bad", "the table's quarantine"),
        ("columnNameOfCorruptRecord=bad", "the table's quarantine"),
        ("avroSchema={}", "give columns with `schema`"),
        ("inferSchema=true", "use `inferColumnTypes`"),
        ("rowTag=row", "xml, which is not read"),
        ("processingTime=10 seconds", "`trigger` = availableNow or 10 seconds"),
        ("once=true", "leave `trigger` at availableNow"),
        ("cloudFiles.startAfter=x", "never was an option of Auto Loader"),
    ] {
        let (name, _) = line.split_once('=').expect("name=value");
        let name = if registry_knows(name) { name.trim_start_matches("cloudFiles.") } else { name };
        check_refused(line, &[line], name, told);
    }
}

fn registry_knows(name: &str) -> bool {
    matches!(registry::find(name), Some(registry::Found::Option(_)))
}

#[test]
fn a_refused_option_may_be_given_the_one_value_that_holds_anyway() {
    parsed(&["useManagedFileEvents=false", "useIncrementalListing=FALSE", "mergeSchema=true"]);
    parsed(&["format=csv", "enforceSchema=false", "locale=en-US"]);
    parsed(&["format=parquet", "datetimeRebaseMode=corrected", "int96RebaseMode=CORRECTED"]);
}

#[test]
fn a_secret_given_by_mistake_is_not_shown() {
    let problems = parse(&["awsSecretKey=cnry-1", "passwort=cnry-2"]).expect_err("unknown");
    assert!(!problems.to_string().contains("cnry"), "{problems}");
}

#[test]
fn formats_that_are_not_read_say_what_to_do() {
    for (name, line, told) in [
        ("xml", "format=xml", "xml is not read; turn it into JSON"),
        ("orc", "cloudFiles.format=ORC", "orc is not read; turn it into Parquet"),
        ("a slip", "format=jason", "did you mean `json`?"),
        ("another thing", "format=delta", "known are json, csv, parquet, avro, text, binaryFile"),
    ] {
        check_refused(name, &[line], "format", told);
    }
    let none = LoadOptions::parse([]).expect_err("no format");
    assert!(none.to_string().contains("format: it is missing"), "{none}");
}

#[test]
fn an_option_of_another_format_is_refused_by_that_format_s_name() {
    for (name, lines, option, told) in [
        ("CSV's in JSON", &["sep=;"][..], "sep", "an option of csv, and the format is json"),
        ("JSON's in CSV", &["format=csv", "allowComments=true"], "allowComments", "of json"),
        ("of two formats", &["format=parquet", "multiLine=true"], "multiLine", "of json, csv"),
        (
            "columns of text",
            &["format=text", "schemaHints=a INT"],
            "schemaHints",
            "the format is text",
        ),
        (
            "columns of bytes",
            &["format=binaryFile", "schema=content BINARY"],
            "schema",
            "of json, csv, parquet, avro, text",
        ),
        ("lines of Avro", &["format=avro", "lineSep=;"], "lineSep", "of json, csv, text"),
        (
            "rescue of files",
            &["format=binaryFile", "rescuedDataColumn=r"],
            "rescuedDataColumn",
            "json",
        ),
        ("text's in JSON", &["wholeText=true"], "wholeText", "an option of text"),
        (
            "Parquet's in Avro",
            &["format=avro", "int96RebaseMode=LEGACY"],
            "int96RebaseMode",
            "parquet",
        ),
        ("an alias", &["delimiter=;"], "sep", "an option of csv"),
    ] {
        check_refused(name, lines, option, told);
    }
}

#[test]
fn values_that_are_none_say_what_would_be() {
    for (line, told) in [
        ("multiLine=yes", "neither true nor false"),
        ("maxFilesPerTrigger=0", "at least 1"),
        ("maxFilesPerTrigger=many", "no whole number"),
        ("maxBytesPerTrigger=10x", "write for example 10g"),
        ("backfillInterval=soon", "write for example 7 days"),
        ("backfillInterval=0 days", "longer than nothing"),
        ("modifiedAfter=yesterday", "write for example 2026-01-01T00:00:00"),
        ("mode=PERMISIVE", "did you mean `PERMISSIVE`?"),
        ("mode=strict", "known are PERMISSIVE, DROPMALFORMED, FAILFAST"),
        ("schemaEvolutionMode=addNewColumn", "did you mean `addNewColumns`?"),
        ("schemaEvolutionMode=merge", "known are addNewColumns, "),
        ("overwrites=replase", "did you mean `replace`?"),
        ("cleanSource=TRASH", "known are OFF, DELETE, MOVE"),
        ("trigger=avaliableNow", "did you mean `availableNow`?"),
        ("trigger=0 seconds", "longer than nothing"),
        ("pathGlobFilter=[a", "a `[` is never closed"),
        ("dateFormat=YYYY-MM-dd", "`Y` counts weeks"),
        ("timestampFormat=yyyy-MM-ddTHH", "`T` means nothing"),
        ("timeZone=Berlin", "America/New_York"),
        ("encoding=UTF-32", "is no encoding of text that is read"),
        ("encoding=replacement", "is no encoding of text that is read"),
        ("locale=de-DE", "in English"),
        ("rescuedDataColumn=", "it is empty"),
        ("partitionColumns=a,,b", "between commas is empty"),
        ("partitionColumns=a,A", "is there twice"),
        ("rows=data..items", "is no path"),
        ("rows=", "is no path"),
        ("singleVariantColumn=", "it is empty"),
        ("schema=a INTEGERS", "expected"),
        ("schema=", "names no columns"),
        ("schemaHints=a", "expected"),
        ("queueUrl=my-queue", "begins with https://"),
        ("queueName=My_Queue", "3 to 63 of a-z, 0-9 and -"),
        ("mergeSchema=false", "columns of all sampled files are always put together"),
        ("listingWindow=0", "at least 1"),
        ("maxFileFailures=0", "at least 1"),
        ("sampleFiles=0", "at least 1"),
    ] {
        check_refused(line, &[line], line.split('=').next().expect("a name"), told);
    }
    for (line, told) in [
        ("quote=ab", "more than one letter"),
        ("comment=\\x", "means nothing"),
        ("maxColumns=0", "at least 1"),
        ("maxCharsPerColumn=0", "at least 1"),
        ("skipRows=-1", "no whole number"),
        ("unescapedQuoteHandling=SKIP_VALUES", "did you mean `SKIP_VALUE`?"),
        ("enforceSchema=true", "columns go by the header's names"),
    ] {
        let name = line.split('=').next().expect("a name");
        check_refused(line, &["format=csv", line], name, told);
    }
    let rebase = ["format=parquet", "datetimeRebaseMode=LEGACY"];
    check_refused("Spark 2's calendar", &rebase, "datetimeRebaseMode", "only be `CORRECTED`");
}

#[test]
fn all_problems_are_told_at_once() {
    let lines = [
        "mode=strict",
        "multiLine=maybe",
        "colour=red",
        "rowTag=x",
        "sep=;",
        "allowOverwrites=true",
        "overwrites=fail",
    ];
    let problems = parse(&lines).expect_err("problems");
    let mut options: Vec<&str> = problems.0.iter().map(|problem| problem.option.as_str()).collect();
    options.sort_unstable();
    assert_eq!(options, ["colour", "mode", "multiLine", "overwrites", "rowTag", "sep"]);
    assert!(problems.to_string().starts_with("the options have 6 problems\n"), "{problems}");
}

#[test]
fn nothing_is_concluded_from_a_value_that_is_none() {
    let lines = ["cleanSource=DELTE", "cleanSource.retentionDuration=3 days"];
    check_refused("a slip", &lines, "cleanSource", "did you mean `DELETE`?");
}

#[test]
fn an_option_is_given_once() {
    for lines in [
        &["multiLine=true", "cloudFiles.multiLine=true"],
        &["multiLine=true", "MULTILINE=false"],
        &["pathGlobFilter=*", "fileNamePattern=*"],
    ] {
        let name = lines[0].split('=').next().expect("a name");
        check_refused("twice", lines, name, "it is given twice");
    }
}

#[test]
fn with_validate_options_off_strangers_are_listed_and_values_are_still_checked() {
    let off = "validateOptions=false";
    let options = parsed(&[off, "colour=red", "cloudFiles.schemaLocation=/x", "sep=;"]);
    assert_eq!(options.ignored, ["colour", "cloudFiles.schemaLocation", "sep"]);
    let managed = parsed(&[off, "useManagedFileEvents=true"]);
    assert_eq!(managed.ignored, ["useManagedFileEvents"]);
    check_refused("a value", &[off, "colour=red", "mode=strict"], "mode", "is unknown");
    assert_eq!(parsed(&[]).ignored, Vec::<String>::new());
}

proptest! {
    #[test]
    fn no_options_are_too_strange(
        names in prop::collection::vec(0_usize..80, 0..6),
        values in prop::collection::vec("\\PC{0,12}|true|false|[0-9]{1,3}( days|g)?", 6),
        other in "\\PC{0,12}",
        format in prop::sample::select(vec!["json", "csv", "parquet", "avro", "text", "binaryFile"]),
    ) {
        let known: Vec<&str> = registry::options().map(|option| option.name).collect();
        let pairs = names.iter().zip(&values).map(|(index, value)| {
            (known[index % known.len()].to_owned(), value.clone())
        });
        let format = ("format".to_owned(), format.to_owned());
        if let Ok(options) = LoadOptions::parse(pairs.chain([format, (other, String::new())])) {
            let _seen = options.check_source("/in/*").map(|path| path.covers("a"));
        }
    }
}
