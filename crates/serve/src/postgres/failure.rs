//! What a client is told when something is refused or fails: a SQLSTATE and one sentence.
//!
//! Texts from storage never pass: they hold paths. The whole cause goes to the log instead.

use std::fmt;

use lake::{
    ResultTooLarge,
    datafusion::{arrow::error::ArrowError, common::SchemaError, error::DataFusionError},
    market::MarketError,
};
use pgwire::messages::response::ErrorResponse;

/// One answer of the kind `ERROR: relation "x" does not exist`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// The connection ends after this answer.
    pub(super) fatal: bool,
}

impl Failure {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, fatal: false }
    }

    pub(super) fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self { fatal: true, ..Self::new(code, message) }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn syntax(message: impl Into<String>) -> Self {
        Self::new("42601", message)
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::new("0A000", message)
    }

    pub(super) fn read_only(command: &str) -> Self {
        Self::new("25006", format!("cannot execute {command} in a read-only transaction"))
    }

    pub(super) fn canceled() -> Self {
        Self::new("57014", "canceling statement due to user request")
    }

    pub(super) fn timed_out() -> Self {
        Self::new("57014", "canceling statement due to statement timeout")
    }

    pub(super) fn idle_in_transaction() -> Self {
        Self::fatal("25P03", "terminating connection due to idle-in-transaction timeout")
    }

    pub(crate) fn too_many_rows(rows_max: u64) -> Self {
        Self::new("54000", format!("the result has more than {rows_max} rows"))
            .with_hint("Add a LIMIT, or aggregate in the query.")
    }

    fn spill_bound() -> Self {
        Self::new("53100", "disk full: the statement needs more room on disk than its share")
    }

    pub(crate) fn panicked() -> Self {
        Self::new("XX000", "the query engine failed on this statement; the log says where")
            .with_hint("this is a fault of marketlake: please report it with the statement")
    }

    pub(super) fn shutdown() -> Self {
        Self::fatal("57P01", "terminating connection due to administrator command")
    }

    pub(super) fn protocol(message: impl Into<String>) -> Self {
        Self::fatal("08P01", message)
    }

    /// Tells the client what failed in reading the lake, without where.
    pub(super) fn from_lake(error: &lake::Error) -> Self {
        let cause: &(dyn std::error::Error + 'static) = error;
        tracing::warn!(cause, "reading the lake for a client");
        Self::new("58030", "reading the tables failed; the server's log says why")
    }

    pub(crate) fn from_datafusion(error: &DataFusionError) -> Self {
        match error {
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
                Self::from_datafusion(inner)
            }
            DataFusionError::Shared(inner) => Self::from_datafusion(inner),
            DataFusionError::Collection(all) => match all.first() {
                Some(first) => Self::from_datafusion(first),
                None => Self::internal(error),
            },
            DataFusionError::SQL(parser, _) => Self::syntax(parser_message(&parser.to_string())),
            DataFusionError::SchemaError(schema, _) => from_schema(schema),
            DataFusionError::Plan(message) => from_plan(message),
            DataFusionError::NotImplemented(message) => Self::unsupported(first_line(message)),
            DataFusionError::ArrowError(arrow, _) => from_arrow(arrow),
            DataFusionError::ResourcesExhausted(_) => {
                Self::new("53200", "out of memory: the statement needs more than its share")
            }
            DataFusionError::IoError(error) if is_spill_bound(&error.to_string()) => {
                Self::spill_bound()
            }
            DataFusionError::Configuration(message) => Self::new("22023", first_line(message)),
            DataFusionError::Execution(message) => from_execution(message),
            DataFusionError::External(inner) => {
                if let Some(inner) = inner.downcast_ref::<DataFusionError>() {
                    Self::from_datafusion(inner)
                } else if let Some(failure) = inner.downcast_ref::<Self>() {
                    failure.clone()
                } else if let Some(error) = inner.downcast_ref::<MarketError>() {
                    Self::from_market(error)
                } else if let Some(error) = inner.downcast_ref::<ResultTooLarge>() {
                    Self::new("54000", error.to_string().replace('`', ""))
                } else {
                    Self::internal(error)
                }
            }
            _ => Self::internal(error),
        }
    }

    pub(super) fn from_market(error: &MarketError) -> Self {
        let code = match error {
            MarketError::Usage { .. } => "42883",
            MarketError::WithoutOver { .. } | MarketError::NoBars { .. } => "42809",
            MarketError::NoPast { .. } => "0A000",
            MarketError::OutOfRange { .. } => "22003",
            MarketError::Length { .. }
            | MarketError::Across { .. }
            | MarketError::Periods { .. }
            | MarketError::PeriodsDiffer { .. } => "22023",
        };
        Self::new(code, error.to_string().replace('`', "\""))
    }

    fn internal(error: &DataFusionError) -> Self {
        let cause: &(dyn std::error::Error + 'static) = error;
        tracing::warn!(cause, "a client's statement failed");
        Self::new("58030", "running the statement failed; the server's log says why")
    }

    pub(super) fn into_response(self) -> ErrorResponse {
        let severity = if self.fatal { "FATAL" } else { "ERROR" };
        let mut fields = vec![
            (b'S', severity.to_owned()),
            (b'V', severity.to_owned()),
            (b'C', self.code.to_owned()),
            (b'M', self.message),
        ];
        fields.extend(self.hint.map(|hint| (b'H', hint)));
        ErrorResponse::new(fields)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

// So that our own functions can say it through the engine.
impl std::error::Error for Failure {}

fn from_schema(error: &SchemaError) -> Failure {
    match error {
        SchemaError::FieldNotFound { field, .. } => {
            let name = match &field.relation {
                Some(table) => format!("{}.{}", table.table(), field.name),
                None => format!("\"{}\"", field.name),
            };
            Failure::new("42703", format!("column {name} does not exist"))
        }
        SchemaError::AmbiguousReference { field } => {
            Failure::new("42702", format!("column reference \"{}\" is ambiguous", field.name))
        }
        SchemaError::DuplicateQualifiedField { .. }
        | SchemaError::DuplicateUnqualifiedField { .. } => {
            Failure::new("42701", first_line(&error.to_string()))
        }
    }
}

fn from_plan(message: &str) -> Failure {
    let line = first_line(message);
    if let Some(name) = quoted_after(&line, "table '").filter(|_| line.ends_with("not found")) {
        let name = name.trim_start_matches("marketlake.").trim_start_matches("search_path.");
        return Failure::new("42P01", format!("relation \"{name}\" does not exist"));
    }
    if let Some(name) = quoted_after(&line, "Invalid function '") {
        return Failure::new("42883", format!("function {name} does not exist"));
    }
    // The functions' own words about their arguments, without the engine's around them.
    if let Some((before, own)) = line.split_once("user-defined coercion failed with: ")
        && let Some(name) = quoted_after(before, "Function '")
    {
        let own = own.trim_start_matches("Error during planning: ");
        let own = own.split(". No function matches").next().unwrap_or(own);
        return Failure::new("42883", format!("{name}: {own}"));
    }
    if line.contains("No function matches")
        || line.contains("Failed to coerce arguments")
        || (line.contains("Function '") && line.contains("expects"))
    {
        return Failure::new("42883", line);
    }
    if line.contains("must appear in the GROUP BY") || line.contains("must be part of GROUP BY") {
        return Failure::new("42803", line);
    }
    if line.contains("Cannot infer common argument type") || line.contains("Cannot coerce") {
        return Failure::new("42804", line);
    }
    if line.contains("Cannot cast") || line.contains("Error parsing") {
        return Failure::new("22P02", line);
    }
    if line.contains("not supported") || line.contains("Unsupported") {
        return Failure::unsupported(line);
    }
    Failure::new("42000", line)
}

fn from_arrow(error: &ArrowError) -> Failure {
    match error {
        ArrowError::DivideByZero => Failure::new("22012", "division by zero"),
        ArrowError::ArithmeticOverflow(message) => {
            Failure::new("22003", format!("value out of range: {}", first_line(message)))
        }
        ArrowError::CastError(message) | ArrowError::ParseError(message) => {
            Failure::new("22P02", first_line(message))
        }
        ArrowError::InvalidArgumentError(message) | ArrowError::ComputeError(message) => {
            Failure::new("22023", first_line(message))
        }
        ArrowError::NotYetImplemented(message) => Failure::unsupported(first_line(message)),
        ArrowError::IoError(message, _) if is_spill_bound(message) => Failure::spill_bound(),
        ArrowError::ExternalError(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(inner) => Failure::from_datafusion(inner),
            None => opaque(error),
        },
        _ => opaque(error),
    }
}

/// The engine's words for a query whose files on disk would grow beyond the bound.
fn is_spill_bound(message: &str) -> bool {
    message.contains("disk space during the spilling process")
}

/// Messages of functions about their own arguments; anything that smells of a path is not told.
fn from_execution(message: &str) -> Failure {
    let line = first_line(message);
    if line.contains('/') || line.contains('\\') {
        tracing::warn!(message, "a client's statement failed");
        return Failure::new("22000", "running the statement failed; the server's log says why");
    }
    if line.contains("Error parsing") || line.contains("Cannot cast") {
        return Failure::new("22P02", line);
    }
    Failure::new("22000", line)
}

fn opaque(error: &ArrowError) -> Failure {
    let cause: &(dyn std::error::Error + 'static) = error;
    tracing::warn!(cause, "a client's statement failed");
    Failure::new("58030", "running the statement failed; the server's log says why")
}

/// sqlparser's text without its prefix: `syntax error: Expected: …, found: …`.
pub(super) fn parser_message(text: &str) -> String {
    let text = text.trim_start_matches("sql parser error: ");
    format!("syntax error: {}", first_line(text))
}

/// DataFusion appends suggestions and back traces on further lines.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}

fn quoted_after<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once('\'').map(|(name, _)| name)
}
