//! Takes the fields of one scope apart, and notes every problem with the field it belongs to.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use url::{Host, Url};

use crate::{SecretName, SecretRef};

/// Longest duration that makes sense for a credential: a month.
const DURATION_MAX: Duration = Duration::from_secs(31 * 24 * 3600);

/// The fields of one scope as they were written, and what is wrong with them.
pub(super) struct Fields {
    values: BTreeMap<String, String>,
    problems: Vec<(String, String)>,
}

impl Fields {
    pub(super) fn new(values: BTreeMap<String, String>) -> Self {
        Self { values, problems: Vec::new() }
    }

    pub(super) fn problem(&mut self, field: &str, problem: impl Into<String>) {
        self.problems.push((field.to_owned(), problem.into()));
    }

    pub(super) fn into_problems(self) -> Vec<(String, String)> {
        self.problems
    }

    /// Returns whether the field has a value; an empty one counts as not written.
    pub(super) fn has(&self, field: &str) -> bool {
        self.values.get(field).is_some_and(|value| !value.trim().is_empty())
    }

    /// Returns the text of a field that may be left out.
    pub(super) fn text(&self, field: &str) -> Option<String> {
        self.has(field).then(|| self.values[field].trim().to_owned())
    }

    /// Returns the text of a field that is needed; `example` says what to write.
    pub(super) fn needed(&mut self, field: &str, example: &str) -> Option<String> {
        let text = self.text(field);
        if text.is_none() {
            self.problem(field, format!("is needed; write {example}"));
        }
        text
    }

    /// Returns the text of a field that must be written, and may be empty.
    pub(super) fn written(&mut self, field: &str, example: &str) -> Option<String> {
        let text = self.values.get(field).cloned();
        if text.is_none() {
            self.problem(field, format!("is needed; write {example}"));
        }
        text
    }

    pub(super) fn path(&mut self, field: &str, example: &str) -> Option<PathBuf> {
        self.needed(field, example).map(PathBuf::from)
    }

    /// Returns a reference. The text never enters a message: it may be the secret itself.
    pub(super) fn reference(&mut self, field: &str) -> Option<SecretRef> {
        let text = self.needed(field, "a reference such as \"{{secrets/env/NAME}}\"")?;
        match text.parse() {
            Ok(reference) => Some(reference),
            Err(error) => {
                let problem = format!(
                    "is {error}; settings never hold a secret itself: put it into another scope \
                     and write \"{{{{secrets/SCOPE/KEY}}}}\""
                );
                self.problem(field, problem);
                None
            }
        }
    }

    /// Returns an address: https, or http on this machine when `allows_http`.
    pub(super) fn address(&mut self, field: &str, example: &str, allows_http: bool) -> Option<Url> {
        let text = self.needed(field, example)?;
        match address(&text, allows_http) {
            Ok(url) => Some(url),
            Err(problem) => {
                self.problem(field, problem);
                None
            }
        }
    }

    pub(super) fn duration(&mut self, field: &str, default: Duration) -> Option<Duration> {
        let Some(text) = self.text(field) else { return Some(default) };
        let duration = duration(&text);
        if duration.is_none() {
            let problem = format!(
                "`{text}` is no time of at most 31 days; write \"30s\", \"5m\" or \"1h30m\""
            );
            self.problem(field, problem);
        }
        duration
    }

    pub(super) fn flag(&mut self, field: &str, default: bool) -> Option<bool> {
        match self.text(field).as_deref() {
            None => Some(default),
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => {
                self.problem(field, "must be true or false");
                None
            }
        }
    }

    /// Returns the versions of `KEY=VERSION, KEY=VERSION`.
    pub(super) fn pins(&mut self, field: &str) -> Option<BTreeMap<SecretName, String>> {
        let text = self.text(field).unwrap_or_default();
        let mut pins = BTreeMap::new();
        for pin in text.split(',').map(str::trim).filter(|pin| !pin.is_empty()) {
            let parsed = pin
                .split_once('=')
                .map(|(key, version)| (key.trim().parse::<SecretName>(), version.trim()));
            match parsed {
                Some((Ok(key), version)) if is_version(version) => {
                    pins.insert(key, version.to_owned());
                }
                _ => {
                    self.problem(field, format!("`{pin}` is no pin; write \"KEY=VERSION\""));
                    return None;
                }
            }
        }
        Some(pins)
    }
}

/// Returns whether `text` may stand in an address as the version of a secret.
pub(crate) fn is_version(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn address(text: &str, allows_http: bool) -> Result<Url, String> {
    // The text stays out of the messages until it is known to hold no credential.
    let url = Url::parse(text).map_err(|error| format!("is no address: {error}"))?;
    let has_more = !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some();
    if has_more {
        return Err("must have neither user, password, query nor fragment".to_owned());
    }
    let is_local = is_loopback(&url);
    match url.scheme() {
        _ if url.host().is_none() => Err("names no host".to_owned()),
        "https" => Ok(url),
        "http" if allows_http && is_local => Ok(url),
        "http" => Err(format!(
            "must be https: `{url}` would send credentials in the clear{}",
            if allows_http { "; only this machine itself may be asked over http" } else { "" }
        )),
        scheme => Err(format!("`{scheme}` is no scheme of this service; write https")),
    }
}

/// Returns whether the address is on this machine by its very name.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Parses `0`, `250ms`, `30s`, `5m`, `1h30m`, `1d`, as all durations of the settings.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.trim();
    let mut total = (!rest.is_empty()).then_some(Duration::ZERO)?;
    while !rest.is_empty() {
        let (number, after) = split(rest, |byte| byte.is_ascii_digit());
        let (unit, after) = split(after.trim_start(), |byte| byte.is_ascii_alphabetic());
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 3600 * 1000,
            "d" => 24 * 3600 * 1000,
            _ => return None,
        };
        let number: u64 = number.parse().ok()?;
        let part = Duration::from_millis(number.checked_mul(milliseconds)?);
        total = total.checked_add(part).filter(|total| *total <= DURATION_MAX)?;
        rest = after.trim_start();
    }
    Some(total)
}

/// Splits a text after the ASCII characters at its start that belong together.
fn split(text: &str, belongs: impl Fn(u8) -> bool) -> (&str, &str) {
    let length = text.bytes().take_while(|byte| belongs(*byte)).count();
    text.split_at(length)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{prop_assert, proptest};

    use super::{address, duration};

    #[test]
    fn durations_are_read_as_people_write_them() {
        let seconds = Duration::from_secs;
        for (text, expected) in [
            ("0", Some(Duration::ZERO)),
            ("250ms", Some(Duration::from_millis(250))),
            ("30s", Some(seconds(30))),
            ("5m", Some(seconds(300))),
            ("12 h", Some(seconds(12 * 3600))),
            ("1d", Some(seconds(24 * 3600))),
            ("1h30m", Some(seconds(5400))),
            ("1m 30s 500ms", Some(Duration::from_millis(90_500))),
            ("31d", Some(seconds(31 * 24 * 3600))),
            ("30d 24h 1ms", None),
            ("1h30", None),
            ("5", None),
            ("-5m", None),
            ("32d", None),
            ("18446744073709551615d", None),
            ("", None),
            ("ms", None),
        ] {
            assert_eq!(duration(text), expected, "{text:?}");
        }
    }

    #[test]
    fn credentials_never_leave_the_machine_in_the_clear() {
        for (text, allows_http, is_allowed) in [
            ("https://vault.example:8200", true, true),
            ("http://127.0.0.1:8200", true, true),
            ("http://localhost:8200", true, true),
            ("http://[::1]:8200", true, true),
            ("http://127.0.0.1:8200", false, false),
            ("http://vault.example:8200", true, false),
            ("http://localhost.vault.example", true, false),
            ("http://10.0.0.1", true, false),
            ("ftp://vault.example", true, false),
            ("https://user:cnry-1@vault.example", true, false),
            ("https://vault.example?token=cnry-1", true, false),
            ("vault.example", true, false),
        ] {
            let result = address(text, allows_http);
            assert_eq!(result.is_ok(), is_allowed, "{text}: {result:?}");
            assert!(!format!("{result:?}").contains("cnry"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_fall(text in "\\PC{0,24}") {
            prop_assert!(duration(&text).is_none_or(|found| found <= super::DURATION_MAX));
            let _address = address(&text, true);
        }
    }
}
