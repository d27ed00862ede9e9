//! The schema in the header of an Avro file.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use arrow::datatypes::{DataType, TimeUnit};
use serde_json::{Map, Value};

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Type {
    Null,
    Boolean,
    /// 32 bits, and the Arrow type of them.
    Int(DataType),
    /// 64 bits, and the Arrow type of them.
    Long(DataType),
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    /// Text of 36 letters, in 16 bytes.
    Uuid,
    /// A number in bytes: of a fixed length, or of any.
    Decimal {
        precision: u8,
        scale: i8,
        length: Option<usize>,
    },
    Enum(Arc<[String]>),
    List(Arc<Self>),
    Map(Arc<Self>),
    Record(Arc<[(String, Self)]>),
    Union(Arc<[Self]>),
}

/// Parses the schema of a file: a record.
pub(super) fn parse(text: &[u8]) -> Result<Type, String> {
    let json: Value =
        serde_json::from_slice(text).map_err(|error| format!("its schema is no JSON: {error}"))?;
    let mut names = Names::default();
    let root = names.parse(&json, "").map_err(|reason| format!("its schema: {reason}"))?;
    match root.0 {
        Type::Record(_) => Ok(root.0),
        _ => Err("its schema is no record, so its rows have no columns".to_owned()),
    }
}

/// Deepest type that is read. Names let a schema be deeper than its text is nested.
const DEPTH_MAX: usize = 200;

/// A type, and how deep it is.
type Deep = (Type, usize);

/// Makes a type of one inside of it.
fn around(inner: Deep, make: impl FnOnce(Type) -> Type) -> Result<Deep, String> {
    if DEPTH_MAX <= inner.1 {
        return Err(format!("it is nested more than {DEPTH_MAX} times"));
    }
    Ok((make(inner.0), inner.1 + 1))
}

/// Makes a type of those inside of it.
fn around_all<T>(
    inner: impl Iterator<Item = Result<(T, Deep), String>>,
    make: impl FnOnce(Vec<(T, Type)>) -> Type,
) -> Result<Deep, String> {
    let (mut all, mut depth) = (Vec::new(), 0);
    for one in inner {
        let (name, one) = one?;
        depth = one.1.max(depth);
        all.push((name, one.0));
    }
    around((Type::Null, depth), |_| make(all))
}

/// The types that have names.
#[derive(Default)]
struct Names {
    known: HashMap<String, Deep>,
    /// Those that are not at their end yet.
    open: HashSet<String>,
}

impl Names {
    /// Parses a type; how deep it is, the parser of JSON has limited.
    fn parse(&mut self, json: &Value, namespace: &str) -> Result<Deep, String> {
        match json {
            Value::String(name) => self.named(name, namespace),
            Value::Array(choices) => {
                let choices = choices.iter().map(|choice| Ok(((), self.parse(choice, namespace)?)));
                around_all(choices, |choices| {
                    Type::Union(choices.into_iter().map(|(_, choice)| choice).collect())
                })
            }
            Value::Object(members) => match members.get("type") {
                Some(Value::String(name)) => self.object(name, members, namespace),
                // `{"type": {"type": …}}` is what is inside.
                Some(inner) => self.parse(inner, namespace),
                None => Err("a type without `type`".to_owned()),
            },
            _ => Err(format!("`{json}` is no type")),
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<Deep, String> {
        let plain = match name {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "int" => Type::Int(DataType::Int32),
            "long" => Type::Long(DataType::Int64),
            "float" => Type::Float,
            "double" => Type::Double,
            "bytes" => Type::Bytes,
            "string" => Type::Text,
            name => {
                let full = full_name(name, namespace);
                if self.open.contains(&full) {
                    return Err(format!("`{name}` has itself inside, which no table can hold"));
                }
                // A name without a namespace may be of none, too.
                let found = self.known.get(&full).or_else(|| self.known.get(name));
                return found.cloned().ok_or_else(|| format!("type `{name}` is not known"));
            }
        };
        Ok((plain, 0))
    }

    fn object(
        &mut self,
        name: &str,
        members: &Map<String, Value>,
        namespace: &str,
    ) -> Result<Deep, String> {
        let part =
            |key: &str| members.get(key).ok_or_else(|| format!("a type `{name}` without `{key}`"));
        let logical = members.get("logicalType").and_then(Value::as_str).unwrap_or_default();
        match name {
            "array" => {
                around(self.parse(part("items")?, namespace)?, |item| Type::List(item.into()))
            }
            "map" => {
                around(self.parse(part("values")?, namespace)?, |value| Type::Map(value.into()))
            }
            "record" | "error" | "enum" | "fixed" => {
                let given = text(part("name")?)?;
                let namespace =
                    members.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
                let full = full_name(given, namespace);
                let inside =
                    full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
                if !self.open.insert(full.clone()) {
                    return Err(format!("`{given}` has itself inside, which no table can hold"));
                }
                let made = match name {
                    "enum" => (symbols(part("symbols")?)?, 0),
                    "fixed" => (fixed(part("size")?, logical, members)?, 0),
                    _ => self.record(part("fields")?, &inside)?,
                };
                self.open.remove(&full);
                self.known.insert(full, made.clone());
                Ok(made)
            }
            name => {
                let (plain, depth) = self.named(name, namespace)?;
                Ok((with_logical(plain, logical, members), depth))
            }
        }
    }

    fn record(&mut self, fields: &Value, namespace: &str) -> Result<Deep, String> {
        let fields = fields.as_array().ok_or("`fields` is no list")?;
        let field = |field: &Value| {
            let name = text(field.get("name").unwrap_or(&Value::Null))?;
            let inner = field.get("type").ok_or_else(|| format!("field `{name}` without type"))?;
            // What it is logically may stand beside a type that is only a name.
            let (mut made, depth) = self.parse(inner, namespace)?;
            if let (Value::String(_), Some(members)) = (inner, field.as_object())
                && let Some(logical) = members.get("logicalType").and_then(Value::as_str)
            {
                made = with_logical(made, logical, members);
            }
            Ok((name.to_owned(), (made, depth)))
        };
        around_all(fields.iter().map(field), |fields| Type::Record(fields.into()))
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

fn text(json: &Value) -> Result<&str, String> {
    json.as_str().ok_or_else(|| format!("`{json}` is no name"))
}

fn symbols(json: &Value) -> Result<Type, String> {
    let symbols = json.as_array().ok_or("`symbols` is no list")?;
    let symbols = symbols.iter().map(|symbol| text(symbol).map(str::to_owned));
    Ok(Type::Enum(symbols.collect::<Result<Vec<_>, _>>()?.into()))
}

fn fixed(size: &Value, logical: &str, members: &Map<String, Value>) -> Result<Type, String> {
    let size = size.as_u64().and_then(|size| usize::try_from(size).ok());
    let size = size.ok_or("`size` is no number of bytes")?;
    Ok(match logical {
        "uuid" if size == 16 => Type::Uuid,
        "decimal" => decimal(members, Some(size)).unwrap_or(Type::Fixed(size)),
        // A duration is three numbers that no type of a table has; it stays its twelve bytes.
        _ => Type::Fixed(size),
    })
}

/// A logical type that does not fit what it stands on is passed over, as Avro wants it.
fn with_logical(plain: Type, logical: &str, members: &Map<String, Value>) -> Type {
    let moment = |unit| Type::Long(DataType::Timestamp(unit, Some("UTC".into())));
    let clock = |unit| Type::Long(DataType::Timestamp(unit, None));
    match (&plain, logical) {
        (Type::Int(_), "date") => Type::Int(DataType::Date32),
        (Type::Int(_), "time-millis") => Type::Int(DataType::Time32(TimeUnit::Millisecond)),
        (Type::Long(_), "time-micros") => Type::Long(DataType::Time64(TimeUnit::Microsecond)),
        (Type::Long(_), "timestamp-millis") => moment(TimeUnit::Millisecond),
        (Type::Long(_), "timestamp-micros") => moment(TimeUnit::Microsecond),
        (Type::Long(_), "timestamp-nanos") => moment(TimeUnit::Nanosecond),
        (Type::Long(_), "local-timestamp-millis") => clock(TimeUnit::Millisecond),
        (Type::Long(_), "local-timestamp-micros") => clock(TimeUnit::Microsecond),
        (Type::Long(_), "local-timestamp-nanos") => clock(TimeUnit::Nanosecond),
        (Type::Bytes, "decimal") => decimal(members, None).unwrap_or(plain),
        _ => plain,
    }
}

/// Most digits that a type of Arrow has.
const DIGITS_MAX: u64 = 76;

fn decimal(members: &Map<String, Value>, length: Option<usize>) -> Option<Type> {
    let precision = members.get("precision")?.as_u64()?;
    let scale = members.get("scale").map_or(Some(0), Value::as_u64)?;
    let is_one = (1..=DIGITS_MAX).contains(&precision) && scale <= precision;
    is_one.then_some(())?;
    Some(Type::Decimal {
        precision: u8::try_from(precision).ok()?,
        scale: i8::try_from(scale).ok()?,
        length,
    })
}
