//! Options of a store: their names, which of them are secret, and where they come from.

use std::{collections::BTreeMap, fmt::Debug, str::FromStr};

use async_trait::async_trait;
use model::ErrorKind;
use object_store::{
    ClientConfigKey, aws::AmazonS3ConfigKey, azure::AzureConfigKey, gcp::GoogleConfigKey,
};
use strsim::levenshtein;
use url::{Host, Url};

use crate::StoreKind;

#[cfg(feature = "test-util")]
pub(crate) mod fixed;
#[cfg(test)]
mod tests;

/// Where the options of a store come from, secrets resolved.
///
/// Asked when a store is opened, and again for every request, so that a rotated key takes effect
/// while we run: an implementer keeps its answer for as long as it may be stale. One that prefers
/// an old key to none answers with the old one; an error here fails the request.
#[async_trait]
pub trait Options: Debug + Send + Sync {
    /// Returns every option by name.
    ///
    /// # Errors
    /// A secret could not be resolved.
    async fn current(&self) -> Result<BTreeMap<String, String>, Unresolved>;
}

/// Options that could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("resolving the options")]
pub struct Unresolved {
    /// Whether the source of the secrets may answer later.
    pub kind: ErrorKind,
    /// What it said; must not contain a secret.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// The option that names a file of roots, PEM, to trust beside the system's own.
pub(crate) const CA_FILE: &str = "ca_file";

/// Options of the HTTP client, the same for every service.
const CLIENT: [&str; 13] = [
    "allow_http",
    CA_FILE,
    "connect_timeout",
    "http1_only",
    "http2_only",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "proxy_ca_certificate",
    "proxy_excludes",
    "proxy_url",
    "randomize_addresses",
    "timeout",
    "user_agent",
];

const S3: [&str; 25] = [
    "access_key_id",
    "checksum_algorithm",
    "conditional_put",
    "container_authorization_token_file",
    "container_credentials_full_uri",
    "container_credentials_relative_uri",
    "disable_tagging",
    "endpoint",
    "endpoint_url_sts",
    "imdsv1_fallback",
    "metadata_endpoint",
    "region",
    "request_payer",
    "role_arn",
    "role_session_name",
    "s3_express",
    "secret_access_key",
    "server_side_encryption",
    "session_token",
    "skip_signature",
    "sse_bucket_key_enabled",
    "sse_customer_key_base64",
    "sse_kms_key_id",
    "virtual_hosted_style_request",
    "web_identity_token_file",
];

const AZURE: [&str; 17] = [
    "account_key",
    "account_name",
    "authority_host",
    "bearer_token",
    "client_id",
    "client_secret",
    "disable_tagging",
    "endpoint",
    "federated_token_file",
    "msi_endpoint",
    "msi_resource_id",
    "object_id",
    "sas_token",
    "skip_signature",
    "tenant_id",
    "use_azure_cli",
    "use_emulator",
];

const GCS: [&str; 5] = [
    "application_credentials",
    "base_url",
    "service_account",
    "service_account_key",
    "skip_signature",
];

/// What an option is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Says who we are; asked for again and again.
    Credential,
    /// Says where and how; read once.
    Setting,
}

/// Returns what an option of object_store is about, under any of its names; `None` when there is
/// no such option.
pub(crate) fn role(kind: StoreKind, name: &str) -> Option<Role> {
    let is_credential = match kind {
        StoreKind::Local => return None,
        StoreKind::S3 => match AmazonS3ConfigKey::from_str(name).ok()? {
            AmazonS3ConfigKey::AccessKeyId
            | AmazonS3ConfigKey::SecretAccessKey
            | AmazonS3ConfigKey::Token
            | AmazonS3ConfigKey::WebIdentityTokenFile
            | AmazonS3ConfigKey::RoleArn
            | AmazonS3ConfigKey::ContainerCredentialsRelativeUri
            | AmazonS3ConfigKey::ContainerCredentialsFullUri => true,
            AmazonS3ConfigKey::Bucket => return None,
            _ => false,
        },
        StoreKind::Azure => match AzureConfigKey::from_str(name).ok()? {
            AzureConfigKey::AccessKey
            | AzureConfigKey::SasKey
            | AzureConfigKey::Token
            | AzureConfigKey::ClientId
            | AzureConfigKey::ClientSecret
            | AzureConfigKey::FederatedTokenFile
            | AzureConfigKey::MsiEndpoint
            | AzureConfigKey::UseAzureCli => true,
            AzureConfigKey::ContainerName => return None,
            _ => false,
        },
        StoreKind::Gcs => match GoogleConfigKey::from_str(name).ok()? {
            GoogleConfigKey::ServiceAccount
            | GoogleConfigKey::ServiceAccountKey
            | GoogleConfigKey::ApplicationCredentials => true,
            GoogleConfigKey::Bucket => return None,
            _ => false,
        },
    };
    Some(if is_credential { Role::Credential } else { Role::Setting })
}

/// Returns the one name that object_store itself gives an option, whatever it is called here.
pub(crate) fn canonical(kind: StoreKind, name: &str) -> Option<String> {
    let name = match kind {
        StoreKind::Local => return None,
        StoreKind::S3 => AmazonS3ConfigKey::from_str(name).ok()?.as_ref().to_owned(),
        StoreKind::Azure => AzureConfigKey::from_str(name).ok()?.as_ref().to_owned(),
        StoreKind::Gcs => GoogleConfigKey::from_str(name).ok()?.as_ref().to_owned(),
    };
    Some(name)
}

/// Checks that a kind of store has an option of this name; returns the option's own name, the same
/// for all names that it goes by.
///
/// Every name that object_store takes is one; `ca_file` is ours. The bucket is part of the address
/// and no option.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn check_option(kind: StoreKind, name: &str) -> Result<String, String> {
    let known: &[&str] = match kind {
        StoreKind::Local => {
            return Err(format!("`{name}`: a local folder has no options; delete it"));
        }
        StoreKind::S3 => &S3,
        StoreKind::Azure => &AZURE,
        StoreKind::Gcs => &GCS,
    };
    if client_key(kind, name) == Some(ClientConfigKey::AllowInvalidCertificates) {
        return Err(format!(
            "`{name}`: it would trust everybody; name the root to trust with `{CA_FILE}`"
        ));
    }
    if name == CA_FILE || role(kind, name).is_some() {
        return Ok(canonical(kind, name).unwrap_or_else(|| name.to_owned()));
    }
    let known = known.iter().chain(&CLIENT);
    match known.min_by_key(|known| levenshtein(name, known)) {
        Some(nearest) if levenshtein(name, nearest) <= NEAR_MAX => {
            Err(format!("`{name}`: there is no such option; did you mean `{nearest}`?"))
        }
        _ => Err(format!("`{name}`: there is no such option")),
    }
}

/// More differences than these, and a suggestion would only confuse.
const NEAR_MAX: usize = 4;

/// Returns which option of the HTTP client a name means, if it does.
pub(crate) fn client_key(kind: StoreKind, name: &str) -> Option<ClientConfigKey> {
    match kind {
        StoreKind::Local => None,
        StoreKind::S3 => match AmazonS3ConfigKey::from_str(name).ok()? {
            AmazonS3ConfigKey::Client(key) => Some(key),
            _ => None,
        },
        StoreKind::Azure => match AzureConfigKey::from_str(name).ok()? {
            AzureConfigKey::Client(key) => Some(key),
            _ => None,
        },
        StoreKind::Gcs => match GoogleConfigKey::from_str(name).ok()? {
            GoogleConfigKey::Client(key) => Some(key),
            _ => None,
        },
    }
}

/// Returns whether the value of an option must not be shown.
///
/// A name that no option has counts as secret: it may be a misspelt one.
#[must_use]
pub fn is_secret_option(kind: StoreKind, name: &str) -> bool {
    if name == CA_FILE {
        return false;
    }
    match (role(kind, name), client_key(kind, name)) {
        (None, _) => true,
        // A proxy's address may contain its password.
        (_, Some(key)) => key == ClientConfigKey::ProxyUrl,
        (Some(role), None) => match kind {
            StoreKind::Local => true,
            StoreKind::S3 => matches!(
                name.strip_prefix("aws_").unwrap_or(name),
                "access_key_id"
                    | "secret_access_key"
                    | "session_token"
                    | "token"
                    | "sse_customer_key_base64"
            ),
            StoreKind::Azure => matches!(
                AzureConfigKey::from_str(name),
                Ok(AzureConfigKey::AccessKey
                    | AzureConfigKey::SasKey
                    | AzureConfigKey::Token
                    | AzureConfigKey::ClientSecret
                    | AzureConfigKey::FabricSessionToken)
            ),
            StoreKind::Gcs => {
                role == Role::Credential
                    && matches!(
                        GoogleConfigKey::from_str(name),
                        Ok(GoogleConfigKey::ServiceAccountKey)
                    )
            }
        },
    }
}

/// Returns whether an option names the service's address.
pub(crate) fn is_endpoint(kind: StoreKind, name: &str) -> bool {
    match kind {
        StoreKind::Local => false,
        StoreKind::S3 => matches!(
            AmazonS3ConfigKey::from_str(name),
            Ok(AmazonS3ConfigKey::Endpoint | AmazonS3ConfigKey::S3Endpoint)
        ),
        StoreKind::Azure => matches!(AzureConfigKey::from_str(name), Ok(AzureConfigKey::Endpoint)),
        StoreKind::Gcs => matches!(GoogleConfigKey::from_str(name), Ok(GoogleConfigKey::BaseUrl)),
    }
}

/// Returns whether the operator says that plain http may be spoken to any machine.
fn is_http_allowed(kind: StoreKind, options: &BTreeMap<String, String>) -> bool {
    options.iter().any(|(name, value)| {
        client_key(kind, name) == Some(ClientConfigKey::AllowHttp)
            && value.trim().eq_ignore_ascii_case("true")
    })
}

/// Returns whether an address that is no endpoint of the store may be asked over its own protocol.
pub(crate) fn may_ask(kind: StoreKind, options: &BTreeMap<String, String>, url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => is_http_allowed(kind, options) || is_loopback(url),
        _ => false,
    }
}

/// Checks that an address has no part in which a credential may hide: addresses are shown.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn bare(url: &Url) -> Result<(), &'static str> {
    let is_bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if is_bare {
        return Ok(());
    }
    Err("nothing may stand before `@` or follow `?` or `#`; credentials have options of their \
         own, which are kept secret")
}

/// Decides whether plain http may be spoken.
///
/// To this machine always: nobody listens there who could not read our memory too. To others only
/// when the operator says so.
///
/// # Errors
/// The endpoint is no URL, carries what may be a secret, or is plain http to another machine without
/// `allow_http`.
pub(crate) fn allow_http(
    kind: StoreKind,
    options: &BTreeMap<String, String>,
) -> Result<bool, String> {
    let is_allowed = is_http_allowed(kind, options);
    let mut is_plain = false;
    for (name, value) in options.iter().filter(|(name, _)| is_endpoint(kind, name)) {
        let url = Url::parse(value).map_err(|error| format!("`{name}`: {error}"))?;
        bare(&url).map_err(|problem| format!("`{name}`: {problem}"))?;
        match url.scheme() {
            "https" => (),
            "http" if is_allowed || is_loopback(&url) => is_plain = true,
            "http" => {
                return Err(format!(
                    "`{name}`: plain http would show every object to the network; use https, or \
                     set `allow_http` to `true`"
                ));
            }
            _ => return Err(format!("`{name}`: it must begin with `https://` or `http://`")),
        }
    }
    Ok(is_allowed || is_plain)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
