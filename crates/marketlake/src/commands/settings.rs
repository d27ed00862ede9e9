//! `config show` and `config check`, and how every command gets its settings.

use std::collections::BTreeMap;

use model::ErrorKind;
use secrets::{Redactor, Scopes};

use crate::{
    cli::{ConfigCommand, Global, Output},
    config::{self, Loaded},
    failure::Failure,
    render,
};

/// Reads file, environment and flags, and the secrets that stand for settings. The only reader of
/// the environment's settings.
pub(crate) fn load(global: &Global, redactor: &Redactor) -> Result<Loaded, Failure> {
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
    let read = config::read(file.as_ref(), environment, &flags);
    let references = read.references();
    if references.is_empty() {
        return Ok(read.check(&BTreeMap::new())?);
    }
    // Before the log is set up, for its level may be a reference, too.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(ErrorKind::Internal, error).context("starting the runtime")
    })?;
    let scopes = Scopes::new(&read.scopes(), redactor.clone());
    let mut resolved = BTreeMap::new();
    for (path, reference) in references {
        let secret = runtime.block_on(scopes.resolve(&reference)).map_err(|error| {
            Failure::from(error).context(format!("resolving the setting `{path}`"))
        })?;
        resolved.insert(path, secret);
    }
    Ok(read.check(&resolved)?)
}

/// Runs a command on settings that were found to be valid.
pub(crate) fn run(
    command: &ConfigCommand,
    loaded: &Loaded,
    output: Output,
    redactor: &Redactor,
) -> Result<u8, Failure> {
    match (command, output) {
        (ConfigCommand::Show, Output::Json) => {
            render::print(&format!("{:#}\n", loaded.layers.show_json(redactor)))?;
        }
        (ConfigCommand::Show, _) => render::print(&loaded.layers.show_text(redactor))?,
        (ConfigCommand::Check, Output::Json) => render::print("{\"problems\":[]}\n")?,
        (ConfigCommand::Check, _) => render::print("the settings are valid\n")?,
    }
    Ok(0)
}
