//! A result on its way to the client: `RecordBatch`es from the engine, rows on the wire.

use std::sync::Arc;

use futures::StreamExt as _;
use lake::datafusion::{
    arrow::array::RecordBatch, error::DataFusionError, execution::SendableRecordBatchStream,
    physical_plan::stream::RecordBatchStreamAdapter,
};

use super::{
    Stop,
    encode::{Layout, Rows},
    failure::Failure,
    statement::Position,
    types::{Column, PgType},
    wire::Output,
};

/// A running or suspended result.
pub(super) struct RowStream {
    /// `None` after the last row: what the query held is free then, though its portal is not
    /// closed yet.
    records: Option<SendableRecordBatchStream>,
    types: Vec<PgType>,
    current: Option<Rows>,
    passed: u64,
    rows_max: u64,
}

/// What one call sent.
pub(super) struct Sent {
    pub(super) rows: u64,
    /// Nothing is left.
    pub(super) is_complete: bool,
}

impl RowStream {
    pub(super) fn new(
        records: SendableRecordBatchStream,
        columns: &[Column],
        rows_max: u64,
    ) -> Self {
        let types = columns.iter().map(|column| column.pg_type).collect();
        Self { records: Some(records), types, current: None, passed: 0, rows_max }
    }

    /// How far it has been read.
    pub(super) const fn position(&self) -> Position {
        Position { passed: self.passed, is_at_end: self.records.is_none() }
    }

    /// Whether its rows are such as a client was told of.
    pub(super) fn fits(&self, columns: &[Column]) -> bool {
        self.types.iter().copied().eq(columns.iter().map(|column| column.pg_type))
    }

    /// True while there may be more rows.
    pub(super) const fn is_open(&self) -> bool {
        self.records.is_some()
    }

    pub(super) fn of_one(rows: RecordBatch, columns: &[Column]) -> Self {
        let schema = rows.schema();
        let records = futures::stream::iter([Ok::<_, DataFusionError>(rows)]);
        let records = RecordBatchStreamAdapter::new(Arc::clone(&schema), records);
        Self::new(Box::pin(records), columns, u64::MAX)
    }

    /// Sends up to `limit` rows in `layout`. Waits for the client whenever the outbox is full: at no
    /// time is more than one `RecordBatch` and one outbox of a result in memory here.
    pub(super) async fn send(
        &mut self,
        output: &mut Output,
        limit: u64,
        mut layout: Layout<'_>,
    ) -> Result<Sent, Stop> {
        let mut rows = 0;
        while rows < limit {
            let Some(current) = self.current.as_mut().filter(|current| !current.is_empty()) else {
                let next = match &mut self.records {
                    Some(records) => records.next().await,
                    None => None,
                };
                match next {
                    None => {
                        self.records = None;
                        self.current = None;
                        return Ok(Sent { rows, is_complete: true });
                    }
                    Some(Err(error)) => return Err(Failure::from_datafusion(&error).into()),
                    Some(Ok(rows_read)) => {
                        let encoded = Rows::new(&rows_read, &self.types)
                            .map_err(|error| Failure::from_datafusion(&error.into()))?;
                        self.current = Some(encoded);
                        continue;
                    }
                }
            };
            if self.passed >= self.rows_max {
                return Err(Failure::too_many_rows(self.rows_max).into());
            }
            output.append(|buffer| current.write_next(&mut layout, buffer));
            rows += 1;
            self.passed += 1;
            if output.is_full() {
                output.flush().await.map_err(Stop::Gone)?;
            }
        }
        Ok(Sent { rows, is_complete: false })
    }
}
