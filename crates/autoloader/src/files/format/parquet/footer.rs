//! What is checked of a Parquet file before a library follows its word.
//!
//! The library builds a schema by calling itself, and takes for granted that columns lie in the
//! file. A file that says otherwise would end the process and not only its own reading.

use parquet::file::{
    metadata::{ColumnChunkMetaData, RowGroupMetaData},
    reader::Length as _,
};

use super::Blocks;

/// Largest footer that is read: thousands of columns in thousands of row groups.
const FOOTER_BYTES_MAX: u32 = 64 << 20;

/// Deepest schema that is read. A list in a list takes two levels each time, a map three.
const DEPTH_MAX: usize = 200;

/// Deepest structs of the footer beside the schema, which is flat: what is deeper is no footer.
const STRUCTS_MAX: usize = 16;

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

/// Bytes of Thrift's compact protocol that are not yet read.
struct Thrift<'a>(&'a [u8]);

impl Thrift<'_> {
    /// Returns how deep the schema is; `None` if these are no bytes of a footer.
    fn schema_depth(&mut self) -> Option<usize> {
        let mut field = 0;
        loop {
            let kind = self.field(&mut field)?;
            match (field, kind) {
                (_, STOP) => return None,
                (2, LIST) => break,
                _ => self.skip(kind, STRUCTS_MAX)?,
            }
        }
        let (count, kind) = self.list()?;
        if kind != STRUCT {
            return None;
        }
        // Of each group that is open, how many of its children are still to come.
        let (mut open, mut deepest): (Vec<u64>, usize) = (Vec::new(), 0);
        for _ in 0..count {
            let children = self.children()?;
            if let Some(left) = open.last_mut() {
                *left = left.checked_sub(1)?;
            }
            if children != 0 {
                open.push(children);
                deepest = deepest.max(open.len());
            }
            while open.last() == Some(&0) {
                open.pop();
            }
        }
        Some(deepest)
    }

    /// Reads an element of the schema; returns how many children it has.
    fn children(&mut self) -> Option<u64> {
        let (mut field, mut children) = (0, 0);
        loop {
            match self.field(&mut field)? {
                STOP => return Some(children),
                I32 if field == 5 => {
                    let number = self.number()?;
                    // Zigzag: odd numbers are negative.
                    children = (number % 2 == 0).then_some(number / 2)?;
                }
                kind => self.skip(kind, STRUCTS_MAX)?,
            }
        }
    }

    /// Reads the head of a field; returns its kind.
    fn field(&mut self, field: &mut i64) -> Option<u8> {
        let head = self.byte()?;
        if head == STOP {
            return Some(STOP);
        }
        *field = match head >> 4 {
            0 => {
                let number = self.number()?;
                i64::try_from(number >> 1).ok()? ^ -i64::from(number % 2 == 1)
            }
            delta => field.checked_add(delta.into())?,
        };
        Some(head & 0x0f)
    }

    /// Reads the head of a list; returns the count and the kind of its elements.
    fn list(&mut self) -> Option<(u64, u8)> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.number()?,
            count => count.into(),
        };
        // Each element is a byte at least, so the count cannot be more than what is left.
        (count <= self.0.len() as u64).then_some((count, head & 0x0f))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            1 | 2 => Some(()),
            3 => self.skip_bytes(1),
            4..=6 => self.number().map(drop),
            7 => self.skip_bytes(8),
            8 => {
                let length = self.number()?;
                self.skip_bytes(length)
            }
            LIST | 10 => {
                let (count, kind) = self.list()?;
                for _ in 0..count {
                    match kind {
                        // In a list a truth value is a byte, in a field it is the kind.
                        1 | 2 => self.skip_bytes(1)?,
                        kind => self.skip(kind, depth)?,
                    }
                }
                Some(())
            }
            STRUCT => {
                let mut field = 0;
                loop {
                    match self.field(&mut field)? {
                        STOP => return Some(()),
                        kind => self.skip(kind, depth)?,
                    }
                }
            }
            _ => None,
        }
    }

    fn skip_bytes(&mut self, count: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

const STOP: u8 = 0;
const I32: u8 = 5;
const LIST: u8 = 9;
const STRUCT: u8 = 12;
