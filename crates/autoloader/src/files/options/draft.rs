//! A load as far as it has been told: what options write to, one by one, before anything is checked
//! that takes two of them.

use std::time::Duration;

use super::{
    BadOptions, CsvOptions, Discovery, EvolutionMode, JsonOptions, Limits, LoadTrigger, Overwrites,
    SchemaOptions, TextOptions, registry::FormatName, time_pattern::ParsedTime,
};

/// Auto Loader's wait between a commit and the cleaning of its files.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// All that options say. `None`: not told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Draft {
    pub(super) is_validating: bool,
    pub(super) format: Option<FormatName>,
    pub(super) json: JsonOptions,
    pub(super) csv: CsvOptions,
    pub(super) is_whole_text: bool,
    pub(super) is_multi_line: bool,
    pub(super) line_sep: Option<String>,
    pub(super) text: TextOptions,
    pub(super) discovery: Discovery,
    pub(super) modified_after: Option<ParsedTime>,
    pub(super) modified_before: Option<ParsedTime>,
    pub(super) notifies: Option<bool>,
    pub(super) queue_url: Option<String>,
    pub(super) queue_name: Option<String>,
    pub(super) limits: Limits,
    pub(super) schema: SchemaOptions,
    pub(super) evolution: Option<EvolutionMode>,
    pub(super) rescued_column: Option<String>,
    pub(super) bad: BadOptions,
    pub(super) allows_overwrites: Option<bool>,
    pub(super) overwrites: Option<Overwrites>,
    pub(super) clean: CleanWord,
    pub(super) retention: Duration,
    pub(super) move_destination: Option<String>,
    pub(super) trigger: LoadTrigger,
}

/// The word of `cleanSource`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CleanWord {
    Off,
    Delete,
    Move,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            is_validating: true,
            format: None,
            json: JsonOptions::default(),
            csv: CsvOptions::default(),
            is_whole_text: false,
            is_multi_line: false,
            line_sep: None,
            text: TextOptions::default(),
            discovery: Discovery::default(),
            modified_after: None,
            modified_before: None,
            notifies: None,
            queue_url: None,
            queue_name: None,
            limits: Limits::default(),
            schema: SchemaOptions::default(),
            evolution: None,
            rescued_column: None,
            bad: BadOptions::default(),
            allows_overwrites: None,
            overwrites: None,
            clean: CleanWord::Off,
            retention: RETENTION,
            move_destination: None,
            trigger: LoadTrigger::AvailableNow,
        }
    }
}

impl Draft {
    /// Whether the columns are what the format or an option says, whatever the files hold.
    pub(super) fn has_fixed_columns(&self) -> bool {
        matches!(self.format, Some(FormatName::Text | FormatName::BinaryFile))
            || self.json.single_column.is_some()
    }

    /// Whether JSON is read by documents and not by lines.
    pub(super) fn has_documents(&self) -> bool {
        self.is_multi_line || self.json.rows.is_some()
    }
}
