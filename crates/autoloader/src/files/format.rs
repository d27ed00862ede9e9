//! One file's bytes become stretches of rows, whatever its format.
//!
//! ```text
//! compression  packed bytes ──▶ bytes, by content
//! encoding     bytes ──▶ UTF-8
//! lines        UTF-8 ──▶ lines with their numbers and offsets
//! ahead        UTF-8 ──▶ text that waits, where lines do not end records
//! json, csv, text, binary   ──▶ Rows: values in columns, the rest rescued
//! avro, parquet             ──▶ TypedRows: the same, of files that say their types
//! stretches    all of these ──▶ stretches, each handed on as soon as it is full
//! observe      a whole file ──▶ what its columns hold
//! ```
//!
//! A reader is pushed bytes of any lengths and hands on what they bring; how they were cut changes
//! nothing but the cut of its batches. It holds a stretch at most, and the record that is not yet
//! at its end. Only Parquet, which begins at its end, asks for the bytes that it wants.

use std::sync::Arc;

use arrow::datatypes::{DataType, Fields};
use model::ErrorKind;

use self::encoding::ToUtf8;
use super::{
    decoded::{BadRecord, Decoded, ReadSchema},
    options::Format,
    schema::Iso,
    source_file::SourceFile,
};

mod ahead;
mod avro;
mod binary;
pub mod compression;
mod csv;
mod encoding;
mod json;
mod lines;
mod observe;
pub(super) mod parquet;
mod rows;
mod stretches;
mod text;
mod times;
mod typed;

#[cfg(test)]
mod tests;

pub use compression::{Compression, Unpacker};
pub use observe::{Observer, observe};
pub use stretches::Stretches;
pub use times::ReadTimes;

/// Reads one file of a format that is read from front to back.
pub trait TextReader: std::fmt::Debug + Send {
    /// Reads the next bytes of the file.
    ///
    /// # Errors
    /// The file as a whole cannot be read: rows it brought before do not count.
    fn push(&mut self, bytes: &[u8], out: &mut Stretches<'_>) -> Result<(), FileProblem>;

    /// Ends the file, and hands on the rows still held.
    ///
    /// # Errors
    /// As [`Self::push`].
    fn finish(&mut self, out: &mut Stretches<'_>) -> Result<(), FileProblem>;

    /// Returns the names of the file's columns in its order, where it has one: CSV does, by its
    /// header or by the number of its values.
    fn header(&self) -> &[String] {
        &[]
    }

    /// Returns the file's columns with their types as soon as it said them, where it does: Avro.
    fn fields(&self) -> Option<&Fields> {
        None
    }
}

/// Why a file as a whole cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// Packed bytes that do not unpack.
    #[error("{compression} is damaged after packed byte {offset}: {reason}")]
    Damaged {
        /// What it is packed with.
        compression: &'static str,
        /// Packed bytes that were used.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// Packed again and again.
    #[error("the file is packed {max} times or more")]
    Layers {
        /// How often is too often.
        max: usize,
    },
    /// A document that is none: nothing of its file counts.
    #[error("line {}, byte {}: {}", .0.line, .0.offset, .0.reason)]
    Document(Box<BadRecord>),
    /// More bytes than a value can have.
    #[error("{what} is larger than {max} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it may be.
        max: usize,
    },
    /// A column of a type that the format has no values for.
    #[error("column `{column}` is {data_type}, which text does not become")]
    Column {
        /// The column.
        column: String,
        /// Its type.
        data_type: DataType,
    },
    /// Columns that do not fit together, which is a defect of the reader.
    #[error("rows do not fit the file's columns: {0}")]
    Rows(#[source] arrow::error::ArrowError),
    /// A file that is none of its format, or damaged.
    #[error("the {format} file cannot be read: {reason}")]
    File {
        /// Its format.
        format: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A format that is read by other means, or a file of it without its path.
    #[error("{0} is not read as text")]
    Format(&'static str),
}

impl FileProblem {
    /// What this asks of whoever reads the file.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Damaged { .. }
            | Self::Layers { .. }
            | Self::Document(_)
            | Self::File { .. }
            | Self::TooLarge { .. } => ErrorKind::Data,
            Self::Column { .. } | Self::Format(_) => ErrorKind::Config,
            Self::Rows(_) => ErrorKind::Internal,
        }
    }
}

/// Opens a file of a text format for bytes that are unpacked already, with ISO 8601 times.
///
/// # Errors
/// [`FileProblem::Column`], [`FileProblem::Format`].
pub fn open(format: &Format, schema: Arc<ReadSchema>) -> Result<Box<dyn TextReader>, FileProblem> {
    open_with(format, schema, Arc::new(Iso))
}

/// Opens a file of a text format for bytes that are unpacked already.
///
/// # Errors
/// As [`open`].
pub fn open_with(
    format: &Format,
    schema: Arc<ReadSchema>,
    times: Arc<dyn ReadTimes>,
) -> Result<Box<dyn TextReader>, FileProblem> {
    Ok(match format {
        Format::Json(options) => json::open(options, schema, times)?,
        Format::Csv(options) => Box::new(csv::CsvReader::new(options, schema, times)?),
        Format::Text { is_whole, line_sep, encoding } => {
            let utf8 = ToUtf8::new(encoding);
            Box::new(text::TextFile::new(*is_whole, line_sep.as_deref(), utf8, schema, times)?)
        }
        Format::Binary => return Err(FileProblem::Format("binaryFile without its path")),
        // It is read by columns and not from front to back.
        Format::Parquet => return Err(FileProblem::Format("Parquet")),
        Format::Avro => Box::new(avro::AvroFile::new(schema)),
    })
}

/// Opens `file` for its bytes as stored: packed text is unpacked, a binary file is left as it is.
///
/// # Errors
/// As [`open`].
pub fn open_file(
    format: &Format,
    file: &SourceFile,
    schema: Arc<ReadSchema>,
    times: Arc<dyn ReadTimes>,
) -> Result<OpenFile, FileProblem> {
    if matches!(format, Format::Binary) {
        let reader = Box::new(binary::BinaryFile::new(file, &schema)?);
        return Ok(OpenFile { unpacker: None, reader });
    }
    let reader = open_with(format, schema, times)?;
    Ok(OpenFile { unpacker: Some(Unpacker::new(file.name())), reader })
}

/// A file that is being read from its bytes as stored.
#[derive(Debug)]
pub struct OpenFile {
    /// `None`: its bytes are read as they are.
    unpacker: Option<Unpacker>,
    reader: Box<dyn TextReader>,
}

impl OpenFile {
    /// Reads the next bytes, and hands on what they bring, a stretch at a time. A packed byte may be
    /// a thousand unpacked ones, and those as many rows.
    ///
    /// # Errors
    /// As [`TextReader::push`], or what `each` returns, behind which nothing more is read.
    pub fn push<E: From<FileProblem>>(
        &mut self,
        bytes: &[u8],
        each: &mut dyn FnMut(Decoded) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { unpacker, reader } = self;
        let mut read = |bytes: &[u8]| Stretches::each(each, |out| reader.push(bytes, out));
        match unpacker {
            Some(unpacker) => unpacker.push(bytes, &mut read),
            None => read(bytes),
        }
    }

    /// Ends the file, and hands on what it still held.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish<E: From<FileProblem>>(
        &mut self,
        each: &mut dyn FnMut(Decoded) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { unpacker, reader } = self;
        if let Some(unpacker) = unpacker {
            unpacker.finish(&mut |bytes| Stretches::each(each, |out| reader.push(bytes, out)))?;
        }
        Stretches::each(each, |out| reader.finish(out))
    }

    /// As [`TextReader::header`].
    pub fn header(&self) -> &[String] {
        self.reader.header()
    }

    /// As [`TextReader::fields`].
    pub fn fields(&self) -> Option<&Fields> {
        self.reader.fields()
    }
}
