//! Bronze: what landed, row by row, and the target through which the Auto Loader appends it.

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use autoloader::{
    Appended, BatchId, Column,
    ColumnKind::{self, Bool, Date, Decimal, Json, Text, Timestamp},
    RowSchema, Target,
};
use model::{
    Dataset, ErrorKind,
    decimal::{ADJUSTED_PRICE, PRICE, VOLUME},
};

use crate::{
    Error, Location,
    schema::table_def,
    table::{Change, Table, Txn},
};

/// Eight lost races in a row mean that another pipeline writes the table, not bad luck.
const COMMIT_ATTEMPTS_MAX: u32 = 8;

/// A column's name, which is the vendor's own, and what it holds.
type Columns = &'static [(&'static str, ColumnKind)];

const PRICES: ColumnKind = Decimal(PRICE);
const ADJUSTED: ColumnKind = Decimal(ADJUSTED_PRICE);
const VOLUMES: ColumnKind = Decimal(VOLUME);

const INTRADAY: Columns = &[
    ("symbol", Text),
    ("exchange", Text),
    ("date", Timestamp),
    ("open", PRICES),
    ("high", PRICES),
    ("low", PRICES),
    ("close", PRICES),
    ("last", PRICES),
    ("mid", PRICES),
    ("marketstack_last", PRICES),
    ("volume", VOLUMES),
    ("last_size", VOLUMES),
    ("bid_price", PRICES),
    ("bid_size", VOLUMES),
    ("ask_price", PRICES),
    ("ask_size", VOLUMES),
];
const EOD: Columns = &[
    ("symbol", Text),
    ("exchange", Text),
    ("date", Timestamp),
    ("open", PRICES),
    ("high", PRICES),
    ("low", PRICES),
    ("close", PRICES),
    ("volume", VOLUMES),
    ("adj_open", ADJUSTED),
    ("adj_high", ADJUSTED),
    ("adj_low", ADJUSTED),
    ("adj_close", ADJUSTED),
    ("adj_volume", VOLUMES),
    ("split_factor", ADJUSTED),
    ("dividend", ADJUSTED),
    ("name", Text),
    ("exchange_code", Text),
    ("asset_type", Text),
    ("price_currency", Text),
];
const SPLITS: Columns =
    &[("symbol", Text), ("date", Date), ("split_factor", ADJUSTED), ("stock_split", Text)];
const DIVIDENDS: Columns = &[
    ("symbol", Text),
    ("date", Date),
    ("dividend", ADJUSTED),
    ("payment_date", Text),
    ("record_date", Text),
    ("declaration_date", Text),
    ("distr_freq", Text),
];
const TICKERS: Columns = &[
    ("symbol", Text),
    ("ticker", Text),
    ("name", Text),
    ("has_intraday", Bool),
    ("has_eod", Bool),
    ("country", Text),
    ("stock_exchange", Json),
];
const EXCHANGES: Columns = &[
    ("mic", Text),
    ("name", Text),
    ("acronym", Text),
    ("country", Text),
    ("country_code", Text),
    ("city", Text),
    ("website", Text),
    ("timezone", Json),
    ("currency", Json),
];

/// Returns the columns of a dataset's rows, under the vendor's own names.
///
/// What is not listed here is kept too, in `_rescued_data`.
#[must_use]
pub fn row_schema(dataset: Dataset) -> RowSchema {
    let (columns, is_dated) = match dataset {
        Dataset::Intraday => (INTRADAY, true),
        Dataset::Eod => (EOD, true),
        Dataset::Splits => (SPLITS, true),
        Dataset::Dividends => (DIVIDENDS, true),
        Dataset::Tickers => (TICKERS, false),
        Dataset::Exchanges => (EXCHANGES, false),
    };
    RowSchema {
        columns: columns
            .iter()
            .map(|&(name, kind)| Column { name: name.to_owned(), field: name.to_owned(), kind })
            .collect(),
        date_key: is_dated.then(|| "date".to_owned()),
    }
}

/// One bronze table as the target of one loader pipeline.
#[derive(Debug)]
pub struct BronzeTarget {
    table: Table,
    app: String,
}

impl BronzeTarget {
    /// Opens the dataset's table; `pipeline` names the loader, generation included.
    ///
    /// # Errors
    /// The table cannot be opened or created.
    pub async fn open(
        location: &Location,
        dataset: Dataset,
        pipeline: &str,
    ) -> Result<Self, Error> {
        let table = Table::open(location, table_def("bronze", dataset.as_str())).await?;
        Ok(Self::of(table, pipeline))
    }

    /// Opens it for somebody who only asks what was loaded: nothing is created, and an absent table
    /// has no batch.
    ///
    /// # Errors
    /// The table cannot be opened.
    pub async fn open_to_read(
        location: &Location,
        dataset: Dataset,
        pipeline: &str,
    ) -> Result<Self, Error> {
        let def = table_def("bronze", dataset.as_str());
        Ok(Self::of(Table::open_to_read(location, def).await?, pipeline))
    }

    fn of(table: Table, pipeline: &str) -> Self {
        Self { table, app: format!("marketlake/load/{pipeline}") }
    }

    async fn last(&mut self) -> Result<Option<BatchId>, Error> {
        let last = self.table.last_txn(&self.app).await?;
        Ok(last.and_then(|version| u64::try_from(version).ok()).map(BatchId))
    }
}

#[async_trait]
impl Target for BronzeTarget {
    type Error = Error;

    fn kind(error: &Error) -> ErrorKind {
        error.kind()
    }

    async fn last_batch(&mut self) -> Result<Option<BatchId>, Error> {
        self.table.refresh().await?;
        self.last().await
    }

    async fn append_once(
        &mut self,
        batch: BatchId,
        rows: Vec<RecordBatch>,
    ) -> Result<Appended, Error> {
        let version = i64::try_from(batch.0).map_err(|_| Error::Content {
            table: self.table.def.full_name(),
            problem: format!("batch id {batch} is too large for a transaction number"),
        })?;
        let txn = Txn { app: self.app.clone(), version };
        let mut adds = None;
        let mut last_error = None;
        // The batch before this one may be another instance's, newer than our snapshot.
        self.table.refresh().await?;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let last = self.last().await?;
            // An earlier attempt may have taken effect although it looked like an error.
            if last.is_some_and(|last| batch <= last) {
                return Ok(Appended::AlreadyThere);
            }
            if BatchId::after(last) != batch {
                return Err(Error::Content {
                    table: self.table.def.full_name(),
                    problem: format!(
                        "batch {batch} was to follow, but the last one is {}; the table was restored or written by \
                         another pipeline: replay the landing zone under a new generation",
                        last.map_or_else(|| "none".to_owned(), |last| last.to_string()),
                    ),
                });
            }
            let files = match adds.clone() {
                Some(files) => files,
                None => self.table.write_files(&rows).await?,
            };
            adds = Some(files.clone());
            let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
            let metrics = vec![("marketlake.rows".to_owned(), count.into())];
            match self
                .table
                .commit(Change { adds: files, metrics, ..Change::default() }, &txn)
                .await
            {
                Ok(version) => return Ok(Appended::Committed { version }),
                Err(error) => last_error = Some(error),
            }
            self.table.reload().await?;
        }
        match last_error {
            Some(error) if error.kind() != ErrorKind::Conflict => Err(error),
            _ => Err(Error::Contended {
                table: self.table.def.full_name(),
                attempts: COMMIT_ATTEMPTS_MAX,
            }),
        }
    }
}
