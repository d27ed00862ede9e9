//! The layers of settings, merged key by key, each key knowing its origin.
//!
//! `config/default.toml` has every key, so it doubles as the list of what a file may say and of
//! which type each value is. That is how all wrong keys and types are found in one pass, where a
//! deserializer stops at the first.

use std::{collections::BTreeMap, fmt};

use secrets::{Secret, SecretRef};
use toml::{Table, Value};

use super::{Problem, Problems, Reference, SettingsFile, file::ConfigFile};

/// Every default, built into the program.
const DEFAULT: &str = include_str!("../../../../config/default.toml");

/// What the name of an environment variable that is a setting starts with.
const ENVIRONMENT_PREFIX: &str = "MARKETLAKE__";

/// The table whose tables are named by the user: `secrets.scopes.<name>.<field>`.
const SCOPES: &str = "secrets.scopes.";

/// Tables whose tables are named by the user, the scopes among them; who knows the fields checks them
/// in `validate`.
const NAMED: [&str; 2] = [SCOPES, "postgres.roles."];

/// Tables whose keys are the business of a library, or of the user; who knows them checks them in
/// `validate`.
const OPEN: [&str; 5] = [
    "topic.kafka.",
    "landing.options.",
    "lake.options.",
    "serve.sharing.shares.",
    "serve.sharing.tokens.",
];

/// Settings that hold a reference to a secret and are read again while marketlake runs. Their
/// values never appear in a message, for it may be the secret itself that somebody wrote there.
pub(super) const REFERENCES: [&str; 2] = ["source.access_key", "postgres.password"];

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File(String),
    Environment(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(name) => write!(f, "file `{name}`"),
            Self::Environment(name) => write!(f, "environment `{name}`"),
            Self::Flag(name) => write!(f, "flag `{name}`"),
        }
    }
}

/// Values by path, such as `poll.interval`, in the order of the default file, then scopes.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    entries: Vec<Entry>,
    defaults: BTreeMap<String, Value>,
}

/// One setting in effect.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

impl Layers {
    /// Returns the defaults alone.
    pub(super) fn of_defaults() -> Self {
        let table: Table = DEFAULT.parse().expect("config/default.toml is TOML; a test reads it");
        let mut leaves = Vec::new();
        flatten("", &Value::Table(table), &mut leaves);
        let defaults = leaves.iter().cloned().collect();
        let entries = leaves
            .into_iter()
            .map(|(path, value)| Entry { path, value, origin: Origin::Default })
            .collect();
        Self { entries, defaults }
    }

    /// Adds what a file says.
    pub(super) fn add_file(&mut self, file: &SettingsFile, problems: &mut Problems) {
        let table = match file.text.parse::<Table>() {
            Ok(table) => table,
            Err(error) => {
                // Not `error` itself: it quotes the line, which may hold a pasted secret.
                let line = error.span().map_or(1, |span| {
                    let before = file.text.get(..span.start).unwrap_or_default();
                    before.matches('\n').count() + 1
                });
                problems.add(
                    &file.name,
                    format!("line {line} is no TOML: {}", error.message().replace('\n', "; ")),
                );
                return;
            }
        };
        let mut leaves = Vec::new();
        flatten("", &Value::Table(table), &mut leaves);
        for (path, value) in leaves {
            self.add(&path, Origin::File(file.name.clone()), value, problems);
        }
    }

    /// Adds the variables that start with `MARKETLAKE__`; all others are not ours.
    pub(super) fn add_environment(
        &mut self,
        environment: impl IntoIterator<Item = (String, String)>,
        problems: &mut Problems,
    ) {
        let mut ours: Vec<(String, String)> = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX))
            .collect();
        ours.sort();
        for (name, text) in ours {
            let path = name[ENVIRONMENT_PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
            self.add_text(&path, Origin::Environment(name), &text, problems);
        }
    }

    /// Adds one value given as text; the default's type says how to read it.
    pub(super) fn add_text(
        &mut self,
        path: &str,
        origin: Origin,
        text: &str,
        problems: &mut Problems,
    ) {
        let value = from_text(self.expected(path).as_ref(), text);
        self.add(path, origin, value, problems);
    }

    fn add(&mut self, path: &str, origin: Origin, value: Value, problems: &mut Problems) {
        let value = if is_open(path) { as_text(value) } else { value };
        let mut refuse = |message: String| {
            let origin = Some(origin.to_string());
            problems.0.push(Problem { path: path.to_owned(), origin, message });
        };
        let Some(expected) = self.expected(path) else {
            return refuse(self.unknown(path));
        };
        if !is_same_type(&expected, &value) && reference(&value).is_none() {
            let found = type_name(&value);
            return refuse(format!("must be {}, not {found}", type_name(&expected)));
        }
        match self.entries.iter_mut().find(|entry| entry.path == path) {
            Some(entry) => (entry.value, entry.origin) = (value, origin),
            None => self.entries.push(Entry { path: path.to_owned(), value, origin }),
        }
    }

    /// Returns a value of the type that `path` must have, or `None` for an unknown path.
    fn expected(&self, path: &str) -> Option<Value> {
        if is_open(path) {
            return Some(Value::String(String::new()));
        }
        self.defaults.get(path).cloned()
    }

    fn unknown(&self, path: &str) -> String {
        let section = format!("{path}.");
        let is_section = OPEN.contains(&section.as_str())
            || NAMED.contains(&section.as_str())
            || self.defaults.keys().any(|known| known.starts_with(&section));
        if is_section {
            return "is a section, not a setting".to_owned();
        }
        let known: Vec<String> = self.defaults.keys().cloned().collect();
        match nearest(path, &known) {
            Some(name) => format!("is no setting; did you mean `{name}`?"),
            None => "is no setting; `marketlake config show` lists them all".to_owned(),
        }
    }

    /// Returns what refers to a secret outside the scopes, which refer to each other.
    pub(super) fn references(&self) -> Vec<Reference> {
        self.entries()
            .filter(|Entry { path, .. }| !path.starts_with(SCOPES))
            .filter_map(|Entry { path, value, .. }| {
                let is_value = is_value(path);
                Some(Reference { path: path.clone(), secret: reference(value)?, is_value })
            })
            .collect()
    }

    /// Returns whether the scope that `path` belongs to was given another provider, so that the
    /// default fields of the old one mean nothing any more.
    fn is_scope_redefined(&self, path: &str) -> bool {
        path.starts_with(SCOPES)
            && path.rsplit_once('.').is_some_and(|(scope, _)| {
                let provider = self.origin(&format!("{scope}.provider"));
                provider.is_some_and(|origin| *origin != Origin::Default)
            })
    }

    /// Returns where the value of `path` came from.
    pub(crate) fn origin(&self, path: &str) -> Option<&Origin> {
        self.entries.iter().find(|entry| entry.path == path).map(|entry| &entry.origin)
    }

    /// Says of each problem where the value came from.
    pub(super) fn name_origins(&self, problems: &mut Problems) {
        for problem in &mut problems.0 {
            if problem.origin.is_none() {
                problem.origin = self.origin(&problem.path).map(ToString::to_string);
            }
        }
    }

    /// Returns the settings in effect.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| {
            entry.origin != Origin::Default || !self.is_scope_redefined(&entry.path)
        })
    }

    /// Returns the merged settings as the file type, with `resolved` in place of the references
    /// that are read once. Keys and types were checked on the way in, so a failure here is a default
    /// that the types do not know: a bug, reported as a problem.
    pub(super) fn to_file(
        &self,
        resolved: &BTreeMap<String, Secret>,
        problems: &mut Problems,
    ) -> Option<ConfigFile> {
        let mut root = Table::new();
        for Entry { path, value, .. } in self.entries() {
            let value = match (resolved.get(path), self.expected(path)) {
                (Some(secret), Some(expected)) => {
                    let value = from_text(Some(&expected), secret.expose());
                    if !is_same_type(&expected, &value) {
                        let wanted = type_name(&expected);
                        problems.add(path, format!("must be {wanted}; the secret is not"));
                        insert(&mut root, path, expected);
                        continue;
                    }
                    value
                }
                // Not resolved (yet): the default stands for it, which is valid by itself.
                (None, Some(expected)) if is_value(path) && reference(value).is_some() => expected,
                _ => value.clone(),
            };
            insert(&mut root, path, value);
        }
        let result = ConfigFile::deserialize_table(root);
        problems.take("config/default.toml", result)
    }
}

impl ConfigFile {
    fn deserialize_table(table: Table) -> Result<Self, String> {
        Value::Table(table).try_into().map_err(|error: toml::de::Error| error.message().to_owned())
    }
}

/// Returns whether the user chooses the key: a scope's field, or a library's option.
fn is_open(path: &str) -> bool {
    let is_field =
        named(path).is_some_and(|(_, name, field)| !name.is_empty() && !field.is_empty());
    is_field || OPEN.iter().any(|table| path.len() > table.len() && path.starts_with(table))
}

/// Splits the path of a field in a table that is named by the user: table, name, field.
fn named(path: &str) -> Option<(&'static str, &str, &str)> {
    NAMED.into_iter().find_map(|table| {
        let (name, field) = path.strip_prefix(table)?.rsplit_once('.')?;
        Some((table, name, field))
    })
}

/// Returns whether a reference in this setting stands for its value. Those of [`REFERENCES`] and of
/// open tables stand for a secret that is read whenever it is needed.
fn is_value(path: &str) -> bool {
    !is_open(path) && !REFERENCES.contains(&path)
}

/// Reads a text as a value of the expected type; one that is none stays text.
fn from_text(expected: Option<&Value>, text: &str) -> Value {
    let value = match expected {
        Some(Value::Integer(_)) => text.trim().parse().ok().map(Value::Integer),
        Some(Value::Boolean(_)) => text.trim().parse().ok().map(Value::Boolean),
        Some(Value::Array(_)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
        }
        _ => None,
    };
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// In an open table `true`, `5` and `"5"` mean the same: its owner reads text.
fn as_text(value: Value) -> Value {
    match value {
        Value::Integer(number) => Value::String(number.to_string()),
        Value::Boolean(switch) => Value::String(switch.to_string()),
        other => other,
    }
}

/// Returns the reference that a value is, if it is one.
fn reference(value: &Value) -> Option<SecretRef> {
    value.as_str()?.parse().ok()
}

/// Splits a path at the dots between tables: a scope's name and an open key may hold dots.
fn segments(path: &str) -> Vec<&str> {
    if let Some((table, name, field)) = named(path) {
        let tables = table.trim_end_matches('.').split('.');
        return tables.chain([name, field]).collect();
    }
    match OPEN.iter().find_map(|table| Some((table, path.strip_prefix(table)?))) {
        Some((table, key)) => {
            let tables = table.trim_end_matches('.').split('.');
            tables.chain(std::iter::once(key)).collect()
        }
        None => path.split('.').collect(),
    }
}

fn insert(root: &mut Table, path: &str, value: Value) {
    let mut segments = segments(path);
    let Some(last) = segments.pop() else { return };
    let mut table = root;
    for segment in segments {
        let entry = table.entry(segment).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = entry else { return };
        table = inner;
    }
    table.insert(last.to_owned(), value);
}

fn flatten(prefix: &str, value: &Value, leaves: &mut Vec<(String, Value)>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&path, value, leaves);
            }
        }
        _ => leaves.push((prefix.to_owned(), value.clone())),
    }
}

fn is_same_type(expected: &Value, value: &Value) -> bool {
    match (expected, value) {
        (Value::Array(_), Value::Array(items)) => items.iter().all(Value::is_str),
        _ => expected.same_type(value),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text in quotes",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number with decimals",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date without quotes",
        Value::Array(items) if items.iter().all(Value::is_str) => "a list of texts",
        Value::Array(_) => "a list with other things than texts",
        Value::Table(_) => "a section",
    }
}

/// Returns the known name that is closest to `name`, if it is close enough to be a slip.
fn nearest(name: &str, known: &[String]) -> Option<String> {
    // A third of the letters wrong is no slip of the fingers any more.
    let distance_max = (name.len() / 3).max(2);
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    known
        .iter()
        .map(|candidate| {
            // The right key in the wrong section is as near as a key can be.
            let is_same_key = last(candidate) == last(name);
            let distance = if is_same_key { 1 } else { edit_distance(name, candidate) };
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, candidate)| candidate.clone())
}

/// Levenshtein's distance, in bytes; the names are ASCII.
fn edit_distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, left_byte) in left.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, right_byte) in right.bytes().enumerate() {
            let substituted = diagonal + usize::from(left_byte != right_byte);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
