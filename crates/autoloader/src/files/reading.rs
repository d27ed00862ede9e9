//! Reading the planned version of a file from its store, stretch by stretch.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::BytesMut;
use futures::StreamExt;
use model::ErrorKind;
use object_store::{GetOptions, GetResult, ObjectStore};
use tokio::sync::mpsc;

use super::{
    decoded::{Decoded, ReadSchema},
    format::{FileProblem, ReadTimes, TextReader, open_file},
    options::Format,
    ports::{ReadError, ReadRows},
    source_file::SourceFile,
};

/// Stored bytes decoded at a time, 1 MiB: worth a blocking thread, and small beside a stretch.
const PIECE_BYTES: usize = 1 << 20;

/// Reads files of one format from one store.
#[derive(Debug)]
pub struct StoreReader {
    /// Where the paths of files begin.
    pub store: Arc<dyn ObjectStore>,
    /// What they hold.
    pub format: Format,
    /// How texts become times.
    pub times: Arc<dyn ReadTimes>,
}

impl StoreReader {
    /// Opens exactly the version that `file` names.
    async fn get(&self, file: &SourceFile) -> Result<GetResult, ReadError> {
        let location = file.location().map_err(stored)?;
        let options = GetOptions { if_match: file.etag.clone(), ..GetOptions::default() };
        let found = self.store.get_opts(&location, options).await.map_err(stored)?;
        let now = SourceFile::from(found.meta.clone());
        // A store that gives no tags cannot be held to one.
        if file.was_overwritten_by(&now) { Err(ReadError::Changed) } else { Ok(found) }
    }
}

#[async_trait]
impl ReadRows for StoreReader {
    async fn read(
        &self,
        file: &SourceFile,
        schema: Arc<ReadSchema>,
        stretches: &mpsc::Sender<Decoded>,
    ) -> Result<(), ReadError> {
        let mut bytes = self.get(file).await?.into_stream();
        let reader = open_file(&self.format, file, schema, Arc::clone(&self.times));
        let mut reader = reader.map_err(|problem| broken(0, &problem))?;
        let (mut piece, mut read) = (BytesMut::new(), 0);
        loop {
            let more = bytes.next().await.transpose().map_err(stored)?;
            let is_over = more.is_none();
            piece.extend_from_slice(more.as_deref().unwrap_or_default());
            if piece.len() < PIECE_BYTES && !is_over {
                continue;
            }
            let (offset, taken) = (read, piece.split().freeze());
            read += u64::try_from(taken.len()).unwrap_or_default();
            let decoded;
            (reader, decoded) = decode(reader, taken, is_over).await.map_err(|problem| {
                // What the reader says of a place is more exact than where the piece began.
                broken(offset, &problem)
            })?;
            let has_news = !decoded.batches.is_empty() || !decoded.bad.is_empty() || is_over;
            if has_news && stretches.send(decoded).await.is_err() {
                return Ok(());
            }
            if is_over {
                return Ok(());
            }
        }
    }
}

/// Decodes a piece on a thread where it holds up nobody.
async fn decode(
    mut reader: Box<dyn TextReader>,
    piece: bytes::Bytes,
    is_last: bool,
) -> Result<(Box<dyn TextReader>, Decoded), FileProblem> {
    let work = move || {
        let mut decoded = Decoded::default();
        reader.push(&piece, &mut decoded)?;
        if is_last {
            reader.finish(&mut decoded)?;
        }
        Ok((reader, decoded))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // A reader that panics has a defect, and the file is where it shows.
        Err(_) => Err(FileProblem::Format("a file at which the reader failed")),
    }
}

fn broken(offset: u64, problem: &FileProblem) -> ReadError {
    let offset = match problem {
        FileProblem::Damaged { offset, .. } => *offset,
        FileProblem::Document(bad) => bad.offset,
        _ => offset,
    };
    ReadError::Broken { offset, reason: problem.to_string() }
}

fn stored(source: object_store::Error) -> ReadError {
    use object_store::Error as Store;
    match source {
        Store::NotFound { .. } => ReadError::Missing,
        Store::Precondition { .. } | Store::NotModified { .. } => ReadError::Changed,
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => {
            ReadError::Store { kind: ErrorKind::Config, source }
        }
        source => ReadError::Store { kind: ErrorKind::Transient, source },
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use object_store::{ObjectStoreExt, memory::InMemory, path::Path};

    use super::*;
    use crate::files::options::{JsonOptions, TextOptions};

    async fn file(store: &InMemory, name: &str) -> SourceFile {
        store.head(&Path::from(name)).await.expect("is there").into()
    }

    async fn rows(reader: &StoreReader, file: &SourceFile) -> Result<(usize, usize), ReadError> {
        let columns = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        let schema = Arc::new(ReadSchema {
            columns,
            ignored: std::collections::BTreeSet::new(),
            is_rescuing: true,
            is_case_sensitive: true,
            is_observing: false,
        });
        let (sender, mut stretches) = mpsc::channel::<Decoded>(1);
        let taking = async {
            let mut counts = (0, 0);
            while let Some(stretch) = stretches.recv().await {
                counts.0 += stretch.batches.iter().map(|batch| batch.num_rows()).sum::<usize>();
                counts.1 += stretch.bad.len();
            }
            counts
        };
        let reading = async {
            let done = reader.read(file, schema, &sender).await;
            drop(sender);
            done
        };
        let (done, counts) = futures::join!(reading, taking);
        done.map(|()| counts)
    }

    #[tokio::test]
    async fn the_planned_version_is_read_and_no_other() {
        let store = Arc::new(InMemory::new());
        let text = "{\"a\":1}\noops\n{\"a\":2}";
        store.put(&Path::from("x.json"), text.into()).await.expect("puts");
        // Some 3 MiB: pieces end in the midst of records.
        let long = "{\"a\":12345678}\n".repeat(200_000);
        let packed = zstd::encode_all(long.as_bytes(), 1).expect("packs");
        store.put(&Path::from("long.json.zst"), packed.into()).await.expect("puts");
        let reader = StoreReader {
            store: Arc::<InMemory>::clone(&store) as _,
            format: Format::Json(JsonOptions::default()),
            times: Arc::new(TextOptions::default()),
        };
        let planned = file(&store, "x.json").await;
        assert_eq!(rows(&reader, &planned).await.expect("reads"), (2, 1));
        let long = file(&store, "long.json.zst").await;
        assert_eq!(rows(&reader, &long).await.expect("reads"), (200_000, 0));

        store.put(&Path::from("x.json"), "{}".into()).await.expect("puts");
        assert!(matches!(rows(&reader, &planned).await, Err(ReadError::Changed)));
        store.delete(&Path::from("x.json")).await.expect("deletes");
        assert!(matches!(rows(&reader, &planned).await, Err(ReadError::Missing)));
        let cut = &zstd::encode_all(&b"{}"[..], 1).expect("packs")[..7];
        store.put(&Path::from("cut.zst"), cut.to_vec().into()).await.expect("puts");
        let cut = file(&store, "cut.zst").await;
        assert!(matches!(rows(&reader, &cut).await, Err(ReadError::Broken { .. })));
    }
}
