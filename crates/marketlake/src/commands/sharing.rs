//! `sharing token`: a token for somebody, of which only the hash stays here.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use secrets::Secret;
use serde_json::{Value, json};
use serve::http::sharing::{PREFIX, Recipient, TokenHash};

use super::{Context, Ended};
use crate::{
    cli::{Output, SharingCommand, TokenArgs},
    config::{Config, units::parse_duration},
    failure::Failure,
    render,
};

/// What a token begins with, so that a scanner for lost secrets can know it.
const TOKEN_PREFIX: &str = "mls_";

/// A recipient of a file that never ends would be forgotten.
const EXPIRES_MAX: Duration = Duration::from_secs(2 * 366 * 24 * 3600);

pub(crate) fn run(context: &Context, command: SharingCommand) -> Result<Ended, Failure> {
    let SharingCommand::Token(args) = command;
    let config = &context.config;
    let token = new_token();
    context.redactor.register(&token);
    let recipient = recipient(config, &args, &token, context.clock.now())?;
    let profile = profile(&endpoint(config)?, &token, recipient.expires);
    print(context.output, &recipient, &profile, config.sharing.is_enabled)?;
    Ok(Ended::default())
}

/// Returns a random token; the generator is the operating system's, stretched by ChaCha.
fn new_token() -> Secret {
    let bytes: [u8; 32] = rand::random();
    Secret::new(format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// Puts together what the settings will know of somebody, and checks it as they will.
fn recipient(
    config: &Config,
    args: &TokenArgs,
    token: &Secret,
    now: DateTime<Utc>,
) -> Result<Recipient, Failure> {
    let known: Vec<&str> = config.sharing.shares.iter().map(|share| share.name.as_str()).collect();
    if let Some(unknown) = args.shares.iter().find(|share| !known.contains(&share.as_str())) {
        return Err(Failure::config(format!(
            "there is no share `{unknown}`; the settings have: {}",
            known.join(", ")
        )));
    }
    let lifetime = parse_duration(&args.expires)
        .and_then(|lifetime| match lifetime {
            Duration::ZERO => Err("must be more than nothing".to_owned()),
            lifetime if EXPIRES_MAX < lifetime => Err("must be at most two years".to_owned()),
            lifetime => Ok(lifetime),
        })
        .map_err(|problem| Failure::config(format!("`--expires` {problem}")))?;
    let lifetime = TimeDelta::from_std(lifetime).unwrap_or_default();
    let line = Recipient {
        name: args.name.clone(),
        hash: TokenHash::of(token.expose()),
        shares: args.shares.iter().cloned().collect(),
        expires: now + lifetime,
    }
    .to_string();
    Recipient::parse(&args.name, &line)
        .map_err(|error| Failure::config(format!("`--name` {}: {error}", args.name)))
}

/// Returns where clients will find the server.
fn endpoint(config: &Config) -> Result<String, Failure> {
    match &config.sharing.endpoint {
        Some(url) => Ok(url.as_str().trim_end_matches('/').to_owned()),
        None if config.http.bind.port() == 0 => Err(Failure::config(
            "the profile needs an address: give `http.bind` a port, or set \
             `serve.sharing.endpoint`",
        )),
        None => {
            let scheme = if config.http.tls.is_some() { "https" } else { "http" };
            Ok(format!("{scheme}://{}{PREFIX}", config.http.bind))
        }
    }
}

/// Returns the profile file, which every client of the protocol reads.
fn profile(endpoint: &str, token: &Secret, expires: DateTime<Utc>) -> Value {
    json!({
        "shareCredentialsVersion": 1,
        "endpoint": endpoint,
        "bearerToken": token.expose(),
        "expirationTime": expires.to_rfc3339_opts(SecondsFormat::Secs, true),
    })
}

/// Prints both: the one place where the token is shown, on standard output, once.
fn print(
    output: Output,
    recipient: &Recipient,
    profile: &Value,
    is_enabled: bool,
) -> Result<(), Failure> {
    let name = &recipient.name;
    if output == Output::Json {
        let path = format!("serve.sharing.tokens.{name}");
        let shown = json!({
            "profile": profile, "setting": {"path": path, "value": recipient.to_string()},
        });
        return render::print(&format!("{shown:#}\n"));
    }
    let note = if is_enabled { "" } else { "\n[serve.sharing]\nenabled = true" };
    render::print(&format!(
        "The profile of `{name}`, shown this once. Save it as `{name}.share` and hand it over as you \
         would a password:\n\n{profile:#}\n\nAdd to your settings file, and restart what \
         serves:\n{note}\n[serve.sharing.tokens]\n{name} = \"{recipient}\"\n"
    ))
}
