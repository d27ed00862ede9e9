//! The suite over a double of Key Vault and Entra, and over the double of the test services.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::{
    ErrorClass, ManualClock, Redactor, SecretProvider,
    provider::{
        contract::{Fault, ProviderFixture, everything_of, provider_contract},
        double::{
            Answer, Asked,
            bench::{Bench, Rotating, Service, config, fixed, scope, service_contract},
            is_again, run_again,
        },
    },
};

const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const SECRET: &str = "cnry-client-secret";

/// The settings of the double besides those of every bench.
const FIELDS: [(&str, &str); 5] = [
    ("credential", "client_secret"),
    ("tenant_id", TENANT),
    ("client_id", "marketlake"),
    ("client_secret", "{{secrets/env/secret}}"),
    ("verify_challenge_resource", "false"),
];

struct State {
    secrets: BTreeMap<String, Vec<String>>,
    /// The client secret that Entra accepts.
    client_secret: &'static str,
    is_disabled: bool,
    /// What a secret that is not there is called.
    missing: &'static str,
    /// Whether every page of a listing names a next one.
    is_endless: bool,
    /// What the challenge asks a token for.
    resource: String,
    /// Where the next page of a listing is.
    next_page: Option<String>,
    challenges: usize,
    tokens: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            secrets: BTreeMap::new(),
            client_secret: SECRET,
            is_disabled: false,
            missing: "SecretNotFound",
            is_endless: false,
            resource: "https://vault.azure.net".to_owned(),
            next_page: None,
            challenges: 0,
            tokens: 0,
        }
    }
}

impl Service for State {
    const PROVIDER: &'static str = "azure_key_vault";
    const ADDRESSES: &'static [&'static str] = &["vault_url", "authority_host"];

    fn answer(&mut self, asked: &Asked, fault: Option<Fault>) -> Answer {
        answer(self, asked, fault)
    }

    fn put(&mut self, key: &str, value: &str) -> Option<String> {
        let versions = self.secrets.entry(key.to_owned()).or_default();
        versions.push(value.to_owned());
        Some((versions.len() - 1).to_string())
    }

    fn remove(&mut self, key: &str) {
        self.secrets.remove(key);
    }
}

fn refuse(status: u16, code: &str, inner: Option<&str>) -> Answer {
    let inner = inner.map(|code| json!({"code": code}));
    // The text repeats what was sent, as real services do.
    let error = json!({"code": code, "message": "you sent cnry-text", "innererror": inner});
    Answer::json(status, &json!({"error": error}))
}

fn answer(state: &mut State, asked: &Asked, fault: Option<Fault>) -> Answer {
    match fault {
        Some(Fault::Throttled) => {
            return refuse(429, "Throttled", None).with("retry-after", "1");
        }
        Some(Fault::Unavailable) => return refuse(503, "ServiceUnavailable", None),
        Some(Fault::Forbidden) => {
            return refuse(403, "Forbidden", Some("ForbiddenByPolicy"));
        }
        _ => {}
    }
    if asked.path == format!("/{TENANT}/oauth2/v2.0/token") {
        let body = String::from_utf8(asked.body.clone()).unwrap();
        if !body.contains(&format!("client_secret={}", state.client_secret)) {
            let body = json!({
                "error": "invalid_client", "error_codes": [7_000_215],
                "error_description": "AADSTS7000215: Invalid client secret: you sent cnry-text",
                "timestamp": "2026-01-02 03:04:05Z", "trace_id": "t", "correlation_id": "c",
            });
            return Answer::json(401, &body);
        }
        state.tokens += 1;
        let token = format!("cnry-token-{}", state.tokens);
        let body = json!({"token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 3600, "access_token": token});
        return Answer::json(200, &body);
    }
    if asked.header("authorization") != format!("Bearer cnry-token-{}", state.tokens)
        || state.tokens == 0
    {
        state.challenges += 1;
        let challenge = format!(
            "Bearer authorization=\"https://login.microsoftonline.com/{TENANT}\", resource=\"{}\"",
            state.resource
        );
        return refuse(401, "Unauthorized", None).with("www-authenticate", &challenge);
    }
    let parts: Vec<&str> = asked.path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["secrets"] => listing(state, asked),
        ["secrets", ..] if state.is_disabled => refuse(403, "Forbidden", Some("SecretDisabled")),
        ["secrets", name, version @ ..] => {
            let versions = state.secrets.get(*name).cloned().unwrap_or_default();
            let found = match version.first() {
                Some(version) => version.parse().ok().and_then(|at: usize| versions.get(at)),
                None => versions.last(),
            };
            match found {
                Some(value) => {
                    let id = format!("https://localhost/secrets/{name}/0");
                    Answer::json(200, &json!({"value": value, "id": id, "attributes": {}}))
                }
                None => refuse(404, state.missing, None),
            }
        }
        _ => refuse(400, "BadParameter", None),
    }
}

fn listing(state: &State, asked: &Asked) -> Answer {
    let ids: Vec<Value> = state
        .secrets
        .keys()
        .map(|name| json!({"id": format!("https://localhost/secrets/{name}"), "attributes": {}}))
        .collect();
    let is_last = asked.query.contains_key("page") && !state.is_endless;
    let next = if is_last { None } else { state.next_page.clone() };
    Answer::json(200, &json!({"value": ids, "nextLink": next}))
}

async fn bench() -> Bench<State> {
    Bench::new(&FIELDS, &[SECRET]).await
}

#[tokio::test]
async fn the_vault_keeps_the_contract() {
    service_contract::<State>(&FIELDS, &[SECRET]).await;
}

#[tokio::test]
async fn the_vault_is_asked_by_its_challenge_with_one_token_for_all_questions() {
    let bench = bench().await;
    provider_contract(&bench).await;
    let state = bench.state();
    assert_eq!((state.challenges, state.tokens), (1, 1));
    assert_eq!(bench.redactor.scrub("cnry-token-1"), "[redacted]", "the token is known");
}

#[tokio::test]
async fn a_client_secret_that_was_rotated_is_read_again_after_a_listing_as_after_a_read() {
    let bench = bench().await;
    let (hour, key) = (Duration::from_secs(3600), "key".parse().unwrap());
    for listing in [true, false] {
        let secret = Rotating::new("cnry-old-secret");
        let provider =
            bench.other(&FIELDS, vec![secret.credential("client_secret", hour, &bench.clock)]);
        let ask = async || match listing {
            true => provider.keys().await.map(|_| ()),
            false => provider.get(&key).await.map(|_| ()),
        };
        bench.state().client_secret = "cnry-old-secret";
        ask().await.unwrap();
        secret.set("cnry-new-secret");
        bench.state().client_secret = "cnry-new-secret";
        // The vault forgets the token as well, as it does at the token's end.
        bench.state().tokens += 1;
        bench.clock.advance(Duration::from_secs(10));
        assert_eq!(ask().await.unwrap_err().class(), ErrorClass::Permission);
        ask().await.unwrap();
    }
}

#[tokio::test]
async fn a_vault_that_wants_a_token_of_another_service_gets_none() {
    let fields = [&FIELDS[..], &[("verify_challenge_resource", "true")]].concat();
    let bench = Bench::<State>::new(&fields, &[SECRET]).await;
    let error = bench.provider.get(&"key".parse().unwrap()).await.unwrap_err();
    let text = everything_of(&error);
    assert!(text.contains("another domain than its own"), "{text}");
    assert_eq!(bench.state().tokens, 0);
}

#[tokio::test]
async fn a_next_page_on_another_host_gets_no_token() {
    let bench = bench().await;
    bench.put("a", "cnry");
    let next = format!("{}/secrets?api-version=7.6&page=2", bench.double.url);
    bench.state().next_page = Some(next);
    assert_eq!(bench.provider.keys().await.unwrap(), ["a"], "a page of its own is read");
    let next = "https://localhost:1/secrets?page=2".to_owned();
    bench.state().next_page = Some(next);
    let error = bench.provider.keys().await.unwrap_err();
    let text = everything_of(&error);
    assert!(text.contains("on another host"), "{text}");
}

#[tokio::test]
async fn a_listing_without_an_end_is_cut() {
    let bench = bench().await;
    bench.put("a", "cnry");
    let next = format!("{}/secrets?api-version=7.6&page=2", bench.double.url);
    bench.state().next_page = Some(next);
    bench.state().is_endless = true;
    assert_eq!(bench.provider.keys().await.unwrap(), ["a"]);
}

#[tokio::test]
async fn only_the_vaults_own_word_says_that_a_secret_is_missing() {
    let bench = bench().await;
    bench.state().missing = "PageNotFound";
    let error = bench.provider.get(&"key".parse().unwrap()).await.unwrap_err();
    let text = everything_of(&error);
    assert!(text.contains("PageNotFound") && text.contains("correct `vault_url`"), "{text}");
    assert_eq!(error.class(), ErrorClass::Config);
}

#[tokio::test]
async fn a_disabled_secret_and_an_impossible_name_say_so() {
    let bench = bench().await;
    bench.put("key", "cnry");
    bench.state().is_disabled = true;
    for (key, wanted) in [("key", "is disabled in the vault"), ("a_b", "letters, digits and `-`")] {
        let error = bench.provider.get(&key.parse().unwrap()).await.unwrap_err();
        let text = everything_of(&error);
        assert!(text.contains(wanted) && !text.contains("cnry"), "{text}");
        assert_eq!(error.class(), ErrorClass::Config);
    }
}

#[tokio::test]
async fn a_wrong_client_secret_names_entras_code_and_stays_hidden() {
    let bench = Bench::<State>::new(&FIELDS, &["cnry-wrong-secret"]).await;
    let error = bench.provider.get(&"key".parse().unwrap()).await.unwrap_err();
    let text = everything_of(&error);
    assert!(text.contains("AADSTS7000215") && text.contains("client secret"), "{text}");
    assert!(!text.contains("cnry"), "{text}");
    assert_eq!(error.class(), ErrorClass::Permission);
}

/// The vault of the test services, written to by a client that is not ours.
struct Real {
    provider: Arc<dyn SecretProvider>,
    address: String,
    client: reqwest::Client,
    token: String,
}

impl Real {
    async fn send(&self, method: reqwest::Method, path: &str, body: &Value) -> Option<Value> {
        let url = format!("{}/{path}?api-version=7.6", self.address);
        let request = self.client.request(method, url).bearer_auth(&self.token);
        let request = request.header("content-type", "application/json");
        let reply = request.body(body.to_string()).send().await.unwrap();
        let text = reply.error_for_status().ok()?.text().await.unwrap();
        serde_json::from_str(&text).ok()
    }
}

#[async_trait]
impl ProviderFixture for Real {
    fn provider(&self) -> &dyn SecretProvider {
        self.provider.as_ref()
    }

    async fn put(&self, key: &str, value: &str) -> Option<String> {
        let path = format!("secrets/{key}");
        let written = self.send(reqwest::Method::PUT, &path, &json!({"value": value})).await;
        let written = written.expect("the vault takes the value");
        written["id"].as_str()?.rsplit('/').next().map(str::to_owned)
    }

    async fn remove(&self, key: &str) {
        // A deleted name cannot be used again before it is purged as well.
        for path in [format!("secrets/{key}"), format!("deletedsecrets/{key}")] {
            self.send(reqwest::Method::DELETE, &path, &Value::Null).await;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the addresses of the real services")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run scripts/services start"))
}

async fn real(fields: &[(&str, &str)], secrets: &[&str]) -> Real {
    let address = variable("MARKETLAKE_TEST_KEYVAULT");
    let ca_file = format!("{}/ca.pem", variable("MARKETLAKE_TEST_TLS"));
    let pem = std::fs::read(&ca_file).unwrap();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()])
        .build()
        .unwrap();
    let url = variable("MARKETLAKE_TEST_KEYVAULT_TOKEN");
    let url = format!("{url}?api-version=2019-08-01&resource=https://vault.azure.net");
    let request = client.get(url).header("metadata", "true").header("x-identity-header", "header");
    let reply = request.send().await.unwrap().text().await.unwrap();
    let reply: Value = serde_json::from_str(&reply).unwrap();
    let token = reply["access_token"].as_str().unwrap().to_owned();
    let common = [
        ("vault_url", address.as_str()),
        ("ca_file", &ca_file),
        ("verify_challenge_resource", "false"),
    ];
    let fields: Vec<(&str, &str)> = common.iter().chain(fields).copied().collect();
    let config = config(State::PROVIDER, &fields);
    let credentials = fixed(&config, secrets);
    let clock = Arc::new(ManualClock::default());
    let provider = config.provider(scope(), credentials, Redactor::default(), clock);
    Real { provider, address, client, token }
}

async fn real_contract(real: &Real) {
    real.remove("access-key").await;
    provider_contract(real).await;
    let throttled = real.provider.get(&"throttled-key".parse().unwrap()).await;
    assert_eq!(throttled.unwrap_err().class(), ErrorClass::Transient);
    let forbidden = real.provider.get(&"forbidden-key".parse().unwrap()).await;
    assert_eq!(forbidden.unwrap_err().class(), ErrorClass::Permission);
}

/// Where the identity endpoint is, is known to a process from its variables alone.
#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn the_running_double_keeps_the_contract_whoever_asks() {
    if is_again() {
        for credential in ["managed_identity", "default"] {
            real_contract(&real(&[("credential", credential)], &[]).await).await;
        }
        return;
    }
    let authority = variable("MARKETLAKE_TEST_KEYVAULT");
    let fields = [
        ("credential", "client_secret"),
        ("authority_host", authority.as_str()),
        ("tenant_id", TENANT),
        ("client_id", "marketlake"),
        ("client_secret", "{{secrets/env/secret}}"),
    ];
    real_contract(&real(&fields, &["marketlake-keyvault-test"]).await).await;

    let endpoint = variable("MARKETLAKE_TEST_KEYVAULT_TOKEN");
    let name = "provider::azure_key_vault::tests::\
                the_running_double_keeps_the_contract_whoever_asks";
    run_again(name, &[("IDENTITY_ENDPOINT", &endpoint), ("IDENTITY_HEADER", "header")]).await;
}
