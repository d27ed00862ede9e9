//! JSON lines: the columns, then an array a row, then how it ended.
//!
//! Values are PostgreSQL's texts or null: a JSON number would become a float in most clients.

use bytes::{BufMut as _, BytesMut};
use serde_json::{Value, json};

use super::form::{Ending, Form};
use crate::{
    http::reply::Refusal,
    postgres::{Batch, Opened, Refused},
};

#[derive(Debug, Default)]
pub(super) struct Lines {
    columns: usize,
    value: BytesMut,
}

impl Form for Lines {
    fn begin(&mut self, result: &Opened, out: &mut BytesMut) -> Result<(), Refused> {
        let columns = result.columns();
        self.columns = columns.len();
        let columns: Vec<Value> =
            columns.map(|(name, kind)| json!({"name": name, "type": kind})).collect();
        write_line(&json!({ "columns": columns }), out);
        Ok(())
    }

    fn rows(&mut self, batch: &Batch, out: &mut BytesMut) -> Result<(), Refused> {
        let texts = batch.texts()?;
        for row in 0..texts.len() {
            for column in 0..self.columns {
                out.put_u8(if column == 0 { b'[' } else { b',' });
                self.value.clear();
                if texts.write(row, column, &mut self.value) {
                    let value = String::from_utf8_lossy(&self.value);
                    out.put_slice(Value::from(value.as_ref()).to_string().as_bytes());
                } else {
                    out.put_slice(b"null");
                }
            }
            out.put_slice(if self.columns == 0 { b"[]\n" } else { b"]\n" });
        }
        Ok(())
    }

    fn end(&mut self, ending: Ending, out: &mut BytesMut) -> Result<(), Refused> {
        let Ending { rows, is_complete, took_ms } = ending;
        let took_ms = u64::try_from(took_ms).unwrap_or(u64::MAX);
        write_line(&json!({"rows": rows, "is_complete": is_complete, "took_ms": took_ms}), out);
        Ok(())
    }

    fn fail(&mut self, refused: &Refused, out: &mut BytesMut) -> bool {
        write_line(&Refusal::from(refused.clone()).to_json(), out);
        true
    }
}

fn write_line(value: &Value, out: &mut BytesMut) {
    out.put_slice(value.to_string().as_bytes());
    out.put_u8(b'\n');
}
