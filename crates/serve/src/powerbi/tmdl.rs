//! TMDL, Power BI's text form of a model: indentation by tabs, one property a line.

use std::borrow::Cow;

/// A text in the making.
#[derive(Debug, Default)]
pub(super) struct Tmdl(String);

impl Tmdl {
    /// Writes a line at a depth.
    pub(super) fn line(&mut self, depth: usize, text: &str) {
        self.0.extend(std::iter::repeat_n('\t', depth));
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// Writes an empty line, as stands between objects.
    pub(super) fn blank(&mut self) {
        self.0.push('\n');
    }

    /// Writes the description of the object that follows.
    pub(super) fn describe(&mut self, depth: usize, text: &str) {
        self.line(depth, &format!("/// {text}"));
    }

    /// Writes `head =` and an expression: beside it when it has one line, else below it, two levels
    /// deeper than the object, so that the object's own properties end it.
    pub(super) fn expression(&mut self, depth: usize, head: &str, expression: &str) {
        if expression.contains('\n') {
            self.line(depth, &format!("{head} ="));
            for line in expression.lines() {
                self.line(depth + 2, line);
            }
        } else {
            self.line(depth, &format!("{head} = {expression}"));
        }
    }

    /// Returns the text.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// Writes a name: in quotes if it has anything but letters, digits and `_`.
pub(super) fn quoted(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(format!("'{}'", name.replace('\'', "''")))
    }
}

#[cfg(test)]
mod tests {
    use super::{Tmdl, quoted};

    #[test]
    fn names_are_quoted_when_they_must_be() {
        for (name, written) in [
            ("dim_date", "dim_date"),
            ("Last Close", "'Last Close'"),
            ("Change %", "'Change %'"),
            ("day's", "'day''s'"),
        ] {
            assert_eq!(quoted(name), written);
        }
    }

    #[test]
    fn an_expression_of_several_lines_stands_below_its_object() {
        let mut tmdl = Tmdl::default();
        tmdl.describe(1, "Sold.");
        tmdl.expression(1, "measure Volume", "SUM ( t[v] )");
        tmdl.expression(1, "measure Close", "VAR a = 1\nRETURN\n    a");
        tmdl.line(2, "formatString: 0");
        let text = "\t/// Sold.\n\tmeasure Volume = SUM ( t[v] )\n\tmeasure Close =\n\t\t\tVAR a = 1\n\
                    \t\t\tRETURN\n\t\t\t    a\n\t\tformatString: 0\n";
        assert_eq!(tmdl.into_text(), text);
    }
}
