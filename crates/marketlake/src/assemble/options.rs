//! What libraries are told, with secrets read from their scopes whenever a library asks.

use std::collections::BTreeMap;

use async_trait::async_trait;
use secrets::{Scopes, Secret};
use zeroize::Zeroizing;

use ingest::topic::kafka::{ConnectionProperties, PropertiesError, Property};

use crate::{
    config::{OptionValue, Options},
    failure::kind_of,
};

/// Options as they are now. The scopes cache what they read, so asking often costs nothing.
#[derive(Clone, Debug)]
pub(super) struct CurrentOptions {
    scopes: Scopes,
    options: Options,
}

impl CurrentOptions {
    pub(super) fn new(scopes: &Scopes, options: &Options) -> Self {
        Self { scopes: scopes.clone(), options: options.clone() }
    }

    async fn resolve(&self) -> Result<BTreeMap<String, Secret>, secrets::Error> {
        let mut values = BTreeMap::new();
        for (name, value) in &self.options {
            let value = match value {
                OptionValue::Plain(text) => Secret::new(text.clone()),
                OptionValue::Secret(reference) => self.scopes.resolve(reference).await?,
            };
            values.insert(name.clone(), value);
        }
        Ok(values)
    }
}

#[async_trait]
impl stores::Options for CurrentOptions {
    async fn current(&self) -> Result<BTreeMap<String, String>, stores::Unresolved> {
        let values = self.resolve().await.map_err(|error| stores::Unresolved {
            kind: kind_of(&error),
            source: Box::new(error),
        })?;
        let shown = |(name, value): (String, Secret)| (name, value.expose().to_owned());
        Ok(values.into_iter().map(shown).collect())
    }
}

#[async_trait]
impl ConnectionProperties for CurrentOptions {
    async fn current(&self) -> Result<Vec<Property>, PropertiesError> {
        let values = self
            .resolve()
            .await
            .map_err(|error| PropertiesError { kind: kind_of(&error), source: Box::new(error) })?;
        let shown =
            |(name, value): (String, Secret)| (name, Zeroizing::new(value.expose().to_owned()));
        Ok(values.into_iter().map(shown).collect())
    }
}
