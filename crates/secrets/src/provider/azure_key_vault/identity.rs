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

use super::{
    fault::{self, Reason},
    transport::AzureTransport,
};
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
        let mut sources = Vec::new();
        let always = |credential| Source { credential, may_be_absent: false };
        let variable = |name: &str| {
            let found = env::vars_os().find(|(variable, _)| variable.to_str() == Some(name));
            found.and_then(|(_, value)| value.into_string().ok()).filter(|value| !value.is_empty())
        };
        let secret = variable("AZURE_CLIENT_SECRET");
        let tenant = self.config.tenant_id.clone().or_else(|| variable("AZURE_TENANT_ID"));
        let client = self.config.client_id.clone().or_else(|| variable("AZURE_CLIENT_ID"));
        if let (Some(tenant), Some(client), Some(secret)) = (tenant, client, secret) {
            sources.push(always(self.client_secret(&tenant, client, secret)?));
        }
        // Sources that this machine lacks are left out; that none is left is said at first use.
        sources.extend(self.workload_identity().ok().map(always));
        // The address of a virtual machine's identity is the same everywhere; outside of Azure
        // nobody answers there.
        let may_be_absent = variable("IDENTITY_ENDPOINT").is_none();
        let managed = self.managed_identity().ok();
        sources.extend(managed.map(|credential| Source { credential, may_be_absent }));
        sources.extend(self.azure_cli().ok().map(always));
        Ok(Arc::new(Chain { sources, found: AtomicUsize::new(NONE_YET) }))
    }
}

/// The first source that gives a token, and from then on that one.
struct Chain {
    sources: Vec<Source>,
    found: AtomicUsize,
}

/// Something that may give tokens.
struct Source {
    credential: Arc<dyn TokenCredential>,
    /// Whether no connection means that this machine does not have it.
    may_be_absent: bool,
}

impl Source {
    /// Returns whether the source is there and failed; one that is not there tells nothing.
    fn has_failed(&self, error: &azure_core::Error) -> bool {
        match fault::reason(error).0 {
            None => false,
            Some(Reason::Ours(RemoteError::Timeout { .. } | RemoteError::Connection { .. })) => {
                !self.may_be_absent
            }
            Some(_) => true,
        }
    }
}

#[async_trait::async_trait]
impl TokenCredential for Chain {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        if let Some(source) = self.sources.get(self.found.load(Ordering::Acquire)) {
            return source.credential.get_token(scopes, options).await;
        }
        let mut failure = None;
        for (index, source) in self.sources.iter().enumerate() {
            match source.credential.get_token(scopes, options.clone()).await {
                Ok(token) => {
                    self.found.store(index, Ordering::Release);
                    return Ok(token);
                }
                // A service in trouble must not look like a machine without an identity.
                Err(error) if failure.is_none() && source.has_failed(&error) => {
                    failure = Some(error);
                }
                Err(_) => {}
            }
        }
        let message = "no source of the chain has a token";
        Err(failure
            .unwrap_or_else(|| azure_core::Error::with_message(ErrorKind::Credential, message)))
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

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        sync::{Arc, Mutex, atomic::AtomicUsize},
        time::{Duration, SystemTime},
    };

    use azure_core::{
        credentials::{AccessToken, TokenCredential, TokenRequestOptions},
        error::ErrorKind,
    };

    use super::{Chain, NONE_YET, Source, fault};
    use crate::{ErrorClass, RemoteError};

    type Given = Result<&'static str, Option<RemoteError>>;

    /// Gives what the test says; `None` is a machine without this source.
    #[derive(Debug)]
    struct Scripted(Mutex<VecDeque<Given>>);

    #[async_trait::async_trait]
    impl TokenCredential for Scripted {
        async fn get_token(
            &self,
            _scopes: &[&str],
            _options: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<AccessToken> {
            let end = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
            match self.0.lock().unwrap().pop_front().expect("an answer is prepared") {
                Ok(token) => Ok(AccessToken::new(token, end.into())),
                Err(None) => Err(azure_core::Error::with_message(ErrorKind::Credential, "absent")),
                Err(Some(error)) => {
                    let inner = azure_core::Error::with_error(ErrorKind::Io, error, "asking");
                    Err(azure_core::Error::with_error(ErrorKind::Credential, inner, "failed"))
                }
            }
        }
    }

    fn chain(sources: impl IntoIterator<Item = (bool, Vec<Given>)>) -> Chain {
        let sources = sources.into_iter().map(|(may_be_absent, given)| Source {
            credential: Arc::new(Scripted(Mutex::new(given.into()))),
            may_be_absent,
        });
        Chain { sources: sources.collect(), found: AtomicUsize::new(NONE_YET) }
    }

    fn slow() -> Option<RemoteError> {
        Some(RemoteError::Timeout { timeout: Duration::from_secs(1) })
    }

    async fn token(chain: &Chain) -> Result<String, RemoteError> {
        let token = chain.get_token(&["https://vault.azure.net/.default"], None).await;
        token
            .map(|token| token.token.secret().to_owned())
            .map_err(|error| fault::explain(&error).error)
    }

    #[tokio::test]
    async fn the_first_source_with_a_token_is_asked_from_then_on() {
        let chain = chain([
            (false, vec![Err(None)]),
            (false, vec![Ok("cnry-1"), Ok("cnry-2"), Err(slow())]),
        ]);
        assert_eq!(token(&chain).await.unwrap(), "cnry-1");
        assert_eq!(token(&chain).await.unwrap(), "cnry-2");
        assert_eq!(token(&chain).await.unwrap_err().class(), ErrorClass::Transient);
    }

    #[tokio::test]
    async fn a_source_in_trouble_is_not_taken_for_a_machine_without_an_identity() {
        let unavailable = RemoteError::Redirected { status: 302 };
        for (may_be_absent, error, class) in [
            (false, slow(), ErrorClass::Transient),
            (true, slow(), ErrorClass::Permission),
            (true, Some(unavailable), ErrorClass::Config),
            (false, None, ErrorClass::Permission),
        ] {
            let chain = chain([(may_be_absent, vec![Err(error)]), (false, vec![Err(None)])]);
            assert_eq!(token(&chain).await.unwrap_err().class(), class);
        }
    }
}
