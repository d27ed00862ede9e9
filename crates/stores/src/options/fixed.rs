//! Options for tests.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;

use super::{Options, Unresolved};

/// Options that never change.
#[derive(Clone, Default)]
pub struct FixedOptions(BTreeMap<String, String>);

impl FixedOptions {
    /// Takes options by name.
    pub fn new<'a>(options: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self(options.into_iter().map(owned).collect())
    }
}

impl fmt::Debug for FixedOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names only: any value may be a secret.
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[async_trait]
impl Options for FixedOptions {
    async fn current(&self) -> Result<BTreeMap<String, String>, Unresolved> {
        Ok(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_shown() {
        let shown = format!("{:?}", FixedOptions::new([("secret_access_key", "cnry-1")]));
        assert!(shown.contains("secret_access_key") && !shown.contains("cnry-1"), "{shown}");
    }
}
