//! Rows as `COPY TO STDOUT` writes them: a `CopyData` message each, in text, CSV or binary.

use bytes::{BufMut as _, BytesMut};

use super::{Cells, patch_length, put_count};
use crate::postgres::{
    failure::Failure,
    statement::{Columns, CopyForm},
    types::Column,
};

/// How the binary format begins: its name, no flags, no extension.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// How the binary format ends: a row of -1 values.
const TRAILER: i16 = -1;

/// Which values of a column are quoted in CSV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quoting {
    Always,
    WhereNeeded,
    /// The only column: also where a value would be read as the end of all rows.
    OfLines,
}

/// Writes the rows of one COPY.
pub(in crate::postgres) struct CopyWriter {
    form: CopyForm,
    names: Vec<String>,
    quoting: Vec<Quoting>,
    /// The binary format has begun. As in PostgreSQL its signature comes with the first row:
    /// clients read the two together.
    has_begun: bool,
    /// One value before it is escaped.
    value: BytesMut,
}

impl CopyWriter {
    pub(in crate::postgres) fn new(form: CopyForm, columns: &[Column]) -> Result<Self, Failure> {
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let is_forced = |name: &String| match &form {
            CopyForm::Csv { force_quote: Columns::All, .. } => true,
            CopyForm::Csv { force_quote: Columns::Named(wanted), .. } => wanted.contains(name),
            CopyForm::Binary | CopyForm::Text(_) => false,
        };
        if let CopyForm::Csv { force_quote: Columns::Named(wanted), .. } = &form
            && let Some(missing) = wanted.iter().find(|wanted| !names.contains(wanted))
        {
            let text = format!("FORCE_QUOTE column \"{missing}\" not referenced by COPY");
            return Err(Failure::new("42P10", text));
        }
        let unforced = unforced(names.len());
        let quoting = |name| if is_forced(name) { Quoting::Always } else { unforced };
        let quoting = names.iter().map(quoting).collect();
        Ok(Self { form, names, quoting, has_begun: false, value: BytesMut::new() })
    }

    /// The format that the client is told: of the whole, and of each column.
    pub(in crate::postgres) fn formats(&self) -> (i8, Vec<i16>) {
        let is_binary = self.form == CopyForm::Binary;
        (i8::from(is_binary), vec![i16::from(is_binary); self.names.len()])
    }

    /// Writes what comes before the rows.
    pub(in crate::postgres) fn write_head(&mut self, out: &mut BytesMut) {
        let Some(plain) = self.form.plain().filter(|plain| plain.has_header) else { return };
        let start = begin(out);
        let quoting = unforced(self.names.len());
        for (index, name) in self.names.iter().enumerate() {
            if index > 0 {
                out.put_u8(plain.delimiter);
            }
            write_value(&self.form, name.as_bytes(), quoting, out);
        }
        out.put_u8(b'\n');
        patch_length(out, start, 0);
    }

    /// Writes one row.
    pub(super) fn write_row(&mut self, cells: &[Cells], row: usize, out: &mut BytesMut) {
        let start = begin(out);
        match self.form.plain() {
            None => {
                if !self.has_begun {
                    out.put_slice(SIGNATURE);
                    self.has_begun = true;
                }
                put_count(cells.len(), out);
                for cells in cells {
                    cells.write_with_length(row, true, out);
                }
            }
            Some(plain) => {
                for (index, (cells, quoting)) in cells.iter().zip(&self.quoting).enumerate() {
                    if index > 0 {
                        out.put_u8(plain.delimiter);
                    }
                    if cells.is_null(row) {
                        out.put_slice(plain.null.as_bytes());
                        continue;
                    }
                    self.value.clear();
                    cells.write(row, false, &mut self.value);
                    write_value(&self.form, &self.value, *quoting, out);
                }
                out.put_u8(b'\n');
            }
        }
        patch_length(out, start, 0);
    }

    /// Writes what comes after the rows.
    pub(in crate::postgres) fn write_tail(&mut self, out: &mut BytesMut) {
        if self.form == CopyForm::Binary {
            let start = begin(out);
            if !self.has_begun {
                out.put_slice(SIGNATURE);
            }
            out.put_i16(TRAILER);
            patch_length(out, start, 0);
        }
    }
}

/// Begins a `CopyData`; its length is patched when it is complete.
fn begin(out: &mut BytesMut) -> usize {
    out.put_u8(b'd');
    let start = out.len();
    out.put_i32(0);
    start
}

/// How a column of so many is quoted that FORCE_QUOTE does not name.
const fn unforced(columns: usize) -> Quoting {
    if columns == 1 { Quoting::OfLines } else { Quoting::WhereNeeded }
}

/// Writes a value in text or CSV.
fn write_value(form: &CopyForm, value: &[u8], quoting: Quoting, out: &mut BytesMut) {
    match form {
        // Its values need no escape.
        CopyForm::Binary => out.put_slice(value),
        CopyForm::Text(plain) => write_text(value, plain.delimiter, out),
        CopyForm::Csv { plain, quote, escape, .. } => {
            let special = [plain.delimiter, *quote, b'\n', b'\r'];
            let is_quoted = quoting == Quoting::Always
                || (quoting == Quoting::OfLines && value == b"\\.")
                // Else it would be read as NULL.
                || value == plain.null.as_bytes()
                || value.iter().any(|byte| special.contains(byte));
            if is_quoted {
                write_quoted(value, *quote, *escape, out);
            } else {
                out.put_slice(value);
            }
        }
    }
}

/// A backslash before what would be read as something else.
fn write_text(value: &[u8], delimiter: u8, out: &mut BytesMut) {
    for byte in value {
        let letter = match byte {
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0b => b'v',
            b'\\' => b'\\',
            byte if *byte == delimiter => delimiter,
            byte => {
                out.put_u8(*byte);
                continue;
            }
        };
        out.put_slice(&[b'\\', letter]);
    }
}

fn write_quoted(value: &[u8], quote: u8, escape: u8, out: &mut BytesMut) {
    out.put_u8(quote);
    for byte in value {
        if *byte == quote || *byte == escape {
            out.put_u8(escape);
        }
        out.put_u8(*byte);
    }
    out.put_u8(quote);
}
