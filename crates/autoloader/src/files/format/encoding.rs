//! Bytes of any encoding become UTF-8. What is UTF-8 already is handed on as it is.

use encoding_rs::{Decoder, Encoding, UTF_8};

use super::FileProblem;

/// Most bytes decoded at a time: what they become is kept in memory beside them.
const STEP_BYTES: usize = 1 << 20;

/// The mark some writers put in front of UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Turns a file's bytes into UTF-8 as they come.
///
/// Bytes that are none in their encoding become the replacement character, as Java's readers have
/// it; UTF-8 is not looked at here, so that whoever reads a record can say where it is broken.
pub(super) struct ToUtf8 {
    /// `None`: it is UTF-8.
    decoder: Option<Decoder>,
    /// The first bytes of UTF-8 while they may be a mark.
    head: Option<Vec<u8>>,
    out: String,
}

impl std::fmt::Debug for ToUtf8 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let encoding = self.decoder.as_ref().map_or(UTF_8, Decoder::encoding);
        f.debug_struct("ToUtf8").field("encoding", &encoding.name()).finish_non_exhaustive()
    }
}

impl ToUtf8 {
    /// Creates a decoder.
    ///
    /// A mark at the file's beginning wins over the encoding, as between the two orders of UTF-16.
    pub(super) fn new(encoding: &'static Encoding) -> Self {
        let decoder = (encoding != UTF_8).then(|| encoding.new_decoder());
        Self { decoder, head: Some(Vec::new()), out: String::new() }
    }

    /// Hands on `bytes` as UTF-8.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        each: &mut dyn FnMut(&[u8]) -> Result<(), FileProblem>,
    ) -> Result<(), FileProblem> {
        if self.decoder.is_some() {
            return bytes.chunks(STEP_BYTES).try_for_each(|piece| self.decode(piece, false, each));
        }
        let Some(head) = &mut self.head else { return each(bytes) };
        if head.is_empty() && bytes.len() >= BOM.len() {
            self.head = None;
            return each(bytes.strip_prefix(BOM).unwrap_or(bytes));
        }
        head.extend_from_slice(bytes);
        if head.len() < BOM.len() && BOM.starts_with(head) {
            return Ok(());
        }
        let head = self.head.take().unwrap_or_default();
        each(head.strip_prefix(BOM).unwrap_or(&head))
    }

    /// Ends the file.
    pub(super) fn finish(
        &mut self,
        each: &mut dyn FnMut(&[u8]) -> Result<(), FileProblem>,
    ) -> Result<(), FileProblem> {
        if self.decoder.is_some() {
            return self.decode(&[], true, each);
        }
        match self.head.take() {
            Some(head) if !head.is_empty() => each(&head),
            _ => Ok(()),
        }
    }

    fn decode(
        &mut self,
        bytes: &[u8],
        is_last: bool,
        each: &mut dyn FnMut(&[u8]) -> Result<(), FileProblem>,
    ) -> Result<(), FileProblem> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        self.out.clear();
        let length = decoder.max_utf8_buffer_length(bytes.len());
        self.out.reserve(length.unwrap_or(STEP_BYTES * 4));
        let (_, read, _) = decoder.decode_to_string(bytes, &mut self.out, is_last);
        debug_assert_eq!(read, bytes.len(), "the buffer was large enough");
        if self.out.is_empty() { Ok(()) } else { each(self.out.as_bytes()) }
    }
}
