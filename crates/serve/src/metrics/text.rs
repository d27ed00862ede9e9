//! The text format: one header per family, escaped labels, no float anywhere.

use std::{collections::BTreeMap, fmt::Display, time::Duration};

/// What a family's values are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A page of metrics in the making. Samples of one family stay together, as the format demands,
/// in whatever order they come.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    families: BTreeMap<String, String>,
}

impl Exposition {
    /// Opens a family; opening it again changes nothing.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        if self.families.contains_key(name) {
            return;
        }
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let header = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        self.families.insert(name.to_owned(), header);
    }

    /// Adds a sample to the family whose name it bears, with or without a suffix.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let family = ["_bucket", "_sum", "_count"]
            .into_iter()
            .filter_map(|suffix| name.strip_suffix(suffix))
            .find(|family| self.families.contains_key(*family))
            .unwrap_or(name)
            .to_owned();
        let lines = self.families.entry(family).or_default();
        lines.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            lines.push(if index == 0 { '{' } else { ',' });
            lines.push_str(label);
            lines.push_str("=\"");
            escape(lines, text);
            lines.push('"');
        }
        if !labels.is_empty() {
            lines.push('}');
        }
        lines.push_str(&format!(" {value}\n"));
    }

    pub(super) fn finish(self) -> String {
        self.families.into_values().collect()
    }
}

fn escape(lines: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '\\' => lines.push_str("\\\\"),
            '"' => lines.push_str("\\\""),
            '\n' => lines.push_str("\\n"),
            char => lines.push(char),
        }
    }
}

/// Returns a duration in seconds, exact to the microsecond, without needless zeros.
pub(super) fn seconds(duration: Duration) -> String {
    let text = format!("{}.{:06}", duration.as_secs(), duration.subsec_micros());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Returns milliseconds as seconds; an age is negative when the vendor's clock is ahead.
pub(super) fn millis(millis: i64) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    format!("{sign}{}", seconds(Duration::from_millis(millis.unsigned_abs())))
}
