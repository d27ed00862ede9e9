//! Predicates as the protocol writes them in JSON: a tree of operations.

use serde_json::Value;

use super::{Comparison, Literal, Predicate};

/// Bytes of the longest name that is looked at: no column of ours has one.
const NAME_BYTES_MAX: usize = 255;

/// Reads a predicate of at most so many comparisons; what is not understood proves nothing.
pub(super) fn parse(text: &str, comparisons_max: usize) -> Predicate {
    // How deep a tree may be is bounded by the parser: 128 levels.
    let mut reader = Reader { comparisons_left: comparisons_max };
    serde_json::from_str(text).map_or(Predicate::Unknown, |tree| reader.predicate(&tree))
}

struct Reader {
    comparisons_left: usize,
}

impl Reader {
    fn predicate(&mut self, node: &Value) -> Predicate {
        // With a context, such as a collation, an operation may mean something else.
        if !node["exprCtx"].is_null() {
            return Predicate::Unknown;
        }
        let children = node["children"].as_array().map_or(&[][..], Vec::as_slice);
        match (node["op"].as_str().unwrap_or_default(), children) {
            ("and", [_, ..]) => Predicate::And(self.all(children)),
            ("or", [_, ..]) => Predicate::Or(self.all(children)),
            ("not", [child]) => Predicate::Not(Box::new(self.predicate(child))),
            ("isNull", [child]) => self.is_null(child),
            ("equal", _) => self.comparison(Comparison::Equal, children),
            ("lessThan", _) => self.comparison(Comparison::Less, children),
            ("lessThanOrEqual", _) => self.comparison(Comparison::LessOrEqual, children),
            ("greaterThan", _) => self.comparison(Comparison::Greater, children),
            ("greaterThanOrEqual", _) => self.comparison(Comparison::GreaterOrEqual, children),
            // One of several: the column, then the values.
            ("in", [column, values @ ..]) if !values.is_empty() => {
                let equal = |value| self.compared(Comparison::Equal, column, value);
                Predicate::Or(values.iter().map(equal).collect())
            }
            _ => Predicate::Unknown,
        }
    }

    fn all(&mut self, nodes: &[Value]) -> Vec<Predicate> {
        nodes.iter().map(|node| self.predicate(node)).collect()
    }

    fn is_null(&mut self, node: &Value) -> Predicate {
        match column(node) {
            Some((name, cast)) if self.take() => {
                of_type(name, cast, Predicate::IsNull { column: name.to_owned() })
            }
            _ => Predicate::Unknown,
        }
    }

    fn comparison(&mut self, how: Comparison, children: &[Value]) -> Predicate {
        match children {
            [left, right] => self.compared(how, left, right),
            _ => Predicate::Unknown,
        }
    }

    fn compared(&mut self, how: Comparison, left: &Value, right: &Value) -> Predicate {
        let ((name, cast), how, value) = match (column(left), column(right)) {
            (Some(found), None) => (found, how, right),
            (None, Some(found)) => (found, how.turned(), left),
            _ => return Predicate::Unknown,
        };
        match literal(value, cast) {
            Some(literal) if self.take() => {
                of_type(name, cast, Predicate::Compare { column: name.to_owned(), how, literal })
            }
            _ => Predicate::Unknown,
        }
    }

    /// Counts a comparison; returns whether it may be made.
    fn take(&mut self) -> bool {
        let left = self.comparisons_left.checked_sub(1);
        self.comparisons_left = left.unwrap_or_default();
        left.is_some()
    }
}

/// The protocol casts every column to the type that it is said to have.
fn of_type(column: &str, cast: &str, then: Predicate) -> Predicate {
    let (column, cast) = (column.to_owned(), cast.to_owned());
    Predicate::OfType { column, cast, then: Box::new(then) }
}

/// Returns name and type of a column.
fn column(node: &Value) -> Option<(&str, &str)> {
    if node["op"] != "column" {
        return None;
    }
    let (name, cast) = (node["name"].as_str()?, node["valueType"].as_str()?);
    (name.len().max(cast.len()) <= NAME_BYTES_MAX).then_some((name, cast))
}

/// Returns a literal that is compared as what the column is cast to. Two types in one comparison
/// would be a guess.
fn literal(node: &Value, cast: &str) -> Option<Literal> {
    if node["op"] != "literal" || node["valueType"] != cast {
        return None;
    }
    let text = match &node["value"] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        _ => return None,
    };
    match cast {
        "bool" => text.parse().ok().map(Literal::Bool),
        "int" | "long" => Some(Literal::Number(text)),
        "string" => Some(Literal::Text(text)),
        "date" => Some(Literal::Date(text)),
        "timestamp" => Some(Literal::Timestamp(text)),
        _ => None,
    }
}
