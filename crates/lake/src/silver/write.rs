//! Rows of silver tables as columns.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, Date32Builder, Decimal128Builder, Int32Builder, Int64Builder, StringBuilder,
        TimestampMicrosecondBuilder,
    },
    datatypes::DataType,
    error::ArrowError,
    record_batch::RecordBatch,
};
use model::decimal::{PRICE, VOLUME};

use super::{
    series::Entry,
    source_row::{IntradayRow, Origin, SeriesKey, ts_end},
};
use crate::{rows::days_since_epoch, schema::table_def};

/// Revisions of bars on their way into `silver.bar`, column by column in the table's order.
pub(crate) struct BarRows {
    texts: [StringBuilder; 4],
    times: [TimestampMicrosecondBuilder; 2],
    session_date: Date32Builder,
    session_part: StringBuilder,
    bar: [Decimal128Builder; 4],
    volume: Decimal128Builder,
    labels: [StringBuilder; 3],
    served: [Decimal128Builder; 5],
    served_volume: Decimal128Builder,
    served_fetch_id: Int64Builder,
    revision: Int32Builder,
    fetch_id: Int64Builder,
    knowledge_from: TimestampMicrosecondBuilder,
    partition: Int32Builder,
    offset: Int64Builder,
    rows: usize,
}

/// One revision of a bar and the row that caused it.
pub(crate) struct Revision<'a> {
    pub key: &'a SeriesKey,
    pub ts_start: i64,
    pub entry: &'a Entry,
    /// The row that caused the revision; a late row also revises its successor.
    pub cause: &'a IntradayRow,
}

fn price() -> Decimal128Builder {
    Decimal128Builder::new().with_data_type(DataType::Decimal128(PRICE.precision, PRICE.scale))
}

fn volume() -> Decimal128Builder {
    Decimal128Builder::new().with_data_type(DataType::Decimal128(VOLUME.precision, VOLUME.scale))
}

fn times() -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::new().with_timezone("UTC")
}

impl BarRows {
    pub(crate) fn new() -> Self {
        Self {
            texts: std::array::from_fn(|_| StringBuilder::new()),
            times: std::array::from_fn(|_| times()),
            session_date: Date32Builder::new(),
            session_part: StringBuilder::new(),
            bar: std::array::from_fn(|_| price()),
            volume: volume(),
            labels: std::array::from_fn(|_| StringBuilder::new()),
            served: std::array::from_fn(|_| price()),
            served_volume: volume(),
            served_fetch_id: Int64Builder::new(),
            revision: Int32Builder::new(),
            fetch_id: Int64Builder::new(),
            knowledge_from: times(),
            partition: Int32Builder::new(),
            offset: Int64Builder::new(),
            rows: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    pub(crate) fn push(&mut self, revision: &Revision<'_>) {
        let Revision { key, ts_start, entry, cause } = revision;
        let Origin { fetch_id, ts_fetched, partition, offset } = cause.origin;
        for (column, text) in self.texts.iter_mut().zip([
            &*key.source,
            &*key.symbol,
            &*key.mic,
            key.interval.as_str(),
        ]) {
            column.append_value(text);
        }
        for (column, time) in
            self.times.iter_mut().zip([*ts_start, ts_end(*ts_start, key.interval)])
        {
            column.append_value(time);
        }
        self.session_date.append_value(days_since_epoch(cause.session_date));
        let part =
            crate::rows::utc(*ts_start).map_or(cause.session_part, model::session::session_part);
        self.session_part.append_value(part.as_str());
        let bar = &entry.bar;
        for (column, value) in self.bar.iter_mut().zip([bar.open, bar.high, bar.low, bar.close]) {
            column.append_value(value);
        }
        self.volume.append_option(bar.volume);
        let served = &entry.served;
        // IEX is the only venue whose partial volume the vendor serves under its own code.
        let scope = if key.mic == "IEXG" { "iex" } else { "consolidated" };
        let semantics = if entry.is_bar { "bar" } else { "reading" };
        for (column, text) in
            self.labels.iter_mut().zip([served.price_source.as_str(), scope, semantics])
        {
            column.append_value(text);
        }
        let prices =
            [Some(served.open), Some(served.high), Some(served.low), served.close, served.price];
        for (column, value) in self.served.iter_mut().zip(prices) {
            column.append_option(value);
        }
        self.served_volume.append_option(served.volume);
        self.served_fetch_id.append_value(entry.fetch_id);
        self.revision.append_value(entry.revision);
        self.fetch_id.append_value(fetch_id);
        self.knowledge_from.append_option(ts_fetched);
        self.partition.append_value(partition);
        self.offset.append_value(offset);
        self.rows += 1;
    }

    pub(crate) fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = Vec::new();
        columns.extend(self.texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.extend(self.times.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.session_date.finish()));
        columns.push(Arc::new(self.session_part.finish()));
        columns.extend(self.bar.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.volume.finish()));
        columns.extend(self.labels.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.extend(self.served.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.served_volume.finish()));
        columns.push(Arc::new(self.served_fetch_id.finish()));
        columns.push(Arc::new(self.revision.finish()));
        columns.push(Arc::new(self.fetch_id.finish()));
        columns.push(Arc::new(self.knowledge_from.finish()));
        columns.push(Arc::new(self.partition.finish()));
        columns.push(Arc::new(self.offset.finish()));
        RecordBatch::try_new(Arc::clone(&table_def("silver", "bar").schema), columns)
    }
}
