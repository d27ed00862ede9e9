//! `to_char(ts, 'YYYY-MM-DD')`: PostgreSQL's patterns for times in the engine's spelling.
//!
//! Left alone, the engine would take them for plain text and answer with the pattern itself.

use lake::datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value,
};

use super::string;
use crate::postgres::failure::Failure;

/// Functions whose second argument is a pattern.
const FUNCTIONS: [&str; 3] = ["to_char", "to_date", "to_timestamp"];

/// PostgreSQL's patterns, in any case, and the engine's. The longer ones come before those that
/// they begin with.
const NUMBERS: [(&str, &str); 17] = [
    ("yyyy", "%Y"),
    ("iyyy", "%G"),
    ("yy", "%y"),
    ("mm", "%m"),
    ("ddd", "%j"),
    ("dd", "%d"),
    ("id", "%u"),
    ("iw", "%V"),
    ("hh24", "%H"),
    ("hh12", "%I"),
    ("hh", "%I"),
    ("mi", "%M"),
    ("ss", "%S"),
    ("ms", "%3f"),
    ("us", "%6f"),
    ("am", "%p"),
    ("pm", "%p"),
];

/// Those that are names, whose case counts. PostgreSQL fills the long ones up with blanks, unless
/// `FM` says not to; the engine does not.
const NAMES: [(&str, &str); 4] = [("Month", "%B"), ("Mon", "%b"), ("Day", "%A"), ("Dy", "%a")];

/// Changes the pattern of a call, where it is a literal.
pub(super) fn translate(name: &str, function: &mut Function) -> Result<(), Failure> {
    if FUNCTIONS.contains(&name)
        && let FunctionArguments::List(list) = &mut function.args
        && let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(pattern))] = list.args.as_mut_slice()
        && let Expr::Value(value) = pattern
        && let Value::SingleQuotedString(text) = &value.value
    {
        *pattern = string(&engine_pattern(text)?);
    }
    Ok(())
}

/// The engine's own patterns, which have a `%`, are left as they are.
fn engine_pattern(text: &str) -> Result<String, Failure> {
    if text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_bare = rest.starts_with("FM");
        let at = if is_bare { &rest[2..] } else { rest };
        if let Some(quoted) = rest.strip_prefix('"') {
            let (literal, after) = quoted.split_once('"').unwrap_or((quoted, ""));
            out.push_str(literal);
            rest = after;
        } else if let Some((name, engine)) = NAMES.iter().find(|(name, _)| at.starts_with(name)) {
            out.push_str(engine);
            rest = &at[name.len()..];
        } else if let Some((name, engine)) = number(at) {
            // `FM` takes the zeros away as well.
            let is_plain = is_bare && engine.len() == 2;
            out.push_str(&if is_plain { engine.replace('%', "%-") } else { engine.to_owned() });
            rest = &at[name.len()..];
        } else if first.is_ascii_alphabetic() && first != 'T' {
            let message = format!("the pattern \"{text}\" is not supported from \"{rest}\" on");
            return Err(Failure::unsupported(message).with_hint(
                "Known are YYYY, MM, DD, HH24, HH12, MI, SS, MS, US, AM, Mon, Month, Dy, Day, DDD, \
                 ID, IW, IYYY; plain text stands in double quotes.",
            ));
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(out)
}

fn number(text: &str) -> Option<(&'static str, &'static str)> {
    let begins =
        |name: &str| text.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name));
    // Seconds of the day, and days of an ISO year, begin like others and are known to nobody.
    if begins("ssss") || begins("iddd") {
        return None;
    }
    NUMBERS.into_iter().find(|(name, _)| begins(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_translated() {
        for (postgres, engine) in [
            ("YYYY-MM-DD HH24:MI:SS.MS", "%Y-%m-%d %H:%M:%S.%3f"),
            ("yyyy-mm", "%Y-%m"),
            ("Dy DD Mon IYYY-IW", "%a %d %b %G-%V"),
            ("FMDay, FMMonth FMDD", "%A, %B %-d"),
            ("HH12:MI PM", "%I:%M %p"),
            ("YYYY-MM-DD\"T\"HH24", "%Y-%m-%dT%H"),
            ("\"week \"IW", "week %V"),
            ("%Y-%m", "%Y-%m"),
            ("ä", "ä"),
            ("", ""),
        ] {
            assert_eq!(engine_pattern(postgres).as_deref(), Ok(engine), "{postgres}");
        }
        for refused in ["Q", "MONTH", "YYYY week", "J", "FM"] {
            assert_eq!(engine_pattern(refused).unwrap_err().code, "0A000", "{refused}");
        }
    }
}
