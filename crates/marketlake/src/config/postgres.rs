//! The SQL port as the rest of the program may rely on it.

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU32};

use secrets::SecretRef;
use serve::postgres::{Grants, Limits, Verifier};

use super::CertificateConfig;

#[derive(Clone, Debug)]
pub(crate) struct PostgresConfig {
    /// Of this machine only, unless there is `tls`.
    pub(crate) bind: SocketAddr,
    pub(crate) user: String,
    /// `None`: a generated password.
    pub(crate) password: Option<SecretRef>,
    pub(crate) tls: Option<CertificateConfig>,
    /// Clients of this machine have to encrypt, too.
    pub(crate) is_tls_required: bool,
    /// Further users.
    pub(crate) roles: BTreeMap<String, RoleConfig>,
}

/// A user with bounds.
#[derive(Clone, Debug)]
pub(crate) struct RoleConfig {
    pub(crate) proof: Proof,
    /// `None`: everything.
    pub(crate) grants: Option<Grants>,
    pub(crate) limits: Limits,
}

/// How a user shows that it is them.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// By a password of which this is the verifier.
    Verifier(Verifier),
    /// By this password.
    Password(SecretRef),
}

/// Where it is written down what clients do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AuditConfig {
    pub(crate) is_enabled: bool,
    pub(crate) file_bytes_max: u64,
    pub(crate) files_max: NonZeroU32,
}
