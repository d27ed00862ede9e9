//! Batches cut so that what becomes of them is small, whatever the file packed into few bytes.
//!
//! A column of long texts that repeat is short in its file, and in memory too as long as its texts
//! are views of the one that repeats. In a table each is a text of its own.

use std::ops::Range;

use arrow::{
    array::{Array, ArrayRef, AsArray, StructArray},
    datatypes::DataType,
};

use crate::files::format::stretches::STRETCH_BYTES_MAX;

/// Returns the rows of each piece, in order. Each row costs `row_bytes` beside its values.
pub(super) fn pieces(batch: &StructArray, row_bytes: usize) -> Vec<Range<usize>> {
    let mut done = Vec::new();
    // Halves of halves: as many steps as rows have bits, and the pieces there are.
    let mut open = Vec::new();
    open.push(0..batch.len());
    while let Some(rows) = open.pop() {
        let size = rows.len();
        if size == 0 {
            continue;
        }
        let bytes = bytes(&batch.slice(rows.start, size));
        let bytes = bytes.saturating_add(size.saturating_mul(row_bytes));
        // A piece of one row is as small as a piece can be.
        if size == 1 || bytes <= STRETCH_BYTES_MAX {
            done.push(rows);
            continue;
        }
        let middle = rows.start + size / 2;
        open.push(middle..rows.end);
        open.push(rows.start..middle);
    }
    done
}

fn bytes(batch: &StructArray) -> usize {
    batch.columns().iter().map(expanded).fold(0, usize::saturating_add)
}

/// Returns how many bytes the values have when each is its own.
fn expanded(array: &ArrayRef) -> usize {
    let rows = array.len();
    let inside = |offsets: &[i32], values: &ArrayRef| {
        let at = |offset: Option<&i32>| {
            offset.and_then(|offset| usize::try_from(*offset).ok()).unwrap_or_default()
        };
        let (first, last) = (at(offsets.first()), at(offsets.last()));
        expanded(&values.slice(first, last - first))
    };
    let values = match array.data_type() {
        // A field that was not read.
        DataType::Null => return 0,
        DataType::Utf8View => lengths(array.as_string_view().views()),
        DataType::BinaryView => lengths(array.as_binary_view().views()),
        DataType::Utf8 => span(array.as_string::<i32>().value_offsets()),
        DataType::Binary => span(array.as_binary::<i32>().value_offsets()),
        DataType::Struct(_) => bytes(array.as_struct()),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            inside(list.value_offsets(), list.values())
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let entries = map.entries();
            entries
                .columns()
                .iter()
                .map(|values| inside(map.value_offsets(), values))
                .fold(0, usize::saturating_add)
        }
        DataType::FixedSizeBinary(width) => {
            rows.saturating_mul(usize::try_from(*width).unwrap_or_default())
        }
        other => rows.saturating_mul(other.primitive_width().unwrap_or(16)),
    };
    // Offsets, and the marks of what is null.
    values.saturating_add(rows.saturating_mul(4))
}

/// The lower half of a view's first word is its length, null or not.
fn lengths(views: &[u128]) -> usize {
    let length = |view: &u128| usize::try_from(view & u128::from(u32::MAX)).unwrap_or_default();
    views.iter().map(length).fold(0, usize::saturating_add)
}

fn span(offsets: &[i32]) -> usize {
    let at = |offset: Option<&i32>| offset.copied().unwrap_or_default();
    usize::try_from(at(offsets.last()) - at(offsets.first())).unwrap_or_default()
}
