//! JSON and CSV texts become observations. Never by way of a float: digits are counted in the text.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::observed::Observed;
use crate::decode::value::timestamp;

/// Deepest nesting that becomes columns; what is deeper stays text. A parser that follows a
/// malicious document down its own stack must stop somewhere, and no table is that deep.
pub const NESTING_MAX: usize = 64;

/// Which texts are days and moments, by the formats of the options.
pub trait TimeTexts {
    /// Whether `text` is a day and says no time.
    fn is_date(&self, text: &str) -> bool;
    /// Whether `text` is a moment.
    fn is_timestamp(&self, text: &str) -> bool;
}

/// ISO 8601, what holds when no format is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Iso;

impl TimeTexts for Iso {
    fn is_date(&self, text: &str) -> bool {
        // Ten characters are a day without a time.
        text.len() == 10 && timestamp(text.as_bytes()).is_some()
    }

    fn is_timestamp(&self, text: &str) -> bool {
        10 < text.len() && timestamp(text.as_bytes()).is_some()
    }
}

impl Observed {
    /// What a JSON document holds, its numbers digit by digit.
    ///
    /// # Errors
    /// The text is no JSON.
    pub fn of_json(text: &str, times: &dyn TimeTexts) -> Result<Self, serde_json::Error> {
        Self::of_json_with(text, &Strings { times, is_number: &|_| false })
    }

    /// As [`Self::of_json`], of a document in which some strings are no texts.
    pub(crate) fn of_json_with(
        text: &str,
        strings: &Strings<'_>,
    ) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).and_then(|raw| of_raw(raw, strings, 0))
    }

    /// What a JSON string holds, unescaped: text is no number, whatever it looks like.
    #[must_use]
    pub fn of_text(text: &str, times: &dyn TimeTexts) -> Self {
        if times.is_date(text) {
            Self::Date
        } else if times.is_timestamp(text) {
            Self::Timestamp
        } else {
            Self::Text
        }
    }

    /// What a number's text is; text if it is none. A number that would not come back as it was
    /// written is text: zeros in front, as in a post code, or a plus, as in a telephone number.
    #[must_use]
    pub fn of_number(text: &str) -> Self {
        number(text).unwrap_or(Self::Text)
    }

    /// What a separated value could be; whoever calls knows which texts mean null or infinity.
    #[must_use]
    pub fn of_csv(text: &str, times: &dyn TimeTexts) -> Self {
        if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
            return Self::Bool;
        }
        number(text).unwrap_or_else(|| Self::of_text(text, times))
    }
}

/// What the strings of a JSON document are.
pub(crate) struct Strings<'a> {
    /// Which of them are days and moments.
    pub times: &'a dyn TimeTexts,
    /// Which of them stand for numbers that JSON cannot write.
    pub is_number: &'a dyn Fn(&str) -> bool,
}

impl Strings<'_> {
    fn observe(&self, text: &str) -> Observed {
        if (self.is_number)(text) { Observed::FLOAT } else { Observed::of_text(text, self.times) }
    }
}

fn of_raw(
    raw: &RawValue,
    strings: &Strings<'_>,
    depth: usize,
) -> Result<Observed, serde_json::Error> {
    let text = raw.get().trim_ascii();
    Ok(match text.as_bytes() {
        [b'n', ..] => Observed::Nothing,
        [b't' | b'f', ..] => Observed::Bool,
        // Half of a surrogate pair is JSON, but no string: it stays text.
        [b'"', ..] => serde_json::from_str::<String>(text)
            .map_or(Observed::Text, |text| strings.observe(&text)),
        [b'{' | b'[', ..] if NESTING_MAX <= depth => Observed::Text,
        [b'{', ..] => {
            let members: Members<'_> = serde_json::from_str(text)?;
            let mut observed = BTreeMap::<String, Observed>::new();
            for (name, member) in members.0 {
                observed.entry(name).or_default().merge(of_raw(member, strings, depth + 1)?);
            }
            Observed::Object(observed)
        }
        [b'[', ..] => {
            let mut element = Observed::Nothing;
            for raw in serde_json::from_str::<Vec<&RawValue>>(text)? {
                element.merge(of_raw(raw, strings, depth + 1)?);
            }
            Observed::List(Box::new(element))
        }
        _ => Observed::of_number(text),
    })
}

/// The members of an object, a name as often as it is there.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members<'de>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

fn number(text: &str) -> Option<Observed> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_float = digits.bytes().any(|byte| matches!(byte, b'e' | b'E'));
    let mantissa = match digits.split_once(['e', 'E']) {
        None => digits,
        Some((mantissa, exponent)) => {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if exponent.is_empty() || !is_digits(exponent) {
                return None;
            }
            mantissa
        }
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let has_digits = !whole.is_empty() || fraction.is_some_and(|fraction| !fraction.is_empty());
    let has_zeros = 1 < whole.len() && whole.starts_with('0');
    if !has_digits || has_zeros || !is_digits(whole) || !fraction.is_none_or(is_digits) {
        return None;
    }
    let behind = |fraction: &str| fraction.trim_end_matches('0').len().max(1);
    let mut wholes = whole.trim_start_matches('0').len();
    // The sign matters: there is one more negative number of 64 bits than positive ones.
    let sign = if digits.len() < text.len() { "-" } else { "" };
    if wholes == 19 && format!("{sign}{whole}").parse::<i64>().is_err() {
        wholes = 20;
    }
    Some(Observed::Number {
        whole: u32::try_from(wholes).unwrap_or(u32::MAX),
        fraction: u32::try_from(fraction.map_or(0, behind)).unwrap_or(u32::MAX),
        is_float,
    })
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
