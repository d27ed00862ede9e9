//! The tables as they were when the verification began, and as they were before.

use std::collections::BTreeMap;

use arrow::record_batch::RecordBatch;

use super::Findings;
use crate::{
    Error, Location,
    flow::{Cursor, refine_app},
    schema::{TABLES, table_def},
    table::{Table, concat},
};

/// Every table at one version.
pub(super) struct PinnedLake(BTreeMap<(&'static str, &'static str), Pinned>);

/// A table and the rows of it that were read last.
struct Pinned {
    table: Table,
    rows: Option<(u64, Option<RecordBatch>)>,
}

/// How far a table says it has come in its source.
pub(super) struct Claim {
    /// The version of the source whose rows are all in the table.
    pub version: u64,
    /// Later versions of the source that have rows.
    pub waiting: usize,
}

impl PinnedLake {
    /// Opens every table, the last of the chain first: a version that a table claims to hold is
    /// then never newer than the one its source is pinned at.
    pub(super) async fn open(location: &Location) -> Result<Self, Error> {
        let mut tables = BTreeMap::new();
        for def in TABLES.iter().rev() {
            let table = Table::open_to_read(location, def).await?;
            tables.insert((def.layer, def.name), Pinned { table, rows: None });
        }
        Ok(Self(tables))
    }

    fn get(&mut self, layer: &'static str, name: &str) -> Result<&mut Pinned, Error> {
        let def = table_def(layer, name);
        self.0
            .get_mut(&(def.layer, def.name))
            .ok_or_else(|| Error::UnknownTable { table: def.full_name() })
    }

    /// Returns all rows of a table.
    pub(super) async fn rows(
        &mut self,
        layer: &'static str,
        name: &str,
        findings: &mut Findings<'_>,
    ) -> Result<Option<RecordBatch>, Error> {
        let version = self.get(layer, name)?.table.version();
        self.rows_at(layer, name, version, findings).await
    }

    /// Returns all rows that a table had at `version`.
    pub(super) async fn rows_at(
        &mut self,
        layer: &'static str,
        name: &str,
        version: u64,
        findings: &mut Findings<'_>,
    ) -> Result<Option<RecordBatch>, Error> {
        let pinned = self.get(layer, name)?;
        if let Some((known, rows)) = &pinned.rows
            && *known == version
        {
            return Ok(rows.clone());
        }
        let table = &pinned.table;
        let read = if version == table.version() {
            table.read_all().await?
        } else {
            table.at(version).await?.read_all().await?
        };
        let rows = concat(table.def, &read)?;
        let count = rows.as_ref().map_or(0, RecordBatch::num_rows) as u64;
        findings.looked(&table.def.full_name(), count);
        pinned.rows = Some((version, rows.clone()));
        Ok(rows)
    }

    /// Forgets the rows of a table that will not be asked for again.
    pub(super) fn forget(&mut self, layer: &'static str, name: &str) -> Result<(), Error> {
        self.get(layer, name)?.rows = None;
        Ok(())
    }

    /// Returns what `target` claims to hold of `source`; `None` when the source has never had a
    /// version that high.
    pub(super) async fn claim(
        &mut self,
        target: (&'static str, &str),
        source: (&'static str, &str),
        generation: u32,
    ) -> Result<Option<Claim>, Error> {
        let name = format!("{}.{}", source.0, source.1);
        let cursor = Cursor::new(refine_app(generation, &name));
        let claimed = cursor.committed(&mut self.get(target.0, target.1)?.table).await?;
        let source = &self.get(source.0, source.1)?.table;
        let Some(behind) = source.version().checked_sub(claimed) else {
            return Ok(None);
        };
        if behind == 0 {
            return Ok(Some(Claim { version: claimed, waiting: 0 }));
        }
        let later = source.files_since(claimed, source.version()).await?;
        let waiting = later.iter().filter(|version| !version.files.is_empty()).count();
        // Versions without rows of their own change nothing: the newest one is read as it is.
        let version = if waiting == 0 { source.version() } else { claimed };
        Ok(Some(Claim { version, waiting }))
    }
}
