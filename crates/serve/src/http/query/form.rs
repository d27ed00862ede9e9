//! The forms an answer can have, and what each of them writes.

use bytes::BytesMut;

use super::{csv::Csv, lines::Lines, parquet::Parquet};
use crate::{
    http::{params::Params, reply::Refusal},
    postgres::{Batch, Opened, Refused},
};

/// A form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A JSON value a line: the columns, every row, how it ended.
    Lines,
    Csv,
    Parquet,
}

/// How a result ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) rows: u64,
    /// False when the client wanted no more rows than these.
    pub(super) is_complete: bool,
    pub(super) took_ms: u128,
}

/// Writes one result. What is in `out` after a call is sent.
pub(super) trait Form: Send {
    fn begin(&mut self, result: &Opened, out: &mut BytesMut) -> Result<(), Refused>;

    fn rows(&mut self, batch: &Batch, out: &mut BytesMut) -> Result<(), Refused>;

    fn end(&mut self, ending: Ending, out: &mut BytesMut) -> Result<(), Refused>;

    /// Says what went wrong after the beginning; `false` when this form cannot.
    fn fail(&mut self, _refused: &Refused, _out: &mut BytesMut) -> bool {
        false
    }
}

impl Format {
    /// The form of a query's answer.
    pub(super) fn of_query(given: Option<&str>) -> Result<Self, Refusal> {
        match given {
            None => Ok(Self::Lines),
            Some(given) => Self::parse(given),
        }
    }

    /// The form of a download.
    pub(super) fn of_download(params: &Params) -> Result<Self, Refusal> {
        params.text("format").map_or(Ok(Self::Csv), Self::parse)
    }

    fn parse(given: &str) -> Result<Self, Refusal> {
        match given {
            "json" => Ok(Self::Lines),
            "csv" => Ok(Self::Csv),
            "parquet" => Ok(Self::Parquet),
            _ => Err(Refusal::parameter("format", given, "json, csv, parquet")),
        }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Lines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    pub(super) const fn extension(self) -> &'static str {
        match self {
            Self::Lines => "ndjson",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }

    /// Whether it is kept rather than read as it comes.
    pub(super) const fn is_file(self) -> bool {
        !matches!(self, Self::Lines)
    }

    pub(super) fn form(self) -> Box<dyn Form> {
        match self {
            Self::Lines => Box::<Lines>::default(),
            Self::Csv => Box::<Csv>::default(),
            Self::Parquet => Box::<Parquet>::default(),
        }
    }
}
