//! The suite over a double of KV version 2, and over a real server where there is one.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{HashicorpVault, field_name, pick};
use crate::{
    Credential, ErrorClass, ManualClock, Redactor, ScopeConfig, Scopes, Secret, SecretName,
    SecretProvider,
    provider::{
        contract::{
            Fault, FaultyFixture, ProviderFixture, everything_of, fault_contract, provider_contract,
        },
        double::{
            Answer, Asked, Double, TIMEOUT,
            certificates::{FLAWS, Flaw},
            log::Log,
        },
    },
};

const ROLE: &str = "role-1";
const SECRET_ID: &str = "cnry-secret-id";

/// What the double keeps.
#[derive(Default)]
struct State {
    secrets: BTreeMap<String, Vec<Option<Map<String, Value>>>>,
    /// The token that is good now.
    token: String,
    logins: usize,
    renewals: usize,
    lease_seconds: u64,
    /// Seconds that a renewal asks to wait, while the server is not able to renew.
    renewal_wait: Option<u64>,
}

fn answer(state: &mut State, asked: &Asked, fault: Option<Fault>) -> Answer {
    let nothing = json!({"errors": []});
    match fault {
        Some(Fault::Throttled) => return Answer::json(429, &nothing).with("retry-after", "1"),
        Some(Fault::Unavailable) => return Answer::json(503, &json!({"errors": ["cnry sealed"]})),
        Some(Fault::Forbidden) => return Answer::json(403, &json!({"errors": ["cnry denied"]})),
        _ => {}
    }
    let auth = |state: &State| {
        json!({"auth": {"client_token": state.token, "lease_duration": state.lease_seconds,
                        "renewable": true}})
    };
    if asked.path == "/v1/auth/approle/login" {
        let body = asked.json();
        if body["role_id"] != ROLE || body["secret_id"] != SECRET_ID {
            return Answer::json(400, &json!({"errors": ["invalid cnry secret id"]}));
        }
        state.logins += 1;
        state.token = format!("cnry-token-{}", state.logins);
        return Answer::json(200, &auth(state));
    }
    if asked.header("x-vault-token") != state.token {
        return Answer::json(403, &json!({"errors": ["permission denied"]}));
    }
    match asked.path.as_str() {
        "/v1/auth/token/lookup-self" => {
            let data = json!({"ttl": state.lease_seconds, "renewable": true});
            return Answer::json(200, &json!({"data": data}));
        }
        "/v1/auth/token/renew-self" => {
            state.renewals += 1;
            return match state.renewal_wait {
                None => Answer::json(200, &auth(state)),
                Some(wait) => Answer::json(503, &nothing).with("retry-after", &wait.to_string()),
            };
        }
        _ => {}
    }
    if let Some(name) = asked.path.strip_prefix("/v1/kv/metadata/team/")
        && asked.method == "DELETE"
    {
        state.secrets.remove(name);
        return Answer::json(204, &Value::Null);
    }
    if asked.path.starts_with("/v1/kv/metadata/team") && asked.query.contains_key("list") {
        let keys: Vec<&String> = state.secrets.keys().collect();
        return match keys.is_empty() {
            true => Answer::json(404, &nothing),
            false => Answer::json(200, &json!({"data": {"keys": keys}})),
        };
    }
    match asked.path.strip_prefix("/v1/kv/data/team/") {
        Some(name) => data(state, asked, name),
        None => Answer::json(404, &json!({"errors": ["no handler for route \"cnry\""]})),
    }
}

fn data(state: &mut State, asked: &Asked, name: &str) -> Answer {
    let nothing = json!({"errors": []});
    let versions = state.secrets.entry(name.to_owned()).or_default();
    let latest = versions.len();
    let answer = match asked.method.as_str() {
        "POST" => {
            let body = asked.json();
            if body["options"]["cas"].as_u64() != Some(latest as u64) {
                Answer::json(400, &json!({"errors": ["check-and-set parameter did not match"]}))
            } else {
                versions.push(body["data"].as_object().cloned());
                Answer::json(200, &json!({"data": {"version": latest + 1}}))
            }
        }
        _ => {
            let number = match asked.query.get("version") {
                Some(version) => version.parse().unwrap_or(0),
                None => latest,
            };
            match versions.get(number.wrapping_sub(1)) {
                None => Answer::json(404, &nothing),
                Some(found) => {
                    let status = if found.is_some() { 200 } else { 404 };
                    let metadata = json!({"version": number});
                    Answer::json(status, &json!({"data": {"data": found, "metadata": metadata}}))
                }
            }
        }
    };
    if state.secrets.get(name).is_some_and(Vec::is_empty) {
        state.secrets.remove(name);
    }
    answer
}

struct Fixture {
    provider: HashicorpVault,
    state: Arc<Mutex<State>>,
    clock: Arc<ManualClock>,
    redactor: Redactor,
    double: Double,
}

fn provider(
    url: &str,
    ca_file: Option<&Path>,
    auth: &[(&str, &str)],
    secret: &str,
    clock: Arc<ManualClock>,
    redactor: Redactor,
) -> HashicorpVault {
    let ca_file = ca_file.map(|path| path.to_str().unwrap()).unwrap_or_default();
    let timeout = format!("{}ms", TIMEOUT.as_millis());
    let fields = [("address", url), ("ca_file", ca_file), ("timeout", &timeout)];
    let fields = fields.iter().chain(auth);
    let fields = fields.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let config = ScopeConfig::from_fields("hashicorp_vault", fields.collect()).unwrap();
    let ScopeConfig::HashicorpVault(config) = config else { panic!("another provider") };
    let scope: SecretName = "hv".parse().unwrap();
    let credential = Credential::fixed(scope.clone(), "token", Secret::new(secret.to_owned()));
    HashicorpVault::new(scope, config, vec![credential], redactor, clock)
}

const APP_ROLE: [(&str, &str); 4] =
    [("mount", "kv"), ("prefix", "team"), ("role_id", ROLE), ("secret_id", "{{secrets/env/id}}")];
const TOKEN: [(&str, &str); 3] =
    [("mount", "kv"), ("prefix", "team"), ("token", "{{secrets/env/token}}")];

async fn fixture(auth: &[(&str, &str)], secret: &str, flaw: Option<Flaw>) -> Fixture {
    let state = State { token: "cnry-token-0".to_owned(), lease_seconds: 900, ..State::default() };
    let state = Arc::new(Mutex::new(state));
    let shared = Arc::clone(&state);
    let handler = move |asked: &Asked, fault| answer(&mut shared.lock().unwrap(), asked, fault);
    let double = Double::start(Arc::new(handler), flaw).await;
    let clock = Arc::new(ManualClock::default());
    let redactor = Redactor::default();
    let (shared, known) = (Arc::clone(&clock), redactor.clone());
    let provider = provider(&double.url, Some(&double.ca_file()), auth, secret, shared, known);
    Fixture { provider, state, clock, redactor, double }
}

#[async_trait]
impl ProviderFixture for Fixture {
    fn provider(&self) -> &dyn SecretProvider {
        &self.provider
    }

    async fn put(&self, key: &str, value: &str) -> Option<String> {
        let mut state = self.state.lock().unwrap();
        let versions = state.secrets.entry(key.to_owned()).or_default();
        versions.push(json!({"value": value}).as_object().cloned());
        Some(versions.len().to_string())
    }

    async fn remove(&self, key: &str) {
        self.state.lock().unwrap().secrets.remove(key);
    }

    fn is_writable(&self) -> bool {
        true
    }
}

impl FaultyFixture for Fixture {
    fn fail(&self, fault: Fault, times: usize) {
        self.double.faults.set(fault, times);
    }

    fn recover(&self) {
        self.double.faults.clear();
    }
}

#[tokio::test]
async fn an_application_role_keeps_the_contract() {
    provider_contract(&fixture(&APP_ROLE, SECRET_ID, None).await).await;
}

#[tokio::test]
async fn nothing_secret_is_logged_at_any_level() {
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    let fixture = fixture(&APP_ROLE, SECRET_ID, None).await;
    provider_contract(&fixture).await;
    fault_contract(&fixture).await;
    drop(guard);
    let text = log.text();
    assert!(text.contains("TRACE"), "every level is heard");
    let line = text.lines().find(|line| line.contains("cnry") || line.contains("w\u{f6}rd"));
    assert_eq!(line, None);
}

#[tokio::test]
async fn a_token_keeps_the_contract() {
    provider_contract(&fixture(&TOKEN, "cnry-token-0", None).await).await;
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again_and_shows_nothing() {
    fault_contract(&fixture(&APP_ROLE, SECRET_ID, None).await).await;
}

#[tokio::test]
async fn a_server_that_cannot_prove_itself_gets_no_credential() {
    for (flaw, wanted) in FLAWS {
        let fixture = fixture(&APP_ROLE, SECRET_ID, Some(flaw)).await;
        let error = fixture.provider.get(&"key".parse().unwrap()).await.unwrap_err();
        let text = everything_of(&error);
        assert!(text.contains(wanted), "{flaw:?}: {text}");
        assert!(!text.contains("cnry"), "{flaw:?}: {text}");
        assert_eq!(error.class(), ErrorClass::Config);
        assert_eq!(fixture.state.lock().unwrap().logins, 0);
    }
}

#[tokio::test]
async fn a_wrong_secret_id_is_a_matter_of_permission_and_stays_hidden() {
    let fixture = fixture(&APP_ROLE, "cnry-wrong", None).await;
    let error = fixture.provider.get(&"key".parse().unwrap()).await.unwrap_err();
    let text = everything_of(&error);
    assert_eq!(error.class(), ErrorClass::Permission, "{text}");
    assert!(text.contains("make a new secret id") && !text.contains("cnry"), "{text}");
}

#[tokio::test]
async fn a_login_lasts_is_renewed_and_is_repeated_when_the_server_forgot_it() {
    let fixture = fixture(&APP_ROLE, SECRET_ID, None).await;
    let key = "key".parse().unwrap();
    let counts = || {
        let state = fixture.state.lock().unwrap();
        (state.logins, state.renewals)
    };
    fixture.put("key", "cnry-value").await;
    for _ in 0..3 {
        assert!(fixture.provider.get(&key).await.unwrap().is_some());
    }
    assert_eq!(counts(), (1, 0), "one login for many questions");
    assert_eq!(fixture.redactor.scrub("cnry-token-1"), "[redacted]", "the token is known");

    fixture.clock.advance(Duration::from_secs(601));
    assert!(fixture.provider.get(&key).await.unwrap().is_some());
    assert_eq!(counts(), (1, 1), "renewed after two thirds");

    fixture.clock.advance(Duration::from_secs(60));
    fixture.state.lock().unwrap().token = "cnry-other".to_owned();
    let error = fixture.provider.get(&key).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Permission, "for the scope to ask once more");
    assert!(fixture.provider.get(&key).await.unwrap().is_some());
    assert_eq!(counts(), (2, 1), "signed in again after a refusal");

    fixture.clock.advance(Duration::from_secs(1000));
    assert!(fixture.provider.get(&key).await.unwrap().is_some());
    assert_eq!(counts(), (3, 1), "signed in again after the end");
}

#[tokio::test]
async fn a_token_is_renewed_although_the_server_was_down_at_first() {
    let fixture = fixture(&TOKEN, "cnry-token-0", None).await;
    let key = "key".parse().unwrap();
    let renewals = || fixture.state.lock().unwrap().renewals;
    fixture.put("key", "cnry-value").await;
    fixture.fail(Fault::Unavailable, 4);
    let error = fixture.provider.get(&key).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "how long the token lives is not known");

    assert!(fixture.provider.get(&key).await.unwrap().is_some());
    assert_eq!(renewals(), 0);
    fixture.clock.advance(Duration::from_secs(601));
    assert!(fixture.provider.get(&key).await.unwrap().is_some());
    assert_eq!(renewals(), 1, "renewed after two thirds");
}

#[tokio::test]
async fn a_renewal_that_failed_is_left_alone_for_a_while() {
    let fixture = fixture(&TOKEN, "cnry-token-0", None).await;
    let key = "key".parse().unwrap();
    let renewals = || fixture.state.lock().unwrap().renewals;
    fixture.put("key", "cnry-value").await;
    assert!(fixture.provider.get(&key).await.unwrap().is_some());
    fixture.clock.advance(Duration::from_secs(601));
    // The attempts alone take nearly as long as the pause after them.
    fixture.state.lock().unwrap().renewal_wait = Some(9);
    assert!(fixture.provider.get(&key).await.unwrap().is_some());
    let attempts = renewals();
    fixture.clock.advance(Duration::from_secs(20));
    assert!(fixture.provider.get(&key).await.unwrap().is_some(), "used as it is");
    assert_eq!(renewals(), attempts, "too soon");
    fixture.state.lock().unwrap().renewal_wait = None;
    fixture.clock.advance(Duration::from_secs(20));
    assert!(fixture.provider.get(&key).await.unwrap().is_some());
    assert_eq!(renewals(), attempts + 1);
}

#[tokio::test]
async fn a_token_comes_from_another_scope_and_may_be_rotated_there() {
    let fixture = fixture(&TOKEN, "cnry-token-0", None).await;
    fixture.put("key", "cnry-value").await;
    let folder = tempfile::tempdir().unwrap();
    let write = |token: &str| {
        let path = folder.path().join("token");
        fs::write(&path, token).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("cnry-token-0");
    let ca_file = fixture.double.ca_file();
    let fields = [
        ("address", fixture.double.url.as_str()),
        ("ca_file", ca_file.to_str().unwrap()),
        ("mount", "kv"),
        ("prefix", "team"),
        ("token", "{{secrets/local/token}}"),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = ScopeConfig::from_fields("hashicorp_vault", fields.into()).unwrap();
    let dir = folder.path().to_owned();
    let scopes = BTreeMap::from([
        ("hv".parse().unwrap(), config),
        ("local".parse().unwrap(), ScopeConfig::File { dir }),
    ]);
    let clock = Arc::clone(&fixture.clock);
    let scopes = Scopes::with_clock(&scopes, fixture.redactor.clone(), clock);
    let reference = "{{secrets/hv/key}}".parse().unwrap();
    assert_eq!(scopes.resolve(&reference).await.unwrap().expose(), "cnry-value");
    for known in ["cnry-token-0", "cnry-value"] {
        assert_eq!(fixture.redactor.scrub(known), "[redacted]");
    }

    fixture.clock.advance(Duration::from_secs(400));
    fixture.put("key", "cnry-rotated").await;
    fixture.state.lock().unwrap().token = "cnry-new-token".to_owned();
    write("cnry-new-token");
    assert_eq!(scopes.resolve(&reference).await.unwrap().expose(), "cnry-rotated");

    fixture.clock.advance(Duration::from_secs(10));
    fixture.state.lock().unwrap().token = "cnry-newer-token".to_owned();
    write("cnry-newer-token");
    scopes.put(&reference, &Secret::new("cnry-written".to_owned())).await.unwrap();
    assert_eq!(scopes.resolve(&reference).await.unwrap().expose(), "cnry-written");
    assert!(scopes.delete(&reference).await.unwrap());
    let error = scopes.resolve(&reference).await.unwrap_err();
    assert!(error.to_string().contains("vault kv put -mount=kv team/key"), "{error}");
}

#[tokio::test]
async fn only_the_engines_own_word_says_that_a_key_is_missing() {
    let elsewhere = [("mount", "other"), ("prefix", "team"), ("token", "{{secrets/env/token}}")];
    let fixture = fixture(&elsewhere, "cnry-token-0", None).await;
    let failures = [
        fixture.provider.get(&"key".parse().unwrap()).await.map(|_| ()),
        fixture.provider.keys().await.map(|_| ()),
    ];
    for failure in failures {
        let text = everything_of(&failure.unwrap_err());
        assert!(text.contains("no KV engine of version 2 is mounted"), "{text}");
        assert!(!text.contains("cnry"), "{text}");
    }
}

#[tokio::test]
async fn a_key_that_was_deleted_elsewhere_can_be_cleared_away() {
    let fixture = fixture(&TOKEN, "cnry-token-0", None).await;
    let key = "key".parse().unwrap();
    fixture.state.lock().unwrap().secrets.insert("key".to_owned(), vec![None]);
    assert!(fixture.provider.get(&key).await.unwrap().is_none(), "its last version was deleted");
    assert_eq!(fixture.provider.keys().await.unwrap(), ["key"]);
    assert!(!fixture.provider.delete(&key).await.unwrap(), "there was no value");
    assert!(fixture.provider.keys().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_write_keeps_the_other_fields() {
    let fixture = fixture(&TOKEN, "cnry-token-0", None).await;
    let key = "key".parse().unwrap();
    let fields = json!({"value": "cnry-old", "owner": "team"});
    let fields = vec![fields.as_object().cloned()];
    fixture.state.lock().unwrap().secrets.insert("key".to_owned(), fields);
    fixture.provider.put(&key, &Secret::new("cnry-new".to_owned())).await.unwrap();
    let state = fixture.state.lock().unwrap();
    let written = state.secrets["key"][1].as_ref().unwrap();
    assert_eq!((&written["value"], &written["owner"]), (&json!("cnry-new"), &json!("team")));
}

#[test]
fn the_value_is_the_named_field_or_the_only_one() {
    let fields = |value: Value| -> BTreeMap<String, Value> {
        value.as_object().unwrap().clone().into_iter().collect()
    };
    assert_eq!(pick(fields(json!({"value": "a", "b": "c"})), "value").unwrap(), "a");
    assert_eq!(pick(fields(json!({"password": "a"})), "value").unwrap(), "a");
    assert_eq!(field_name(&BTreeMap::new(), "value").unwrap(), "value");
    let error = pick(fields(json!({"user": "cnry-a", "password": "cnry-b"})), "value").unwrap_err();
    assert!(error.contains("`password`, `user`") && !error.contains("cnry"), "{error}");
    assert!(pick(fields(json!({"value": 5})), "value").is_err());
}

/// A real server, written to by a client that is not ours.
struct Real {
    provider: HashicorpVault,
    address: String,
    prefix: String,
    client: reqwest::Client,
    clock: Arc<ManualClock>,
}

const REAL_TOKEN: &str = "marketlake-vault-test";

impl Real {
    /// Asks as root.
    async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}/v1/{path}", self.address);
        let request = self.client.request(method.parse().unwrap(), url);
        let request = request.header("x-vault-token", REAL_TOKEN).body(body.to_string());
        let text = request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

#[async_trait]
impl ProviderFixture for Real {
    fn provider(&self) -> &dyn SecretProvider {
        &self.provider
    }

    async fn put(&self, key: &str, value: &str) -> Option<String> {
        let path = format!("secret/data/{}/{key}", self.prefix);
        let written = self.ask("POST", &path, json!({"data": {"value": value}})).await;
        written["data"]["version"].as_u64().map(|version| version.to_string())
    }

    async fn remove(&self, key: &str) {
        let path = format!("secret/metadata/{}/{key}", self.prefix);
        self.ask("DELETE", &path, Value::Null).await;
    }

    fn is_writable(&self) -> bool {
        true
    }
}

#[expect(clippy::disallowed_methods, reason = "the address of the real service")]
fn real(prefix: &str, auth: &[(&str, &str)], secret: &str) -> Real {
    let address = std::env::var("MARKETLAKE_TEST_VAULT")
        .expect("MARKETLAKE_TEST_VAULT names the server; run scripts/services start");
    let common = [("address", address.as_str()), ("prefix", prefix)];
    let fields = common.iter().chain(auth);
    let fields = fields.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let config = ScopeConfig::from_fields("hashicorp_vault", fields.collect()).unwrap();
    let ScopeConfig::HashicorpVault(config) = config else { panic!("another provider") };
    let scope: SecretName = "hv".parse().unwrap();
    let secret = Secret::new(secret.to_owned());
    let credentials = vec![Credential::fixed(scope.clone(), "token", secret)];
    let clock = Arc::new(ManualClock::default());
    let provider = HashicorpVault::new(
        scope,
        config,
        credentials,
        Redactor::default(),
        Arc::clone(&clock) as _,
    );
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    Real { provider, address, prefix: prefix.to_owned(), client, clock }
}

async fn real_contract(real: &Real) {
    for key in ["access-key", "other-key"] {
        real.remove(key).await;
    }
    provider_contract(real).await;
    for key in ["access-key", "other-key"] {
        real.remove(key).await;
    }
}

const REAL_TOKEN_AUTH: [(&str, &str); 1] = [("token", "{{secrets/env/token}}")];

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn a_real_server_keeps_the_contract_with_a_token() {
    real_contract(&real("contract", &REAL_TOKEN_AUTH, REAL_TOKEN)).await;
    let stranger = real("contract", &REAL_TOKEN_AUTH, "cnry-wrong");
    let error = stranger.provider.get(&"access-key".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Permission, "{error:?}");
    assert!(!everything_of(&error).contains("cnry"));
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn a_real_server_keeps_the_contract_with_an_application_role() {
    let root = real("contract-role", &REAL_TOKEN_AUTH, REAL_TOKEN);
    let rules = "path \"secret/data/contract-role/*\" \
                 { capabilities = [\"create\", \"read\", \"update\", \"delete\"] } \
                 path \"secret/metadata/contract-role/*\" { capabilities = [\"delete\"] } \
                 path \"secret/metadata/contract-role\" { capabilities = [\"list\"] } \
                 path \"secret/metadata/contract-role/\" { capabilities = [\"list\"] }";
    root.ask("POST", "sys/policies/acl/contract", json!({"policy": rules})).await;
    let role = "auth/approle/role/contract";
    root.ask("POST", role, json!({"token_policies": "contract", "token_ttl": "1m"})).await;
    let role_id = root.ask("GET", &format!("{role}/role-id"), Value::Null).await;
    let secret_id = root.ask("POST", &format!("{role}/secret-id"), json!({})).await;
    let role_id = role_id["data"]["role_id"].as_str().unwrap();
    let secret_id = secret_id["data"]["secret_id"].as_str().unwrap();
    let auth = [("role_id", role_id), ("secret_id", "{{secrets/env/id}}")];

    let real = real("contract-role", &auth, secret_id);
    real_contract(&real).await;

    // The lease nears its end: renewed. The server forgets the token: signed in again.
    real.put("access-key", "cnry-value").await;
    let key = "access-key".parse().unwrap();
    real.clock.advance(Duration::from_secs(45));
    assert!(real.provider.get(&key).await.unwrap().is_some());
    let accessors = root.ask("LIST", "auth/token/accessors", Value::Null).await;
    for accessor in accessors["data"]["keys"].as_array().unwrap() {
        let found = root.ask("POST", "auth/token/lookup-accessor", json!({"accessor": accessor}));
        if found.await["data"]["meta"]["role_name"] == "contract" {
            root.ask("POST", "auth/token/revoke-accessor", json!({"accessor": accessor})).await;
        }
    }
    real.clock.advance(Duration::from_secs(6));
    let error = real.provider.get(&key).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Permission, "for the scope to ask once more");
    assert!(real.provider.get(&key).await.unwrap().is_some());
    real.remove("access-key").await;
}
