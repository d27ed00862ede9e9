//! Avro's object container files, block by block as the bytes come.
//!
//! ```text
//! schema   the schema in the file's header ──▶ types
//! codec    packed block ──▶ bytes
//! input    bytes ──▶ numbers, texts and the like, within bounds
//! column   types and input ──▶ arrays
//! ```

use std::{ops::Range, sync::Arc};

use arrow::datatypes::Fields;
use bytes::{Buf as _, BytesMut};

use self::{codec::Codec, column::Rows, input::Input};
use super::{
    FileProblem, TextReader,
    stretches::{STRETCH_BYTES_MAX, Stretches},
    typed::TypedRows,
};
use crate::files::decoded::ReadSchema;

mod codec;
mod column;
mod input;
mod schema;

#[cfg(test)]
mod tests;

/// What every file begins with.
const MAGIC: &[u8] = b"Obj\x01";

/// Largest header that is read: a schema of many thousand fields.
const HEADER_BYTES_MAX: usize = 16 << 20;

/// Largest block that is read, packed and unpacked. Writers close one after some 16 KiB to 2 MiB.
const BLOCK_BYTES_MAX: usize = 64 << 20;

/// Most rows of a batch: enough to be fast, and few beside a stretch.
const BATCH_ROWS_MAX: usize = 8 << 10;

const MARK_BYTES: usize = 16;

/// Reads an Avro file.
#[derive(Debug)]
pub(super) struct AvroFile {
    schema: Arc<ReadSchema>,
    /// Bytes that do not make a header or a block yet.
    held: BytesMut,
    /// Where in the file they begin.
    offset: u64,
    body: Option<Body>,
}

/// What follows the header.
#[derive(Debug)]
struct Body {
    codec: Codec,
    /// What every block ends with.
    mark: [u8; MARK_BYTES],
    rows: Rows,
    typed: TypedRows,
    fields: Fields,
    /// Whether rows are wanted, and not only what fields there are.
    is_read: bool,
}

/// A header: the text of the schema, the codec's name and the mark of blocks.
struct Header<'a> {
    schema: &'a [u8],
    codec: &'a [u8],
    mark: [u8; MARK_BYTES],
}

/// A block: how many rows, and where their bytes are.
struct Block {
    count: u64,
    data: Range<usize>,
}

impl AvroFile {
    pub(super) fn new(schema: Arc<ReadSchema>) -> Self {
        Self { schema, held: BytesMut::new(), offset: 0, body: None }
    }

    /// Reads the header, if it is there to its end.
    fn open(&mut self) -> Result<bool, FileProblem> {
        let start = self.held.get(..MAGIC.len()).unwrap_or(&self.held);
        if !MAGIC.starts_with(start) {
            return Err(damaged(0, "it does not begin as an Avro file does"));
        }
        let mut input = Input::new(&self.held);
        let Ok(header) = header(&mut input) else {
            if HEADER_BYTES_MAX < self.held.len() {
                return Err(damaged(0, "its header does not end"));
            }
            return Ok(false);
        };
        let used = input.used();
        let at = |reason: String| damaged(0, &reason);
        let root = schema::parse(header.schema).map_err(at)?;
        let rows = Rows::new(&root).map_err(at)?;
        let fields: Fields = rows.fields();
        let schema = Arc::clone(&self.schema);
        let is_read = schema.is_rescuing || !schema.columns.fields().is_empty();
        self.body = Some(Body {
            codec: Codec::named(header.codec).map_err(at)?,
            mark: header.mark,
            rows,
            typed: TypedRows::new(&fields, schema, false),
            fields,
            is_read,
        });
        self.use_up(used);
        Ok(true)
    }

    fn use_up(&mut self, bytes: usize) {
        self.held.advance(bytes);
        self.offset += bytes as u64;
    }
}

impl TextReader for AvroFile {
    fn push(&mut self, bytes: &[u8], out: &mut Stretches<'_>) -> Result<(), FileProblem> {
        self.held.extend_from_slice(bytes);
        if self.body.is_none() && !self.open()? {
            return Ok(());
        }
        let Some(body) = &mut self.body else { return Ok(()) };
        body.typed.tell(out);
        let mut start = 0;
        while !out.is_over() {
            let left = self.held.get(start..).unwrap_or_default();
            let offset = self.offset + start as u64;
            let Some(block) = body.block(left).map_err(|reason| damaged(offset, reason))? else {
                break;
            };
            let data = left.get(block.data.clone()).unwrap_or_default();
            body.read(data, block.count, offset, out)?;
            start += block.data.end + MARK_BYTES;
        }
        self.use_up(start);
        Ok(())
    }

    fn finish(&mut self, _: &mut Stretches<'_>) -> Result<(), FileProblem> {
        match &self.body {
            Some(_) if self.held.is_empty() => Ok(()),
            Some(_) => Err(damaged(self.offset, "it ends in the midst of a block")),
            None => Err(damaged(0, "it ends in the midst of its header")),
        }
    }

    fn fields(&self) -> Option<&Fields> {
        self.body.as_ref().map(|body| &body.fields)
    }
}

impl Body {
    /// Returns the block that `bytes` begin with, if it is there to its end.
    fn block(&self, bytes: &[u8]) -> Result<Option<Block>, &'static str> {
        let mut input = Input::new(bytes);
        let (Ok(count), Ok(size)) = (input.long(), input.long()) else {
            // Two numbers have twenty bytes at most.
            return if bytes.len() < 20 { Ok(None) } else { Err("a block has no size") };
        };
        let count = u64::try_from(count).map_err(|_| "a block has fewer than no rows")?;
        let size = usize::try_from(size).map_err(|_| "a block has fewer than no bytes")?;
        if BLOCK_BYTES_MAX < size {
            return Err("a block is larger than 64 MiB");
        }
        let start = input.used();
        let end = start + size;
        match bytes.get(end..end + MARK_BYTES) {
            None => Ok(None),
            Some(mark) if mark == self.mark => Ok(Some(Block { count, data: start..end })),
            Some(_) => Err("a block does not end with the file's mark"),
        }
    }

    /// Reads the rows of a block, which begins at `offset`.
    fn read(
        &mut self,
        packed: &[u8],
        count: u64,
        offset: u64,
        out: &mut Stretches<'_>,
    ) -> Result<(), FileProblem> {
        if !self.is_read {
            return Ok(());
        }
        let at = |reason: String| damaged(offset, &reason);
        let data = self.codec.unpack(packed, BLOCK_BYTES_MAX).map_err(at)?;
        let mut input = Input::new(&data);
        for _ in 0..count {
            self.rows.append(&mut input).map_err(|problem| at(problem.to_string()))?;
            if BATCH_ROWS_MAX <= self.rows.len() || STRETCH_BYTES_MAX <= input.made() {
                self.typed.append(&self.rows.finish()?, offset, out)?;
                if out.is_over() {
                    return Ok(());
                }
                input.begin_batch();
            }
        }
        if !input.is_empty() {
            return Err(damaged(offset, "a block has more bytes than its rows"));
        }
        if 0 < self.rows.len() {
            self.typed.append(&self.rows.finish()?, offset, out)?;
        }
        Ok(())
    }
}

fn header<'a>(input: &mut Input<'a>) -> Result<Header<'a>, input::Problem> {
    input.take(MAGIC.len())?;
    let (mut schema, mut codec): (&[u8], &[u8]) = (b"", b"null");
    loop {
        let count = input.count()?;
        if count == 0 {
            break;
        }
        for _ in 0..count {
            let (name, value) = (input.bytes()?, input.bytes()?);
            match name {
                b"avro.schema" => schema = value,
                b"avro.codec" => codec = value,
                _ => (),
            }
        }
    }
    let mut mark = [0; MARK_BYTES];
    mark.copy_from_slice(input.take(MARK_BYTES)?);
    Ok(Header { schema, codec, mark })
}

fn damaged(offset: u64, reason: &str) -> FileProblem {
    FileProblem::File { format: "Avro", reason: format!("byte {offset}: {reason}") }
}
