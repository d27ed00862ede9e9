//! What the next load would make of a table's columns, without making anything.

use super::{
    columns::StoredColumns,
    ports::PortError,
    schema::{ModeOutcome, Observed, SchemaVersion, explain, field_text},
    source_file::SourceFile,
};

/// A table's columns as they are, and as files would have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The version of the columns; `None`: the first load makes the first one.
    pub version: Option<u64>,
    /// The columns, as DDL, with what the options give beyond the version; those that the first
    /// version would have when there is none. Empty: the files have none.
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
        let fields = |version: &SchemaVersion| {
            version.columns.iter().map(|field| field_text(field)).collect()
        };
        let Some(newest) = self.newest_kept().await? else {
            let first = self.first(files).await?;
            let columns = first.as_ref().map(fields).unwrap_or_default();
            return Ok(Preview { version: None, columns, modes: Vec::new() });
        };
        let wish = self.wish(&newest, files)?;
        let current = wish.as_ref().unwrap_or(&newest);
        let mut observed = Observed::default();
        for file in self.look_into(files).await? {
            observed.merge(file.observed);
        }
        Ok(Preview {
            version: Some(newest.version),
            columns: fields(current),
            modes: explain(current, &observed, &self.format, &self.options),
        })
    }
}
