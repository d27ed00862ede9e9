//! Reading files by ranges, where the format says at a file's end what is where: Parquet.
//!
//! The reader runs on a thread where it may block, and so waits there for what it asks for.

use std::{ops::Range, sync::Arc};

use arrow::datatypes::Fields;
use object_store::ObjectStore;
use tokio::{runtime::Handle, sync::mpsc};

use super::{Stop, died_at, open_version, refused, stored};
use crate::files::{
    decoded::{Decoded, ReadSchema},
    format::{
        FileProblem,
        parquet::{self, Blocks},
    },
    ports::ReadError,
    source_file::SourceFile,
};

/// Reads the rows of a file and hands them on, waiting where nobody takes them yet.
pub(super) async fn read_by_ranges(
    store: &Arc<dyn ObjectStore>,
    file: &SourceFile,
    schema: Arc<ReadSchema>,
    stretches: &mpsc::Sender<Decoded>,
) -> Result<(), ReadError> {
    let stretches = stretches.clone();
    aside(store, file, move |blocks| {
        let mut hand_on = |decoded| stretches.blocking_send(decoded).map_err(|_| Stop::Unwanted);
        match parquet::read(blocks, schema, &mut hand_on) {
            Ok(()) | Err(Stop::Unwanted) => Ok(()),
            Err(Stop::Problem(problem)) => Err(problem),
        }
    })
    .await
}

/// Returns the columns of a file.
pub(in crate::files) async fn fields_by_ranges(
    store: &Arc<dyn ObjectStore>,
    file: &SourceFile,
) -> Result<Fields, ReadError> {
    aside(store, file, parquet::fields).await
}

/// Does `work` on a file, on a thread where it holds up nobody.
async fn aside<T: Send + 'static>(
    store: &Arc<dyn ObjectStore>,
    file: &SourceFile,
    work: impl FnOnce(&Blocks) -> Result<T, FileProblem> + Send + 'static,
) -> Result<T, ReadError> {
    let (store, file, runtime) = (Arc::clone(store), file.clone(), Handle::current());
    let bytes = file.size;
    let fetch = move |range: Range<u64>| {
        runtime.block_on(async {
            open_version(&*store, &file, Some(range)).await?.bytes().await.map_err(stored)
        })
    };
    let blocks = Blocks::new(bytes, Box::new(fetch));
    let work = move || {
        let done = work(&blocks);
        // What could not be fetched says nothing about the file.
        done.map_err(|problem| blocks.take_failure().unwrap_or_else(|| refused(0, problem)))
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| died_at(0))?
}
