//! `secrets scopes|list|get|put|delete|check`.

use std::io::{self, Read};

use comfy_table::Table;
use model::ErrorKind;
use secrets::{ScopeConfig, Scopes, Secret, SecretName, SecretRef, provider::VALUE_BYTES_MAX};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Ended, Setup, settings};
use crate::{
    cli::{Output, SecretsCommand},
    config::Reference,
    failure::Failure,
    render,
};

pub(crate) async fn run(setup: Setup, command: SecretsCommand) -> Result<Ended, Failure> {
    let scopes = setup.open_scopes();
    match command {
        SecretsCommand::Scopes => show_scopes(&setup),
        SecretsCommand::List { scope } => list(&setup, &scopes, scope.as_deref()).await,
        SecretsCommand::Get { reference, reveal } => {
            get(&setup, &scopes, &parse(&reference)?, reveal).await
        }
        SecretsCommand::Put { reference } => put(&scopes, &parse(&reference)?).await,
        SecretsCommand::Delete { reference } => delete(&scopes, &parse(&reference)?).await,
        SecretsCommand::Check => check(&setup, &scopes).await,
    }
}

fn show_scopes(setup: &Setup) -> Result<Ended, Failure> {
    let mut table = render::table(&["scope", "provider", "place"]);
    let mut objects = Vec::new();
    for (scope, config) in &setup.scopes {
        let (provider, place) = (config.provider_name(), place(config));
        table.add_row([scope.as_str(), provider, &place]);
        objects.push(json!({"scope": scope.as_str(), "provider": provider, "place": place}));
    }
    print(setup, &table, &json!(objects))
}

/// Returns where the values of a scope are, for people.
fn place(config: &ScopeConfig) -> String {
    match config {
        ScopeConfig::Env { prefix } => format!("variables {prefix}…"),
        ScopeConfig::File { dir } => dir.display().to_string(),
        ScopeConfig::Vault(vault) => vault.path.display().to_string(),
        ScopeConfig::AzureKeyVault(azure) => azure.vault_url.to_string(),
        ScopeConfig::AwsSecretsManager(aws) => format!("{} {}", aws.endpoint, aws.prefix),
        ScopeConfig::HashicorpVault(vault) => {
            format!("{}{}/{}", vault.address, vault.mount, vault.prefix)
        }
        _ => String::new(),
    }
}

/// Lists the keys scope by scope; one that cannot be asked does not hide the others.
async fn list(setup: &Setup, scopes: &Scopes, only: Option<&str>) -> Result<Ended, Failure> {
    let mut table = render::table(&["scope", "provider", "key"]);
    let mut objects = Vec::new();
    let mut code = 0;
    let is_wanted = |scope: &str| only.is_none_or(|only| only == scope);
    let mut wanted = scopes.keys().filter(|(scope, _)| is_wanted(scope.as_str())).peekable();
    if wanted.peek().is_none() {
        return Err(Failure::config(format!(
            "there is no scope `{}`; `marketlake secrets scopes` lists them",
            only.unwrap_or_default()
        )));
    }
    for (scope, keys) in wanted {
        let name = setup.scopes.get(scope).map_or("", |config| config.provider_name());
        match keys.await.map_err(Failure::from) {
            Ok(keys) => {
                if keys.is_empty() {
                    table.add_row([scope.as_str(), name, "(none)"]);
                }
                for key in &keys {
                    table.add_row([scope.as_str(), name, key]);
                }
                objects.push(json!({"scope": scope.as_str(), "provider": name, "keys": keys}));
            }
            Err(failure) => {
                code = failure.kind.exit_code();
                let problem = failure.in_one_line(&setup.redactor);
                table.add_row([scope.as_str(), name, &format!("({problem})")]);
                objects
                    .push(json!({"scope": scope.as_str(), "provider": name, "problem": problem}));
            }
        }
    }
    Ok(Ended { code, ..print(setup, &table, &json!(objects))? })
}

/// Stores the value on standard input.
async fn put(scopes: &Scopes, reference: &SecretRef) -> Result<Ended, Failure> {
    let value = read_value(io::stdin().lock())?;
    scopes.put(reference, &value).await?;
    render::print(&format!("stored `{}` in scope `{}`\n", reference.key, reference.scope))?;
    Ok(Ended::default())
}

/// Reads a value whole, without one line break at its end; one that is too large is never cut.
fn read_value(input: impl Read) -> Result<Secret, Failure> {
    const WHAT: &str = "reading the value from standard input";
    // The largest value, a line break of two bytes, and one byte more to see that it goes on.
    const LIMIT: usize = VALUE_BYTES_MAX + 3;
    // Room for all of it at once: growing would leave copies behind that nobody wipes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT));
    let read = input.take(LIMIT as u64).read_to_end(&mut bytes);
    read.map_err(|error| Failure::new(ErrorKind::Config, error).context(WHAT))?;
    let is_cut = bytes.len() == LIMIT;
    let value = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    if is_cut || VALUE_BYTES_MAX < value.len() {
        let message =
            format!("a secret has at most {} KiB; this value has more", VALUE_BYTES_MAX >> 10);
        return Err(Failure::config(message).context(WHAT));
    }
    let text = str::from_utf8(value)
        .map_err(|error| Failure::new(ErrorKind::Config, error).context(WHAT))?;
    Ok(Secret::new(text.to_owned()))
}

async fn delete(scopes: &Scopes, reference: &SecretRef) -> Result<Ended, Failure> {
    let SecretRef { scope, key } = reference;
    let answer = if scopes.delete(reference).await? { "removed" } else { "there was no" };
    render::print(&format!("{answer} `{key}` in scope `{scope}`\n"))?;
    Ok(Ended::default())
}

/// Reads a reference in both notations: as written in settings, and short.
fn parse(text: &str) -> Result<SecretRef, Failure> {
    if let Ok(reference) = text.parse() {
        return Ok(reference);
    }
    let name = |text: &str| {
        text.parse::<SecretName>().map_err(|error| Failure::new(ErrorKind::Config, error))
    };
    let (scope, key) = text
        .split_once('/')
        .ok_or_else(|| Failure::config("write SCOPE/KEY, such as env/marketstack-access-key"))?;
    Ok(SecretRef { scope: name(scope)?, key: name(key)? })
}

async fn get(
    setup: &Setup,
    scopes: &Scopes,
    reference: &SecretRef,
    is_revealed: bool,
) -> Result<Ended, Failure> {
    let secret = scopes.resolve(reference).await?;
    let value = if is_revealed { secret.expose() } else { "********" };
    match setup.output {
        Output::Json => {
            let shown = json!({
                "scope": reference.scope.as_str(),
                "key": reference.key.as_str(),
                "is_set": true,
                "value": is_revealed.then_some(value),
            });
            render::print(&format!("{shown:#}\n"))?;
        }
        _ => render::print(&format!("{value}\n"))?,
    }
    Ok(Ended::default())
}

/// Resolves what the settings refer to; says for each whether it is there, never what it is.
async fn check(setup: &Setup, scopes: &Scopes) -> Result<Ended, Failure> {
    let mut table = render::table(&["setting", "scope", "key", "result"]);
    let mut objects = Vec::new();
    let mut code = 0;
    for reference in setup.settings.references() {
        let result = match settings::look_up(&reference, scopes).await {
            Ok(_) => "found".to_owned(),
            Err(error) => {
                let failure = Failure::from(error);
                code = failure.kind.exit_code();
                failure.in_one_line(&setup.redactor)
            }
        };
        let Reference { path, secret, .. } = reference;
        let (scope, key) = (secret.scope.as_str(), secret.key.as_str());
        table.add_row([&path, scope, key, &result]);
        objects.push(json!({"setting": path, "scope": scope, "key": key, "result": result}));
    }
    Ok(Ended { code, ..print(setup, &table, &json!(objects))? })
}

fn print(setup: &Setup, table: &Table, objects: &Value) -> Result<Ended, Failure> {
    match setup.output {
        Output::Json => render::print(&format!("{objects:#}\n"))?,
        _ => render::print(&format!("{table}\n"))?,
    }
    Ok(Ended::default())
}

#[cfg(test)]
mod tests {
    use super::{VALUE_BYTES_MAX, read_value};

    #[test]
    fn a_value_is_stored_whole_without_its_line_break_or_not_at_all() {
        let largest = "x".repeat(VALUE_BYTES_MAX);
        for (input, stored) in [
            ("word", Some("word")),
            ("word\n", Some("word")),
            ("word\r\n", Some("word")),
            ("two\nlines\n\n", Some("two\nlines\n")),
            (&format!("{largest}\r\n"), Some(largest.as_str())),
            (&format!("{largest}x"), None),
            // Cut after its first line break this one would pass for the largest.
            (&format!("{largest}\r\nmore"), None),
            (&format!("{largest}\n\n\n"), None),
            (&"ü".repeat(VALUE_BYTES_MAX), None),
        ] {
            match (read_value(input.as_bytes()), stored) {
                (Ok(value), Some(wanted)) => assert_eq!(value.expose(), wanted),
                (Err(failure), None) => {
                    let text = format!("{:#}", failure.error);
                    assert!(text.contains("at most"), "{text}");
                }
                (found, _) => panic!("{} bytes: {}", input.len(), found.is_ok()),
            }
        }
        assert!(read_value(&b"\xff\xfe\xfd\xfc"[..]).is_err(), "no text, no secret");
    }
}
