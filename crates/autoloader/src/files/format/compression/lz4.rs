//! lz4 frames as their bytes come: whole blocks are gathered, then the library unpacks them.

use std::io::{self, Read};

use lz4_flex::frame::FrameDecoder;

/// The largest block of the format, and what surrounds it.
const UNIT_BYTES_MAX: usize = (4 << 20) + 64;

/// A stream of frames.
#[derive(Default)]
pub(super) struct Lz4 {
    /// The frame that is open.
    frame: Option<Frame>,
    /// The beginning of a unit whose end has not come.
    unit: Vec<u8>,
    /// Bytes of a skippable frame still to come.
    skip: u64,
}

struct Frame {
    decoder: FrameDecoder<Queue>,
    /// Largest block, unpacked.
    block_bytes: usize,
    has_block_checksums: bool,
    has_content_checksum: bool,
}

/// Bytes the library may read.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    at: usize,
}

impl Read for Queue {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

/// What the next unit is, once enough of it is there.
enum Unit {
    /// More bytes are needed to tell.
    Unknown(usize),
    /// A frame's head, of this length.
    Head(usize),
    /// A frame to skip: the length of its head and of what follows.
    Skip(u64),
    /// A block, with everything that belongs to it.
    Block(usize),
    /// The mark behind the last block.
    End(usize),
}

impl Lz4 {
    /// Whether no frame is open.
    pub(super) fn is_at_end(&self) -> bool {
        self.frame.is_none() && self.unit.is_empty() && self.skip == 0
    }

    /// Uses bytes up to the end of a unit, and unpacks it.
    pub(super) fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        if self.skip != 0 {
            let used = input.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= used as u64;
            return Ok(used);
        }
        let mut used = 0;
        loop {
            let (needed, unit) = match self.unit()? {
                Unit::Unknown(needed) => (needed, None),
                unit @ (Unit::Head(needed) | Unit::Block(needed) | Unit::End(needed)) => {
                    (needed, Some(unit))
                }
                Unit::Skip(length) => {
                    self.unit.clear();
                    self.skip = length;
                    return Ok(used);
                }
            };
            if UNIT_BYTES_MAX < needed {
                return Err(io::Error::other("a block is larger than 4 MiB"));
            }
            let missing = needed.saturating_sub(self.unit.len());
            let rest = input.get(used..).unwrap_or_default();
            let take = rest.get(..missing.min(rest.len())).unwrap_or_default();
            self.unit.extend_from_slice(take);
            used += take.len();
            if take.len() < missing {
                return Ok(used);
            }
            if let Some(unit) = unit {
                self.unpack(&unit, out)?;
                return Ok(used);
            }
        }
    }

    /// Says what the unit is whose beginning is there.
    fn unit(&self) -> io::Result<Unit> {
        let number = |at: usize| {
            let bytes = self.unit.get(at..at + 4).and_then(|bytes| bytes.first_chunk::<4>());
            bytes.map(|bytes| u32::from_le_bytes(*bytes))
        };
        let Some(first) = number(0) else { return Ok(Unit::Unknown(4)) };
        let Some(frame) = &self.frame else {
            return match first {
                0x184d_2a50..=0x184d_2a5f => Ok(match number(4) {
                    Some(length) => Unit::Skip(u64::from(length)),
                    None => Unit::Unknown(8),
                }),
                0x184d_2204 => Ok(match self.unit.get(4) {
                    // Mark, two bytes of flags, sizes where flags say so, checksum.
                    Some(flags) => Unit::Head(
                        7 + if flags & 8 == 0 { 0 } else { 8 } + if flags & 1 == 0 { 0 } else { 4 },
                    ),
                    None => Unit::Unknown(5),
                }),
                _ => Err(io::Error::other("no frame begins where the one before ends")),
            };
        };
        if first == 0 {
            return Ok(Unit::End(4 + if frame.has_content_checksum { 4 } else { 0 }));
        }
        // The highest bit says that the block is not packed.
        let length = usize::try_from(first & 0x7fff_ffff).unwrap_or(usize::MAX);
        let around = 4 + if frame.has_block_checksums { 4 } else { 0 };
        Ok(Unit::Block(length.saturating_add(around)))
    }

    fn unpack(&mut self, unit: &Unit, out: &mut Vec<u8>) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.unit);
        if let Unit::Head(_) = unit {
            let flags = bytes.get(4).copied().unwrap_or_default();
            self.frame = Some(Frame {
                decoder: FrameDecoder::new(Queue::default()),
                block_bytes: block_bytes(bytes.get(5).copied().unwrap_or_default()),
                has_block_checksums: flags & 16 != 0,
                has_content_checksum: flags & 4 != 0,
            });
        }
        let Some(frame) = &mut self.frame else { return Ok(()) };
        *frame.decoder.get_mut() = Queue { bytes, at: 0 };
        if !matches!(unit, Unit::Head(_)) {
            let start = out.len();
            out.resize(start + frame.block_bytes, 0);
            let mut end = start;
            loop {
                let count = frame.decoder.read(&mut out[end..])?;
                end += count;
                if count == 0 || end == out.len() {
                    break;
                }
            }
            out.truncate(end);
        } else if frame.decoder.read(&mut [0])? != 0 {
            return Err(io::Error::other("a frame's head holds data"));
        }
        if matches!(unit, Unit::End(_)) {
            self.frame = None;
        }
        Ok(())
    }
}

/// Returns how large the blocks of a frame are at most, as its head says. Sizes that there are not
/// are refused by the library.
const fn block_bytes(descriptor: u8) -> usize {
    match (descriptor >> 4) & 7 {
        4 => 64 << 10,
        5 => 256 << 10,
        6 => 1 << 20,
        _ => 4 << 20,
    }
}
