//! Who asks the vault: Microsoft's credentials over our connection, each token known to the
//! redactor.

use std::{
    env, fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use azure_core::{
    cloud::CustomConfiguration,
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
    http::{ClientOptions, RetryOptions, Transport},
};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredentialOptions,
    ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};

use super::{fault, transport::AzureTransport};
use crate::{AzureConfig, AzureCredential, Redactor, RemoteError, Secret};

/// No source of the chain has given a token yet.
const NONE_YET: usize = usize::MAX;

/// Makes the credential of the settings. Nothing is asked yet.
pub(super) fn credential(
    config: &AzureConfig,
    secret: Option<&Secret>,
    transport: Arc<AzureTransport>,
    redactor: Redactor,
) -> Result<Arc<dyn TokenCredential>, RemoteError> {
    let maker = Maker { config, transport };
    let made = match &config.credential {
        AzureCredential::Chain => maker.chain(),
        AzureCredential::ClientSecret(_) => {
            let tenant = config.tenant_id.clone().unwrap_or_default();
            let client = config.client_id.clone().unwrap_or_default();
            let secret = secret.map(|secret| secret.expose().to_owned()).unwrap_or_default();
            maker.client_secret(&tenant, client, secret)
        }
        AzureCredential::WorkloadIdentity => maker.workload_identity(),
        AzureCredential::ManagedIdentity => maker.managed_identity(),
        AzureCredential::AzureCli => maker.azure_cli(),
    };
    let inner = made.map_err(|error| fault::explain(&error).error)?;
    Ok(Arc::new(Watched { inner, redactor }))
}

struct Maker<'config> {
    config: &'config AzureConfig,
    transport: Arc<AzureTransport>,
}

type Made = azure_core::Result<Arc<dyn TokenCredential>>;

impl Maker<'_> {
    fn options(&self) -> ClientOptions {
        let cloud = self.config.authority_host.as_ref().map(|host| {
            let mut custom = CustomConfiguration::default();
            host.as_str().trim_end_matches('/').clone_into(&mut custom.authority_host);
            Arc::new(custom.into())
        });
        ClientOptions {
            transport: Some(Transport::new(Arc::clone(&self.transport) as _)),
            retry: RetryOptions::none(),
            cloud,
            ..ClientOptions::default()
        }
    }

    fn client_secret(&self, tenant: &str, client: String, secret: String) -> Made {
        let options = ClientSecretCredentialOptions { client_options: self.options() };
        Ok(ClientSecretCredential::new(tenant, client, secret.into(), Some(options))?)
    }

    fn workload_identity(&self) -> Made {
        let options = WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions { client_options: self.options() },
            client_id: self.config.client_id.clone(),
            tenant_id: self.config.tenant_id.clone(),
            ..WorkloadIdentityCredentialOptions::default()
        };
        Ok(WorkloadIdentityCredential::new(Some(options))?)
    }

    fn managed_identity(&self) -> Made {
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id: self.config.client_id.clone().map(UserAssignedId::ClientId),
            client_options: self.options(),
        };
        Ok(ManagedIdentityCredential::new(Some(options))?)
    }

    fn azure_cli(&self) -> Made {
        let options = AzureCliCredentialOptions {
            tenant_id: self.config.tenant_id.clone(),
            ..AzureCliCredentialOptions::default()
        };
        Ok(AzureCliCredential::new(Some(options))?)
    }

    /// Every source that this machine could have, in Microsoft's order.
    fn chain(&self) -> Made {
        let mut sources: Vec<Arc<dyn TokenCredential>> = Vec::new();
        let variable = |name: &str| {
            let found = env::vars_os().find(|(variable, _)| variable.to_str() == Some(name));
            found.and_then(|(_, value)| value.into_string().ok()).filter(|value| !value.is_empty())
        };
        let secret = variable("AZURE_CLIENT_SECRET");
        let tenant = self.config.tenant_id.clone().or_else(|| variable("AZURE_TENANT_ID"));
        let client = self.config.client_id.clone().or_else(|| variable("AZURE_CLIENT_ID"));
        if let (Some(tenant), Some(client), Some(secret)) = (tenant, client, secret) {
            sources.push(self.client_secret(&tenant, client, secret)?);
        }
        // Sources that this machine lacks are left out; that none is left is said at first use.
        sources.extend(self.workload_identity().ok());
        sources.extend(self.managed_identity().ok());
        sources.extend(self.azure_cli().ok());
        Ok(Arc::new(Chain { sources, found: AtomicUsize::new(NONE_YET) }))
    }
}

/// The first source that gives a token, and from then on that one.
struct Chain {
    sources: Vec<Arc<dyn TokenCredential>>,
    found: AtomicUsize,
}

#[async_trait::async_trait]
impl TokenCredential for Chain {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        if let Some(source) = self.sources.get(self.found.load(Ordering::Acquire)) {
            return source.get_token(scopes, options).await;
        }
        for (index, source) in self.sources.iter().enumerate() {
            if let Ok(token) = source.get_token(scopes, options.clone()).await {
                self.found.store(index, Ordering::Release);
                return Ok(token);
            }
        }
        let message = "no source of the chain has a token";
        Err(azure_core::Error::with_message(ErrorKind::Credential, message))
    }
}

/// Tells the redactor every token before the vault gets it.
struct Watched {
    inner: Arc<dyn TokenCredential>,
    redactor: Redactor,
}

#[async_trait::async_trait]
impl TokenCredential for Watched {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let token = self.inner.get_token(scopes, options).await?;
        self.redactor.register_token(&Secret::new(token.token.secret().to_owned()));
        Ok(token)
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("sources", &self.sources.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}
