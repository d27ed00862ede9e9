//! The SQL port as written to as trusted: where it listens, and who may come in.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use secrets::SecretName;
use serve::postgres::{Grants, Limits, Verifier};

use super::{
    certificate::{NEEDS_BOTH, bind, certificate},
    services::reference,
    values::{at_least, non_zero, size_between},
};
use crate::config::{
    AuditConfig, PostgresConfig, Problems, Proof, RoleConfig,
    file::{AuditFile, PostgresFile},
};

/// Where the settings name the certificate.
const TLS: &str = "postgres.tls";

/// What a role's table may hold.
const FIELDS: [&str; 7] = [
    "verifier",
    "password",
    "tables",
    "connections_max",
    "statement_timeout",
    "rows_max",
    "memory_max",
];

/// Far beyond what one server bears; the server's own bounds are lower and hold as well.
const CONNECTIONS_MAX: i64 = 10_000;
const ROWS_MAX: i64 = 1_000_000_000;

pub(super) fn postgres(
    file: PostgresFile,
    scopes: &BTreeSet<SecretName>,
    problems: &mut Problems,
) -> Option<PostgresConfig> {
    let tls = certificate(TLS, [&file.tls.cert_file, &file.tls.key_file], problems);
    let is_tls_required = file.tls.required;
    if is_tls_required && matches!(tls, Some(None)) {
        problems.add(&format!("{TLS}.required"), NEEDS_BOTH);
    }
    // A certificate that is written down wrongly is a problem of its own.
    let has_tls = !matches!(tls, Some(None));
    let bind = problems.take("postgres.bind", bind(&file.bind, TLS, has_tls));
    let user = problems.take("postgres.user", user(&file.user));
    let password = problems.take("postgres.password", reference(&file.password, scopes));
    let roles = roles(&file, scopes, problems);
    Some(PostgresConfig {
        bind: bind?,
        user: user?,
        password: password?,
        tls: tls?,
        is_tls_required,
        roles: roles?,
    })
}

/// Checks the name of a user.
pub(crate) fn user(name: &str) -> Result<String, String> {
    let is_name = !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name {
        Ok(name.to_owned())
    } else {
        Err("must be 1 to 63 letters, digits and `_`".to_owned())
    }
}

/// Reads further users; one that is wrong is not left out, or it would be forgotten.
fn roles(
    file: &PostgresFile,
    scopes: &BTreeSet<SecretName>,
    problems: &mut Problems,
) -> Option<BTreeMap<String, RoleConfig>> {
    let mut roles = BTreeMap::new();
    let mut is_valid = true;
    for (name, fields) in &file.roles {
        let path = format!("postgres.roles.{name}");
        let checked = user(name).and_then(|name| {
            if name == file.user {
                return Err("is the name in `postgres.user`, who may read everything".to_owned());
            }
            Ok(name)
        });
        let known = problems.take(&path, checked);
        let role = role(&path, fields, scopes, problems);
        match (known, role) {
            (Some(name), Some(role)) => drop(roles.insert(name, role)),
            _ => is_valid = false,
        }
    }
    is_valid.then_some(roles)
}

fn role(
    path: &str,
    fields: &BTreeMap<String, String>,
    scopes: &BTreeSet<SecretName>,
    problems: &mut Problems,
) -> Option<RoleConfig> {
    let before = problems.0.len();
    for name in fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        let known = FIELDS.join(", ");
        problems.add(&format!("{path}.{name}"), format!("is no field of a role; known: {known}"));
    }
    let proof = proof(path, fields, scopes, problems);
    let grants = fields.get("tables").map(|text| Grants::parse(text).map_err(|it| it.to_string()));
    let grants = take(problems, path, "tables", grants);
    let connections_max = number(problems, path, fields, ("connections_max", CONNECTIONS_MAX));
    let rows_max = number(problems, path, fields, ("rows_max", ROWS_MAX));
    let timeout =
        fields.get("statement_timeout").map(|text| at_least(text, Duration::from_millis(100)));
    let statement_timeout = take(problems, path, "statement_timeout", timeout);
    let memory = fields.get("memory_max").map(|text| size_between(text, 1 << 20, 512 << 20));
    let memory_max = take(problems, path, "memory_max", memory);
    let limits = Limits {
        connections_max: connections_max.and_then(|number| usize::try_from(number).ok()),
        statement_timeout,
        rows_max: rows_max.map(u64::from),
        memory_max: memory_max.and_then(|bytes| usize::try_from(bytes).ok()),
    };
    // A field that is there and wrong must not become a bound that is not there.
    let is_valid = problems.0.len() == before;
    proof.filter(|_| is_valid).map(|proof| RoleConfig { proof, grants, limits })
}

fn number(
    problems: &mut Problems,
    path: &str,
    fields: &BTreeMap<String, String>,
    (field, max): (&str, i64),
) -> Option<u32> {
    let read = fields.get(field).map(|text| {
        let number = text.trim().parse().map_err(|_| format!("`{text}` is no whole number"))?;
        non_zero(number, max).map(std::num::NonZeroU32::get)
    });
    take(problems, path, field, read)
}

fn take<T>(
    problems: &mut Problems,
    path: &str,
    field: &str,
    read: Option<Result<T, String>>,
) -> Option<T> {
    read.and_then(|read| problems.take(&format!("{path}.{field}"), read))
}

/// Reads how a role proves itself. Neither text enters a message.
fn proof(
    path: &str,
    fields: &BTreeMap<String, String>,
    scopes: &BTreeSet<SecretName>,
    problems: &mut Problems,
) -> Option<Proof> {
    match (fields.get("verifier"), fields.get("password")) {
        (Some(text), None) => {
            let verifier = Verifier::parse(text).map_err(|_| {
                "is no SCRAM-SHA-256 verifier; `marketlake role NAME` makes one".to_owned()
            });
            problems.take(&format!("{path}.verifier"), verifier).map(Proof::Verifier)
        }
        (None, Some(text)) => {
            let password =
                reference(text, scopes).and_then(|it| it.ok_or("must not be empty".to_owned()));
            problems.take(&format!("{path}.password"), password).map(Proof::Password)
        }
        _ => {
            problems.add(path, "needs one of `verifier` and `password`");
            None
        }
    }
}

/// Reads where the audit goes.
pub(super) fn audit(file: &AuditFile, problems: &mut Problems) -> Option<AuditConfig> {
    let file_bytes_max = problems
        .take("serve.audit.file_bytes_max", size_between(&file.file_bytes_max, 64 << 10, 1 << 30));
    let files_max = non_zero(file.files_max, 1_000).and_then(|files| {
        if files.get() < 2 { Err("must be 2 or more".to_owned()) } else { Ok(files) }
    });
    let files_max = problems.take("serve.audit.files_max", files_max);
    Some(AuditConfig {
        is_enabled: file.enabled,
        file_bytes_max: file_bytes_max?,
        files_max: files_max?,
    })
}

#[cfg(test)]
mod tests {
    use secrets::Redactor;
    use serve::postgres::Verifier;

    use super::*;
    use crate::config::{SettingsFile, read, tests::load_with};

    fn problems(file: &str) -> String {
        load_with(file, &[]).expect_err(file).to_string()
    }

    fn verifier() -> String {
        Verifier::from_password("x", b"0123456789abcdef").to_string()
    }

    #[test]
    fn other_machines_need_tls_and_tls_needs_both_files() {
        let tls = "[postgres.tls]\ncert_file = \"/c.pem\"\nkey_file = \"/k.pem\"\n";
        let bind = "[postgres]\nbind = \"0.0.0.0:5439\"\n";
        let config = load_with(&format!("{bind}{tls}"), &[]).unwrap().config.postgres;
        assert_eq!(config.bind.to_string(), "0.0.0.0:5439");
        assert!(config.tls.is_some() && !config.is_tls_required);
        assert!(load_with("", &[]).unwrap().config.postgres.tls.is_none());
        for (file, wanted) in [
            (bind.to_owned(), "set `postgres.tls.cert_file` and `postgres.tls.key_file`"),
            (tls.replace("/k.pem", ""), "postgres.tls.key_file (file `lake.toml`): TLS needs both"),
            (
                tls.replace("/c.pem", ""),
                "postgres.tls.cert_file (file `lake.toml`): TLS needs both",
            ),
            (
                "[postgres.tls]\nrequired = true".to_owned(),
                "postgres.tls.required (file `lake.toml`): TLS needs both",
            ),
        ] {
            let text = problems(&file);
            assert!(text.contains(wanted) && text.starts_with("the settings have 1 "), "{text}");
        }
    }

    #[test]
    fn a_role_has_what_its_table_says() {
        let file = format!(
            "[postgres.roles.desk]\nverifier = \"{}\"\ntables = \"bi, gold.bar_1d\"\n\
             connections_max = 3\nstatement_timeout = \"30s\"\nrows_max = \"100\"\n\
             memory_max = \"128MiB\"\n[postgres.roles.bot]\npassword = \"{{{{secrets/env/bot}}}}\"\n",
            verifier()
        );
        let loaded = load_with(&file, &[("MARKETLAKE__POSTGRES__ROLES__BOT__ROWS_MAX", "7")]);
        let loaded = loaded.unwrap();
        let roles = &loaded.config.postgres.roles;
        let desk = &roles["desk"];
        assert!(matches!(desk.proof, Proof::Verifier(_)) && desk.grants.is_some());
        let limits = Limits {
            connections_max: Some(3),
            statement_timeout: Some(Duration::from_secs(30)),
            rows_max: Some(100),
            memory_max: Some(128 << 20),
        };
        assert_eq!(desk.limits, limits);
        let bot = &roles["bot"];
        assert!(matches!(bot.proof, Proof::Password(_)) && bot.grants.is_none());
        assert_eq!(bot.limits, Limits { rows_max: Some(7), ..Limits::default() });
        let references = loaded.layers.references();
        assert!(references.iter().any(|it| it.path == "postgres.roles.bot.password"));
        load_with(&loaded.layers.show_text(&Redactor::default()), &[]).unwrap();
    }

    #[test]
    fn a_role_that_is_wrong_is_a_problem_and_never_one_without_bounds() {
        let with = |lines: &str| {
            format!("[postgres.roles.desk]\nverifier = \"{}\"\n{lines}\n", verifier())
        };
        for (file, wanted) in [
            (
                with("tables = \"gold.bar_2m\""),
                "desk.tables (file `lake.toml`): `gold.bar_2m` is no",
            ),
            (with("tables = \"\""), "must name schemas or tables"),
            (with("rows_max = 0"), "must be 1 to"),
            (with("rows_max = \"many\""), "`many` is no whole number"),
            (with("connections_max = -1"), "must be 1 to"),
            (with("memory_max = \"1B\""), "must be 1024KiB to 512MiB"),
            (with("statement_timeout = \"0s\""), "must be at least 100ms"),
            (with("table = \"gold\""), "is no field of a role; known: verifier, password, tables"),
            (with("password = \"{{secrets/env/x}}\""), "needs one of `verifier` and `password`"),
            ("[postgres.roles.desk]\nrows_max = 1".to_owned(), "needs one of"),
            (with("").replace("desk", "marketlake"), "is the name in `postgres.user`"),
            (with("").replace("desk", "the-desk"), "letters, digits and `_`"),
        ] {
            let text = problems(&file);
            assert!(text.contains(wanted), "{file}\n{text}");
        }
    }

    #[test]
    fn a_password_that_was_written_down_is_refused_and_never_shown() {
        for line in ["password = \"cnry-0123\"", "verifier = \"cnry-0123\""] {
            let text = format!("[postgres.roles.desk]\n{line}\n");
            assert!(!problems(&text).contains("cnry"));
            let file = SettingsFile { name: "lake.toml".to_owned(), text };
            let shown = read(Some(&file), [], &[]).layers().show_text(&Redactor::default());
            assert!(shown.contains("[redacted]") && !shown.contains("cnry"), "{shown}");
        }
    }

    #[test]
    fn an_audit_is_bounded_from_both_sides() {
        for (line, wanted) in [
            ("file_bytes_max = \"1KiB\"", "must be 64KiB to 1024MiB"),
            ("files_max = 1", "must be 2 or more"),
            ("files_max = 1001", "must be 1 to 1000"),
        ] {
            let text = problems(&format!("[serve.audit]\n{line}\n"));
            assert!(text.contains(wanted), "{text}");
        }
        assert!(!load_with("", &[]).unwrap().config.audit.is_enabled);
    }
}
