//! Lists: `{1,2}` as text; their size and each item with its length in binary.

use bytes::{BufMut as _, BytesMut};
use lake::datafusion::arrow::{
    array::{Array as _, ArrayRef, AsArray as _, ListArray},
    datatypes::DataType,
    error::ArrowError,
};

use super::{Cells, patch_length};
use crate::postgres::types::PgType;

/// A column of lists whose items are no lists.
pub(super) struct Lists {
    lists: ListArray,
    items: Box<Cells>,
    item: PgType,
    /// An array, in braces and counted from 1; else a vector of the catalog.
    is_array: bool,
}

impl Lists {
    pub(super) fn new(array: &ArrayRef, item: PgType, is_array: bool) -> Result<Self, ArrowError> {
        let lists = array.as_list::<i32>().clone();
        // Numbers keep the scale they have.
        let as_is = match PgType::of_data_type(lists.values().data_type()) {
            numeric @ PgType::Numeric(_) => numeric,
            _ => item,
        };
        let items = Box::new(Cells::new(lists.values(), as_is)?);
        Ok(Self { lists, items, item, is_array })
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.lists.is_null(row)
    }

    fn range(&self, row: usize) -> std::ops::Range<usize> {
        let offsets = self.lists.value_offsets();
        let at = |index: usize| usize::try_from(offsets[index]).unwrap_or_default();
        at(row)..at(row + 1)
    }

    pub(super) fn write_text(&self, row: usize, out: &mut BytesMut) {
        if self.is_array {
            return write_braces(&self.items, self.range(row), false, out);
        }
        let range = self.range(row);
        for index in range.clone() {
            if index > range.start {
                out.put_u8(b' ');
            }
            self.items.write_text(index, out);
        }
    }

    pub(super) fn write_binary(&self, row: usize, out: &mut BytesMut) {
        let range = self.range(row);
        let has_nulls = range.clone().any(|index| self.items.is_null(index));
        out.put_i32(i32::from(!range.is_empty() || !self.is_array));
        out.put_i32(i32::from(has_nulls));
        out.put_u32(self.item.oid());
        if range.is_empty() && self.is_array {
            return;
        }
        out.put_i32(i32::try_from(range.len()).unwrap_or(i32::MAX));
        out.put_i32(i32::from(self.is_array));
        for index in range {
            if self.items.is_null(index) {
                out.put_i32(-1);
                continue;
            }
            let at = out.len();
            out.put_i32(0);
            self.items.write_binary(index, out);
            patch_length(out, at, 4);
        }
    }
}

/// The text of one list, whose items may be lists.
pub(super) fn text(items: &ArrayRef) -> Result<String, ArrowError> {
    let is_nested = matches!(items.data_type(), DataType::List(_) | DataType::LargeList(_));
    let cells = Cells::new(items, PgType::of_data_type(items.data_type()))?;
    let mut out = BytesMut::new();
    write_braces(&cells, 0..items.len(), is_nested, &mut out);
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// `{a,"b c",NULL}`. Items that are lists have their own braces.
fn write_braces(cells: &Cells, range: std::ops::Range<usize>, is_nested: bool, out: &mut BytesMut) {
    out.put_u8(b'{');
    let mut item = BytesMut::new();
    for index in range.clone() {
        if index > range.start {
            out.put_u8(b',');
        }
        if cells.is_null(index) {
            out.put_slice(b"NULL");
            continue;
        }
        item.clear();
        cells.write_text(index, &mut item);
        let text = String::from_utf8_lossy(&item);
        let is_plain = !text.is_empty()
            && !text.eq_ignore_ascii_case("null")
            && !text.contains(['{', '}', ',', '"', '\\', ' ', '\t', '\n', '\r']);
        if is_nested || is_plain {
            out.put_slice(text.as_bytes());
        } else {
            out.put_u8(b'"');
            out.put_slice(text.replace('\\', "\\\\").replace('"', "\\\"").as_bytes());
            out.put_u8(b'"');
        }
    }
    out.put_u8(b'}');
}
