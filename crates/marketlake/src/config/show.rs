//! Prints the settings in effect as a file that could be given to `--config` again.

use std::fmt::Write as _;

use secrets::Redactor;
use serde_json::{Map, Value as Json, json};
use serve::{http::sharing::Recipient, postgres::Verifier};
use toml::Value;

use super::{
    Layers,
    layers::{Entry, REFERENCES},
};

impl Layers {
    /// Returns the settings as TOML, each line with its origin.
    pub(crate) fn show_text(&self, redactor: &Redactor) -> String {
        let mut text = String::new();
        let mut section = String::new();
        for entry in self.entries_by_section() {
            let (current, key) = entry.path.rsplit_once('.').unwrap_or(("", &entry.path));
            if current != section {
                current.clone_into(&mut section);
                let header = section_header(current);
                write!(text, "\n[{header}]\n").expect("writing to a text cannot fail");
            }
            let value = shown(entry);
            let line = format!("{key} = {value}");
            writeln!(text, "{line:<56} # {}", entry.origin).expect("writing to a text cannot fail");
        }
        redactor.scrub(&text).into_owned()
    }

    /// Returns the settings as JSON: path to value and origin.
    pub(crate) fn show_json(&self, redactor: &Redactor) -> Json {
        let settings: Map<String, Json> = self
            .entries_by_section()
            .into_iter()
            .map(|entry| {
                let value = serde_json::to_value(shown(entry)).unwrap_or_default();
                let value = match value {
                    Json::String(text) => Json::String(redactor.scrub(&text).into_owned()),
                    other => other,
                };
                (entry.path.clone(), json!({"value": value, "origin": entry.origin.to_string()}))
            })
            .collect();
        Json::Object(settings)
    }

    /// Keys outside sections first, as TOML demands; a scope added later joins its like.
    fn entries_by_section(&self) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> = self.entries().collect();
        let section =
            |path: &str| path.rsplit_once('.').map_or(String::new(), |(s, _)| s.to_owned());
        let mut order: Vec<String> = Vec::new();
        for entry in &entries {
            let name = section(&entry.path);
            if !order.contains(&name) {
                order.push(name);
            }
        }
        entries.sort_by_key(|entry| {
            let name = section(&entry.path);
            (!name.is_empty(), order.iter().position(|known| *known == name))
        });
        entries
    }
}

/// The table of what is known of tokens: somebody may have written the token itself.
const TOKENS: &str = "serve.sharing.tokens.";

/// The tables of roles, whose passwords somebody may have written.
const ROLES: &str = "postgres.roles.";

/// A second net: what is no reference where one belongs, or no hash, is never printed.
fn shown(entry: &Entry) -> Value {
    let is_safe = match &entry.value {
        Value::String(text) if entry.path.starts_with(TOKENS) => {
            Recipient::parse(entry.path.trim_start_matches(TOKENS), text).is_ok()
        }
        Value::String(text) if entry.path.starts_with(ROLES) => {
            is_safe_of_role(entry.path.rsplit('.').next().unwrap_or_default(), text)
        }
        Value::String(text) if REFERENCES.contains(&entry.path.as_str()) => {
            text.is_empty() || text.parse::<secrets::SecretRef>().is_ok()
        }
        _ => true,
    };
    if is_safe { entry.value.clone() } else { Value::String("[redacted]".to_owned()) }
}

/// A verifier is shown: it is how the settings are handed on, and no password.
fn is_safe_of_role(field: &str, text: &str) -> bool {
    match field {
        "verifier" => Verifier::parse(text).is_ok(),
        "password" => text.is_empty() || text.parse::<secrets::SecretRef>().is_ok(),
        _ => true,
    }
}

fn section_header(path: &str) -> String {
    match path.strip_prefix("secrets.scopes.") {
        Some(scope) if scope.contains(['.', '@']) => format!("secrets.scopes.\"{scope}\""),
        _ => path.to_owned(),
    }
}
