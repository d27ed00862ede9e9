//! From the fields of `[secrets.scopes.NAME]` to a [`ScopeConfig`], with every problem at once.

use std::{collections::BTreeMap, path::PathBuf};

use strsim::levenshtein;
use url::Url;

use super::{
    AwsConfig, AzureConfig, AzureCredential, HashicorpAuth, HashicorpConfig, RemoteConfig,
    ScopeConfig, VaultConfig, VaultKey,
    fields::{Fields, is_loopback},
};

const ENV: &[&str] = &["prefix"];
const FILE: &[&str] = &["dir"];
const VAULT: &[&str] = &["path", "passphrase", "key_file"];
const AZURE_KEY_VAULT: &[&str] = &[
    "vault_url",
    "credential",
    "tenant_id",
    "client_id",
    "client_secret",
    "authority_host",
    "verify_challenge_resource",
    "cache_ttl",
    "stale_max",
    "timeout",
    "ca_file",
    "pins",
];
const AWS_SECRETS_MANAGER: &[&str] = &[
    "region",
    "endpoint",
    "prefix",
    "version_stage",
    "access_key_id",
    "secret_access_key",
    "cache_ttl",
    "stale_max",
    "timeout",
    "ca_file",
    "pins",
];
const HASHICORP_VAULT: &[&str] = &[
    "address",
    "mount",
    "prefix",
    "namespace",
    "field",
    "token",
    "role_id",
    "secret_id",
    "auth_mount",
    "cache_ttl",
    "stale_max",
    "timeout",
    "ca_file",
    "pins",
];

const PROVIDERS: &[&str] =
    &["env", "file", "vault", "azure_key_vault", "aws_secrets_manager", "hashicorp_vault"];

/// Most slips of the fingers in a name that is recognised.
const SLIPS_MAX: usize = 3;

impl ScopeConfig {
    /// Returns the names of all providers.
    #[must_use]
    pub const fn providers() -> &'static [&'static str] {
        PROVIDERS
    }

    /// Returns the fields of a provider besides `provider`; none for an unknown one.
    #[must_use]
    pub fn fields(provider: &str) -> &'static [&'static str] {
        match provider {
            "env" => ENV,
            "file" => FILE,
            "vault" => VAULT,
            "azure_key_vault" => AZURE_KEY_VAULT,
            "aws_secrets_manager" => AWS_SECRETS_MANAGER,
            "hashicorp_vault" => HASHICORP_VAULT,
            _ => &[],
        }
    }

    /// Makes the settings of one scope from its fields, all but `provider` itself.
    ///
    /// # Errors
    /// Every problem with the field it belongs to: an unknown provider or field with the nearest
    /// known name, missing fields, values that cannot be used.
    pub fn from_fields(
        provider: &str,
        fields: BTreeMap<String, String>,
    ) -> Result<Self, Vec<(String, String)>> {
        if !PROVIDERS.contains(&provider) {
            let hint = match nearest(provider, PROVIDERS) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("write one of {}", PROVIDERS.join(", ")),
            };
            let problem = format!("`{provider}` is no provider; {hint}");
            return Err(vec![("provider".to_owned(), problem)]);
        }
        let known = Self::fields(provider);
        let names: Vec<String> = fields.keys().cloned().collect();
        let mut fields = Fields::new(fields);
        for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
            let hint = match nearest(name, known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("it has {}", known.join(", ")),
            };
            fields.problem(name, format!("is no field of provider `{provider}`; {hint}"));
        }
        let config = match provider {
            "env" => fields
                .written("prefix", "the names' common prefix, such as \"MARKETLAKE_SECRET_\"")
                .map(|prefix| Self::Env { prefix }),
            "file" => {
                fields.path("dir", "the folder with one file per key").map(|dir| Self::File { dir })
            }
            "vault" => vault(&mut fields).map(Self::Vault),
            "azure_key_vault" => azure_key_vault(&mut fields).map(Self::AzureKeyVault),
            "aws_secrets_manager" => aws_secrets_manager(&mut fields).map(Self::AwsSecretsManager),
            _ => hashicorp_vault(&mut fields).map(Self::HashicorpVault),
        };
        let problems = fields.into_problems();
        config.filter(|_| problems.is_empty()).ok_or(problems)
    }
}

/// Returns the known name that a misspelt one was meant to be: a few slips, in less than half of it.
pub(super) fn nearest<'names>(text: &str, known: &[&'names str]) -> Option<&'names str> {
    let distances = known.iter().map(|name| (levenshtein(text, name), *name));
    let near =
        distances.filter(|(slips, name)| *slips <= SLIPS_MAX && *slips < name.len().div_ceil(2));
    near.min().map(|(_, name)| name)
}

fn vault(fields: &mut Fields) -> Option<VaultConfig> {
    let path = fields.path("path", "the vault's file, such as \"secrets.age\"");
    let key = match (fields.has("passphrase"), fields.text("key_file")) {
        (true, None) => fields.reference("passphrase").map(VaultKey::Passphrase),
        (false, Some(file)) => Some(VaultKey::File(PathBuf::from(file))),
        (true, Some(_)) => {
            fields.problem("passphrase", "and `key_file` are two ways to open one vault; keep one");
            None
        }
        (false, None) => {
            fields.problem(
                "passphrase",
                "is needed, as a reference such as \"{{secrets/env/vault-passphrase}}\", or \
                 `key_file` with the path of an age identity",
            );
            None
        }
    };
    Some(VaultConfig { path: path?, key: key? })
}

fn remote(fields: &mut Fields) -> Option<RemoteConfig> {
    let default = RemoteConfig::default();
    let cache_ttl = fields.duration("cache_ttl", default.cache_ttl);
    let stale_max = fields.duration("stale_max", default.stale_max);
    let timeout = fields.duration("timeout", default.timeout);
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        fields.problem("timeout", "must be longer than 0, or no answer could ever arrive");
    }
    let ca_file = fields.text("ca_file").map(PathBuf::from);
    let pins = fields.pins("pins");
    Some(RemoteConfig {
        cache_ttl: cache_ttl?,
        stale_max: stale_max?,
        timeout: timeout?,
        ca_file,
        pins: pins?,
    })
}

fn azure_key_vault(fields: &mut Fields) -> Option<AzureConfig> {
    let vault_url = fields.address("vault_url", "\"https://NAME.vault.azure.net\"", false);
    let credential = match fields.text("credential").as_deref() {
        None if fields.has("client_secret") => client_secret(fields),
        None | Some("default") => Some(AzureCredential::Chain),
        Some("client_secret") => client_secret(fields),
        Some("workload_identity") => Some(AzureCredential::WorkloadIdentity),
        Some("managed_identity") => Some(AzureCredential::ManagedIdentity),
        Some("azure_cli") => Some(AzureCredential::AzureCli),
        Some(_) => {
            fields.problem(
                "credential",
                "must be default, client_secret, workload_identity, managed_identity or azure_cli",
            );
            None
        }
    };
    if fields.has("client_secret")
        && credential
            .as_ref()
            .is_some_and(|found| !matches!(found, AzureCredential::ClientSecret(_)))
    {
        fields.problem("client_secret", "is used only with credential = \"client_secret\"");
    }
    let authority_host = match fields.has("authority_host") {
        true => fields.address("authority_host", "an address", false).map(Some),
        false => Some(None),
    };
    let verify_challenge_resource = fields.flag("verify_challenge_resource", true);
    let is_double = vault_url.as_ref().is_none_or(is_loopback);
    if verify_challenge_resource == Some(false) && !is_double {
        fields.problem(
            "verify_challenge_resource",
            "can be switched off only for a test double on this machine: a vault elsewhere could \
             ask for a token that is meant for another service",
        );
    }
    let remote = remote(fields);
    Some(AzureConfig {
        vault_url: vault_url?,
        credential: credential?,
        tenant_id: fields.text("tenant_id"),
        client_id: fields.text("client_id"),
        authority_host: authority_host?,
        verify_challenge_resource: verify_challenge_resource?,
        remote: remote?,
    })
}

fn client_secret(fields: &mut Fields) -> Option<AzureCredential> {
    let tenant_id = fields.needed("tenant_id", "the Entra tenant's id");
    let client_id = fields.needed("client_id", "the application's id");
    let reference = fields.reference("client_secret");
    (tenant_id.is_some() && client_id.is_some())
        .then_some(reference?)
        .map(AzureCredential::ClientSecret)
}

fn aws_secrets_manager(fields: &mut Fields) -> Option<AwsConfig> {
    let region = fields.needed("region", "a region such as \"eu-west-1\"").filter(|region| {
        let is_name = region
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !is_name {
            fields.problem("region", format!("`{region}` is no region; write \"eu-west-1\""));
        }
        is_name
    });
    let endpoint = match (fields.has("endpoint"), &region) {
        (true, _) => fields.address("endpoint", "an address", true),
        (false, Some(region)) => {
            // China is a partition with a domain of its own.
            let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
            let text = format!("https://secretsmanager.{region}.amazonaws.com{suffix}");
            Url::parse(&text).ok()
        }
        (false, None) => None,
    };
    let access_key = match (fields.has("access_key_id"), fields.has("secret_access_key")) {
        (false, false) => Some(None),
        _ => {
            let id = fields.reference("access_key_id");
            let key = fields.reference("secret_access_key");
            id.zip(key).map(Some)
        }
    };
    let remote = remote(fields);
    Some(AwsConfig {
        region: region?,
        endpoint: endpoint?,
        prefix: fields.text("prefix").unwrap_or_default(),
        version_stage: fields.text("version_stage").unwrap_or_else(|| "AWSCURRENT".to_owned()),
        access_key: access_key?,
        remote: remote?,
    })
}

fn hashicorp_vault(fields: &mut Fields) -> Option<HashicorpConfig> {
    let address = fields.address("address", "\"https://vault.example:8200\"", true);
    let auth = match (fields.has("token"), fields.has("role_id") || fields.has("secret_id")) {
        (true, false) => fields.reference("token").map(HashicorpAuth::Token),
        (false, true) => {
            let role_id = fields.needed("role_id", "the id of the AppRole");
            let secret_id = fields.reference("secret_id");
            let mount = path(fields, "auth_mount", "approle");
            role_id.zip(secret_id).zip(mount).map(|((role_id, secret_id), mount)| {
                HashicorpAuth::AppRole { role_id, secret_id, mount }
            })
        }
        (true, true) => {
            fields.problem("token", "and `role_id` are two ways to sign in; keep one");
            None
        }
        (false, false) => {
            fields.problem(
                "token",
                "is needed, as a reference such as \"{{secrets/env/vault-token}}\", or `role_id` \
                 and `secret_id` of an AppRole",
            );
            None
        }
    };
    let mount = path(fields, "mount", "secret");
    let prefix = match fields.has("prefix") {
        true => path(fields, "prefix", "").map(|prefix| format!("{prefix}/")),
        false => Some(String::new()),
    };
    let remote = remote(fields);
    Some(HashicorpConfig {
        address: address?,
        mount: mount?,
        prefix: prefix?,
        namespace: fields.text("namespace"),
        field: fields.text("field").unwrap_or_else(|| "value".to_owned()),
        auth: auth?,
        remote: remote?,
    })
}

/// Returns a path within the server, without slashes at its ends, that cannot lead elsewhere.
fn path(fields: &mut Fields, field: &str, default: &str) -> Option<String> {
    let text = fields.text(field).unwrap_or_else(|| default.to_owned());
    let text = text.trim_matches('/');
    let is_path = text.split('/').all(|part| {
        !part.is_empty()
            && !matches!(part, "." | "..")
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte))
    });
    if !is_path {
        let problem = "must be names of letters, digits, `-`, `_`, `.`, `@`, with `/` between them";
        fields.problem(field, problem);
    }
    is_path.then(|| text.to_owned())
}
