//! The registry as text: tables for `docs/auto-loader.md`, and the command's help.

use super::{
    pinned,
    registry::{self, FormatName, OptionSpec, Origin, Value},
};

/// A column of names in the help; what is longer gets a line of its own.
const NAME_WIDTH: usize = 30;

/// Returns the help for all options, one a line, by format.
#[must_use]
pub fn help() -> String {
    let mut text = String::new();
    for (formats, options) in groups() {
        line(&mut text, &format!("Options of {}:", title(formats)));
        for option in options {
            let OptionSpec { name, meaning, .. } = option;
            let default = match plain(option.default) {
                "" => "(nothing)".to_owned(),
                default => default.to_owned(),
            };
            line(&mut text, &format!("  {name:<NAME_WIDTH$} {meaning} [{default}]"));
        }
        text.push('\n');
    }
    text
}

/// Returns the tables of options, and of those that are refused, in Markdown.
#[must_use]
pub fn tables() -> String {
    let mut text = String::new();
    for (formats, options) in groups() {
        line(&mut text, &format!("### Options of {}\n", title(formats)));
        line(&mut text, "| option | takes | without it | means |\n|---|---|---|---|");
        for option in options {
            let default = match option.default {
                "" => "(nothing)".to_owned(),
                default if default.starts_with('(') => cell(default),
                default => format!("`{}`", cell(default)),
            };
            let (shape, meaning) = (cell(&option.shape()), cell(option.meaning));
            let notes = notes(option);
            let name = option.name;
            line(&mut text, &format!("| `{name}` | {shape} | {default} | {meaning}{notes} |"));
        }
        text.push('\n');
    }
    line(&mut text, "### Options of Auto Loader that mean nothing here\n");
    line(&mut text, "| option | why, and what to use |\n|---|---|");
    for refusal in registry::refusals() {
        let stars = if refusal.name.ends_with('.') { "*" } else { "" };
        line(&mut text, &format!("| `{}{stars}` | {} |", refusal.name, cell(refusal.why)));
    }
    text
}

/// What sets an option apart: why it has one value, whose it is, its other names, and whether it may
/// change.
fn notes(option: &OptionSpec) -> String {
    let mut notes = Vec::new();
    if let Value::Only(_, why) = option.value {
        notes.push(cell(why));
    }
    if option.origin == Origin::Ours {
        notes.push("ours".to_owned());
    }
    if !option.aliases.is_empty() {
        let names: Vec<String> = option.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        notes.push(format!("also {}", names.join(", ")));
    }
    if pinned::is_pinned(option.name) {
        notes.push("first start only".to_owned());
    }
    if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) }
}

/// Returns the options by the formats they belong to, in the registry's order.
fn groups() -> Vec<(&'static [FormatName], Vec<&'static OptionSpec>)> {
    let mut groups: Vec<(&[FormatName], Vec<&OptionSpec>)> = Vec::new();
    for option in registry::options() {
        match groups.iter_mut().find(|(formats, _)| *formats == option.formats) {
            Some((_, options)) => options.push(option),
            None => groups.push((option.formats, vec![option])),
        }
    }
    groups
}

fn title(formats: &[FormatName]) -> String {
    match formats {
        [] => "every format".to_owned(),
        formats => {
            let names: Vec<&str> = formats.iter().map(|format| format.name()).collect();
            names.join(", ")
        }
    }
}

/// Returns a default without the brackets of one that cannot be written.
fn plain(default: &str) -> &str {
    default.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(default)
}

/// Escapes what would end a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn line(text: &mut String, what: &str) {
    text.push_str(what);
    text.push('\n');
}
