//! References as written in settings: `{{secrets/<scope>/<key>}}`.

use std::{fmt, str::FromStr};

/// Longest scope or key name, the limit of Databricks secret scopes.
const NAME_BYTES_MAX: usize = 128;

/// The name of a scope or key: letters, digits, `-`, `_`, `@`, `.`; not starting with a dot, so
/// that it is a harmless file name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

impl SecretName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SecretName {
    type Err = InvalidRef;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_valid = (1..=NAME_BYTES_MAX).contains(&text.len())
            && !text.starts_with('.')
            && text.bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'@' | b'.')
            });
        if is_valid { Ok(Self(text.to_owned())) } else { Err(InvalidRef::Name) }
    }
}

/// A reference to a secret: which scope, which key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretRef {
    /// The scope: a named provider.
    pub scope: SecretName,
    /// The key within the scope.
    pub key: SecretName,
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{secrets/{}/{}}}}}", self.scope, self.key)
    }
}

impl FromStr for SecretRef {
    type Err = InvalidRef;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inner = text
            .trim()
            .strip_prefix("{{")
            .and_then(|rest| rest.strip_suffix("}}"))
            .and_then(|rest| rest.trim().strip_prefix("secrets/"))
            .ok_or(InvalidRef::Shape)?;
        let (scope, key) = inner.split_once('/').ok_or(InvalidRef::Shape)?;
        Ok(Self { scope: scope.parse()?, key: key.parse()? })
    }
}

/// Why a text is no reference. Never carries the text: it may be a secret pasted by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRef {
    /// Not of the form `{{secrets/<scope>/<key>}}`.
    #[error("not of the form `{{{{secrets/<scope>/<key>}}}}`")]
    Shape,
    /// The scope or key has a forbidden character or length.
    #[error(
        "a scope or key is 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_`, `@` or `.`, and does \
         not start with a dot"
    )]
    Name,
}

#[cfg(test)]
mod tests {
    use super::{InvalidRef, SecretRef};

    #[track_caller]
    fn check(text: &str, expected: Result<&str, InvalidRef>) {
        let shown = text.parse::<SecretRef>().map(|reference| reference.to_string());
        assert_eq!(shown, expected.map(str::to_owned), "input {text:?}");
    }

    #[test]
    fn a_reference_survives_the_round_trip() {
        check(
            "{{secrets/env/marketstack-access-key}}",
            Ok("{{secrets/env/marketstack-access-key}}"),
        );
        check(" {{ secrets/a.b/c@d }} ", Ok("{{secrets/a.b/c@d}}"));
    }

    #[test]
    fn anything_else_is_refused_without_repeating_it() {
        check("0123456789abcdef", Err(InvalidRef::Shape));
        check("{{secrets/env}}", Err(InvalidRef::Shape));
        check("{{secret/env/key}}", Err(InvalidRef::Shape));
        check("{{secrets//key}}", Err(InvalidRef::Name));
        check("{{secrets/env/../../etc/passwd}}", Err(InvalidRef::Name));
        check("{{secrets/env/.hidden}}", Err(InvalidRef::Name));
        check("", Err(InvalidRef::Shape));
        assert!(!InvalidRef::Shape.to_string().contains("0123"));
    }
}
