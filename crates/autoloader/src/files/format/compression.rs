//! Compressed files: what a file is packed with, told by its bytes, and unpacked step by step.
//!
//! The content decides, not the name: a misnamed file is read as what it is, and one that was
//! packed twice is unpacked twice. A name only helps where bytes are not enough: a file of fewer
//! bytes than a mark has, and the frames of other programs in front of zstd and lz4.

use std::io::{self, Write as _};

use bzip2::{Decompress, Status};
use flate2::write::MultiGzDecoder;
use zstd::stream::raw::{Decoder, InBuffer, Operation as _, OutBuffer};

use super::FileProblem;

mod lz4;
#[cfg(test)]
mod tests;

use lz4::Lz4;

/// Most bytes one step appends, but for a block of lz4, which is at most 4 MiB.
const STEP_BYTES: usize = 1 << 20;

/// Most packed layers: somebody packs a packed file by mistake once, not four times.
const LAYERS_MAX: usize = 4;

/// Bytes that tell every kind apart.
const MARK_BYTES: usize = 10;

/// What a file is packed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Nothing.
    None,
    /// gzip, of one member or many.
    Gzip,
    /// zstd, of one frame or many.
    Zstd,
    /// bzip2, of one stream or many.
    Bzip2,
    /// lz4 in frames, one or many.
    Lz4,
}

impl Compression {
    /// Returns what a file's first bytes, at least ten unless there are no more, say it is.
    ///
    /// A prefix of a mark is believed if the name says the same: such a file was cut off.
    #[must_use]
    pub fn detect(head: &[u8], name: &str) -> Self {
        let named = Self::of_name(name);
        let is_skippable = matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
        match head {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0x04, 0x22, 0x4d, 0x18, ..] => Self::Lz4,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => {
                Self::Bzip2
            }
            _ if is_skippable && matches!(named, Self::Zstd | Self::Lz4) => named,
            _ if is_cut_off(head, named.mark()) => named,
            _ => Self::None,
        }
    }

    /// Returns what a file's name says it is.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        match ending.to_ascii_lowercase().as_str() {
            "gz" | "gzip" => Self::Gzip,
            "zst" | "zstd" => Self::Zstd,
            "bz2" | "bzip2" => Self::Bzip2,
            "lz4" => Self::Lz4,
            _ => Self::None,
        }
    }

    /// Returns the bytes a file begins with.
    const fn mark(self) -> &'static [u8] {
        match self {
            Self::None => b"",
            Self::Gzip => &[0x1f, 0x8b, 8],
            Self::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
            Self::Bzip2 => b"BZh",
            Self::Lz4 => &[0x04, 0x22, 0x4d, 0x18],
        }
    }

    /// Returns the word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Lz4 => "lz4",
        }
    }
}

/// Whether a file is too short to tell by itself, but begins as this mark does.
fn is_cut_off(head: &[u8], mark: &[u8]) -> bool {
    let is_alike = mark.starts_with(head) || head.starts_with(mark);
    !mark.is_empty() && !head.is_empty() && head.len() < MARK_BYTES && is_alike
}

/// Unpacks a file as its bytes come.
pub struct Unpacker {
    name: String,
    layers: Vec<Layer>,
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacker").field("layers", &self.layers.len()).finish_non_exhaustive()
    }
}

impl Unpacker {
    /// Creates an unpacker for the file `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), layers: vec![Layer::default()] }
    }

    /// Unpacks `bytes` and hands on what comes of them, a bounded piece at a time.
    ///
    /// # Errors
    /// [`FileProblem::Damaged`], or what `each` returns.
    pub fn push<E: From<FileProblem>>(
        &mut self,
        bytes: &[u8],
        each: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.layer(0, bytes, false, each)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`FileProblem::Damaged`]: it was cut off. Or what `each` returns.
    pub fn finish<E: From<FileProblem>>(
        &mut self,
        each: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for index in 0..LAYERS_MAX {
            // A short layer is only told now, and may bring another one.
            self.layer(index, &[], true, each)?;
            let Some(layer) = self.layers.get_mut(index) else { break };
            let mut out = Vec::new();
            layer.finish(&mut out)?;
            if !out.is_empty() {
                self.layer(index + 1, &out, false, each)?;
            }
        }
        Ok(())
    }

    /// Pushes bytes into a layer, and what it unpacks into the next one.
    fn layer<E: From<FileProblem>>(
        &mut self,
        index: usize,
        bytes: &[u8],
        is_end: bool,
        each: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(layer) = self.layers.get_mut(index) else { return Ok(()) };
        let head;
        let mut bytes = bytes;
        if layer.codec.is_none() {
            layer.head.extend_from_slice(bytes);
            if layer.head.len() < MARK_BYTES && !is_end {
                return Ok(());
            }
            head = std::mem::take(&mut layer.head);
            let kind = Compression::detect(&head, &self.name);
            layer.open(kind).map_err(|error| layer.damaged(&error))?;
            bytes = &head;
            if kind != Compression::None {
                // The layer inside is told by its own name.
                let inner = self.name.rsplit_once('.').map_or("", |(stem, _)| stem);
                if Compression::of_name(&self.name) == kind {
                    self.name = inner.to_owned();
                }
                if LAYERS_MAX <= index + 1 {
                    return Err(FileProblem::Layers { max: LAYERS_MAX }.into());
                }
                self.layers.push(Layer::default());
            }
        }
        if self.layers[index].kind == Compression::None {
            return if bytes.is_empty() { Ok(()) } else { each(bytes) };
        }
        let mut out = Vec::new();
        loop {
            out.clear();
            let used = self.layers[index].step(bytes, &mut out)?;
            if used == 0 && out.is_empty() {
                let error = io::Error::other("it does not go on");
                let is_done = bytes.is_empty();
                return if is_done {
                    Ok(())
                } else {
                    Err(self.layers[index].damaged(&error).into())
                };
            }
            bytes = bytes.get(used..).unwrap_or_default();
            if !out.is_empty() {
                self.layer(index + 1, &out, false, each)?;
            }
            // A full step may have more behind it although all bytes are used.
            if bytes.is_empty() && out.len() < STEP_BYTES {
                break;
            }
        }
        Ok(())
    }
}

/// One packing.
struct Layer {
    kind: Compression,
    codec: Option<Codec>,
    /// The first bytes, until they tell what it is.
    head: Vec<u8>,
    /// Packed bytes used.
    offset: u64,
}

impl Default for Layer {
    fn default() -> Self {
        Self { kind: Compression::None, codec: None, head: Vec::new(), offset: 0 }
    }
}

enum Codec {
    None,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd { decoder: Decoder<'static>, is_open: bool },
    Bzip2 { stream: Decompress, is_open: bool },
    Lz4(Box<Lz4>),
}

impl Layer {
    fn open(&mut self, kind: Compression) -> io::Result<()> {
        self.kind = kind;
        self.codec = Some(match kind {
            Compression::None => Codec::None,
            Compression::Gzip => Codec::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Compression::Zstd => Codec::Zstd { decoder: Decoder::new()?, is_open: false },
            Compression::Bzip2 => Codec::Bzip2 { stream: Decompress::new(false), is_open: false },
            Compression::Lz4 => Codec::Lz4(Box::default()),
        });
        Ok(())
    }

    /// Uses some of `input`, at least a byte unless it brought output; returns how much.
    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, FileProblem> {
        let used = match &mut self.codec {
            Some(Codec::Gzip(decoder)) => gzip_step(decoder, input, out),
            Some(Codec::Zstd { decoder, is_open }) => zstd_step(decoder, is_open, input, out),
            Some(Codec::Bzip2 { stream, is_open }) => bzip2_step(stream, is_open, input, out),
            Some(Codec::Lz4(decoder)) => decoder.step(input, out),
            Some(Codec::None) | None => Ok(input.len()),
        };
        let used = used.map_err(|error| self.damaged(&error))?;
        self.offset += used as u64;
        Ok(used)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), FileProblem> {
        let is_whole = match &mut self.codec {
            Some(Codec::Gzip(decoder)) => {
                let ended = decoder.try_finish();
                out.append(decoder.get_mut());
                ended.is_ok()
            }
            Some(Codec::Zstd { is_open, .. } | Codec::Bzip2 { is_open, .. }) => !*is_open,
            Some(Codec::Lz4(decoder)) => decoder.is_at_end(),
            Some(Codec::None) | None => true,
        };
        if is_whole { Ok(()) } else { Err(self.damaged(&io::Error::other("it is cut off"))) }
    }

    fn damaged(&self, error: &io::Error) -> FileProblem {
        FileProblem::Damaged {
            compression: self.kind.as_str(),
            offset: self.offset,
            reason: error.to_string(),
        }
    }
}

fn gzip_step(
    decoder: &mut MultiGzDecoder<Vec<u8>>,
    input: &[u8],
    out: &mut Vec<u8>,
) -> io::Result<usize> {
    let used = decoder.write(input)?;
    out.append(decoder.get_mut());
    Ok(used)
}

fn zstd_step(
    decoder: &mut Decoder<'_>,
    is_open: &mut bool,
    input: &[u8],
    out: &mut Vec<u8>,
) -> io::Result<usize> {
    if input.is_empty() && !*is_open {
        return Ok(0);
    }
    out.resize(STEP_BYTES, 0);
    let mut source = InBuffer::around(input);
    let mut target = OutBuffer::around(out.as_mut_slice());
    let left = decoder.run(&mut source, &mut target)?;
    let (used, written) = (source.pos(), target.pos());
    out.truncate(written);
    // Nothing is left of a frame; the next one, if there is one, begins by itself.
    *is_open = left != 0;
    Ok(used)
}

fn bzip2_step(
    stream: &mut Decompress,
    is_open: &mut bool,
    input: &[u8],
    out: &mut Vec<u8>,
) -> io::Result<usize> {
    if !*is_open {
        if input.is_empty() {
            return Ok(0);
        }
        *stream = Decompress::new(false);
        *is_open = true;
    }
    out.reserve(STEP_BYTES);
    let before = stream.total_in();
    let status = stream.decompress_vec(input, out)?;
    *is_open = status != Status::StreamEnd;
    // A piece of `input`, whose length is a `usize`.
    Ok(usize::try_from(stream.total_in() - before).unwrap_or(input.len()))
}
