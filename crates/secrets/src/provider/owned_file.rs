//! Reads a file that belongs to its owner alone.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use zeroize::Zeroizing;

/// Every permission of group and others.
pub(super) const MODE_OTHERS: u32 = 0o077;

/// Why a file must not be used.
#[derive(Debug)]
pub(super) enum Problem {
    NotAFile,
    OpenToOthers { mode: u32 },
    TooLarge,
    Io(io::Error),
}

/// The bytes of a file, and what is known of it.
pub(super) type Content = (Zeroizing<Vec<u8>>, Metadata);

/// Returns the bytes of a file and what is known of it, or `None` when there is none.
pub(super) fn read(path: &Path, bytes_max: usize) -> Result<Option<Content>, Problem> {
    // Type and mode are read before opening, for a FIFO would block the open, and the mode
    // again from the open file, so that nobody can swap the file between check and read.
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Problem::Io(error)),
    };
    if !metadata.is_file() {
        return Err(Problem::NotAFile);
    }
    let file = match File::open(path) {
        Ok(file) => file,
        // A file that was replaced in this very moment is there again in the next.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Problem::Io(error)),
    };
    let metadata = file.metadata().map_err(Problem::Io)?;
    let mode = metadata.permissions().mode();
    if mode & MODE_OTHERS != 0 {
        return Err(Problem::OpenToOthers { mode: mode & 0o777 });
    }
    // The capacity is never exceeded, so that no copy of the value is left behind by growing.
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size.min(bytes_max) + 2));
    // One byte more than allowed tells a file at the limit from one above it.
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(Problem::Io)?;
    if bytes_max < bytes.len() { Err(Problem::TooLarge) } else { Ok(Some((bytes, metadata))) }
}
