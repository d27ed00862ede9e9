//! How the blocks of an Avro file are packed.

use std::io::Read;

/// A codec, as the header names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Null,
    Deflate,
    Snappy,
    Zstandard,
    Bzip2,
    Xz,
}

impl Codec {
    pub(super) fn named(name: &[u8]) -> Result<Self, String> {
        Ok(match name {
            b"null" | b"" => Self::Null,
            b"deflate" => Self::Deflate,
            b"snappy" => Self::Snappy,
            b"zstandard" => Self::Zstandard,
            b"bzip2" => Self::Bzip2,
            b"xz" => Self::Xz,
            other => {
                let other = String::from_utf8_lossy(other);
                return Err(format!("its codec `{other}` is not one that is read"));
            }
        })
    }

    /// Unpacks a block into at most so many bytes.
    pub(super) fn unpack(self, packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, String> {
        match self {
            Self::Null => Ok(packed.to_vec()),
            Self::Deflate => bounded(flate2::read::DeflateDecoder::new(packed), bytes_max),
            Self::Snappy => snappy(packed, bytes_max),
            Self::Zstandard => match zstd::Decoder::with_buffer(packed) {
                Ok(unpacker) => bounded(unpacker, bytes_max),
                Err(error) => Err(error.to_string()),
            },
            Self::Bzip2 => bounded(bzip2::read::BzDecoder::new(packed), bytes_max),
            Self::Xz => bounded(liblzma::read::XzDecoder::new(packed), bytes_max),
        }
    }
}

fn bounded(unpacker: impl Read, bytes_max: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let one_more = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    unpacker.take(one_more).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes_max < bytes.len() { Err(too_large(bytes_max)) } else { Ok(bytes) }
}

/// Snappy's own bytes, then a checksum of what they unpack to.
fn snappy(packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, String> {
    let (packed, sum) = packed.split_last_chunk::<4>().ok_or("a block has no checksum")?;
    let length = snap::raw::decompress_len(packed).map_err(|error| error.to_string())?;
    if bytes_max < length {
        return Err(too_large(bytes_max));
    }
    let bytes = snap::raw::Decoder::new().decompress_vec(packed);
    let bytes = bytes.map_err(|error| error.to_string())?;
    if crc32fast::hash(&bytes) == u32::from_be_bytes(*sum) {
        Ok(bytes)
    } else {
        Err("the checksum of a block is another".to_owned())
    }
}

fn too_large(bytes_max: usize) -> String {
    format!("a block unpacks to more than {bytes_max} bytes")
}
