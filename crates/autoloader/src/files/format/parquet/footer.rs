//! What is checked of a Parquet file before a library follows its word.
//!
//! The library builds a schema by calling itself, and takes for granted that columns lie in the
//! file. A file that says otherwise would end the process and not only its own reading.

use parquet::file::{
    metadata::{ColumnChunkMetaData, RowGroupMetaData},
    reader::Length as _,
};

use super::{Blocks, thrift::Thrift};

/// Largest footer that is read: thousands of columns in thousands of row groups.
const FOOTER_BYTES_MAX: u32 = 64 << 20;

/// Deepest schema that is read. A list in a list takes two levels each time, a map three.
const DEPTH_MAX: usize = 200;

/// Checks the end of the file, and how deep its schema is.
pub(super) fn check(file: &Blocks) -> Result<(), String> {
    let size = file.len();
    let end = size.checked_sub(8).filter(|end| 4 <= *end);
    let end = end.ok_or_else(|| format!("it has {size} bytes, which is too short"))?;
    let tail = file.range(end, 8).map_err(|error| error.to_string())?;
    let (length, magic) = tail.split_at_checked(4).unwrap_or_default();
    if magic == b"PARE" {
        return Err("it is encrypted".to_owned());
    }
    if magic != b"PAR1" {
        return Err(
            "it does not end as a Parquet file does; it may not be written to its end".into()
        );
    }
    let length = length.try_into().map(u32::from_le_bytes).unwrap_or(u32::MAX);
    if FOOTER_BYTES_MAX < length || end < u64::from(length) {
        return Err(format!("its footer would have {length} bytes"));
    }
    let footer = file.range(end - u64::from(length), length.into());
    let footer = footer.map_err(|error| error.to_string())?;
    let depth = Thrift(&footer).schema_depth();
    let depth = depth.ok_or("its footer is damaged")?;
    if DEPTH_MAX < depth {
        return Err(format!("its schema is nested more than {DEPTH_MAX} times"));
    }
    Ok(())
}

/// Checks that columns lie in the file.
pub(super) fn check_places(group: &RowGroupMetaData, file: &Blocks) -> Result<(), String> {
    let is_inside = |column: &ColumnChunkMetaData| {
        let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
        let is_before = 0 <= start && 0 <= column.data_page_offset();
        let end = start.checked_add(column.compressed_size());
        let end = end.and_then(|end| u64::try_from(end).ok());
        is_before && 0 <= column.compressed_size() && end.is_some_and(|end| end <= file.len())
    };
    match group.columns().iter().find(|column| !is_inside(column)) {
        None => Ok(()),
        Some(column) => Err(format!("column `{}` lies outside of it", column.column_path())),
    }
}
