//! `config show` and `config check`, and how every command gets its settings.

use std::collections::BTreeMap;

use secrets::{Scopes, Secret};

use super::{Ended, Setup};
use crate::{
    cli::{ConfigCommand, Global, Output},
    config::{self, Loaded, Reference, Unresolved},
    failure::Failure,
    render,
};

/// Reads file, environment and flags. The only reader of the environment's settings.
pub(crate) fn read(global: &Global) -> Result<Unresolved, Failure> {
    let file = global.config.as_deref().map(config::read_file).transpose()?;
    // A name or value that is not UTF-8 is no setting of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let data_dir = global.data_dir.as_ref().map(|path| path.display().to_string());
    let flags = [
        ("data_dir", "--data-dir", data_dir),
        ("log.level", "--log", global.log.clone()),
        ("log.format", "--log-format", global.log_format.clone()),
    ];
    let flags: Vec<(&str, &str, String)> = flags
        .into_iter()
        .filter_map(|(path, flag, value)| value.map(|value| (path, flag, value)))
        .collect();
    Ok(config::read(file.as_ref(), environment, &flags))
}

/// Reads what a setting refers to. A value may be short, as `6` and `true` are; a secret may not.
pub(crate) async fn look_up(
    reference: &Reference,
    scopes: &Scopes,
) -> Result<Secret, secrets::Error> {
    if reference.is_value {
        scopes.resolve_setting(&reference.secret).await
    } else {
        scopes.resolve(&reference.secret).await
    }
}

/// Reads the secrets that stand for settings, and checks everything.
pub(crate) async fn resolve(settings: Unresolved, scopes: &Scopes) -> Result<Loaded, Failure> {
    let mut values = BTreeMap::new();
    for reference in settings.references() {
        if reference.is_value {
            let value = look_up(&reference, scopes).await.map_err(|error| {
                Failure::from(error).context(format!("resolving the setting `{}`", reference.path))
            })?;
            values.insert(reference.path, value);
        }
    }
    Ok(settings.check(&values)?)
}

/// Shows what is set, secrets as references; or checks everything, for which they are read.
pub(crate) async fn run(setup: Setup, command: ConfigCommand) -> Result<Ended, Failure> {
    let (output, redactor) = (setup.output, setup.redactor.clone());
    let layers = setup.settings.layers();
    let text = match (command, output) {
        (ConfigCommand::Show, Output::Json) => format!("{:#}\n", layers.show_json(&redactor)),
        (ConfigCommand::Show, _) => layers.show_text(&redactor),
        (ConfigCommand::Check, _) => {
            let _valid = setup.resolve().await?;
            let is_json = output == Output::Json;
            if is_json { "{\"problems\":[]}\n" } else { "the settings are valid\n" }.to_owned()
        }
    };
    render::print(&text)?;
    Ok(Ended::default())
}
