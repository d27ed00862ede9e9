//! Every problem of a scope is reported at once, under its field, without a pasted secret.

use std::collections::BTreeMap;

use proptest::prelude::{prop_assert, proptest};

use super::{ScopeConfig, parse::nearest};
use crate::SecretName;

fn parse(provider: &str, fields: &[(&str, &str)]) -> Result<ScopeConfig, String> {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ScopeConfig::from_fields(provider, fields.collect()).map_err(|problems| {
        let lines: Vec<String> =
            problems.iter().map(|(field, problem)| format!("{field} {problem}")).collect();
        lines.join("\n")
    })
}

#[track_caller]
fn refuse(provider: &str, fields: &[(&str, &str)], wanted: &[&str]) {
    let problems = parse(provider, fields).expect_err("must be refused");
    for text in wanted {
        assert!(problems.contains(text), "`{text}` is not in:\n{problems}");
    }
    assert_eq!(problems.lines().count(), wanted.len(), "{problems}");
    assert!(!problems.contains("cnry"), "{problems}");
}

#[test]
fn every_provider_is_made_from_its_least_fields() {
    for (provider, fields) in [
        ("env", vec![("prefix", "")]),
        ("file", vec![("dir", "/run/secrets")]),
        ("vault", vec![("path", "a.age"), ("passphrase", "{{secrets/env/pass}}")]),
        ("vault", vec![("path", "a.age"), ("key_file", "key.txt")]),
        ("azure_key_vault", vec![("vault_url", "https://kv.vault.azure.net")]),
        ("aws_secrets_manager", vec![("region", "eu-west-1")]),
        (
            "hashicorp_vault",
            vec![("address", "https://vault:8200"), ("token", "{{secrets/env/token}}")],
        ),
        (
            "hashicorp_vault",
            vec![
                ("address", "https://vault:8200"),
                ("role_id", "role"),
                ("secret_id", "{{secrets/env/id}}"),
            ],
        ),
    ] {
        let config = parse(provider, &fields).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(config.provider_name(), provider);
        assert!(ScopeConfig::providers().contains(&provider));
    }
}

#[test]
fn a_slip_is_recognised_and_another_word_is_not() {
    let known = ["vault_url", "credential", "prefix"];
    assert_eq!(nearest("vault_uri", &known), Some("vault_url"));
    assert_eq!(nearest("credentials", &known), Some("credential"));
    assert_eq!(nearest("dir", &known), None);
    assert_eq!(nearest("", &known), None);
}

#[test]
fn a_slip_names_what_was_meant() {
    refuse(
        "azure_keyvault",
        &[],
        &["provider `azure_keyvault` is no provider; did you mean `azure_key_vault`?"],
    );
    refuse("gcp", &[], &["write one of env, file, vault, azure_key_vault"]);
    refuse(
        "file",
        &[("dirr", "/run")],
        &["dirr is no field of provider `file`; did you mean `dir`?", "dir is needed"],
    );
    refuse(
        "env",
        &[("dir", "/run")],
        &["dir is no field of provider `env`; it has prefix", "prefix is needed"],
    );
}

#[test]
fn all_problems_come_at_once_and_none_repeats_a_pasted_secret() {
    refuse("vault", &[], &["path is needed", "passphrase is needed"]);
    refuse(
        "vault",
        &[("path", "a"), ("passphrase", "cnry-open-sesame")],
        &["passphrase is not of the form"],
    );
    refuse(
        "azure_key_vault",
        &[
            ("vault_url", "http://kv.vault.azure.net"),
            ("client_secret", "cnry-client"),
            ("cache_ttl", "soon"),
            ("pins", "key"),
        ],
        &[
            "vault_url must be https",
            "tenant_id is needed",
            "client_id is needed",
            "client_secret is not of the form",
            "cache_ttl `soon` is no time",
            "pins `key` is no pin",
        ],
    );
    refuse(
        "azure_key_vault",
        &[
            ("vault_url", "https://kv.vault.azure.net"),
            ("credential", "managed_identity"),
            ("client_secret", "{{secrets/env/a}}"),
            ("verify_challenge_resource", "false"),
        ],
        &["client_secret is used only with", "verify_challenge_resource can be switched off only"],
    );
    refuse(
        "aws_secrets_manager",
        &[("region", "eu west"), ("access_key_id", "cnry-id")],
        &[
            "region `eu west` is no region",
            "access_key_id is not of",
            "secret_access_key is needed",
        ],
    );
    refuse(
        "hashicorp_vault",
        &[
            ("address", "http://vault.example:8200"),
            ("token", "cnry-token"),
            ("mount", "../sys"),
            ("timeout", "0"),
        ],
        &["address must be https", "token is not of", "mount must be", "timeout must be longer"],
    );
}

#[test]
fn scopes_that_wait_for_each_other_are_refused_with_the_circle() {
    let vault = |reference: &str| {
        parse("vault", &[("path", "a"), ("passphrase", reference)]).expect("a vault")
    };
    let name = |text: &str| text.parse::<SecretName>().expect("a name");
    let scopes = BTreeMap::from([
        (name("a"), vault("{{secrets/b/x}}")),
        (name("b"), vault("{{secrets/c/x}}")),
        (name("c"), vault("{{secrets/a/x}}")),
        (name("outside"), vault("{{secrets/a/x}}")),
        (name("self"), vault("{{secrets/self/x}}")),
        (name("lost"), vault("{{secrets/nowhere/x}}")),
        (name("env"), ScopeConfig::Env { prefix: String::new() }),
        (name("fine"), vault("{{secrets/env/x}}")),
    ]);
    let problems: Vec<String> = ScopeConfig::check_all(&scopes)
        .into_iter()
        .map(|(scope, field, problem)| format!("{scope}.{field} {problem}"))
        .collect();
    let wanted = [
        "a.passphrase makes the scope wait for itself: `a` needs `b` needs `c` needs `a`;",
        "b.passphrase makes",
        "c.passphrase makes",
        "lost.passphrase refers to scope `nowhere`",
        "self.passphrase makes the scope wait for itself: `self` needs `self`;",
    ];
    assert_eq!(problems.len(), wanted.len(), "{problems:#?}");
    for (problem, wanted) in problems.iter().zip(wanted) {
        assert!(problem.starts_with(wanted), "{problem}");
    }
}

/// Fields whose text may be the secret itself, pasted by mistake.
const REFERENCES: [&str; 6] =
    ["passphrase", "client_secret", "access_key_id", "secret_access_key", "token", "secret_id"];

proptest! {
    #[test]
    fn no_field_makes_it_fall_and_no_secret_comes_back(
        provider in 0..6_usize,
        field in 0..14_usize,
        value in "cnry-\\PC{0,20}",
    ) {
        let provider = ScopeConfig::providers()[provider];
        let fields = ScopeConfig::fields(provider);
        let field = fields[field % fields.len()];
        if let Err(problems) = parse(provider, &[(field, &value)]) {
            let is_reference = REFERENCES.contains(&field);
            prop_assert!(!is_reference || !problems.contains("cnry-"), "{}", problems);
        }
    }
}
