//! Options of every format: which files, how many at a time, and what becomes of them.

use super::{FormatName, OptionSpec, Value, unknown_word};
use crate::files::options::{
    LoadTrigger, Overwrites,
    draft::{CleanWord, Draft},
    glob::Glob,
    values,
    zone::Zone,
};

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "format",
        Value::Other("`json`, `csv`, `parquet`, `avro`, `text`, `binaryFile`", |draft, text| {
            FormatName::parse(text.trim()).map(|format| draft.format = Some(format))
        }),
        "(required)",
        "the format of the files; compression is recognised by itself",
    ),
    OptionSpec::new(
        "validateOptions",
        Value::Flag(|draft, value| draft.is_validating = value),
        "true",
        "with `false`, options that are unknown, or mean nothing here, are ignored and listed",
    ),
    OptionSpec::new(
        "includeExistingFiles",
        Value::Flag(|draft, value| draft.discovery.includes_existing = value),
        "true",
        "whether the files that are there when the stream first starts are loaded",
    ),
    OptionSpec::new(
        "pathGlobFilter",
        Value::Other("glob: `*.{json,ndjson}`", |draft, text| {
            Glob::new(text).map(|glob| draft.discovery.path_glob = Some(glob))
        }),
        "(all files)",
        "names of files to load, whatever their folder",
    )
    .or(&["fileNamePattern"]),
    OptionSpec::new(
        "recursiveFileLookup",
        Value::Flag(|draft, value| draft.discovery.is_recursive = value),
        "true",
        "whether folders inside of folders are looked into, as Auto Loader's listing does",
    ),
    OptionSpec::new(
        "useStrictGlobber",
        Value::Flag(|draft, value| draft.discovery.is_glob_strict = value),
        "false",
        "whether `*` in the source's path stays inside of one folder, as in Spark",
    ),
    OptionSpec::new(
        "modifiedAfter",
        Value::Instant(|draft, value| draft.modified_after = Some(value)),
        "(no limit)",
        "only files written later than this; in `timeZone` unless it names its zone",
    ),
    OptionSpec::new(
        "modifiedBefore",
        Value::Instant(|draft, value| draft.modified_before = Some(value)),
        "(no limit)",
        "only files written earlier than this",
    ),
    OptionSpec::new(
        "minFileAge",
        Value::Interval(|draft, value| draft.discovery.age_min = value),
        "0 seconds",
        "files younger than this wait: somebody may still write to them",
    )
    .ours(),
    OptionSpec::new(
        "listingWindow",
        Value::Count(1, |draft, value| draft.discovery.window = Some(value)),
        "(list everything)",
        "how many of the greatest names seen are listed again; older ones at `backfillInterval`",
    )
    .ours(),
    OptionSpec::new(
        "backfillInterval",
        Value::Other("duration: `1 day`", |draft, text| {
            values::some_interval(text).map(|value| draft.discovery.backfill_interval = Some(value))
        }),
        "(never)",
        "how often everything is listed although notifications or a window would do",
    ),
    OptionSpec::new(
        "useNotifications",
        Value::Flag(|draft, value| draft.notifies = Some(value)),
        "false",
        "events say where to look: of `queueUrl` or `queueName`, else of the local file system",
    ),
    OptionSpec::new(
        "queueUrl",
        Value::Other("address: `https://sqs…`", |draft, text| {
            let is_address = ["https://", "http://"]
                .iter()
                .any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
            if !is_address {
                return Err(format!("`{text}` is no address of a queue; it begins with https://"));
            }
            draft.queue_url = Some(text.to_owned());
            Ok(())
        }),
        "(none)",
        "an SQS queue that receives the bucket's events",
    ),
    OptionSpec::new(
        "queueName",
        Value::Other("name", |draft, text| {
            let is_name = (3..=63).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if !is_name {
                return Err(format!("`{text}` is no queue's name: 3 to 63 of a-z, 0-9 and -"));
            }
            draft.queue_name = Some(text.to_owned());
            Ok(())
        }),
        "(none)",
        "an Azure Storage queue that receives the container's events",
    ),
    OptionSpec::new(
        "maxFilesPerTrigger",
        Value::Count(1, |draft, value| {
            draft.limits.files_max = usize::try_from(value).unwrap_or(usize::MAX);
        }),
        "1000",
        "most files in one batch; a hard limit",
    ),
    OptionSpec::new(
        "maxBytesPerTrigger",
        Value::Bytes(|draft, value| draft.limits.bytes_max = Some(value)),
        "(no limit)",
        "bytes in one batch; a soft limit, the file that passes it is taken; the lower limit wins",
    ),
    OptionSpec::new(
        "trigger",
        Value::Other("`availableNow`, `continuous`, or a duration", trigger),
        "availableNow",
        "load what is there and stop, go on for ever, or look this often",
    )
    .ours(),
    OptionSpec::new(
        "allowOverwrites",
        Value::Flag(|draft, value| draft.allows_overwrites = Some(value)),
        "false",
        "whether a file that changed is loaded again, beside its old rows; `overwrites` says more",
    ),
    OptionSpec::new(
        "overwrites",
        Value::Words(&[
            ("ignore", |draft| draft.overwrites = Some(Overwrites::Ignore)),
            ("append", |draft| draft.overwrites = Some(Overwrites::Append)),
            ("replace", |draft| draft.overwrites = Some(Overwrites::Replace)),
            ("fail", |draft| draft.overwrites = Some(Overwrites::Fail)),
        ]),
        "ignore",
        "a file that changed is noted, loaded again, loaded in place of its old rows, or an error",
    )
    .ours(),
    OptionSpec::new(
        "cleanSource",
        Value::Words(&[
            ("OFF", |draft| draft.clean = CleanWord::Off),
            ("DELETE", |draft| draft.clean = CleanWord::Delete),
            ("MOVE", |draft| draft.clean = CleanWord::Move),
        ]),
        "OFF",
        "what becomes of files that were loaded",
    ),
    OptionSpec::new(
        "cleanSource.retentionDuration",
        Value::Interval(|draft, value| draft.retention = value),
        "30 days",
        "how long after their commit; more than 7 days with `DELETE`",
    ),
    OptionSpec::new(
        "cleanSource.moveDestination",
        Value::Other("path", |draft, text| {
            if text.trim().is_empty() {
                return Err("it is empty; name a folder of the same store".to_owned());
            }
            draft.move_destination = Some(text.trim().to_owned());
            Ok(())
        }),
        "(none)",
        "the folder of the same store, outside the source, that `MOVE` moves to",
    ),
    OptionSpec::new(
        "ignoreMissingFiles",
        Value::Flag(|draft, value| draft.bad.is_missing_ignored = value),
        "false",
        "whether a planned file that is gone is left out, and not reported as a failure",
    ),
    OptionSpec::new(
        "ignoreCorruptFiles",
        Value::Flag(|draft, value| draft.bad.is_corrupt_ignored = value),
        "false",
        "whether a file that cannot be read is noted as skipped, and not as poisoned",
    ),
    OptionSpec::new(
        "maxFileFailures",
        Value::Count(1, |draft, value| {
            draft.bad.failures_max = u32::try_from(value).unwrap_or(u32::MAX);
        }),
        "3",
        "how often a file is tried before it is set aside, so that others pass",
    )
    .ours(),
    OptionSpec::new(
        "timeZone",
        Value::Other("time zone: `Europe/Berlin`", |draft, text| {
            Zone::parse(text.trim()).map(|zone| draft.text.time_zone = zone)
        }),
        "UTC",
        "the zone of times that name none",
    ),
    OptionSpec::new(
        "useManagedFileEvents",
        Value::Only("false", "it is a service of Databricks; use `queueUrl` or `queueName`"),
        "false",
        "events of a Databricks service",
    ),
    OptionSpec::new(
        "useIncrementalListing",
        Value::Only("false", "it loses files that sort early; `listingWindow` does not"),
        "false",
        "listing from the greatest name on, which Auto Loader gave up",
    ),
];

fn trigger(draft: &mut Draft, text: &str) -> Result<(), String> {
    draft.trigger = match text.trim() {
        word if word.eq_ignore_ascii_case("availableNow") => LoadTrigger::AvailableNow,
        word if word.eq_ignore_ascii_case("continuous") => LoadTrigger::Continuous,
        word if word.starts_with(|letter: char| letter.is_ascii_digit())
            || word.starts_with("interval") =>
        {
            LoadTrigger::ProcessingTime(values::some_interval(word)?)
        }
        word => {
            let problem = unknown_word(word, &["availableNow", "continuous"]);
            return Err(format!("{problem}; a duration such as 10 seconds will do too"));
        }
    };
    Ok(())
}
