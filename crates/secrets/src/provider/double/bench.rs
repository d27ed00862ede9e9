//! One bench for all services: a double with its state, and a provider made from settings as the
//! program makes it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::{
    Answer, Asked, Double, TIMEOUT,
    certificates::{FLAWS, Flaw},
    log::Log,
};
use crate::{
    Credential, ErrorClass, ManualClock, Redactor, ScopeConfig, Secret, SecretName, SecretProvider,
    provider::{
        contract::{
            Fault, FaultyFixture, ProviderFixture, everything_of, fault_contract, provider_contract,
        },
        env::EnvProvider,
    },
    scopes::{Lifetime, Scope},
};

/// What a double of a service keeps, and how it answers.
pub(crate) trait Service: Default + Send + 'static {
    /// The provider's name in the settings.
    const PROVIDER: &'static str;

    /// The settings that take the double's address.
    const ADDRESSES: &'static [&'static str];

    /// Whether the provider writes.
    const IS_WRITABLE: bool = false;

    /// Answers a question, as the service would with or without a fault.
    fn answer(&mut self, asked: &Asked, fault: Option<Fault>) -> Answer;

    /// Sets `key` to `value`; returns the version that made.
    fn put(&mut self, key: &str, value: &str) -> Option<String>;

    /// Removes `key`.
    fn remove(&mut self, key: &str);
}

/// A running double, and a provider that asks it.
pub(crate) struct Bench<S> {
    pub(crate) provider: Arc<dyn SecretProvider>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) redactor: Redactor,
    pub(crate) double: Double,
    state: Arc<Mutex<S>>,
    /// How many questions arrived.
    asked: Arc<AtomicUsize>,
}

impl<S: Service> Bench<S> {
    /// Starts a double; `fields` are the settings besides address, timeout and certificates.
    pub(crate) async fn new(fields: &[(&str, &str)], credentials: &[&str]) -> Self {
        Self::start(fields, credentials, None).await
    }

    async fn start(fields: &[(&str, &str)], credentials: &[&str], flaw: Option<Flaw>) -> Self {
        let state = Arc::new(Mutex::new(S::default()));
        let asked = Arc::new(AtomicUsize::new(0));
        let (shared, counted) = (Arc::clone(&state), Arc::clone(&asked));
        let handler = move |question: &Asked, fault| {
            counted.fetch_add(1, Ordering::Relaxed);
            shared.lock().unwrap().answer(question, fault)
        };
        let double = Double::start(Arc::new(handler), flaw).await;
        let (clock, redactor) = (Arc::new(ManualClock::default()), Redactor::default());
        let config = config_of::<S>(&double, fields);
        let credentials = fixed(&config, credentials);
        let provider =
            config.provider(scope(), credentials, redactor.clone(), Arc::clone(&clock) as _);
        Self { provider, clock, redactor, double, state, asked }
    }

    /// Returns the settings of a scope on the double.
    pub(crate) fn config(&self, fields: &[(&str, &str)]) -> ScopeConfig {
        config_of::<S>(&self.double, fields)
    }

    /// Returns another provider that asks the same double.
    pub(crate) fn other(
        &self,
        fields: &[(&str, &str)],
        credentials: Vec<Credential>,
    ) -> Arc<dyn SecretProvider> {
        let (redactor, clock) = (self.redactor.clone(), Arc::clone(&self.clock) as _);
        self.config(fields).provider(scope(), credentials, redactor, clock)
    }

    /// Returns what the double keeps.
    pub(crate) fn state(&self) -> MutexGuard<'_, S> {
        self.state.lock().unwrap()
    }

    /// Sets `key` to `value` in the double.
    pub(crate) fn put(&self, key: &str, value: &str) {
        self.state().put(key, value);
    }
}

fn config_of<S: Service>(double: &Double, fields: &[(&str, &str)]) -> ScopeConfig {
    let timeout = format!("{}ms", TIMEOUT.as_millis());
    let ca_file = double.ca_file();
    let common = [("timeout", timeout.as_str()), ("ca_file", ca_file.to_str().unwrap())];
    let addresses = S::ADDRESSES.iter().map(|name| (*name, double.url.as_str()));
    let fields: Vec<_> = addresses.chain(common).chain(fields.iter().copied()).collect();
    config(S::PROVIDER, &fields)
}

/// Returns the settings of a scope.
pub(crate) fn config(provider: &str, fields: &[(&str, &str)]) -> ScopeConfig {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ScopeConfig::from_fields(provider, fields.collect())
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Returns the scope of every provider on a bench.
pub(crate) fn scope() -> SecretName {
    "remote".parse().unwrap()
}

/// Returns credentials that never change, in the order of the scope's references.
pub(crate) fn fixed(config: &ScopeConfig, values: &[&str]) -> Vec<Credential> {
    let fields = config.references().into_iter().map(|(field, _)| field);
    fields
        .zip(values)
        .map(|(field, value)| Credential::fixed(scope(), field, Secret::new((*value).to_owned())))
        .collect()
}

#[async_trait]
impl<S: Service> ProviderFixture for Bench<S> {
    fn provider(&self) -> &dyn SecretProvider {
        self.provider.as_ref()
    }

    async fn put(&self, key: &str, value: &str) -> Option<String> {
        self.state().put(key, value)
    }

    async fn remove(&self, key: &str) {
        self.state().remove(key);
    }

    fn is_writable(&self) -> bool {
        S::IS_WRITABLE
    }
}

impl<S: Service> FaultyFixture for Bench<S> {
    fn fail(&self, fault: Fault, times: usize) {
        self.double.faults.set(fault, times);
    }

    fn recover(&self) {
        self.double.faults.clear();
    }
}

/// Runs what every provider on a service must do: keep the contract, get over what the service does
/// wrong, log no secret at any level, and send nothing to a server that cannot prove itself.
pub(crate) async fn service_contract<S: Service>(fields: &[(&str, &str)], credentials: &[&str]) {
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    let bench = Bench::<S>::new(fields, credentials).await;
    provider_contract(&bench).await;
    fault_contract(&bench).await;
    drop(guard);
    let text = log.text();
    assert!(text.contains("TRACE"), "every level is heard");
    let line = text.lines().find(|line| line.contains("cnry") || line.contains("w\u{f6}rd"));
    assert_eq!(line, None);

    for (flaw, wanted) in FLAWS {
        let bench = Bench::<S>::start(fields, credentials, Some(flaw)).await;
        let error = bench.provider.get(&"key".parse().unwrap()).await.unwrap_err();
        let text = everything_of(&error);
        assert!(text.contains(wanted), "{flaw:?}: {text}");
        assert!(!text.contains("cnry"), "{flaw:?}: {text}");
        assert_eq!(error.class(), ErrorClass::Config, "{flaw:?}: {text}");
        assert_eq!(bench.asked.load(Ordering::Relaxed), 0, "{flaw:?}: nothing was sent");
    }
}

/// The secret that a scope signs in with, which the test changes.
#[derive(Clone)]
pub(crate) struct Rotating {
    value: Arc<Mutex<String>>,
    reads: Arc<AtomicUsize>,
}

impl Rotating {
    pub(crate) fn new(value: &str) -> Self {
        Self { value: Arc::new(Mutex::new(value.to_owned())), reads: Arc::default() }
    }

    pub(crate) fn set(&self, value: &str) {
        value.clone_into(&mut self.value.lock().unwrap());
    }

    /// Returns how often the secret was read where it is kept.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    /// Returns it as a credential that is remembered for `ttl`.
    pub(crate) fn credential(
        &self,
        field: &'static str,
        ttl: Duration,
        clock: &Arc<ManualClock>,
    ) -> Credential {
        let this = self.clone();
        let variables = move || {
            this.reads.fetch_add(1, Ordering::Relaxed);
            vec![("CREDENTIAL".into(), this.value.lock().unwrap().clone().into())]
        };
        let name: SecretName = "env".parse().unwrap();
        let provider = EnvProvider::over(name, String::new(), Arc::new(variables));
        let lifetime = Lifetime { ttl, stale_max: Duration::ZERO };
        let (redactor, clock) = (Redactor::default(), Arc::clone(clock) as _);
        let origin = Scope::new(Arc::new(provider), lifetime, BTreeMap::new(), redactor, clock);
        let reference = "{{secrets/env/credential}}".parse().unwrap();
        Credential::of_scope(scope(), field, Ok(Arc::new(origin)), reference)
    }
}
