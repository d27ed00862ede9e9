//! What holds when nothing is said. A test compares it with what the registry tells users.

use std::time::Duration;

use super::{
    BadOptions, CsvOptions, Discovery, EvolutionMode, JsonOptions, Limits, ParseMode,
    PartitionColumns, SchemaOptions, TextOptions, UnescapedQuotes, zone::Zone,
};

impl Default for JsonOptions {
    fn default() -> Self {
        Self {
            is_multi_line: false,
            rows: None,
            allow_comments: false,
            allow_single_quotes: true,
            allow_unquoted_names: false,
            allow_non_numeric: true,
            allow_leading_zeros: false,
            allow_any_escape: false,
            allow_control_chars: false,
            is_all_null_dropped: false,
            are_primitives_text: false,
            single_column: None,
            line_sep: None,
            text: TextOptions::default(),
        }
    }
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            separator: ",".to_owned(),
            quote: Some('"'),
            escape: Some('\\'),
            escape_of_escape: None,
            comment: None,
            has_header: true,
            is_multi_line: false,
            skip_rows: 0,
            line_sep: None,
            is_leading_space_ignored: false,
            is_trailing_space_ignored: false,
            null: String::new(),
            empty: String::new(),
            non_finite: ["NaN", "Inf", "-Inf"].map(str::to_owned),
            prefers_date: true,
            columns_max: 20_480,
            chars_max: None,
            unescaped_quotes: UnescapedQuotes::StopAtDelimiter,
            text: TextOptions::default(),
        }
    }
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            encoding: encoding_rs::UTF_8,
            date_format: None,
            timestamp_format: None,
            time_zone: Zone::utc(),
        }
    }
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            path_glob: None,
            is_recursive: true,
            is_glob_strict: false,
            modified_after: None,
            modified_before: None,
            includes_existing: true,
            backfill_interval: None,
            window: None,
            age_min: Duration::ZERO,
            hints: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { files_max: 1_000, bytes_max: None }
    }
}

impl Default for BadOptions {
    fn default() -> Self {
        Self {
            mode: ParseMode::Permissive,
            is_missing_ignored: false,
            is_corrupt_ignored: false,
            failures_max: 3,
        }
    }
}

impl Default for SchemaOptions {
    fn default() -> Self {
        Self {
            given: None,
            hints: Vec::new(),
            infers_types: false,
            prefers_decimal: true,
            infers_timestamps: false,
            evolution: EvolutionMode::AddNewColumns,
            partition_columns: PartitionColumns::Inferred,
            is_case_sensitive: true,
            rescued_column: Some("_rescued_data".to_owned()),
            metadata_column: Some("_metadata".to_owned()),
            // What Auto Loader samples.
            sample: (1_000, 50 << 30),
        }
    }
}
