//! Which texts are days and moments, by the patterns of the options.

use super::TextOptions;
use crate::files::schema::{Iso, TimeTexts};

impl TimeTexts for TextOptions {
    fn is_date(&self, text: &str) -> bool {
        match &self.date_format {
            Some(pattern) => pattern.parse(text).is_some(),
            None => Iso.is_date(text),
        }
    }

    fn is_timestamp(&self, text: &str) -> bool {
        match &self.timestamp_format {
            Some(pattern) => pattern.parse(text).is_some(),
            None => Iso.is_timestamp(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TextOptions;
    use crate::files::{options::TimePattern, schema::TimeTexts};

    #[test]
    fn a_pattern_replaces_iso_8601_and_only_for_what_it_is_given() {
        let plain = TextOptions::default();
        let date_format = TimePattern::compile("dd.MM.yyyy").ok();
        let german = TextOptions { date_format, ..TextOptions::default() };
        for (text, options, is_date, is_timestamp) in [
            ("2026-09-03", &plain, true, false),
            ("2026-09-03T01:02:03Z", &plain, false, true),
            ("03.09.2026", &plain, false, false),
            ("03.09.2026", &german, true, false),
            ("2026-09-03", &german, false, false),
            ("2026-09-03T01:02:03Z", &german, false, true),
        ] {
            assert_eq!(options.is_date(text), is_date, "{text}");
            assert_eq!(options.is_timestamp(text), is_timestamp, "{text}");
        }
    }
}
