//! What a user may say about a load, under Auto Loader's names, as types the rest relies on.
//!
//! ```text
//! registry      every option: name, value, default, meaning, and where the value goes
//! values        texts ──▶ truth values, counts, sizes, durations, moments, letters
//! time_pattern  `dd/MM/yyyy` ──▶ a reader of dates and moments
//! glob          `*.{json,ndjson}` ──▶ which names; source_path: the same in a source's path
//! parse         names and values ──▶ draft ──▶ LoadOptions, or all problems at once
//! rules         options that contradict each other; source_rules: those that contradict the source
//! pinned        what holds from the first start on
//! document      the tables in docs/auto-loader.md, and the command's help
//! ```

mod defaults;
mod document;
mod draft;
mod glob;
mod parse;
mod pinned;
mod problems;
mod registry;
mod rules;
mod source_path;
mod source_rules;
#[cfg(test)]
mod tests;
mod time_pattern;
mod values;
mod zone;

use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef};
use chrono::{DateTime, Utc};
use encoding_rs::Encoding;

pub use document::{help, tables};
pub use glob::Glob;
pub use pinned::{PinnedChanges, changed, pinned};
pub use problems::{OptionProblem, OptionProblems};
pub use registry::{FormatName, OptionSpec, Origin, Refusal, options, refusals};
pub(crate) use rules::DELETE_AFTER;
pub use source_path::SourcePath;
pub use time_pattern::{ParsedTime, TimePattern};
pub use zone::Zone;

/// Everything about one load but its source and target.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadOptions {
    /// `cloudFiles.format` and the options of that format.
    pub format: Format,
    /// Which files there are.
    pub discovery: Discovery,
    /// How much at a time.
    pub limits: Limits,
    /// The columns.
    pub schema: SchemaOptions,
    /// What becomes of records and files that are broken.
    pub bad: BadOptions,
    /// What to do about a file whose bytes changed after it was loaded.
    pub overwrites: Overwrites,
    /// What becomes of files that were loaded.
    pub clean: CleanSource,
    /// When there is nothing more to do.
    pub trigger: LoadTrigger,
    /// With `validateOptions` = false, options that were not understood, as written.
    pub ignored: Vec<String>,
}

/// A file format with its own options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON: lines, whole documents, or the rows inside of documents.
    Json(JsonOptions),
    /// Separated values.
    Csv(CsvOptions),
    /// Parquet.
    Parquet,
    /// Avro's object container files.
    Avro,
    /// Text: one column `value`, a row for each line or each file.
    Text {
        /// `wholeText`: a row for each file.
        is_whole: bool,
        /// `lineSep`; `None`: `\n`, `\r\n` or `\r`.
        line_sep: Option<String>,
        /// `encoding`.
        encoding: &'static Encoding,
    },
    /// Binary: a row for each file: path, modificationTime, length, content.
    Binary,
}

impl Format {
    /// Returns the name as options spell it.
    #[must_use]
    pub fn name(&self) -> FormatName {
        match self {
            Self::Json(_) => FormatName::Json,
            Self::Csv(_) => FormatName::Csv,
            Self::Parquet => FormatName::Parquet,
            Self::Avro => FormatName::Avro,
            Self::Text { .. } => FormatName::Text,
            Self::Binary => FormatName::BinaryFile,
        }
    }
}

/// Options of JSON. Names and defaults are Auto Loader's but for `rows`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of Auto Loader's own")]
pub struct JsonOptions {
    /// `multiLine`: a file is one document, or an array of them, and not a record a line.
    pub is_multi_line: bool,
    /// `rows`, ours: the path of the array inside each document whose elements are the rows, such
    /// as `data`; what surrounds it is not read. Implies whole documents.
    pub rows: Option<Vec<String>>,
    /// `allowComments`.
    pub allow_comments: bool,
    /// `allowSingleQuotes`.
    pub allow_single_quotes: bool,
    /// `allowUnquotedFieldNames`.
    pub allow_unquoted_names: bool,
    /// `allowNonNumericNumbers`: `NaN`, `Infinity`.
    pub allow_non_numeric: bool,
    /// `allowNumericLeadingZeros`.
    pub allow_leading_zeros: bool,
    /// `allowBackslashEscapingAnyCharacter`.
    pub allow_any_escape: bool,
    /// `allowUnquotedControlChars`.
    pub allow_control_chars: bool,
    /// `dropFieldIfAllNull`: not a column when every sampled value is null.
    pub is_all_null_dropped: bool,
    /// `primitivesAsString`: inferred columns are text.
    pub are_primitives_text: bool,
    /// `singleVariantColumn`: the whole document as JSON text in one column of this name.
    pub single_column: Option<String>,
    /// `lineSep`.
    pub line_sep: Option<String>,
    /// How text becomes times, and how bytes become text.
    pub text: TextOptions,
}

/// Options of separated values. Names and defaults are Auto Loader's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of Auto Loader's own")]
pub struct CsvOptions {
    /// `sep`, one character or more.
    pub separator: String,
    /// `quote`; `None`: nothing is quoted.
    pub quote: Option<char>,
    /// `escape`.
    pub escape: Option<char>,
    /// `charToEscapeQuoteEscaping`; `None`: `escape`, where that is not `quote`.
    pub escape_of_escape: Option<char>,
    /// `comment`: lines that begin so are no records.
    pub comment: Option<char>,
    /// `header`: the first line names the columns; with `false` they are `_c0`, `_c1`, …
    pub has_header: bool,
    /// `multiLine`: a quoted value may hold line ends.
    pub is_multi_line: bool,
    /// `skipRows`: lines in front of everything else.
    pub skip_rows: u64,
    /// `lineSep`.
    pub line_sep: Option<String>,
    /// `ignoreLeadingWhiteSpace`.
    pub is_leading_space_ignored: bool,
    /// `ignoreTrailingWhiteSpace`.
    pub is_trailing_space_ignored: bool,
    /// `nullValue`: the text that stands for null.
    pub null: String,
    /// `emptyValue`: what a quoted empty text is.
    pub empty: String,
    /// `nanValue`, `positiveInf`, `negativeInf`.
    pub non_finite: [String; 3],
    /// `preferDate`: inferred columns of days are dates and not times.
    pub prefers_date: bool,
    /// `maxColumns`.
    pub columns_max: usize,
    /// `maxCharsPerColumn`; `None`: no limit.
    pub chars_max: Option<usize>,
    /// `unescapedQuoteHandling`.
    pub unescaped_quotes: UnescapedQuotes,
    /// How text becomes times, and how bytes become text.
    pub text: TextOptions,
}

/// What a quote inside an unquoted value, or a stray one inside a quoted one, does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnescapedQuotes {
    /// `STOP_AT_DELIMITER`: the value goes on to the next separator, quotes and all.
    #[default]
    StopAtDelimiter,
    /// `STOP_AT_CLOSING_QUOTE`: it goes on to the quote that ends it.
    StopAtClosingQuote,
    /// `BACK_TO_DELIMITER`: as unquoted, from the separator before.
    BackToDelimiter,
    /// `SKIP_VALUE`: the value is null.
    SkipValue,
    /// `RAISE_ERROR`: the record is bad.
    RaiseError,
}

/// How text becomes values, in formats that are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextOptions {
    /// `encoding`.
    pub encoding: &'static Encoding,
    /// `dateFormat`; `None`: ISO 8601.
    pub date_format: Option<TimePattern>,
    /// `timestampFormat`; `None`: ISO 8601.
    pub timestamp_format: Option<TimePattern>,
    /// `timeZone` of times that name none.
    pub time_zone: Zone,
}

/// Which files there are, and how they are found.
#[derive(Clone, Debug, PartialEq)]
pub struct Discovery {
    /// `pathGlobFilter`: names of files, without their folders.
    pub path_glob: Option<Glob>,
    /// `recursiveFileLookup`. Unlike Spark's it is on by default, as in Auto Loader's listing.
    pub is_recursive: bool,
    /// `useStrictGlobber`: what a glob in the source's path means, see [`SourcePath::parse`].
    pub is_glob_strict: bool,
    /// `modifiedAfter`.
    pub modified_after: Option<DateTime<Utc>>,
    /// `modifiedBefore`.
    pub modified_before: Option<DateTime<Utc>>,
    /// `includeExistingFiles`: first start only.
    pub includes_existing: bool,
    /// `backfillInterval`: how often everything is listed although hints or a window would do.
    pub backfill_interval: Option<Duration>,
    /// `listingWindow`, ours: how many of the greatest names seen are listed again; `None`: all of
    /// them, each time.
    pub window: Option<u64>,
    /// `minFileAge`, ours: younger files may still be written to and wait; zero where objects
    /// appear whole.
    pub age_min: Duration,
    /// Where hints come from.
    pub hints: Vec<HintSource>,
}

/// Where hints of new files come from; the listing stays the truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HintSource {
    /// `queueUrl`: S3 events in an SQS queue.
    Sqs(String),
    /// `queueName`: Event Grid events in an Azure Storage queue.
    AzureQueue(String),
    /// `useNotifications` on a local folder: the system's own watching.
    LocalWatch,
}

/// How much a batch takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `maxFilesPerTrigger`. Hard.
    pub files_max: usize,
    /// `maxBytesPerTrigger`. Soft: the file that passes it is still taken; at least one file.
    pub bytes_max: Option<u64>,
}

/// The columns: given, or inferred, and how they grow.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of Auto Loader's own")]
pub struct SchemaOptions {
    /// `schema`: given whole, nothing is inferred.
    pub given: Option<SchemaRef>,
    /// `schemaHints`: a fragment of DDL; fields by dotted path, `element`, `key` and `value` inside.
    pub hints: Vec<SchemaHint>,
    /// `inferColumnTypes`; without it JSON and CSV columns are text.
    pub infers_types: bool,
    /// `prefersDecimal`, here on by default: numbers with a fraction are decimals, not doubles.
    pub prefers_decimal: bool,
    /// `inferTimestamp`.
    pub infers_timestamps: bool,
    /// `schemaEvolutionMode`.
    pub evolution: EvolutionMode,
    /// `partitionColumns`.
    pub partition_columns: PartitionColumns,
    /// `readerCaseSensitive`.
    pub is_case_sensitive: bool,
    /// `rescuedDataColumn`; `None` only when a schema is given and no name is.
    pub rescued_column: Option<String>,
    /// `metadataColumn`, ours: the struct that says which file and line a row is from; `None`: not
    /// kept, and then no file can be replaced, replayed or undone.
    pub metadata_column: Option<String>,
    /// Files and bytes that a schema is inferred from, whichever comes first.
    pub sample: (usize, u64),
}

/// One column that the user knows better.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaHint {
    /// The column, and the way inside it.
    pub path: Vec<String>,
    /// What it is.
    pub data_type: DataType,
}

/// What a column that the schema does not have does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvolutionMode {
    /// `addNewColumns`: a new version of the schema, and the stream stops once.
    AddNewColumns,
    /// `addNewColumnsWithTypeWidening`: the same, and types grow where no value changes by it.
    AddNewColumnsWithTypeWidening,
    /// `rescue`: kept aside, the schema stays.
    Rescue,
    /// `failOnNewColumns`: the stream stops until somebody changes the schema or the file.
    FailOnNewColumns,
    /// `none`: ignored.
    None,
    /// `evolve`, ours: a new version with wider types, without a stop; values that were rescued
    /// before move into the new column.
    Evolve,
}

impl EvolutionMode {
    /// Returns the mode's word in `schemaEvolutionMode`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AddNewColumns => "addNewColumns",
            Self::AddNewColumnsWithTypeWidening => "addNewColumnsWithTypeWidening",
            Self::Rescue => "rescue",
            Self::FailOnNewColumns => "failOnNewColumns",
            Self::None => "none",
            Self::Evolve => "evolve",
        }
    }
}

/// Columns that the path spells, as in `year=2026/file.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartitionColumns {
    /// Not given: those found in the paths when the schema is inferred.
    Inferred,
    /// Given, in order; empty: the paths spell none. Levels that a path lacks are null.
    Named(Vec<String>),
}

/// What becomes of records and files that are broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadOptions {
    /// `mode`.
    pub mode: ParseMode,
    /// `ignoreMissingFiles`: a planned file that is gone is noted and left out; else it is set
    /// aside and the stream reports it.
    pub is_missing_ignored: bool,
    /// `ignoreCorruptFiles`: a file that cannot be read is noted as skipped, not as poisoned.
    pub is_corrupt_ignored: bool,
    /// `maxFileFailures`, ours: tries before a file that fails is set aside.
    pub failures_max: u32,
}

/// What a record that is none does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParseMode {
    /// `PERMISSIVE`: it goes to quarantine.
    #[default]
    Permissive,
    /// `DROPMALFORMED`: it is counted and dropped.
    DropMalformed,
    /// `FAILFAST`: the stream stops.
    FailFast,
}

/// What to do about a file whose bytes changed after it was loaded. `allowOverwrites` is the
/// second or the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overwrites {
    /// Nothing but saying so in the ledger.
    #[default]
    Ignore,
    /// Load it again; the old rows stay.
    Append,
    /// Load it again; the old rows go in the same commit.
    Replace,
    /// Stop.
    Fail,
}

/// What becomes of files that were loaded, `retention` after their commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CleanSource {
    /// `OFF`: they stay.
    #[default]
    Off,
    /// `DELETE`.
    Delete {
        /// `cleanSource.retentionDuration`, over seven days.
        retention: Duration,
    },
    /// `MOVE`.
    Move {
        /// `cleanSource.retentionDuration`.
        retention: Duration,
        /// `cleanSource.moveDestination`: a folder of the same store, outside the source.
        destination: String,
    },
}

/// When a load has nothing more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadTrigger {
    /// When everything is loaded that was there when it started; the default of the command.
    AvailableNow,
    /// Never; looks for files this often.
    ProcessingTime(Duration),
    /// Never; looks as soon as it can.
    Continuous,
}
