//! The suite over a double of KV version 2, and over a real server where there is one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{field_name, pick};
use crate::{
    ErrorClass, ManualClock, Redactor, ScopeConfig, Scopes, Secret, SecretProvider,
    provider::{
        contract::{Fault, FaultyFixture, ProviderFixture, everything_of, provider_contract},
        double::{
            Answer, Asked,
            bench::{Bench, Service, config, fixed, scope, service_contract},
            write_private,
        },
    },
};

const ROLE: &str = "role-1";
const SECRET_ID: &str = "cnry-secret-id";

/// What the double keeps.
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

impl Default for State {
    fn default() -> Self {
        Self {
            secrets: BTreeMap::new(),
            token: "cnry-token-0".to_owned(),
            logins: 0,
            renewals: 0,
            lease_seconds: 900,
            renewal_wait: None,
        }
    }
}

impl Service for State {
    const PROVIDER: &'static str = "hashicorp_vault";
    const ADDRESSES: &'static [&'static str] = &["address"];
    const IS_WRITABLE: bool = true;

    fn answer(&mut self, asked: &Asked, fault: Option<Fault>) -> Answer {
        answer(self, asked, fault)
    }

    fn put(&mut self, key: &str, value: &str) -> Option<String> {
        let versions = self.secrets.entry(key.to_owned()).or_default();
        versions.push(json!({"value": value}).as_object().cloned());
        Some(versions.len().to_string())
    }

    fn remove(&mut self, key: &str) {
        self.secrets.remove(key);
    }
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

const APP_ROLE: [(&str, &str); 4] =
    [("mount", "kv"), ("prefix", "team"), ("role_id", ROLE), ("secret_id", "{{secrets/env/id}}")];
const TOKEN: [(&str, &str); 3] =
    [("mount", "kv"), ("prefix", "team"), ("token", "{{secrets/env/token}}")];

async fn with_role(secret_id: &str) -> Bench<State> {
    Bench::new(&APP_ROLE, &[secret_id]).await
}

async fn with_token() -> Bench<State> {
    Bench::new(&TOKEN, &["cnry-token-0"]).await
}

#[tokio::test]
async fn an_application_role_keeps_the_contract() {
    service_contract::<State>(&APP_ROLE, &[SECRET_ID]).await;
}

#[tokio::test]
async fn a_token_keeps_the_contract() {
    service_contract::<State>(&TOKEN, &["cnry-token-0"]).await;
}

#[tokio::test]
async fn a_wrong_secret_id_is_a_matter_of_permission_and_stays_hidden() {
    let bench = with_role("cnry-wrong").await;
    let error = bench.provider.get(&"key".parse().unwrap()).await.unwrap_err();
    let text = everything_of(&error);
    assert_eq!(error.class(), ErrorClass::Permission, "{text}");
    assert!(text.contains("make a new secret id") && !text.contains("cnry"), "{text}");
}

#[tokio::test]
async fn a_login_lasts_is_renewed_and_is_repeated_when_the_server_forgot_it() {
    let bench = with_role(SECRET_ID).await;
    let key = "key".parse().unwrap();
    let counts = || {
        let state = bench.state();
        (state.logins, state.renewals)
    };
    bench.put("key", "cnry-value");
    for _ in 0..3 {
        assert!(bench.provider.get(&key).await.unwrap().is_some());
    }
    assert_eq!(counts(), (1, 0), "one login for many questions");
    assert_eq!(bench.redactor.scrub("cnry-token-1"), "[redacted]", "the token is known");

    bench.clock.advance(Duration::from_secs(601));
    assert!(bench.provider.get(&key).await.unwrap().is_some());
    assert_eq!(counts(), (1, 1), "renewed after two thirds");

    bench.clock.advance(Duration::from_secs(60));
    bench.state().token = "cnry-other".to_owned();
    let error = bench.provider.get(&key).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Permission, "for the scope to ask once more");
    assert!(bench.provider.get(&key).await.unwrap().is_some());
    assert_eq!(counts(), (2, 1), "signed in again after a refusal");

    bench.clock.advance(Duration::from_secs(1000));
    assert!(bench.provider.get(&key).await.unwrap().is_some());
    assert_eq!(counts(), (3, 1), "signed in again after the end");
}

#[tokio::test]
async fn a_token_is_renewed_although_the_server_was_down_at_first() {
    let bench = with_token().await;
    let key = "key".parse().unwrap();
    let renewals = || bench.state().renewals;
    bench.put("key", "cnry-value");
    bench.fail(Fault::Unavailable, 4);
    let error = bench.provider.get(&key).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "how long the token lives is not known");

    assert!(bench.provider.get(&key).await.unwrap().is_some());
    assert_eq!(renewals(), 0);
    bench.clock.advance(Duration::from_secs(601));
    assert!(bench.provider.get(&key).await.unwrap().is_some());
    assert_eq!(renewals(), 1, "renewed after two thirds");
}

#[tokio::test]
async fn a_renewal_that_failed_is_left_alone_for_a_while() {
    let bench = with_token().await;
    let key = "key".parse().unwrap();
    let renewals = || bench.state().renewals;
    bench.put("key", "cnry-value");
    assert!(bench.provider.get(&key).await.unwrap().is_some());
    bench.clock.advance(Duration::from_secs(601));
    // The attempts alone take nearly as long as the pause after them.
    bench.state().renewal_wait = Some(9);
    assert!(bench.provider.get(&key).await.unwrap().is_some());
    let attempts = renewals();
    bench.clock.advance(Duration::from_secs(20));
    assert!(bench.provider.get(&key).await.unwrap().is_some(), "used as it is");
    assert_eq!(renewals(), attempts, "too soon");
    bench.state().renewal_wait = None;
    bench.clock.advance(Duration::from_secs(20));
    assert!(bench.provider.get(&key).await.unwrap().is_some());
    assert_eq!(renewals(), attempts + 1);
}

#[tokio::test]
async fn a_token_comes_from_another_scope_and_may_be_rotated_there() {
    let bench = with_token().await;
    bench.put("key", "cnry-value");
    let folder = tempfile::tempdir().unwrap();
    let write = |token| write_private(&folder.path().join("token"), token);
    write("cnry-token-0");
    let fields = [&TOKEN[..], &[("token", "{{secrets/local/token}}")]].concat();
    let config = bench.config(&fields);
    let dir = folder.path().to_owned();
    let scopes = BTreeMap::from([
        ("hv".parse().unwrap(), config),
        ("local".parse().unwrap(), ScopeConfig::File { dir }),
    ]);
    let clock = Arc::clone(&bench.clock);
    let scopes = Scopes::with_clock(&scopes, bench.redactor.clone(), clock);
    let reference = "{{secrets/hv/key}}".parse().unwrap();
    assert_eq!(scopes.resolve(&reference).await.unwrap().expose(), "cnry-value");
    for known in ["cnry-token-0", "cnry-value"] {
        assert_eq!(bench.redactor.scrub(known), "[redacted]");
    }

    bench.clock.advance(Duration::from_secs(400));
    bench.put("key", "cnry-rotated");
    bench.state().token = "cnry-new-token".to_owned();
    write("cnry-new-token");
    assert_eq!(scopes.resolve(&reference).await.unwrap().expose(), "cnry-rotated");

    bench.clock.advance(Duration::from_secs(10));
    bench.state().token = "cnry-newer-token".to_owned();
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
    let bench = Bench::<State>::new(&elsewhere, &["cnry-token-0"]).await;
    let failures = [
        bench.provider.get(&"key".parse().unwrap()).await.map(|_| ()),
        bench.provider.keys().await.map(|_| ()),
    ];
    for failure in failures {
        let text = everything_of(&failure.unwrap_err());
        assert!(text.contains("no KV engine of version 2 is mounted"), "{text}");
        assert!(!text.contains("cnry"), "{text}");
    }
}

#[tokio::test]
async fn a_key_that_was_deleted_elsewhere_can_be_cleared_away() {
    let bench = with_token().await;
    let key = "key".parse().unwrap();
    bench.state().secrets.insert("key".to_owned(), vec![None]);
    assert!(bench.provider.get(&key).await.unwrap().is_none(), "its last version was deleted");
    assert_eq!(bench.provider.keys().await.unwrap(), ["key"]);
    assert!(!bench.provider.delete(&key).await.unwrap(), "there was no value");
    assert!(bench.provider.keys().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_write_keeps_the_other_fields() {
    let bench = with_token().await;
    let key = "key".parse().unwrap();
    let fields = json!({"value": "cnry-old", "owner": "team"});
    let fields = vec![fields.as_object().cloned()];
    bench.state().secrets.insert("key".to_owned(), fields);
    bench.provider.put(&key, &Secret::new("cnry-new".to_owned())).await.unwrap();
    let state = bench.state();
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
    provider: Arc<dyn SecretProvider>,
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
        self.provider.as_ref()
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
    let fields: Vec<_> = common.iter().chain(auth).copied().collect();
    let config = config(State::PROVIDER, &fields);
    let credentials = fixed(&config, &[secret]);
    let clock = Arc::new(ManualClock::default());
    let provider =
        config.provider(scope(), credentials, Redactor::default(), Arc::clone(&clock) as _);
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
