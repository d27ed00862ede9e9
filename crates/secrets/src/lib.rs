//! Secret scopes: where credentials come from, and how they stay out of every text we print.
//!
//! Settings hold only references such as `{{secrets/env/marketstack-access-key}}`. A [`Scopes`]
//! table says which [`SecretProvider`] stands behind the scope `env`; a resolved [`Secret`] prints
//! as `Secret(…)`, is wiped when dropped, and is known to the [`Redactor`] from then on. Redaction
//! is a net under the tightrope, not a boundary: who may run SQL or read the data folder must be
//! trusted with what is in it.

mod error;
pub mod provider;
mod redact;
mod reference;
mod scopes;
mod secret;

pub use error::Error;
pub use provider::{SecretProvider, env::EnvProvider, file::FileProvider};
pub use redact::Redactor;
pub use reference::{InvalidRef, NAME_BYTES_MAX, SecretName, SecretRef};
pub use scopes::{ScopeConfig, Scopes};
pub use secret::Secret;
