//! `role`: a password for a user of the SQL port, of which only the verifier stays here.

use secrets::Secret;
use serde_json::json;

use super::{Context, Ended};
use crate::{
    assemble::{random_password, verifier},
    cli::{Output, RoleArgs},
    config,
    failure::Failure,
    render,
};

/// Prints both: the one place where the password is shown, on standard output, once.
pub(crate) fn run(context: &Context, args: &RoleArgs) -> Result<Ended, Failure> {
    let name = config::user(&args.name)
        .map_err(|problem| Failure::config(format!("`{}` {problem}", args.name)))?;
    let tables = args.tables.as_deref();
    if let Some(Err(error)) = tables.map(serve::postgres::Grants::parse) {
        return Err(Failure::config(format!("`--tables` {error}")));
    }
    let password = random_password();
    context.redactor.register(&password);
    render::print(&shown(context.output, &name, tables, &password))?;
    Ok(Ended::default())
}

fn shown(output: Output, name: &str, tables: Option<&str>, password: &Secret) -> String {
    let verifier = verifier(password).to_string();
    let password = password.expose();
    if output == Output::Json {
        let mut setting = json!({"verifier": verifier});
        if let Some(tables) = tables {
            setting["tables"] = json!(tables);
        }
        let shown = json!({
            "password": password,
            "setting": {"path": format!("postgres.roles.{name}"), "value": setting},
        });
        return format!("{shown:#}\n");
    }
    let tables = tables.map(|tables| format!("tables = \"{tables}\"\n")).unwrap_or_default();
    format!(
        "The password of `{name}`, shown this once:\n\n{password}\n\nAdd to your settings file, and \
         restart what serves:\n\n[postgres.roles.{name}]\nverifier = \"{verifier}\"\n{tables}"
    )
}

#[cfg(test)]
mod tests {
    use serve::postgres::Verifier;

    use super::*;
    use crate::config::tests::load_with;

    #[test]
    fn what_is_printed_for_the_settings_is_taken_by_them_and_has_no_password() {
        let password = Secret::new("cnry-0123".to_owned());
        let text = shown(Output::Text, "desk", Some("bi, gold.bar_1d"), &password);
        let (before, lines) = text.split_once("[postgres.roles.desk]").unwrap();
        assert!(before.contains("\ncnry-0123\n") && !lines.contains("cnry"), "{text}");
        let config = load_with(&format!("[postgres.roles.desk]{lines}"), &[]).unwrap().config;
        assert!(config.postgres.roles["desk"].grants.is_some());

        let json: serde_json::Value =
            serde_json::from_str(&shown(Output::Json, "desk", None, &password)).unwrap();
        assert_eq!(json["password"], "cnry-0123");
        let verifier = json["setting"]["value"]["verifier"].as_str().unwrap();
        Verifier::parse(verifier).unwrap();
    }
}
