//! `secrets list|get|check`.

use secrets::{Scopes, SecretName, SecretRef};
use serde_json::json;

use super::{Context, Ended};
use crate::{
    cli::{Output, SecretsCommand},
    failure::Failure,
    render,
};

pub(crate) async fn run(context: Context, command: SecretsCommand) -> Result<Ended, Failure> {
    let scopes = Scopes::new(&context.config.scopes, context.redactor.clone());
    match command {
        SecretsCommand::List => list(&context, &scopes).await,
        SecretsCommand::Get { reference, reveal } => {
            get(&context, &scopes, &reference, reveal).await
        }
        SecretsCommand::Check => check(&context, &scopes).await,
    }
}

async fn list(context: &Context, scopes: &Scopes) -> Result<Ended, Failure> {
    let mut table = render::table(&["scope", "provider", "key"]);
    let mut objects = Vec::new();
    for (scope, provider) in scopes.iter() {
        let name = context.config.scopes.get(scope).map_or("", |config| config.provider_name());
        let keys = provider.keys().await?;
        if keys.is_empty() {
            table.add_row([scope.as_str(), name, "(none)"]);
        }
        for key in &keys {
            table.add_row([scope.as_str(), name, key]);
        }
        objects.push(json!({"scope": scope.as_str(), "provider": name, "keys": keys}));
    }
    match context.output {
        Output::Json => render::print(&format!("{:#}\n", json!(objects)))?,
        _ => render::print(&format!("{table}\n"))?,
    }
    Ok(Ended::default())
}

async fn get(
    context: &Context,
    scopes: &Scopes,
    text: &str,
    is_revealed: bool,
) -> Result<Ended, Failure> {
    let name = |text: &str| {
        text.parse::<SecretName>().map_err(|error| Failure::new(model::ErrorKind::Config, error))
    };
    // Both notations: as written in settings, and short.
    let reference: SecretRef = match text.parse() {
        Ok(reference) => reference,
        Err(_) => {
            let (scope, key) = text.split_once('/').ok_or_else(|| {
                Failure::config("write SCOPE/KEY, such as env/marketstack-access-key")
            })?;
            SecretRef { scope: name(scope)?, key: name(key)? }
        }
    };
    let secret = scopes.resolve(&reference).await?;
    let value = if is_revealed { secret.expose() } else { "********" };
    match context.output {
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
async fn check(context: &Context, scopes: &Scopes) -> Result<Ended, Failure> {
    let mut references = vec![("source.access_key", &context.config.source.access_key)];
    if let Some(password) = &context.config.postgres.password {
        references.push(("postgres.password", password));
    }
    let mut table = render::table(&["setting", "scope", "key", "result"]);
    let mut objects = Vec::new();
    let mut code = 0;
    for (setting, reference) in references {
        let result = match scopes.resolve(reference).await {
            Ok(_) => "found".to_owned(),
            Err(error) => {
                let failure = Failure::from(error);
                code = failure.kind.exit_code();
                failure.in_one_line(&context.redactor)
            }
        };
        let (scope, key) = (reference.scope.as_str(), reference.key.as_str());
        table.add_row([setting, scope, key, &result]);
        objects.push(json!({"setting": setting, "scope": scope, "key": key, "result": result}));
    }
    match context.output {
        Output::Json => render::print(&format!("{:#}\n", json!(objects)))?,
        _ => render::print(&format!("{table}\n"))?,
    }
    Ok(Ended { code, ..Ended::default() })
}
