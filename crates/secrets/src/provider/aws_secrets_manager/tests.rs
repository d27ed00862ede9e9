//! The suite over a double of Secrets Manager, and over moto.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::AwsSecretsManager;
use crate::{
    Error, ErrorClass, ManualClock, Redactor, ScopeConfig, Secret, SecretName, SecretProvider,
    provider::{
        contract::{Fault, ProviderFixture, everything_of, provider_contract},
        double::{
            Answer, Asked, Double,
            bench::{Bench, Service, config, fixed, scope, service_contract},
            is_again, run_again,
        },
    },
};

/// The settings of the double besides those of every bench.
const FIELDS: [(&str, &str); 4] = [
    ("region", "eu-west-1"),
    ("prefix", "prod/"),
    ("access_key_id", "{{secrets/env/id}}"),
    ("secret_access_key", "{{secrets/env/key}}"),
];
const ACCESS_KEY: [&str; 2] = ["cnry-id", "cnry-key"];

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

impl Service for State {
    const PROVIDER: &'static str = "aws_secrets_manager";
    const ADDRESSES: &'static [&'static str] = &["endpoint"];

    fn answer(&mut self, asked: &Asked, fault: Option<Fault>) -> Answer {
        answer(self, asked, fault)
    }

    fn put(&mut self, key: &str, value: &str) -> Option<String> {
        let versions = self.secrets.entry(format!("prod/{key}")).or_default();
        versions.push(value.to_owned());
        Some(version_id(versions.len() - 1))
    }

    fn remove(&mut self, key: &str) {
        self.secrets.remove(&format!("prod/{key}"));
    }
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

async fn bench() -> Bench<State> {
    Bench::new(&FIELDS, &ACCESS_KEY).await
}

#[tokio::test]
async fn the_service_keeps_the_contract() {
    service_contract::<State>(&FIELDS, &ACCESS_KEY).await;
}

#[tokio::test]
async fn every_question_is_signed() {
    let bench = bench().await;
    provider_contract(&bench).await;
    assert_eq!(bench.state().unsigned, 0);
}

#[tokio::test]
async fn a_listing_turns_pages_and_leaves_out_what_is_no_key() {
    let bench = bench().await;
    for key in ["b", "a", "sub/folder", "c"] {
        bench.put(key, "cnry");
    }
    bench.state().secrets.insert("other/d".to_owned(), Vec::new());
    assert_eq!(bench.provider.keys().await.unwrap(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_key_that_fits_into_no_header_is_refused_before_anything_is_sent() {
    let fields = [&FIELDS[..], &[("endpoint", "https://localhost:1")]].concat();
    let config = config(State::PROVIDER, &fields);
    let credentials = fixed(&config, &["cnry\nid", "cnry-key"]);
    let clock = Arc::new(ManualClock::default());
    let provider = config.provider(scope(), credentials, Redactor::default(), clock);
    let error = provider.get(&"key".parse().unwrap()).await.unwrap_err();
    let text = everything_of(&error);
    assert!(text.contains("no header may have") && !text.contains("cnry"), "{text}");
}

#[tokio::test]
async fn the_staging_label_chooses_the_version() {
    let bench = bench().await;
    for value in ["cnry-old", "cnry-new"] {
        bench.put("key", value);
    }
    let key = "key".parse().unwrap();
    for (stage, wanted) in
        [("AWSCURRENT", Some("cnry-new")), ("AWSPREVIOUS", Some("cnry-old")), ("OTHER", None)]
    {
        let fields = [&FIELDS[..], &[("version_stage", stage)]].concat();
        let credentials = fixed(&bench.config(&fields), &ACCESS_KEY);
        let found = bench.other(&fields, credentials).get(&key).await.unwrap();
        assert_eq!(found.as_ref().map(Secret::expose), wanted, "{stage}");
    }
}

#[tokio::test]
async fn a_binary_value_is_text_in_base64_or_of_no_use() {
    let bench = bench().await;
    for (binary, wanted) in [
        ("Y25yeS1iaW5hcnk=", Ok("cnry-binary")),
        ("Y25yeS1iaW5hcnk", Err("is not base64")),
        ("//79", Err("is not UTF-8 text")),
    ] {
        let (name, value) = ("prod/key".to_owned(), binary.to_owned());
        bench.state().binaries.insert(name, value);
        let found = bench.provider.get(&"key".parse().unwrap()).await;
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
        let fields = [("region", "eu-west-1"), ("prefix", "prod/")];
        let bench = Bench::<State>::new(&fields, &[]).await;
        bench.state().session = Some("cnry-session");
        bench.put("key", "cnry-value");
        let found = bench.provider.get(&key).await.unwrap();
        assert_eq!(found.unwrap().expose(), "cnry-value");
        for known in ["cnry-key", "cnry-session"] {
            assert_eq!(bench.redactor.scrub(known), "[redacted]");
        }
        let error = bench.provider.get(&key).await.unwrap_err();
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
            "Expiration": "2001-02-03T04:05:06Z",
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
    let fields = [&FIELDS[..], &[("endpoint", address.as_str()), ("prefix", "contract/")]].concat();
    let config = config(State::PROVIDER, &fields);
    let credentials = fixed(&config, &["marketlake", "marketlake-moto-test"]);
    let ScopeConfig::AwsSecretsManager(config) = config else { panic!("another provider") };
    let (redactor, clock) = (Redactor::default(), Arc::new(ManualClock::default()));
    let moto = Moto(AwsSecretsManager::new(scope(), config, credentials, redactor, clock));
    moto.remove("access-key").await;
    provider_contract(&moto).await;
    moto.put("marked", "cnry-marked").await;
    moto.write("DeleteSecret", &json!({"SecretId": "contract/marked"})).await.unwrap();
    let error = moto.0.get(&"marked".parse().unwrap()).await.unwrap_err();
    let text = everything_of(&error);
    assert!(text.contains("marked for deletion") && !text.contains("cnry"), "{text}");
    moto.remove("marked").await;
}
