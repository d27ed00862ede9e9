//! CSV as RFC 4180 has it: a header, lines that end in CRLF, quotes where they are needed.
//!
//! Values are PostgreSQL's texts. A null is nothing between two commas, an empty text is `""`, as
//! COPY writes them; where there is one column only, a line that is empty is a null.

use bytes::{BufMut as _, BytesMut};

use super::form::{Ending, Form};
use crate::postgres::{Batch, Opened, Refused};

#[derive(Debug, Default)]
pub(super) struct Csv {
    columns: usize,
    /// One value before it is quoted.
    value: BytesMut,
}

impl Form for Csv {
    fn begin(&mut self, result: &Opened, out: &mut BytesMut) -> Result<(), Refused> {
        let columns = result.columns();
        self.columns = columns.len();
        for (index, (name, _)) in columns.enumerate() {
            separate(index, out);
            write_value(name.as_bytes(), out);
        }
        out.put_slice(b"\r\n");
        Ok(())
    }

    fn rows(&mut self, batch: &Batch, out: &mut BytesMut) -> Result<(), Refused> {
        let texts = batch.texts()?;
        for row in 0..texts.len() {
            for column in 0..self.columns {
                separate(column, out);
                self.value.clear();
                if texts.write(row, column, &mut self.value) {
                    write_value(&self.value, out);
                }
            }
            out.put_slice(b"\r\n");
        }
        Ok(())
    }

    fn end(&mut self, _ending: Ending, _out: &mut BytesMut) -> Result<(), Refused> {
        Ok(())
    }
}

fn separate(index: usize, out: &mut BytesMut) {
    if index > 0 {
        out.put_u8(b',');
    }
}

fn write_value(value: &[u8], out: &mut BytesMut) {
    let is_quoted = value.is_empty() || value.iter().any(|byte| b",\"\r\n".contains(byte));
    if !is_quoted {
        out.put_slice(value);
        return;
    }
    out.put_u8(b'"');
    for byte in value {
        if *byte == b'"' {
            out.put_u8(b'"');
        }
        out.put_u8(*byte);
    }
    out.put_u8(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_a_reader_would_take_them_for_something_else() {
        for (value, written) in [
            ("", "\"\""),
            ("AAPL", "AAPL"),
            (" a ", " a "),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\r\nlines", "\"two\r\nlines\""),
            ("\n", "\"\n\""),
            ("ü;'", "ü;'"),
        ] {
            let mut out = BytesMut::new();
            write_value(value.as_bytes(), &mut out);
            assert_eq!(out, written, "{value:?}");
        }
    }
}
