//! Every option by name: what it takes, what it means, and where its value goes. Parsing, the nearest
//! name, the table in `docs/auto-loader.md` and the command's help all come from here.

mod columns;
mod discovery;
mod formats;
mod refused;

use std::{fmt, time::Duration};

use super::{draft::Draft, time_pattern::ParsedTime, values};

/// A file format by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatName {
    /// `json`
    Json,
    /// `csv`
    Csv,
    /// `parquet`
    Parquet,
    /// `avro`
    Avro,
    /// `text`
    Text,
    /// `binaryFile`
    BinaryFile,
    /// `xml`, which is not read.
    Xml,
    /// `orc`, which is not read.
    Orc,
}

impl FormatName {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Json,
        Self::Csv,
        Self::Parquet,
        Self::Avro,
        Self::Text,
        Self::BinaryFile,
        Self::Xml,
        Self::Orc,
    ];

    /// Returns the name as options spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Avro => "avro",
            Self::Text => "text",
            Self::BinaryFile => "binaryFile",
            Self::Xml => "xml",
            Self::Orc => "orc",
        }
    }

    /// Parses the name of a format that is read.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(text));
        match found {
            Some(Self::Xml) => {
                Err("xml is not read; turn it into JSON, a line for each row".into())
            }
            Some(Self::Orc) => Err("orc is not read; turn it into Parquet".into()),
            Some(format) => Ok(format),
            None => Err(unknown_word(text, &Self::ALL.map(Self::name)[..6])),
        }
    }
}

impl fmt::Display for FormatName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where an option comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Auto Loader, or the reader of the format in Spark.
    AutoLoader,
    /// This loader alone.
    Ours,
}

/// An option.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// The name, without `cloudFiles.`, which may stand in front of any.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// The formats it belongs to; none: to all.
    pub formats: &'static [FormatName],
    /// Where it comes from.
    pub origin: Origin,
    /// What holds without it, as one would write it, or in brackets what happens then.
    pub default: &'static str,
    /// What it means, in one line.
    pub meaning: &'static str,
    pub(super) value: Value,
}

/// What an option takes, and where that goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Flag(fn(&mut Draft, bool)),
    /// A number of at least so much.
    Count(u64, fn(&mut Draft, u64)),
    Bytes(fn(&mut Draft, u64)),
    Interval(fn(&mut Draft, Duration)),
    Instant(fn(&mut Draft, ParsedTime)),
    Letter(fn(&mut Draft, Option<char>)),
    /// Text, with `\t` and the like resolved.
    Escaped(fn(&mut Draft, String)),
    Text(fn(&mut Draft, String)),
    Names(fn(&mut Draft, Vec<String>)),
    /// One of these words, in any case.
    Words(&'static [Word]),
    /// The first is how the value looks.
    Other(&'static str, fn(&mut Draft, &str) -> Result<(), String>),
    /// Nothing but this value, for a reason.
    Only(&'static str, &'static str),
}

/// A word, and what it does.
type Word = (&'static str, fn(&mut Draft));

/// An option of Auto Loader that is refused.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// The name, without `cloudFiles.`; one that ends in a dot stands for all that begin so.
    pub name: &'static str,
    /// Why, and what to use instead.
    pub why: &'static str,
}

/// Returns all options, in the order of the documentation.
pub fn options() -> impl Iterator<Item = &'static OptionSpec> {
    [discovery::OPTIONS, columns::OPTIONS, formats::OPTIONS].into_iter().flatten()
}

/// Returns all options of Auto Loader that are refused.
pub fn refusals() -> impl Iterator<Item = &'static Refusal> {
    refused::REFUSALS.iter()
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    Option(&'static OptionSpec),
    Refused(&'static Refusal),
}

/// Finds an option, however it is spelt.
pub(super) fn find(name: &str) -> Option<Found> {
    let wanted = without_prefix(name);
    let is_wanted = |known: &str| known.eq_ignore_ascii_case(wanted);
    let option = options().find(|option| {
        is_wanted(option.name) || option.aliases.iter().any(|alias| is_wanted(alias))
    });
    option.map(Found::Option).or_else(|| {
        let is_refused = |refusal: &&Refusal| {
            let head = wanted.get(..refusal.name.len()).unwrap_or_default();
            is_wanted(refusal.name)
                || (refusal.name.ends_with('.') && refusal.name.eq_ignore_ascii_case(head))
        };
        refusals().find(is_refused).map(Found::Refused)
    })
}

/// Returns the known name that a misspelt one most likely means.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let known = options().map(|option| option.name).chain(refusals().map(|refusal| refusal.name));
    near(without_prefix(name), known)
}

/// Returns the name without `cloudFiles.`, in any case.
fn without_prefix(name: &str) -> &str {
    const PREFIX: &str = "cloudFiles.";
    let name = name.trim();
    match name.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => name,
    }
}

/// Says that a word is none of these, and which it may have meant.
fn unknown_word(text: &str, words: &[&'static str]) -> String {
    match near(text, words.iter().copied()) {
        Some(word) => format!("`{text}` is unknown; did you mean `{word}`?"),
        None => format!("`{text}` is unknown; known are {}", words.join(", ")),
    }
}

/// Longer than any name by more slips than are forgiven; comparing takes the square of it.
const NAME_MAX: usize = 80;

/// Returns the word that is nearest, if one slip in three letters, and four at most, lead to it.
fn near(text: &str, words: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    if NAME_MAX < text.len() {
        return None;
    }
    let lower = text.to_lowercase();
    words
        .map(|word| (strsim::damerau_levenshtein(&lower, &word.to_lowercase()), word))
        .filter(|(slips, word)| *slips <= (word.len() / 3).clamp(1, 4))
        .min()
        .map(|(_, word)| word)
}

impl OptionSpec {
    const fn new(
        name: &'static str,
        value: Value,
        default: &'static str,
        meaning: &'static str,
    ) -> Self {
        let origin = Origin::AutoLoader;
        Self { name, aliases: &[], formats: &[], origin, default, meaning, value }
    }

    const fn ours(self) -> Self {
        Self { origin: Origin::Ours, ..self }
    }

    const fn of(self, formats: &'static [FormatName]) -> Self {
        Self { formats, ..self }
    }

    const fn or(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// Whether files of the format have a use for it.
    #[must_use]
    pub fn is_of(&self, format: FormatName) -> bool {
        self.formats.is_empty() || self.formats.contains(&format)
    }

    /// Says what a value looks like.
    #[must_use]
    pub fn shape(&self) -> String {
        match self.value {
            Value::Flag(_) => "true or false".to_owned(),
            Value::Count(min, _) => format!("number, from {min}"),
            Value::Bytes(_) => "size: `10g`, `512mb`".to_owned(),
            Value::Interval(_) => "duration: `7 days`".to_owned(),
            Value::Instant(_) => "moment: `2026-01-01T00:00:00`".to_owned(),
            Value::Letter(_) => "letter".to_owned(),
            Value::Escaped(_) | Value::Text(_) => "text".to_owned(),
            Value::Names(_) => "names, by commas".to_owned(),
            Value::Words(words) => {
                words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ")
            }
            Value::Other(shape, _) => shape.to_owned(),
            Value::Only(value, _) => format!("only `{value}`"),
        }
    }

    /// Reads a value and puts it where it belongs.
    pub(super) fn apply(&self, draft: &mut Draft, text: &str) -> Result<(), String> {
        match self.value {
            Value::Flag(set) => set(draft, values::flag(text)?),
            Value::Count(min, set) => set(draft, values::count(text, min)?),
            Value::Bytes(set) => set(draft, values::bytes(text)?),
            Value::Interval(set) => set(draft, values::interval(text)?),
            Value::Instant(set) => set(draft, values::instant(text)?),
            Value::Letter(set) => set(draft, values::character(text)?),
            Value::Escaped(set) => set(draft, values::unescaped(text)?),
            Value::Text(set) => set(draft, text.to_owned()),
            Value::Names(set) => set(draft, values::names(text)?),
            Value::Words(words) => {
                let word = text.trim();
                match words.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)) {
                    Some((_, set)) => set(draft),
                    None => {
                        let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
                        return Err(unknown_word(word, &known));
                    }
                }
            }
            Value::Other(_, set) => set(draft, text)?,
            Value::Only(value, why) if !value.eq_ignore_ascii_case(text.trim()) => {
                return Err(format!("it can only be `{value}`: {why}"));
            }
            Value::Only(..) => (),
        }
        Ok(())
    }
}
