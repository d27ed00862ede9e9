//! A credential that does not print itself and is wiped when dropped.

use std::fmt;

use zeroize::Zeroizing;

/// A credential's value. Copies that other libraries make of it (HTTP clients, TLS) are theirs and
/// cannot be wiped from here.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a value over; it is wiped when the last clone is dropped.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// Returns the value itself. Every call is a place to review: the result must not be kept.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_shows_neither_value_nor_length() {
        assert_eq!(format!("{:?}", Secret::new("cnry-1".to_owned())), "Secret(…)");
        assert_eq!(format!("{:#?}", Some(Secret::new(String::new()))), "Some(\n    Secret(…),\n)");
    }
}
