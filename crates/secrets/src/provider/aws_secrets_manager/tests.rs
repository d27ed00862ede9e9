//! The suite over a double of Secrets Manager, and over moto.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::AwsSecretsManager;
use crate::{
    Credential, Error, ErrorClass, ManualClock, Redactor, ScopeConfig, Secret, SecretName,
    SecretProvider,
    provider::{
        contract::{
            Fault, FaultyFixture, ProviderFixture, everything_of, fault_contract, provider_contract,
        },
        double::{
            Answer, Asked, Double, TIMEOUT,
            certificates::{FLAWS, Flaw},
            is_again,
            log::Log,
            run_again,
        },
    },
};

#[derive(Default)]
struct State {
    /// Versions of each secret.
    secrets: BTreeMap<String, Vec<String>>,
    /// Secrets whose value is binary, as the service sends it.
    binaries: BTreeMap<String, String>,
    /// The session token that every question must bring.
    session: Option<&'static str>,
    /// How many questions came without a signature.
    unsigned: usize,
}

fn refuse(status: u16, code: &str) -> Answer {
    // The text repeats what was sent, as real services do.
    Answer::json(status, &json!({"__type": code, "Message": "you sent cnry-text"}))
}

fn answer(state: &mut State, asked: &Asked, fault: Option<Fault>) -> Answer {
    match fault {
        Some(Fault::Throttled) => return refuse(400, "ThrottlingException"),
        Some(Fault::Unavailable) => return refuse(500, "InternalServiceError"),
        Some(Fault::Forbidden) => return refuse(400, "AccessDeniedException"),
        _ => {}
    }
    let signature = asked.header("authorization");
    let is_signed = signature.starts_with("AWS4-HMAC-SHA256 Credential=cnry-id/")
        && signature.contains("/eu-west-1/secretsmanager/aws4_request")
        && signature.contains("x-amz-target")
        && state.session.is_none_or(|session| session == asked.header("x-amz-security-token"));
    if !is_signed {
        state.unsigned += 1;
        return refuse(400, "UnrecognizedClientException");
    }
    let body = asked.json();
    match asked.header("x-amz-target") {
        "secretsmanager.GetSecretValue" => {
            let name = body["SecretId"].as_str().unwrap_or_default();
            if let Some(binary) = state.binaries.get(name) {
                return Answer::json(200, &json!({"Name": name, "SecretBinary": binary}));
            }
            let Some(versions) = state.secrets.get(name) else {
                return refuse(400, "ResourceNotFoundException");
            };
            let found = match (body["VersionId"].as_str(), body["VersionStage"].as_str()) {
                (Some(version), None) => version_number(version).and_then(|at| versions.get(at)),
                (None, None | Some("AWSCURRENT")) => versions.last(),
                (None, Some("AWSPREVIOUS")) => versions.iter().rev().nth(1),
                _ => None,
            };
            match found {
                Some(value) => Answer::json(200, &json!({"Name": name, "SecretString": value})),
                None => refuse(400, "ResourceNotFoundException"),
            }
        }
        "secretsmanager.ListSecrets" => {
            // One a page, so that every listing turns pages.
            let start: usize = body["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
            let names: Vec<&String> = state.secrets.keys().collect();
            let listed: Vec<Value> =
                names.iter().skip(start).take(1).map(|name| json!({"Name": name})).collect();
            let mut page = json!({"SecretList": listed});
            if start + 1 < names.len() {
                page["NextToken"] = json!((start + 1).to_string());
            }
            Answer::json(200, &page)
        }
        _ => refuse(400, "UnknownOperationException"),
    }
}

fn version_id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn version_number(id: &str) -> Option<usize> {
    id.rsplit('-').next()?.parse().ok()
}

struct Fixture {
    provider: AwsSecretsManager,
    state: Arc<Mutex<State>>,
    redactor: Redactor,
    double: Double,
}

fn provider(fields: &[(&str, &str)], credentials: &[&str]) -> AwsSecretsManager {
    provider_with(fields, credentials, Redactor::default())
}

fn provider_with(
    fields: &[(&str, &str)],
    credentials: &[&str],
    redactor: Redactor,
) -> AwsSecretsManager {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let config = ScopeConfig::from_fields("aws_secrets_manager", fields.collect()).unwrap();
    let ScopeConfig::AwsSecretsManager(config) = config else { panic!("another provider") };
    let scope: SecretName = "aws".parse().unwrap();
    let credentials = credentials.iter().map(|value| {
        Credential::fixed(scope.clone(), "access_key_id", Secret::new((*value).to_owned()))
    });
    let credentials = credentials.collect();
    let clock = Arc::new(ManualClock::default());
    AwsSecretsManager::new(scope, config, credentials, redactor, clock)
}

async fn fixture(flaw: Option<Flaw>) -> Fixture {
    fixture_with(&["cnry-id", "cnry-key"], flaw).await
}

async fn fixture_with(credentials: &[&str], flaw: Option<Flaw>) -> Fixture {
    let state = State::default();
    let state = Arc::new(Mutex::new(state));
    let shared = Arc::clone(&state);
    let handler = move |asked: &Asked, fault| answer(&mut shared.lock().unwrap(), asked, fault);
    let double = Double::start(Arc::new(handler), flaw).await;
    let timeout = format!("{}ms", TIMEOUT.as_millis());
    let ca_file = double.ca_file();
    let fields = [
        ("region", "eu-west-1"),
        ("endpoint", double.url.as_str()),
        ("prefix", "prod/"),
        ("timeout", &timeout),
        ("ca_file", ca_file.to_str().unwrap()),
    ];
    let redactor = Redactor::default();
    let provider = provider_with(&fields, credentials, redactor.clone());
    Fixture { provider, state, redactor, double }
}

#[async_trait]
impl ProviderFixture for Fixture {
    fn provider(&self) -> &dyn SecretProvider {
        &self.provider
    }

    async fn put(&self, key: &str, value: &str) -> Option<String> {
        let mut state = self.state.lock().unwrap();
        let versions = state.secrets.entry(format!("prod/{key}")).or_default();
        versions.push(value.to_owned());
        Some(version_id(versions.len() - 1))
    }

    async fn remove(&self, key: &str) {
        self.state.lock().unwrap().secrets.remove(&format!("prod/{key}"));
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
async fn the_service_keeps_the_contract() {
    let fixture = fixture(None).await;
    provider_contract(&fixture).await;
    assert_eq!(fixture.state.lock().unwrap().unsigned, 0, "every question is signed");
}

#[tokio::test]
async fn nothing_secret_is_logged_at_any_level() {
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    let fixture = fixture(None).await;
    provider_contract(&fixture).await;
    fault_contract(&fixture).await;
    drop(guard);
    let text = log.text();
    assert!(text.contains("TRACE"), "every level is heard");
    let line = text.lines().find(|line| line.contains("cnry") || line.contains("w\u{f6}rd"));
    assert_eq!(line, None);
}

#[tokio::test]
async fn a_service_in_trouble_is_asked_again_and_shows_nothing() {
    fault_contract(&fixture(None).await).await;
}

#[tokio::test]
async fn a_server_that_cannot_prove_itself_gets_no_signature() {
    for (flaw, wanted) in FLAWS {
        let fixture = fixture(Some(flaw)).await;
        let error = fixture.provider.get(&"key".parse().unwrap()).await.unwrap_err();
        let text = everything_of(&error);
        assert!(text.contains(wanted), "{flaw:?}: {text}");
        assert!(!text.contains("cnry"), "{flaw:?}: {text}");
        assert_eq!(error.class(), ErrorClass::Config);
    }
}

#[tokio::test]
async fn a_listing_turns_pages_and_leaves_out_what_is_no_key() {
    let fixture = fixture(None).await;
    for key in ["b", "a", "sub/folder", "c"] {
        fixture.put(key, "cnry").await;
    }
    fixture.state.lock().unwrap().secrets.insert("other/d".to_owned(), Vec::new());
    assert_eq!(fixture.provider.keys().await.unwrap(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_key_that_fits_into_no_header_is_refused_before_anything_is_sent() {
    let fields = [("region", "eu-west-1"), ("endpoint", "https://localhost:1")];
    let provider = provider(&fields, &["cnry\nid", "cnry-key"]);
    let error = provider.get(&"key".parse().unwrap()).await.unwrap_err();
    let text = everything_of(&error);
    assert!(text.contains("no header may have") && !text.contains("cnry"), "{text}");
}

#[tokio::test]
async fn the_staging_label_chooses_the_version() {
    let fixture = fixture(None).await;
    for value in ["cnry-old", "cnry-new"] {
        fixture.put("key", value).await;
    }
    let key = "key".parse().unwrap();
    for (stage, wanted) in
        [("AWSCURRENT", Some("cnry-new")), ("AWSPREVIOUS", Some("cnry-old")), ("OTHER", None)]
    {
        let ca_file = fixture.double.ca_file();
        let fields = [
            ("region", "eu-west-1"),
            ("endpoint", fixture.double.url.as_str()),
            ("prefix", "prod/"),
            ("version_stage", stage),
            ("ca_file", ca_file.to_str().unwrap()),
        ];
        let found = provider(&fields, &["cnry-id", "cnry-key"]).get(&key).await.unwrap();
        assert_eq!(found.as_ref().map(Secret::expose), wanted, "{stage}");
    }
}

#[tokio::test]
async fn a_binary_value_is_text_in_base64_or_of_no_use() {
    let fixture = fixture(None).await;
    for (binary, wanted) in [
        ("Y25yeS1iaW5hcnk=", Ok("cnry-binary")),
        ("Y25yeS1iaW5hcnk", Err("is not base64")),
        ("//79", Err("is not UTF-8 text")),
    ] {
        let (name, value) = ("prod/key".to_owned(), binary.to_owned());
        fixture.state.lock().unwrap().binaries.insert(name, value);
        let found = fixture.provider.get(&"key".parse().unwrap()).await;
        match (found, wanted) {
            (Ok(found), Ok(wanted)) => assert_eq!(found.unwrap().expose(), wanted),
            (Err(error), Err(wanted)) => {
                assert!(matches!(error, Error::Unusable { .. }), "{error:?}");
                assert!(error.to_string().contains(wanted), "{error}");
            }
            (found, wanted) => panic!("{binary}: {found:?}, not {wanted:?}"),
        }
    }
}

/// Where a container's credentials are, is known to a process from its variables alone.
#[tokio::test]
async fn a_containers_credential_signs_and_a_failed_renewal_is_an_outage() {
    let key: SecretName = "key".parse().unwrap();
    if is_again() {
        let fixture = fixture_with(&[], None).await;
        fixture.state.lock().unwrap().session = Some("cnry-session");
        fixture.put("key", "cnry-value").await;
        let found = fixture.provider.get(&key).await.unwrap();
        assert_eq!(found.unwrap().expose(), "cnry-value");
        for known in ["cnry-key", "cnry-session"] {
            assert_eq!(fixture.redactor.scrub(known), "[redacted]");
        }
        let error = fixture.provider.get(&key).await.unwrap_err();
        let text = everything_of(&error);
        assert_eq!(error.class(), ErrorClass::Transient, "{text}");
        assert!(text.contains("cannot be renewed") && !text.contains("cnry"), "{text}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "cnry-bearer").unwrap();
    let answers = Mutex::new(0);
    let identity = move |asked: &Asked, _: Option<Fault>| {
        let mut answers = answers.lock().unwrap();
        *answers += 1;
        // Ended already, so that it is asked for anew with each question.
        let credential = json!({
            "AccessKeyId": "cnry-id", "SecretAccessKey": "cnry-key", "Token": "cnry-session",
            "Expiration": "2026-01-02T03:04:05Z",
        });
        match (asked.header("authorization"), *answers) {
            ("cnry-bearer", 1) => Answer::json(200, &credential),
            _ => Answer::json(500, &json!({"message": "cnry-text"})),
        }
    };
    let identity = Double::start_plain(Arc::new(identity)).await;
    let name = "provider::aws_secrets_manager::tests::\
                a_containers_credential_signs_and_a_failed_renewal_is_an_outage";
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", identity.url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token_file.to_str().unwrap()),
    ];
    run_again(name, &variables).await;
}

/// moto, written to through our own signed questions: it has no other door.
struct Moto(AwsSecretsManager);

impl Moto {
    async fn write(&self, operation: &str, body: &Value) -> Option<Value> {
        let credential = self.0.credential("writing").await.unwrap();
        let request = self.0.request(&credential, operation, &body.to_string()).unwrap();
        let reply = self.0.http.send(request).await.unwrap();
        (reply.status == 200).then(|| reply.json().unwrap())
    }
}

#[async_trait]
impl ProviderFixture for Moto {
    fn provider(&self) -> &dyn SecretProvider {
        &self.0
    }

    async fn put(&self, key: &str, value: &str) -> Option<String> {
        let name = format!("contract/{key}");
        let body = json!({"SecretId": name, "SecretString": value});
        let written = match self.write("PutSecretValue", &body).await {
            Some(written) => written,
            None => {
                let body = json!({"Name": name, "SecretString": value});
                self.write("CreateSecret", &body).await.unwrap()
            }
        };
        written["VersionId"].as_str().map(str::to_owned)
    }

    async fn remove(&self, key: &str) {
        let body =
            json!({"SecretId": format!("contract/{key}"), "ForceDeleteWithoutRecovery": true});
        self.write("DeleteSecret", &body).await;
    }
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
#[expect(clippy::disallowed_methods, reason = "the address of the real service")]
async fn moto_keeps_the_contract() {
    let address = std::env::var("MARKETLAKE_TEST_AWS")
        .expect("MARKETLAKE_TEST_AWS names the service; run scripts/services start");
    let fields = [("region", "eu-west-1"), ("endpoint", address.as_str()), ("prefix", "contract/")];
    let moto = Moto(provider(&fields, &["marketlake", "marketlake-moto-test"]));
    moto.remove("access-key").await;
    provider_contract(&moto).await;
    moto.put("marked", "cnry-marked").await;
    moto.write("DeleteSecret", &json!({"SecretId": "contract/marked"})).await.unwrap();
    let error = moto.0.get(&"marked".parse().unwrap()).await.unwrap_err();
    let text = everything_of(&error);
    assert!(text.contains("marked for deletion") && !text.contains("cnry"), "{text}");
    moto.remove("marked").await;
}
