//! Rows as the vendor writes them: key order, floats with a point, nulls, dates without a colon.

use model::decimal::{DecimalType, PRICE, VOLUME};

use crate::{
    schedule::{Drift, Poison},
    tape::{Micros, Seconds, Volume, time},
};

/// A row being written: keys with their JSON text, in the vendor's order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    fields: Vec<(&'static str, String)>,
    writes_integers: bool,
}

impl Row {
    /// Starts a row; `writes_integers` leaves `.0` off whole numbers.
    pub(crate) fn new(writes_integers: bool) -> Self {
        Self { fields: Vec::with_capacity(20), writes_integers }
    }

    pub(crate) fn price(self, key: &'static str, value: Option<Micros>) -> Self {
        self.decimal(key, PRICE, value.map(i128::from))
    }

    pub(crate) fn volume(self, key: &'static str, value: Option<Volume>) -> Self {
        self.decimal(key, VOLUME, value.map(i128::from))
    }

    pub(crate) fn decimal(self, key: &'static str, kind: DecimalType, value: Option<i128>) -> Self {
        let Some(value) = value else { return self.null(key) };
        let mut text = kind.format(value);
        if !self.writes_integers && !text.contains('.') {
            text.push_str(".0");
        }
        self.raw(key, text)
    }

    pub(crate) fn text(self, key: &'static str, value: &str) -> Self {
        self.raw(key, json_text(value))
    }

    pub(crate) fn null(self, key: &'static str) -> Self {
        self.raw(key, "null".to_owned())
    }

    pub(crate) fn raw(mut self, key: &'static str, json: String) -> Self {
        self.fields.push((key, json));
        self
    }

    pub(crate) fn drifted(mut self, drift: Option<Drift>, unimportant: &str) -> Self {
        match drift {
            None => (),
            Some(Drift::ExtraNumber) => return self.raw("trade_count", "17".to_owned()),
            Some(Drift::ExtraText) => return self.text("feed", "sip"),
            Some(Drift::ExtraObject) => {
                return self.raw("venue", r#"{"code":"IEXG","delay_ms":[0,15]}"#.to_owned());
            }
            Some(Drift::Missing) => self.fields.retain(|(key, _)| *key != unimportant),
        }
        self
    }

    /// Returns the row's JSON.
    pub(crate) fn finish(&self) -> String {
        let fields: Vec<String> =
            self.fields.iter().map(|(key, json)| format!("\"{key}\":{json}")).collect();
        format!("{{{}}}", fields.join(","))
    }

    /// Returns the JSON of a row like this one that no bar can be made of.
    pub(crate) fn poisoned(mut self, poison: Poison) -> String {
        const NUMBERS: [&str; 6] = ["open", "high", "low", "last", "close", "marketstack_last"];
        match poison {
            Poison::EmptyArray => return "[]".to_owned(),
            Poison::MissingDate => self.fields.retain(|(key, _)| *key != "date"),
            Poison::WrongTypes | Poison::NegativePrice => {
                for (key, json) in &mut self.fields {
                    if !NUMBERS.contains(key) {
                        continue;
                    }
                    *json = match poison {
                        Poison::NegativePrice if json == "null" => continue,
                        Poison::NegativePrice => format!("-{json}"),
                        _ if *key == "last" => "{}".to_owned(),
                        _ => "\"n/a\"".to_owned(),
                    };
                }
            }
        }
        self.finish()
    }
}

/// Returns the JSON of a text.
pub(crate) fn json_text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

/// Returns a moment as the vendor writes it: `2024-09-27T16:00:00+0000`.
pub(crate) fn vendor_time(ts: Seconds) -> String {
    time(ts).format("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(writes_integers: bool) -> Row {
        Row::new(writes_integers)
            .price("open", Some(226_000_000))
            .price("last", None)
            .volume("volume", Some(4_957_410_000))
            .text("date", &vendor_time(1_724_183_940))
    }

    #[test]
    fn numbers_and_dates_look_like_the_vendors() {
        assert_eq!(
            row(false).finish(),
            r#"{"open":226.0,"last":null,"volume":495741.0,"date":"2024-08-20T19:59:00+0000"}"#
        );
        assert!(row(true).finish().starts_with(r#"{"open":226,"#));
        assert!(Row::new(false).price("x", Some(171_200_100)).finish().contains("171.2001"));
    }

    #[test]
    fn a_poisoned_row_is_of_no_use() {
        assert_eq!(row(false).poisoned(Poison::EmptyArray), "[]");
        assert!(!row(false).poisoned(Poison::MissingDate).contains("date"));
        assert!(
            row(false).poisoned(Poison::NegativePrice).contains(r#""open":-226.0,"last":null"#)
        );
        assert!(row(false).poisoned(Poison::WrongTypes).contains(r#""open":"n/a","last":{}"#));
    }

    #[test]
    fn drift_adds_unknown_and_drops_unimportant_keys() {
        assert!(row(false).drifted(Some(Drift::ExtraObject), "last").finish().contains("venue"));
        assert!(!row(false).drifted(Some(Drift::Missing), "last").finish().contains("last"));
    }
}
