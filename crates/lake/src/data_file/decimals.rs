//! A column chunk of decimals without a dictionary: plain pages, packed straight from the numbers.
//!
//! The library makes a counted reference of its own for each value that is bytes in Parquet, which
//! decimals of more than 18 digits are, and lists of levels for all of them; of a load of prices that
//! was a sixth. A page is the same either way: the runs of what is null, then the values that are not
//! (Parquet format, `Encodings.md`, "Plain" and "RLE/Bit-Packing Hybrid"). Ranges are told of the
//! whole chunk, not of each page: prices in the order of their arrival have much the same in all.

use arrow::{
    array::{Array, BooleanBufferBuilder, Decimal128Array},
    datatypes::DataType,
};
use bytes::{BufMut, Bytes};
use deltalake_core::parquet::{
    basic::{Compression, Encoding, Repetition, Type},
    column::{
        page::{CompressedPage, Page, PageWriter},
        writer::ColumnCloseResult,
    },
    errors::ParquetError,
    file::{
        metadata::ColumnChunkMetaData,
        page_index::offset_index::{OffsetIndexMetaData, PageLocation},
        statistics::Statistics,
        writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite},
    },
    schema::types::ColumnDescPtr,
};

use super::{
    Pieces,
    compression::{PageCompressor, Recurrence, level},
};

/// Rows of a page, as many as the library takes.
const PAGE_ROWS: usize = 20_000;

/// Width of a number before it is packed.
const NUMBER_BYTES: usize = size_of::<i128>();

/// A column of decimals in a row group that grows.
pub(super) struct Column {
    column: ColumnDescPtr,
    form: Form,
    recurrence: Recurrence,
    page: OpenPage,
    /// The pages that are full, and what tells of them.
    chunk: TrackedWrite<Vec<u8>>,
    locations: Vec<PageLocation>,
    uncompressed: usize,
    rows: usize,
    nulls: usize,
    /// The least and the greatest number.
    range: Option<(i128, i128)>,
}

/// How Parquet keeps the numbers of a column.
#[derive(Debug, Clone, Copy)]
enum Form {
    Int32,
    Int64,
    /// So many bytes, the highest first.
    Bytes(usize),
}

/// The page that rows are being added to.
struct OpenPage {
    /// Which rows have a value; in a column of which all must, not kept.
    present: Option<BooleanBufferBuilder>,
    values: Vec<u8>,
    rows: usize,
    nulls: usize,
}

/// Digits from which on a decimal is bytes in Parquet, and no number.
const BYTES_DIGITS: u8 = 19;

/// Whether a column is packed here, for the library would keep no dictionary of it: of decimals that are
/// bytes it never does, and of others not while their values are new.
pub(super) fn is_packed(data_type: &DataType, recurrence: Recurrence) -> bool {
    match data_type {
        DataType::Decimal128(BYTES_DIGITS.., _) => true,
        DataType::Decimal128(..) => recurrence == Recurrence::New,
        _ => false,
    }
}

impl Column {
    /// Begins a column of a row group.
    pub(super) fn new(column: ColumnDescPtr, recurrence: Recurrence) -> Self {
        let form = match column.physical_type() {
            Type::INT32 => Form::Int32,
            Type::INT64 => Form::Int64,
            _ => Form::Bytes(usize::try_from(column.type_length()).unwrap_or(NUMBER_BYTES)),
        };
        let is_optional = column.self_type().get_basic_info().repetition() == Repetition::OPTIONAL;
        let present = is_optional.then(|| BooleanBufferBuilder::new(PAGE_ROWS));
        Self {
            page: OpenPage { present, values: Vec::new(), rows: 0, nulls: 0 },
            column,
            form,
            recurrence,
            chunk: TrackedWrite::new(Vec::new()),
            locations: Vec::new(),
            uncompressed: 0,
            rows: 0,
            nulls: 0,
            range: None,
        }
    }

    /// Adds rows.
    pub(super) fn push(
        &mut self,
        rows: &Decimal128Array,
        compressor: &mut PageCompressor,
    ) -> Result<(), ParquetError> {
        let mut start = 0;
        while start < rows.len() {
            let taken = (rows.len() - start).min(PAGE_ROWS - self.page.rows);
            self.pack(&rows.slice(start, taken));
            if self.page.rows == PAGE_ROWS {
                self.end_page(compressor)?;
            }
            start += taken;
        }
        Ok(())
    }

    /// Returns how large the chunk is, about.
    pub(super) fn bytes(&self) -> usize {
        self.chunk.bytes_written() + self.page.values.len()
    }

    /// Returns what the column takes in memory.
    pub(super) fn memory(&self) -> usize {
        self.chunk.inner().capacity() + self.page.values.capacity()
    }

    fn pack(&mut self, rows: &Decimal128Array) {
        let page = &mut self.page;
        page.rows += rows.len();
        page.nulls += rows.null_count();
        if let Some(present) = &mut page.present {
            match rows.nulls() {
                Some(nulls) => present.append_buffer(nulls.inner()),
                None => present.append_n(rows.len(), true),
            }
        }
        if rows.null_count() == 0 {
            self.form.pack(rows.values(), &mut page.values);
            self.widen(rows.values());
        } else {
            let values: Vec<i128> = rows.iter().flatten().collect();
            self.form.pack(&values, &mut page.values);
            self.widen(&values);
        }
    }

    /// Bytes have no range: few files are searched by them, and comparing takes longer than packing.
    fn widen(&mut self, values: &[i128]) {
        if matches!(self.form, Form::Bytes(_)) {
            return;
        }
        let (least, most) = (values.iter().min().copied(), values.iter().max().copied());
        let seen = least.zip(most).into_iter().chain(self.range);
        self.range = seen.reduce(|(a, b), (c, d)| (a.min(c), b.max(d)));
    }

    fn end_page(&mut self, compressor: &mut PageCompressor) -> Result<(), ParquetError> {
        let page = &mut self.page;
        let mut plain = Vec::with_capacity(page.values.len() + page.rows / 8 + 16);
        if let Some(present) = &mut page.present {
            levels(&mut plain, present, page.nulls);
        }
        // Given back, not kept: of many open files most wait long for their next page.
        plain.append(&mut std::mem::take(&mut page.values));
        // A group's first page tells for the rest: a sample of the file's first rows may have erred, and
        // rows change.
        let compressed = if self.recurrence == Recurrence::New && self.locations.is_empty() {
            let (compressed, recurrence) = compressor.try_both(&plain)?;
            self.recurrence = recurrence;
            compressed
        } else {
            compressor.compress(&plain, self.recurrence)?
        };
        let data = Page::DataPage {
            buf: Bytes::from(compressed),
            num_values: u32::try_from(page.rows).unwrap_or(u32::MAX),
            encoding: Encoding::PLAIN,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let data = CompressedPage::new(data, plain.len());
        let written = SerializedPageWriter::new(&mut self.chunk).write_page(data)?;
        self.locations.push(PageLocation {
            offset: signed(written.offset),
            compressed_page_size: i32::try_from(written.bytes_written).unwrap_or(i32::MAX),
            first_row_index: signed(self.rows),
        });
        self.uncompressed += written.uncompressed_size;
        self.rows += page.rows;
        self.nulls += page.nulls;
        (page.rows, page.nulls) = (0, 0);
        Ok(())
    }

    /// Ends the column and adds it to its row group.
    pub(super) fn append(
        mut self,
        group: &mut SerializedRowGroupWriter<'_, Pieces>,
        compressor: &mut PageCompressor,
    ) -> Result<(), ParquetError> {
        if 0 < self.page.rows {
            self.end_page(compressor)?;
        }
        let bytes = self.chunk.into_inner()?;
        let metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(Compression::ZSTD(level()))
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE])
            .set_num_values(signed(self.rows))
            .set_total_compressed_size(signed(bytes.len()))
            .set_total_uncompressed_size(signed(self.uncompressed))
            .set_data_page_offset(0)
            .set_statistics(statistics(self.form, self.range, self.nulls));
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows as u64,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(OffsetIndexMetaData {
                page_locations: self.locations,
                unencoded_byte_array_data_bytes: None,
            }),
        };
        group.append_column(&Bytes::from(bytes), close)
    }
}

impl Form {
    /// Adds numbers to the values of a page.
    fn pack(self, numbers: &[i128], values: &mut Vec<u8>) {
        // The precision that the form was chosen by keeps every number within it.
        match self {
            Self::Int32 => pack(numbers, values, 4, |number| number.to_le_bytes()),
            Self::Int64 => pack(numbers, values, 8, |number| number.to_le_bytes()),
            Self::Bytes(width) => {
                let unused = 8 * (NUMBER_BYTES - width.min(NUMBER_BYTES));
                pack(numbers, values, width, |number| (number << unused).to_be_bytes());
            }
        }
    }
}

/// Adds the first `width` bytes of each number's. Each is written whole, and the next one over the
/// end of it, for sixteen bytes are moved at once, and nine are not.
fn pack(
    numbers: &[i128],
    values: &mut Vec<u8>,
    width: usize,
    bytes_of: impl Fn(i128) -> [u8; NUMBER_BYTES],
) {
    let start = values.len();
    let end = start + numbers.len() * width;
    values.resize(end + NUMBER_BYTES, 0);
    for (number, at) in numbers.iter().zip((start..).step_by(width)) {
        values[at..at + NUMBER_BYTES].copy_from_slice(&bytes_of(*number));
    }
    values.truncate(end);
}

/// Writes which rows of a page have a value: one run if all have, otherwise a bit of each.
fn levels(page: &mut Vec<u8>, present: &mut BooleanBufferBuilder, nulls: usize) {
    let rows = present.len();
    let present = present.finish();
    let mut run = Vec::with_capacity(8);
    let bits = if nulls == 0 {
        varint(&mut run, rows << 1);
        &[1][..]
    } else {
        varint(&mut run, rows.div_ceil(8) << 1 | 1);
        &present.values()[..rows.div_ceil(8)]
    };
    page.put_u32_le(u32::try_from(run.len() + bits.len()).unwrap_or(u32::MAX));
    page.extend_from_slice(&run);
    page.extend_from_slice(bits);
}

/// Writes a number in groups of seven bits, the lowest first.
fn varint(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn statistics(form: Form, range: Option<(i128, i128)>, nulls: usize) -> Statistics {
    let nulls = Some(nulls as u64);
    let (least, most) = range.unzip();
    match form {
        Form::Int32 => {
            let narrow = |number: Option<i128>| number.and_then(|it| i32::try_from(it).ok());
            Statistics::int32(narrow(least), narrow(most), None, nulls, false)
        }
        Form::Int64 => {
            let narrow = |number: Option<i128>| number.and_then(|it| i64::try_from(it).ok());
            Statistics::int64(narrow(least), narrow(most), None, nulls, false)
        }
        Form::Bytes(_) => Statistics::fixed_len_byte_array(None, None, None, nulls, false),
    }
}

fn signed(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Arc};

    use arrow::{
        array::RecordBatch,
        compute::concat_batches,
        datatypes::{DECIMAL128_MAX_PRECISION, Field, Schema, SchemaRef},
    };
    use deltalake_core::parquet::{
        arrow::arrow_reader::ParquetRecordBatchReaderBuilder, file::properties::WriterProperties,
    };
    use proptest::{collection::vec, option, prelude::*};

    use super::*;
    use crate::data_file::row_groups::RowGroups;

    /// Writes batches of one column to a file of which it is packed, and returns the file.
    fn packed(schema: &SchemaRef, batches: &[RecordBatch], recurrence: Recurrence) -> Bytes {
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level()));
        let columns = HashMap::from([("n".to_owned(), recurrence)]);
        let file = RowGroups::new(Arc::clone(schema), properties.build(), columns);
        let mut file = file.expect("decimals have a form in Parquet");
        for batch in batches {
            file.write(batch).expect("memory");
        }
        let Pieces { full, open } = file.finish().expect("memory");
        let mut bytes = full.concat();
        bytes.extend(open);
        Bytes::from(bytes)
    }

    fn batch(schema: &SchemaRef, numbers: Decimal128Array) -> RecordBatch {
        let numbers = numbers.with_data_type(schema.field(0).data_type().clone());
        RecordBatch::try_new(Arc::clone(schema), vec![Arc::new(numbers)]).expect("one column")
    }

    fn schema(precision: u8, is_nullable: bool) -> SchemaRef {
        let field = Field::new("n", DataType::Decimal128(precision, 0), is_nullable);
        Arc::new(Schema::new(vec![field]))
    }

    /// Reads a file by the library, whose ranges and nulls have to be right as well.
    fn check(schema: &SchemaRef, batches: &[RecordBatch], recurrence: Recurrence) {
        let expected = concat_batches(schema, batches).expect("one schema");
        let read = ParquetRecordBatchReaderBuilder::try_new(packed(schema, batches, recurrence));
        let read = read.expect("a file");
        let groups = read.metadata().row_groups().to_vec();
        let nulls =
            groups.iter().map(|group| group.column(0).statistics().map(|it| it.null_count_opt()));
        let nulls: u64 = nulls.map(|it| it.flatten().expect("nulls are counted")).sum();
        assert_eq!(nulls, expected.column(0).null_count() as u64);
        let numbers = expected.column(0).as_any().downcast_ref::<Decimal128Array>();
        let numbers: Vec<i128> = numbers.expect("decimals").iter().flatten().collect();
        let ranges = groups.iter().filter_map(|group| match group.column(0).statistics()? {
            Statistics::Int32(it) => Some((i128::from(*it.min_opt()?), i128::from(*it.max_opt()?))),
            Statistics::Int64(it) => Some((i128::from(*it.min_opt()?), i128::from(*it.max_opt()?))),
            _ => None,
        });
        let range = ranges.reduce(|(a, b), (c, d)| (a.min(c), b.max(d)));
        let DataType::Decimal128(precision, _) = schema.field(0).data_type() else { return };
        let least_and_most = numbers.iter().min().copied().zip(numbers.iter().max().copied());
        assert_eq!(range, least_and_most.filter(|_| *precision <= 18));
        let read: Vec<RecordBatch> =
            read.build().expect("a file").collect::<Result<_, _>>().expect("rows");
        assert_eq!(concat_batches(schema, &read).expect("one schema"), expected);
    }

    proptest! {
        #[test]
        fn what_is_packed_is_read_again(
            precision in 1..=DECIMAL128_MAX_PRECISION,
            parts in vec(vec(option::weighted(0.8, any::<i128>()), 0..300), 1..4),
            is_nullable: bool,
            recurrence in prop_oneof![Just(Recurrence::New), Just(Recurrence::Repeated)],
        ) {
            let schema = schema(precision, is_nullable);
            let limit = 10_i128.pow(u32::from(precision));
            let batches = parts.iter().map(|part| {
                let numbers = part.iter().map(|number| number.map(|number| number % limit));
                let numbers: Decimal128Array = if is_nullable {
                    numbers.collect()
                } else {
                    numbers.map(|number| Some(number.unwrap_or_default())).collect()
                };
                batch(&schema, numbers)
            });
            check(&schema, &batches.collect::<Vec<_>>(), recurrence);
        }
    }

    #[test]
    fn the_ends_of_pages_and_groups_lose_nothing() {
        let rows = i128::try_from(PAGE_ROWS).expect("small");
        for precision in [9, 18, 20, DECIMAL128_MAX_PRECISION] {
            let schema = schema(precision, true);
            // Numbers that tell nothing of each other, so that there are several groups, and no page of
            // them is searched.
            let number = |row: i128| {
                let mixed = row * 0x5851_f42d_4c95_7f2d;
                let mixed = (mixed ^ mixed >> 29).wrapping_mul(0x1405_7b7e_f767_814f);
                (mixed ^ mixed >> 53) % 10_i128.pow(u32::from(precision))
            };
            for count in [rows - 1, rows, rows + 1, 100 * rows + 7] {
                let numbers = (0..count).map(number).collect::<Vec<_>>();
                check(&schema, &[batch(&schema, numbers.into())], Recurrence::New);
            }
            let holes = (0..3 * rows).map(|row| (row % 7 != 0).then(|| number(row)));
            check(&schema, &[batch(&schema, holes.collect())], Recurrence::New);
            let nothing = (0..3 * rows).map(|_| None::<i128>);
            check(&schema, &[batch(&schema, nothing.collect())], Recurrence::Repeated);
        }
    }
}
