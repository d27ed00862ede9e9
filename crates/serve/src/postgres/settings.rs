//! The settings of one connection: what `SET`, `SHOW` and `RESET` mean here.
//!
//! A closed list. None of them reaches the engine's own configuration, so no client can lift
//! a limit; the statement timeout can only be lowered.

use std::{collections::BTreeMap, time::Duration};

use super::failure::Failure;

/// PostgreSQL's generation whose catalog this server speaks; drivers read the leading digits.
pub(super) const SERVER_VERSION: &str =
    concat!("15.0 (marketlake ", env!("CARGO_PKG_VERSION"), ")");

/// The only database.
pub const DATABASE: &str = "marketlake";

const SEARCH_PATH: &str = "gold, silver";

/// More names in a search path than there are schemas help nobody.
const SCHEMAS_MAX: usize = 16;

/// Longest search path: room for sixteen names of the length PostgreSQL allows. It is told to the
/// client after each change, in a message that has bounds.
const SEARCH_PATH_BYTES_MAX: usize = 1_000;

/// Name, default, and whether the client is told of changes.
const KNOWN: &[(&str, &str, Access)] = &[
    ("application_name", "", Access::Free),
    ("client_encoding", "UTF8", Access::Utf8),
    ("client_min_messages", "notice", Access::Free),
    ("datestyle", "ISO, MDY", Access::IsoDates),
    ("default_transaction_isolation", "repeatable read", Access::Free),
    ("default_transaction_read_only", "on", Access::On),
    ("extra_float_digits", "1", Access::Free),
    ("idle_in_transaction_session_timeout", "0", Access::IdleTimeout),
    ("in_hot_standby", "off", Access::Fixed),
    ("integer_datetimes", "on", Access::Fixed),
    ("intervalstyle", "postgres", Access::Free),
    ("is_superuser", "off", Access::Fixed),
    ("lc_collate", "C", Access::Fixed),
    ("lc_ctype", "C", Access::Fixed),
    ("lock_timeout", "0", Access::Free),
    ("max_identifier_length", "63", Access::Fixed),
    ("max_index_keys", "32", Access::Fixed),
    ("row_security", "on", Access::Free),
    ("scram_iterations", "15000", Access::Fixed),
    ("search_path", SEARCH_PATH, Access::SearchPath),
    ("server_encoding", "UTF8", Access::Fixed),
    ("server_version", SERVER_VERSION, Access::Fixed),
    ("server_version_num", "150000", Access::Fixed),
    ("session_authorization", "", Access::Fixed),
    ("ssl_renegotiation_limit", "0", Access::Free),
    ("standard_conforming_strings", "on", Access::On),
    ("statement_timeout", "0", Access::Timeout),
    ("timezone", "UTC", Access::Utc),
    ("transaction_isolation", "repeatable read", Access::Free),
    ("transaction_read_only", "on", Access::On),
];

/// What a client may set a setting to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Fixed,
    /// Kept and shown, without any effect on results.
    Free,
    Utf8,
    IsoDates,
    On,
    SearchPath,
    Timeout,
    /// As in PostgreSQL: zero for none.
    IdleTimeout,
    Utc,
}

/// The names clients are told about at login and after a change, in PostgreSQL's spelling.
const REPORTED: &[&str] = &[
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "scram_iterations",
    "search_path",
    "server_encoding",
    "server_version",
    "session_authorization",
    "standard_conforming_strings",
    "TimeZone",
];

#[derive(Clone, Debug)]
pub(super) struct Settings {
    values: BTreeMap<&'static str, String>,
    /// What `RESET` returns to: the defaults and the client's startup options.
    initial: BTreeMap<&'static str, String>,
    statement_timeout_max: Duration,
}

impl Settings {
    pub(super) fn new(user: &str, statement_timeout_max: Duration) -> Self {
        let mut values: BTreeMap<&'static str, String> =
            KNOWN.iter().map(|(name, value, _)| (*name, (*value).to_owned())).collect();
        values.insert("session_authorization", user.to_owned());
        values.insert("statement_timeout", show_timeout(statement_timeout_max));
        Self { initial: values.clone(), values, statement_timeout_max }
    }

    /// Takes over what the client asked for at login. Wishes that cannot be met are ignored:
    /// drivers send their whole environment, and the reported values tell them what holds.
    pub(super) fn apply_startup<'a>(
        &mut self,
        parameters: impl Iterator<Item = (&'a String, &'a String)>,
    ) {
        for (name, value) in parameters {
            let pairs = match name.as_str() {
                "options" => command_line_options(value),
                _ => vec![(name.clone(), value.clone())],
            };
            for (name, value) in pairs {
                if let Err(failure) = self.set(&name, Some(&value)) {
                    tracing::debug!(name, message = failure.message, "ignored a startup option");
                }
            }
        }
        self.initial = self.values.clone();
    }

    /// Sets `name`, or resets it when there is no value. Returns what to report to the client.
    pub(super) fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
    ) -> Result<Option<(&'static str, String)>, Failure> {
        let name = name.to_ascii_lowercase();
        let Some((key, _, access)) = KNOWN.iter().find(|(known, ..)| *known == name) else {
            let code = if name.contains('.') { "42501" } else { "42704" };
            return Err(Failure::new(
                code,
                format!("configuration parameter \"{name}\" is unknown or cannot be set here"),
            ));
        };
        let value = match value {
            Some(value) => self.check(key, *access, value)?,
            None => self.initial.get(key).cloned().unwrap_or_default(),
        };
        self.values.insert(key, value.clone());
        let reported = REPORTED.iter().find(|name| name.eq_ignore_ascii_case(key));
        Ok(reported.map(|name| (*name, value)))
    }

    fn check(&self, name: &str, access: Access, value: &str) -> Result<String, Failure> {
        let invalid = |hint: &str| {
            Failure::new("22023", format!("invalid value for parameter \"{name}\": \"{value}\""))
                .with_hint(hint)
        };
        let same = |wanted: &str| value.eq_ignore_ascii_case(wanted);
        match access {
            Access::Free => Ok(value.chars().filter(|c| !c.is_control()).take(200).collect()),
            Access::Fixed => {
                Err(Failure::new("55P02", format!("parameter \"{name}\" cannot be changed")))
            }
            Access::Utf8 if same("utf8") || same("utf-8") || same("unicode") => {
                Ok("UTF8".to_owned())
            }
            Access::Utf8 => Err(invalid("Text is always UTF-8.")),
            Access::IsoDates => {
                let iso = value.split(',').any(|part| part.trim().eq_ignore_ascii_case("iso"));
                if iso || ["mdy", "dmy", "ymd"].iter().any(|order| same(order)) {
                    Ok("ISO, MDY".to_owned())
                } else {
                    Err(invalid("Dates are always in ISO form."))
                }
            }
            Access::On if same("on") || same("true") || same("1") || same("yes") => {
                Ok("on".to_owned())
            }
            Access::On if name.ends_with("read_only") => Err(Failure::new(
                "25006",
                "cannot set transaction read-write mode: this server is read-only",
            )),
            Access::On => Err(invalid("It is always on.")),
            Access::SearchPath if value.len() > SEARCH_PATH_BYTES_MAX => {
                let text = "invalid value for parameter \"search_path\": too long";
                Err(Failure::new("22023", text))
            }
            Access::SearchPath => Ok(show_path(&parse_path(value)?)),
            Access::Timeout => {
                let timeout = parse_timeout(value)
                    .ok_or_else(|| invalid("Use milliseconds, or a number with ms, s or min."))?;
                if timeout.is_zero() || timeout > self.statement_timeout_max {
                    let max = show_timeout(self.statement_timeout_max);
                    return Err(invalid(&format!("The server allows at most {max}.")));
                }
                Ok(show_timeout(timeout))
            }
            Access::IdleTimeout => {
                let timeout = parse_timeout(value)
                    .ok_or_else(|| invalid("Use milliseconds, or a number with ms, s or min."))?;
                Ok(show_timeout(timeout))
            }
            Access::Utc => {
                let utc = ["utc", "etc/utc", "gmt", "zulu", "z", "0", "universal", "etc/gmt"];
                if utc.iter().any(|zone| same(zone)) {
                    Ok("UTC".to_owned())
                } else {
                    Err(invalid("Times are always served in UTC."))
                }
            }
        }
    }

    pub(super) fn reset_all(&mut self) -> Vec<(&'static str, String)> {
        let changed: Vec<_> = REPORTED
            .iter()
            .filter(|name| {
                let key = name.to_ascii_lowercase();
                self.values.get(key.as_str()) != self.initial.get(key.as_str())
            })
            .copied()
            .collect();
        self.values = self.initial.clone();
        changed.into_iter().map(|name| (name, self.show(name).unwrap_or_default())).collect()
    }

    pub(super) fn show(&self, name: &str) -> Result<String, Failure> {
        self.values.get(name.to_ascii_lowercase().as_str()).cloned().ok_or_else(|| {
            Failure::new("42704", format!("unrecognized configuration parameter \"{name}\""))
        })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values.iter().map(|(name, value)| (*name, value.as_str()))
    }

    pub(super) fn reported(&self) -> Vec<(&'static str, String)> {
        REPORTED.iter().map(|name| (*name, self.show(name).unwrap_or_default())).collect()
    }

    /// The schemas in which an unqualified name is looked for, in order.
    pub(super) fn search_path(&self) -> Vec<String> {
        let path = self.values.get("search_path").map(String::as_str).unwrap_or_default();
        parse_path(path).unwrap_or_default()
    }

    pub(super) fn statement_timeout(&self) -> Duration {
        self.values
            .get("statement_timeout")
            .and_then(|text| parse_timeout(text))
            .unwrap_or(self.statement_timeout_max)
    }

    /// How long a transaction may wait for its client's next message, if the client set a limit.
    pub(super) fn idle_in_transaction_timeout(&self) -> Option<Duration> {
        let text = self.values.get("idle_in_transaction_session_timeout")?;
        parse_timeout(text).filter(|timeout| !timeout.is_zero())
    }
}

fn parse_path(value: &str) -> Result<Vec<String>, Failure> {
    let path: Vec<String> = value
        .split(',')
        .map(|name| name.trim().trim_matches(['"', '\'']).to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    if path.len() > SCHEMAS_MAX || path.iter().any(|name| name.chars().any(char::is_control)) {
        return Err(Failure::new("22023", "invalid value for parameter \"search_path\""));
    }
    Ok(path)
}

fn show_path(path: &[String]) -> String {
    let quoted = path.iter().map(|name| {
        let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if plain { name.clone() } else { format!("\"{}\"", name.replace('"', "")) }
    });
    quoted.collect::<Vec<_>>().join(", ")
}

fn parse_timeout(value: &str) -> Option<Duration> {
    let value = value.trim();
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

fn show_timeout(timeout: Duration) -> String {
    let millis = timeout.as_millis();
    if millis == 0 {
        "0".to_owned()
    } else if millis.is_multiple_of(60_000) {
        format!("{}min", millis / 60_000)
    } else if millis.is_multiple_of(1_000) {
        format!("{}s", millis / 1_000)
    } else {
        format!("{millis}ms")
    }
}

/// `-c name=value` and `--name=value`, as `PGOPTIONS` has them.
fn command_line_options(text: &str) -> Vec<(String, String)> {
    let text = text.replace("-c ", "-c");
    text.split_whitespace()
        .filter_map(|word| word.strip_prefix("--").or_else(|| word.strip_prefix("-c")))
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.replace('-', "_"), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("analyst", Duration::from_secs(60))
    }

    #[test]
    fn limits_can_only_be_lowered() {
        let mut settings = settings();
        assert!(settings.set("statement_timeout", Some("0")).is_err());
        assert!(settings.set("statement_timeout", Some("61s")).is_err());
        settings.set("statement_timeout", Some("1500")).unwrap();
        assert_eq!(settings.statement_timeout(), Duration::from_millis(1500));
        settings.set("statement_timeout", None).unwrap();
        assert_eq!(settings.statement_timeout(), Duration::from_secs(60));
    }

    #[test]
    fn a_transaction_may_be_idle_for_as_long_as_the_client_says() {
        let mut settings = settings();
        assert_eq!(settings.idle_in_transaction_timeout(), None);
        let name = "idle_in_transaction_session_timeout";
        for (text, shown, expected) in [
            ("90s", "90s", Some(Duration::from_secs(90))),
            ("2min", "2min", Some(Duration::from_secs(120))),
            ("0", "0", None),
        ] {
            settings.set(name, Some(text)).unwrap();
            assert_eq!(settings.show(name).unwrap(), shown);
            assert_eq!(settings.idle_in_transaction_timeout(), expected);
        }
        assert_eq!(settings.set(name, Some("soon")).unwrap_err().code, "22023");
    }

    #[test]
    fn a_search_path_is_as_long_as_names_can_be() {
        let mut settings = settings();
        let name = "x".repeat(60);
        let path = vec![name.as_str(); 16].join(",");
        settings.set("search_path", Some(&path)).unwrap();
        assert_eq!(settings.search_path(), vec![name.as_str(); 16]);
        let long = "x".repeat(40_000);
        assert_eq!(settings.set("search_path", Some(&long)).unwrap_err().code, "22023");
        assert_eq!(settings.search_path().len(), 16, "what held before holds");
    }

    #[test]
    fn the_engines_settings_are_out_of_reach() {
        let mut settings = settings();
        let failure = settings.set("datafusion.runtime.memory_limit", Some("1T")).unwrap_err();
        assert_eq!(failure.code, "42501");
        assert_eq!(settings.set("work_mem", Some("1GB")).unwrap_err().code, "42704");
        assert_eq!(settings.set("server_version", Some("9")).unwrap_err().code, "55P02");
        assert_eq!(settings.set("transaction_read_only", Some("off")).unwrap_err().code, "25006");
    }

    #[test]
    fn startup_options_are_the_state_to_which_reset_returns() {
        let mut settings = settings();
        let options = "-c search_path=silver --statement-timeout=5s -c nonsense=1".to_owned();
        let zone = "Mars/Olympus".to_owned();
        let (first, second) = ("options".to_owned(), "TimeZone".to_owned());
        settings.apply_startup([(&first, &options), (&second, &zone)].into_iter());
        assert_eq!(settings.search_path(), ["silver"]);
        assert_eq!(settings.show("TimeZone").unwrap(), "UTC");
        settings.set("search_path", Some("\"gold\", bronze")).unwrap();
        assert_eq!(settings.show("search_path").unwrap(), "gold, bronze");
        assert_eq!(settings.reset_all(), [("search_path", "silver".to_owned())]);
        assert_eq!(settings.statement_timeout(), Duration::from_secs(5));
    }
}
