//! What stands behind one scope, as trusted settings; [`ScopeConfig::from_fields`] makes them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use url::Url;

use crate::{SecretName, SecretRef};

mod fields;
mod parse;

pub(crate) use fields::is_version;

/// What stands behind one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScopeConfig {
    /// Environment variables that start with `prefix`.
    Env {
        /// Put before the upper-case key.
        prefix: String,
    },
    /// One file per key.
    File {
        /// The folder.
        dir: PathBuf,
    },
    /// One encrypted file.
    Vault(VaultConfig),
    /// Azure Key Vault.
    AzureKeyVault(AzureConfig),
    /// AWS Secrets Manager.
    AwsSecretsManager(AwsConfig),
    /// HashiCorp Vault or OpenBao, secrets engine KV version 2.
    HashicorpVault(HashicorpConfig),
}

/// The local vault: one file, and what opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultConfig {
    /// The encrypted file; the first `put` creates it.
    pub path: PathBuf,
    /// What opens it.
    pub key: VaultKey,
}

/// What opens a local vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaultKey {
    /// A passphrase, kept in another scope.
    Passphrase(SecretRef),
    /// A file with an age identity, readable by its owner alone.
    File(PathBuf),
}

/// What all services over a network have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteConfig {
    /// How long a value is used before it is read again. Longer asks the service less often;
    /// shorter sees a rotated value sooner. Zero asks for every use.
    pub cache_ttl: Duration,
    /// How much longer the last value is used while there is no answer about the secret.
    pub stale_max: Duration,
    /// Longest wait for one answer; a question is asked a few times before it counts as failed.
    pub timeout: Duration,
    /// Certificates (PEM) of the authorities to trust, in place of those of the system.
    pub ca_file: Option<PathBuf>,
    /// Keys that stay at one version, in the service's notation.
    pub pins: BTreeMap<SecretName, String>,
}

impl Default for RemoteConfig {
    fn default() -> Self {
        Self {
            cache_ttl: Duration::from_secs(5 * 60),
            // A night: long enough for an outage that nobody mends before the morning.
            stale_max: Duration::from_secs(12 * 3600),
            timeout: Duration::from_secs(10),
            ca_file: None,
            pins: BTreeMap::new(),
        }
    }
}

/// A scope on Azure Key Vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureConfig {
    /// The vault, such as `https://NAME.vault.azure.net`.
    pub vault_url: Url,
    /// Who asks.
    pub credential: AzureCredential,
    /// The Entra tenant; needed for a client secret, otherwise found in the environment.
    pub tenant_id: Option<String>,
    /// The application or the user-assigned identity.
    pub client_id: Option<String>,
    /// Where tokens come from, for sovereign clouds such as `https://login.microsoftonline.us`.
    pub authority_host: Option<Url>,
    /// Whether the vault must belong to the domain for which it asks a token. Off only for a test
    /// double on this machine, or the token could be meant for somebody else.
    pub verify_challenge_resource: bool,
    /// Caching, timeout, certificates, pins.
    pub remote: RemoteConfig,
}

/// Who asks Azure Key Vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AzureCredential {
    /// The first of: client secret of the environment, workload identity, managed identity, Azure
    /// CLI.
    Chain,
    /// An application with a client secret, kept in another scope.
    ClientSecret(SecretRef),
    /// The federated token of a Kubernetes pod.
    WorkloadIdentity,
    /// The identity of the virtual machine or app service.
    ManagedIdentity,
    /// Whoever is signed in with `az login`.
    AzureCli,
}

/// A scope on AWS Secrets Manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsConfig {
    /// The region, such as `eu-west-1`.
    pub region: String,
    /// The service's address; by default that of the region.
    pub endpoint: Url,
    /// Put before the key: with `prod/marketlake/` the key `kafka` is `prod/marketlake/kafka`.
    pub prefix: String,
    /// Which staging label is read: `AWSCURRENT`, `AWSPREVIOUS`, or one of your own.
    pub version_stage: String,
    /// An access key, kept in another scope; without one, environment, web identity, container and
    /// instance are asked.
    pub access_key: Option<(SecretRef, SecretRef)>,
    /// Caching, timeout, certificates, pins.
    pub remote: RemoteConfig,
}

/// A scope on HashiCorp Vault or OpenBao.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashicorpConfig {
    /// The server.
    pub address: Url,
    /// Where the KV engine is mounted.
    pub mount: String,
    /// Put before the key, such as `marketlake/`.
    pub prefix: String,
    /// The namespace, of servers that have them.
    pub namespace: Option<String>,
    /// The field of a secret that holds the value. A secret with one field only needs none.
    pub field: String,
    /// Who asks.
    pub auth: HashicorpAuth,
    /// Caching, timeout, certificates, pins.
    pub remote: RemoteConfig,
}

/// Who asks HashiCorp Vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashicorpAuth {
    /// A token, kept in another scope.
    Token(SecretRef),
    /// An application role.
    AppRole {
        /// The role, no secret.
        role_id: String,
        /// The secret id, kept in another scope.
        secret_id: SecretRef,
        /// Where the login method is mounted.
        mount: String,
    },
}

impl ScopeConfig {
    /// Returns the provider's name in the settings.
    #[must_use]
    pub const fn provider_name(&self) -> &'static str {
        match self {
            Self::Env { .. } => "env",
            Self::File { .. } => "file",
            Self::Vault(_) => "vault",
            Self::AzureKeyVault(_) => "azure_key_vault",
            Self::AwsSecretsManager(_) => "aws_secrets_manager",
            Self::HashicorpVault(_) => "hashicorp_vault",
        }
    }

    /// Returns the settings of services over a network, `None` for what lies on this machine.
    #[must_use]
    pub const fn remote(&self) -> Option<&RemoteConfig> {
        match self {
            Self::Env { .. } | Self::File { .. } | Self::Vault(_) => None,
            Self::AzureKeyVault(config) => Some(&config.remote),
            Self::AwsSecretsManager(config) => Some(&config.remote),
            Self::HashicorpVault(config) => Some(&config.remote),
        }
    }

    /// Returns the secrets of other scopes that this scope needs, with the setting of each.
    #[must_use]
    pub fn references(&self) -> Vec<(&'static str, &SecretRef)> {
        match self {
            Self::Vault(VaultConfig { key: VaultKey::Passphrase(reference), .. }) => {
                vec![("passphrase", reference)]
            }
            Self::AzureKeyVault(AzureConfig {
                credential: AzureCredential::ClientSecret(reference),
                ..
            }) => vec![("client_secret", reference)],
            Self::AwsSecretsManager(AwsConfig { access_key: Some((id, key)), .. }) => {
                vec![("access_key_id", id), ("secret_access_key", key)]
            }
            Self::HashicorpVault(HashicorpConfig { auth, .. }) => match auth {
                HashicorpAuth::Token(reference) => vec![("token", reference)],
                HashicorpAuth::AppRole { secret_id, .. } => vec![("secret_id", secret_id)],
            },
            _ => Vec::new(),
        }
    }

    /// Checks the scopes against each other: every reference leads to a scope, and none in a
    /// circle. Returns scope, setting and problem of each breach.
    #[must_use]
    pub fn check_all(scopes: &BTreeMap<SecretName, Self>) -> Vec<(String, &'static str, String)> {
        let mut problems = Vec::new();
        for (scope, config) in scopes {
            for (field, reference) in config.references() {
                if !scopes.contains_key(&reference.scope) {
                    let problem = format!(
                        "refers to scope `{}`, which has no table `[secrets.scopes.{}]`",
                        reference.scope, reference.scope
                    );
                    problems.push((scope.to_string(), field, problem));
                } else if let Some(circle) = Self::circle(scopes, scope)
                    && circle.get(1) == Some(&&reference.scope)
                {
                    let names: Vec<String> =
                        circle.iter().map(|name| format!("`{name}`")).collect();
                    let problem = format!(
                        "makes the scope wait for itself: {}; take the credential from a scope \
                         that needs none",
                        names.join(" needs ")
                    );
                    problems.push((scope.to_string(), field, problem));
                }
            }
        }
        problems
    }

    /// Returns the shortest way from `start` back to itself, both ends included.
    pub(crate) fn circle<'map>(
        scopes: &'map BTreeMap<SecretName, Self>,
        start: &'map SecretName,
    ) -> Option<Vec<&'map SecretName>> {
        // Breadth first; every scope enters once, so the search ends.
        let mut seen = BTreeSet::new();
        let mut ways = vec![vec![start]];
        while !ways.is_empty() {
            let mut longer = Vec::new();
            for way in ways {
                let config = way.last().and_then(|scope| scopes.get(*scope));
                for (_, reference) in config.into_iter().flat_map(Self::references) {
                    let next = [way.as_slice(), &[&reference.scope]].concat();
                    if reference.scope == *start {
                        return Some(next);
                    }
                    if seen.insert(&reference.scope) {
                        longer.push(next);
                    }
                }
            }
            ways = longer;
        }
        None
    }
}

#[cfg(test)]
mod tests;
