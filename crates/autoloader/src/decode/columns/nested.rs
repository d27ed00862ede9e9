//! Columns with columns inside: structs, lists and maps.
//!
//! A nested value fits whole or not at all. What was appended inside before a misfit showed stays
//! behind a null, where nothing reads it. Fields and elements inside are nullable, as Spark has it.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, ListArray, MapArray, NullBufferBuilder, StringBuilder, StructArray},
    buffer::{OffsetBuffer, ScalarBuffer},
    datatypes::{DataType, FieldRef, Fields},
};

use super::{ColumnBuilder, Fit, Rules, VALUE_BYTES, leaves, string};
use crate::decode::scan::{FieldIndex, Parts, RowScan, Shape, Value};

/// Bytes that the elements of a list or map may take, as [`VALUE_BYTES`] counts them: the longest
/// record there is holds no more numbers, but it may hold empty objects of many members.
const ELEMENTS_BYTES_MAX: usize = 256 << 20;

/// A column with columns inside.
#[derive(Debug)]
pub(crate) enum Nested {
    Struct(StructColumn),
    List(ListColumn),
    Map(MapColumn),
}

impl Nested {
    /// Creates a column of a nested Arrow type; `None` for other types.
    pub(super) fn of(data_type: &DataType, is_case_sensitive: bool) -> Option<Self> {
        match data_type {
            DataType::Struct(fields) if fields.iter().all(|field| field.is_nullable()) => {
                StructColumn::new(fields, is_case_sensitive).map(Self::Struct)
            }
            DataType::List(field) if field.is_nullable() => Some(Self::List(ListColumn {
                field: Arc::clone(field),
                elements: ColumnBuilder::of(field.data_type(), is_case_sensitive)?,
                slots: Slots::of(field.data_type()),
            })),
            // Keys of JSON objects are text.
            DataType::Map(entries, false) => {
                let DataType::Struct(fields) = entries.data_type() else { return None };
                let [key, value] = fields.iter().as_slice() else { return None };
                (key.data_type() == &DataType::Utf8 && value.is_nullable()).then_some(())?;
                Some(Self::Map(MapColumn {
                    entries: Arc::clone(entries),
                    keys: StringBuilder::new(),
                    values: ColumnBuilder::of(value.data_type(), is_case_sensitive)?,
                    slots: Slots::of(value.data_type()),
                }))
            }
            _ => None,
        }
    }

    pub(super) fn append_null(&mut self) {
        match self {
            Self::Struct(column) => column.append_null(),
            Self::List(column) => column.slots.close(0, false),
            Self::Map(column) => column.slots.close(0, false),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Struct(column) => column.nulls.len(),
            Self::List(column) => column.slots.nulls.len(),
            Self::Map(column) => column.slots.nulls.len(),
        }
    }

    /// Appends one JSON value that is not null, or null if it does not fit.
    pub(super) fn append_json(
        &mut self,
        value: Value,
        text: &str,
        rules: &Rules,
        scratch: &mut String,
    ) -> Fit {
        let is_object = value.span.of(text).starts_with('{');
        let fits = value.shape == Shape::Nested && is_object != matches!(self, Self::List(_));
        if !fits {
            self.append_null();
            return Fit::Misfit;
        }
        match self {
            Self::Struct(column) => column.append(value, text, rules, scratch),
            Self::List(column) => column.append(value, text, rules, scratch),
            Self::Map(column) => column.append(value, text, rules, scratch),
        }
    }

    pub(super) fn elements_bytes(&self) -> usize {
        match self {
            Self::Struct(column) => column.children.iter().map(ColumnBuilder::elements_bytes).sum(),
            Self::List(column) => column.slots.bytes + column.elements.elements_bytes(),
            Self::Map(column) => column.slots.bytes + column.values.elements_bytes(),
        }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Struct(column) => column.finish(),
            Self::List(column) => {
                let (offsets, nulls) = column.slots.finish();
                let field = Arc::clone(&column.field);
                Arc::new(ListArray::new(field, offsets, column.elements.finish(), nulls))
            }
            Self::Map(column) => column.finish(),
        }
    }
}

/// A struct: its fields by name, whatever their order.
#[derive(Debug)]
pub(crate) struct StructColumn {
    fields: Fields,
    index: FieldIndex,
    scan: RowScan,
    children: Vec<ColumnBuilder>,
    nulls: NullBufferBuilder,
}

impl StructColumn {
    fn new(fields: &Fields, is_case_sensitive: bool) -> Option<Self> {
        let names = fields.iter().map(|field| field.name().as_str());
        let index = FieldIndex::with_case(names, is_case_sensitive);
        let children = fields
            .iter()
            .map(|field| ColumnBuilder::of(field.data_type(), is_case_sensitive))
            .collect::<Option<_>>()?;
        Some(Self {
            fields: fields.clone(),
            scan: RowScan::new(&index),
            index,
            children,
            nulls: NullBufferBuilder::new(0),
        })
    }

    fn append_null(&mut self) {
        for child in &mut self.children {
            child.append_null();
        }
        self.nulls.append_null();
    }

    fn append(&mut self, value: Value, text: &str, rules: &Rules, scratch: &mut String) -> Fit {
        // Scanned before as a whole: what is left to fail is the number of its fields.
        if self.scan.scan(&self.index, text, value.span.start).is_err() {
            self.append_null();
            return Fit::Misfit;
        }
        let mut worst = Worst::new(!self.scan.extra.is_empty());
        for (child, slot) in self.children.iter_mut().zip(&self.scan.slots) {
            match slot {
                Some(member) => worst.note(child.append_json(member.value, text, rules, scratch)),
                None => child.append_null(),
            }
        }
        self.nulls.append(!worst.is_misfit);
        worst.fit()
    }

    fn finish(&mut self) -> ArrayRef {
        let rows = self.nulls.len();
        let nulls = self.nulls.finish();
        let arrays: Vec<_> = self.children.iter_mut().map(ColumnBuilder::finish).collect();
        if arrays.is_empty() {
            return Arc::new(StructArray::new_empty_fields(rows, nulls));
        }
        Arc::new(StructArray::new(self.fields.clone(), arrays, nulls))
    }
}

/// A list.
#[derive(Debug)]
pub(crate) struct ListColumn {
    field: FieldRef,
    elements: ColumnBuilder,
    slots: Slots,
}

impl ListColumn {
    fn append(&mut self, value: Value, text: &str, rules: &Rules, scratch: &mut String) -> Fit {
        let mut worst = Worst::new(false);
        let mut count = 0;
        for element in Parts::of(text, value.span) {
            if !self.slots.take_element() {
                worst.note(Fit::Misfit);
                break;
            }
            worst.note(self.elements.append_json(element.value, text, rules, scratch));
            count += 1;
        }
        self.slots.close(count, !worst.is_misfit);
        worst.fit()
    }
}

/// A map from text.
#[derive(Debug)]
pub(crate) struct MapColumn {
    entries: FieldRef,
    keys: StringBuilder,
    values: ColumnBuilder,
    slots: Slots,
}

impl MapColumn {
    fn append(&mut self, value: Value, text: &str, rules: &Rules, scratch: &mut String) -> Fit {
        let mut worst = Worst::new(false);
        let mut count = 0;
        for member in Parts::of(text, value.span) {
            if !self.slots.take_element() {
                worst.note(Fit::Misfit);
                break;
            }
            // Unescaping a key without escapes changes nothing.
            let key = Value { span: member.key, shape: Shape::Escaped, short: None };
            match string(key, text, scratch) {
                Some(key) => self.keys.append_value(key),
                None => {
                    self.keys.append_value("");
                    worst.note(Fit::Misfit);
                }
            }
            worst.note(self.values.append_json(member.value, text, rules, scratch));
            count += 1;
        }
        self.slots.close(count, !worst.is_misfit);
        worst.fit()
    }

    fn finish(&mut self) -> ArrayRef {
        let (offsets, nulls) = self.slots.finish();
        let DataType::Struct(fields) = self.entries.data_type() else {
            unreachable!("checked when the column was created");
        };
        let arrays: Vec<ArrayRef> = vec![Arc::new(self.keys.finish()), self.values.finish()];
        let entries = StructArray::new(fields.clone(), arrays, None);
        Arc::new(MapArray::new(Arc::clone(&self.entries), offsets, entries, nulls, false))
    }
}

/// Where each list of a column ends, and which are null.
#[derive(Debug)]
struct Slots {
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
    /// Bytes that all elements take, and that one does at least.
    bytes: usize,
    element_bytes: usize,
}

impl Slots {
    fn of(elements: &DataType) -> Self {
        let element_bytes = leaves(elements).saturating_mul(VALUE_BYTES);
        Self { ends: vec![0], nulls: NullBufferBuilder::new(0), bytes: 0, element_bytes }
    }

    /// Counts an element that is about to be appended; returns whether there is room for it.
    fn take_element(&mut self) -> bool {
        self.bytes = self.bytes.saturating_add(self.element_bytes);
        self.bytes <= ELEMENTS_BYTES_MAX
    }

    /// Ends a list of `count` elements.
    fn close(&mut self, count: i32, is_valid: bool) {
        let last = self.ends.last().copied().unwrap_or_default();
        // A stretch has far fewer bytes than 31 bits count, and an element has one at least.
        self.ends.push(last.saturating_add(count));
        self.nulls.append(is_valid);
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Option<arrow::buffer::NullBuffer>) {
        self.bytes = 0;
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        (OffsetBuffer::new(ScalarBuffer::from(ends)), self.nulls.finish())
    }
}

/// What the parts of a nested value say about the whole.
struct Worst {
    is_partly: bool,
    is_misfit: bool,
}

impl Worst {
    const fn new(is_partly: bool) -> Self {
        Self { is_partly, is_misfit: false }
    }

    fn note(&mut self, fit: Fit) {
        self.is_partly |= fit == Fit::Partly;
        self.is_misfit |= fit == Fit::Misfit;
    }

    const fn fit(&self) -> Fit {
        match self {
            Self { is_misfit: true, .. } => Fit::Misfit,
            Self { is_partly: true, .. } => Fit::Partly,
            _ => Fit::Kept(None),
        }
    }
}
