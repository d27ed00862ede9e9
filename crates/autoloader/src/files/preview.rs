//! What the next load would make of a table's columns, without making anything.

use futures::{StreamExt, TryStreamExt};

use super::{
    columns::{LOOKS_MAX, StoredColumns},
    ports::PortError,
    schema::{ModeOutcome, Observed, explain, field_text, sample},
    source_file::SourceFile,
};

/// A table's columns as they are, and as files would have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The version of the columns; `None`: the first load makes the first one.
    pub version: Option<u64>,
    /// The columns, as DDL; those that the first version would have when there is none. Empty: the
    /// files have none.
    pub columns: Vec<String>,
    /// What each evolution mode would do with what the files have besides; empty without a version.
    pub modes: Vec<ModeOutcome>,
}

impl StoredColumns {
    /// Looks into a sample of files.
    ///
    /// # Errors
    /// The versions, or the files, cannot be read; or no columns can be made of them.
    pub async fn preview(&self, files: &[SourceFile]) -> Result<Preview, PortError> {
        let fields = |version: &super::schema::SchemaVersion| {
            version.columns.iter().map(|field| field_text(field)).collect()
        };
        let Some(newest) = self.newest_kept().await? else {
            let first = self.first(files).await?;
            let columns = first.as_ref().map(fields).unwrap_or_default();
            return Ok(Preview { version: None, columns, modes: Vec::new() });
        };
        // Collected first: a stream that borrows from its closure could not change threads.
        let mut looks = Vec::new();
        for file in sample(files, self.options.sample) {
            looks.push(self.observe(file));
        }
        let looks = futures::stream::iter(looks).buffered(LOOKS_MAX);
        let seen: Vec<_> = looks.try_filter_map(async |seen| Ok(seen)).try_collect().await?;
        let mut observed = Observed::default();
        for file in seen {
            observed.merge(file.observed);
        }
        Ok(Preview {
            version: Some(newest.version),
            columns: fields(&newest),
            modes: explain(&newest, &observed, &self.format, &self.options),
        })
    }
}
