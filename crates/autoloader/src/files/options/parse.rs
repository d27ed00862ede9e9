//! From names and values to a load: every value alone first, then what takes several.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{
    CleanSource, CsvOptions, Discovery, EvolutionMode, Format, HintSource, JsonOptions,
    LoadOptions, Overwrites, SchemaOptions,
    draft::{CleanWord, Draft},
    problems::OptionProblems,
    registry::{self, FormatName, Found, OptionSpec, Value},
    rules,
    time_pattern::ParsedTime,
};

impl LoadOptions {
    /// Parses options by their names, with or without `cloudFiles.`, in any case.
    ///
    /// # Errors
    /// All problems: names that are unknown, with the nearest known one; options that mean nothing
    /// here, with what to use instead; values that are none; options that contradict each other.
    pub fn parse(
        pairs: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, OptionProblems> {
        let mut told = Told::default();
        for (name, value) in pairs {
            told.name(&name, value);
        }
        let mut draft = Draft::default();
        // The format decides which options there are, so it goes first, with what softens that.
        for first in ["format", "validateOptions"] {
            told.apply(first, &mut draft);
        }
        if !told.has("format") {
            told.problems.add("format", "it is missing; write for example json, csv, parquet");
        }
        if let Some(format) = draft.format {
            told.refuse_other_formats(format);
        }
        let names: Vec<&str> = told.values.keys().copied().collect();
        for name in names {
            told.apply(name, &mut draft);
        }
        let mut problems = told.problems;
        if draft.is_validating {
            problems.0.append(&mut told.strangers.0);
        }
        let is_told = |name: &str| told.values.contains_key(name);
        for (option, problem) in rules::broken(&draft, &is_told, &told.failed) {
            problems.add(option, problem);
        }
        let ignored = told.strangers.0.into_iter().map(|stranger| stranger.option).collect();
        match draft.finish(ignored) {
            Some(options) => problems.unless(options),
            None => Err(problems),
        }
    }
}

/// What the user said, by the names of the registry.
#[derive(Default)]
struct Told {
    values: BTreeMap<&'static str, (&'static OptionSpec, String)>,
    problems: OptionProblems,
    /// What `validateOptions` = false lets pass.
    strangers: OptionProblems,
    /// Options whose value is none: nothing is concluded from them.
    failed: BTreeSet<&'static str>,
}

impl Told {
    fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    fn name(&mut self, name: &str, value: String) {
        match registry::find(name) {
            Some(Found::Option(option)) => {
                if self.values.insert(option.name, (option, value)).is_some() {
                    self.problems.add(option.name, "it is given twice");
                }
            }
            Some(Found::Refused(refusal)) => self.strangers.add(name, refusal.why),
            None => {
                let problem = match registry::nearest(name) {
                    Some(nearest) => format!("there is no such option; did you mean `{nearest}`?"),
                    None => "there is no such option".to_owned(),
                };
                self.strangers.add(name, problem);
            }
        }
    }

    fn refuse_other_formats(&mut self, format: FormatName) {
        let strangers: Vec<&OptionSpec> =
            self.values.values().map(|(option, _)| *option).filter(|o| !o.is_of(format)).collect();
        for option in strangers {
            let owners: Vec<&str> = option.formats.iter().map(|owner| owner.name()).collect();
            let problem =
                format!("it is an option of {}, and the format is {format}", owners.join(", "));
            self.strangers.add(option.name, problem);
            self.values.remove(option.name);
        }
    }

    fn apply(&mut self, name: &str, draft: &mut Draft) {
        if let Some((option, value)) = self.values.get(name)
            && !self.failed.contains(name)
            && let Err(problem) = option.apply(draft, value)
        {
            // Asking for what there is not is no worse than an option that there is not.
            let is_absent = matches!(option.value, Value::Only(..));
            let problems = if is_absent { &mut self.strangers } else { &mut self.problems };
            problems.add(option.name, problem);
            self.failed.insert(option.name);
        }
    }
}

impl Draft {
    /// Puts together what was said; nothing without a format.
    fn finish(self, ignored: Vec<String>) -> Option<LoadOptions> {
        let format = self.format?;
        Some(LoadOptions {
            discovery: Discovery {
                modified_after: self.moment(self.modified_after),
                modified_before: self.moment(self.modified_before),
                hints: self.hint_sources(),
                ..self.discovery.clone()
            },
            schema: self.schema_options(),
            overwrites: self.overwrites.unwrap_or(match self.allows_overwrites {
                Some(true) => Overwrites::Append,
                _ => Overwrites::Ignore,
            }),
            clean: match (self.clean, self.move_destination.clone()) {
                (CleanWord::Delete, _) => CleanSource::Delete { retention: self.retention },
                (CleanWord::Move, Some(destination)) => {
                    CleanSource::Move { retention: self.retention, destination }
                }
                _ => CleanSource::Off,
            },
            trigger: self.trigger,
            limits: self.limits,
            bad: self.bad.clone(),
            format: self.format_options(format)?,
            ignored,
        })
    }

    pub(super) fn moment(&self, time: Option<ParsedTime>) -> Option<DateTime<Utc>> {
        time?.moment(self.text.time_zone)
    }

    fn hint_sources(&self) -> Vec<HintSource> {
        let queue = self.queue_url.clone().map(HintSource::Sqs);
        let queue = queue.or_else(|| self.queue_name.clone().map(HintSource::AzureQueue));
        let watch = (self.notifies == Some(true)).then_some(HintSource::LocalWatch);
        queue.or(watch).into_iter().collect()
    }

    /// Returns the mode that was chosen, or follows from what else was.
    pub(super) fn evolution_mode(&self) -> EvolutionMode {
        let is_settled = self.schema.given.is_some() || self.has_fixed_columns();
        let default = if is_settled { EvolutionMode::None } else { EvolutionMode::AddNewColumns };
        self.evolution.unwrap_or(default)
    }

    /// Returns the name of the rescued data column, if there is one.
    pub(super) fn rescued_name(&self) -> Option<String> {
        let is_settled = self.schema.given.is_some() || self.has_fixed_columns();
        let default = self.schema.rescued_column.clone().filter(|_| !is_settled);
        self.rescued_column.clone().or(default)
    }

    fn schema_options(&self) -> SchemaOptions {
        SchemaOptions {
            evolution: self.evolution_mode(),
            rescued_column: self.rescued_name(),
            ..self.schema.clone()
        }
    }

    fn format_options(self, format: FormatName) -> Option<Format> {
        Some(match format {
            FormatName::Json => Format::Json(JsonOptions {
                is_multi_line: self.has_documents(),
                line_sep: self.line_sep,
                text: self.text,
                ..self.json
            }),
            FormatName::Csv => Format::Csv(CsvOptions {
                is_multi_line: self.is_multi_line,
                line_sep: self.line_sep,
                text: self.text,
                ..self.csv
            }),
            FormatName::Parquet => Format::Parquet,
            FormatName::Avro => Format::Avro,
            FormatName::Text => Format::Text {
                is_whole: self.is_whole_text,
                line_sep: self.line_sep,
                encoding: self.text.encoding,
            },
            FormatName::BinaryFile => Format::Binary,
            FormatName::Xml | FormatName::Orc => return None,
        })
    }
}
