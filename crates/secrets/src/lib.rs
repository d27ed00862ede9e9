//! Secret scopes: where credentials come from, and how they stay out of every text we print.
//!
//! Settings hold only references such as `{{secrets/env/marketstack-access-key}}`. A [`Scopes`]
//! table says which [`SecretProvider`] stands behind the scope `env`; a resolved [`Secret`] prints
//! as `Secret(…)`, is wiped when dropped, and is known to the [`Redactor`] from then on. Redaction
//! is a net under the tightrope, not a boundary: who may run SQL or read the data folder must be
//! trusted with what is in it.
//!
//! A scope on a remote service keeps its values in memory for `cache_ttl`, so that a rotated value
//! is seen without a restart and a service that is down for a while stops nobody.

mod clock;
mod config;
mod credential;
mod error;
mod http;
pub mod provider;
mod redact;
mod reference;
mod retry;
mod scopes;
mod secret;

#[cfg(test)]
use clock::ManualClock;
use clock::{Clock, SystemClock};
pub use config::{
    AwsConfig, AzureConfig, AzureCredential, HashicorpAuth, HashicorpConfig, RemoteConfig,
    ScopeConfig, VaultConfig, VaultKey,
};
use credential::Credential;
pub use error::{Error, ErrorClass};
pub use http::RemoteError;
pub use provider::{SecretProvider, vault::VaultError};
pub use redact::Redactor;
pub use reference::{InvalidRef, SecretName, SecretRef};
pub use scopes::Scopes;
pub use secret::Secret;
