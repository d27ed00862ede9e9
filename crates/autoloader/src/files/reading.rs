//! Reading the planned version of a file from its store, stretch by stretch.
//!
//! From front to back in pieces, or, where the format begins at its end, by [`ranges`].

use std::{io::Read as _, ops::Range, sync::Arc};

use async_trait::async_trait;
use futures::StreamExt;
use model::ErrorKind;
use object_store::{GetOptions, GetRange, GetResult, GetResultPayload, ObjectStore};
use tokio::sync::mpsc;

use super::{
    decoded::{Decoded, ReadSchema},
    format::{FileProblem, OpenFile, ReadTimes, open_file},
    options::Format,
    ports::{ReadError, ReadRows},
    source_file::SourceFile,
};

pub(super) mod ranges;

/// Stored bytes decoded at a time, 1 MiB: worth a blocking thread, and small beside a stretch.
const PIECE_BYTES: usize = 1 << 20;

/// Reads files of one format from one store.
#[derive(Debug)]
pub struct StoreReader {
    /// Where the paths of files begin.
    pub store: Arc<dyn ObjectStore>,
    /// The address of that place, with a slash at the end, for rows that say where they are from.
    pub url: String,
    /// What they hold.
    pub format: Format,
    /// How texts become times.
    pub times: Arc<dyn ReadTimes>,
}

#[async_trait]
impl ReadRows for StoreReader {
    async fn read(
        &self,
        file: &SourceFile,
        schema: Arc<ReadSchema>,
        stretches: &mpsc::Sender<Decoded>,
    ) -> Result<(), ReadError> {
        if self.format == Format::Parquet {
            return ranges::read_by_ranges(&self.store, file, schema, stretches).await;
        }
        let address = SourceFile { path: format!("{}{}", self.url, file.path), ..file.clone() };
        let opened = open_file(&self.format, &address, schema, Arc::clone(&self.times));
        let opened = opened.map_err(|problem| refused(0, problem))?;
        let rows = (opened, stretches.clone());
        each_piece(&*self.store, file, rows, read_piece).await.map(|_| ())
    }
}

/// Reads a piece and hands on the rows, waiting where nobody takes them yet.
fn read_piece(
    (file, stretches): &mut (OpenFile, mpsc::Sender<Decoded>),
    piece: &[u8],
    is_last: bool,
) -> Result<(), Stop> {
    let mut hand_on = |decoded| stretches.blocking_send(decoded).map_err(|_| Stop::Unwanted);
    file.push(piece, &mut hand_on)?;
    if is_last { file.finish(&mut hand_on) } else { Ok(()) }
}

/// Why the rest of a file is not looked at.
#[derive(Debug)]
pub(super) enum Stop {
    /// It cannot be read.
    Problem(FileProblem),
    /// Nobody takes what it holds.
    Unwanted,
}

impl From<FileProblem> for Stop {
    fn from(problem: FileProblem) -> Self {
        Self::Problem(problem)
    }
}

/// Opens exactly the version of a file that `file` names, or a range of it.
pub(super) async fn open_version(
    store: &dyn ObjectStore,
    file: &SourceFile,
    range: Option<Range<u64>>,
) -> Result<GetResult, ReadError> {
    let location = file.location().map_err(stored)?;
    let options = GetOptions {
        if_match: file.etag.clone(),
        range: range.map(GetRange::Bounded),
        ..GetOptions::default()
    };
    let found = store.get_opts(&location, options).await.map_err(stored)?;
    let now = SourceFile::from(found.meta.clone());
    // A store that gives no tags cannot be held to one.
    if file.was_overwritten_by(&now) { Err(ReadError::Changed) } else { Ok(found) }
}

/// Gives the bytes of `file` to `taker` piece by piece, on threads where it holds up nobody, and
/// returns it after the last one, or as soon as nothing more is wanted.
pub(super) async fn each_piece<T: Send + 'static>(
    store: &dyn ObjectStore,
    file: &SourceFile,
    mut taker: T,
    take: fn(&mut T, &[u8], bool) -> Result<(), Stop>,
) -> Result<T, ReadError> {
    let found = open_version(store, file, None).await?;
    let mut pieces = Pieces { left: found.meta.size, held: Vec::new(), from: found.payload };
    let mut read = 0;
    loop {
        pieces.arrive().await?;
        let offset = read;
        let work = move || {
            let done =
                pieces.read().map(|is_last| (take(&mut taker, &pieces.held, is_last), is_last));
            (taker, pieces, done)
        };
        let done;
        (taker, pieces, done) =
            tokio::task::spawn_blocking(work).await.map_err(|_| died_at(offset))?;
        read += u64::try_from(pieces.held.len()).unwrap_or_default();
        pieces.held.clear();
        match done? {
            (Ok(()), false) => (),
            (Ok(()), true) | (Err(Stop::Unwanted), _) => return Ok(taker),
            (Err(Stop::Problem(problem)), _) => return Err(refused(offset, problem)),
        }
    }
}

/// The bytes of a file, piece by piece.
struct Pieces {
    from: GetResultPayload,
    /// Bytes that have not come yet.
    left: u64,
    /// The piece.
    held: Vec<u8>,
}

impl Pieces {
    /// Waits for a piece that comes from elsewhere.
    async fn arrive(&mut self) -> Result<(), ReadError> {
        let GetResultPayload::Stream(bytes) = &mut self.from else { return Ok(()) };
        while self.held.len() < PIECE_BYTES {
            let Some(more) = bytes.next().await.transpose().map_err(stored)? else {
                self.left = 0;
                return Ok(());
            };
            self.held.extend_from_slice(&more);
        }
        Ok(())
    }

    /// Reads a piece of a file of this machine, and says whether the piece is the last one.
    ///
    /// On the thread that decodes it: the file's own stream would change threads every 8 KiB, which
    /// costs as much as decoding them.
    fn read(&mut self) -> Result<bool, ReadError> {
        if let GetResultPayload::File(file, path) = &mut self.from {
            let wanted = self.left.min(PIECE_BYTES as u64);
            let count = file.by_ref().take(wanted).read_to_end(&mut self.held);
            let count = count.map_err(|source| {
                let path = path.display().to_string();
                stored(object_store::Error::Generic {
                    store: "LocalFileSystem",
                    source: format!("reading `{path}`: {source}").into(),
                })
            })?;
            // It was cut off after it was opened.
            if (count as u64) < wanted {
                return Err(ReadError::Changed);
            }
            self.left -= wanted;
        }
        Ok(self.left == 0)
    }
}

/// A reader that panics has a defect, and the file is where it shows.
fn died_at(offset: u64) -> ReadError {
    ReadError::Broken { offset, reason: "the reader died of it; this is a bug of ours".to_owned() }
}

/// Says whether a file is at fault, which was read up to `offset`, or none in particular.
fn refused(offset: u64, problem: FileProblem) -> ReadError {
    let offset = match &problem {
        // What the reader says of a place is more exact than where the piece began.
        FileProblem::Damaged { offset, .. } => *offset,
        FileProblem::Document(bad) => bad.offset,
        _ => offset,
    };
    match problem.kind() {
        ErrorKind::Data => ReadError::Broken { offset, reason: problem.to_string() },
        _ => ReadError::Refused(problem),
    }
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
    use std::io::Write as _;

    use arrow::{
        array::AsArray,
        datatypes::{DataType, Field, Schema},
    };
    use object_store::{ObjectStoreExt, memory::InMemory, path::Path};

    use super::*;
    use crate::files::options::{JsonOptions, TextOptions};

    async fn file(store: &InMemory, name: &str) -> SourceFile {
        store.head(&Path::from(name)).await.expect("is there").into()
    }

    fn schema(column: &str, data_type: DataType) -> Arc<ReadSchema> {
        Arc::new(ReadSchema {
            columns: Arc::new(Schema::new(vec![Field::new(column, data_type, true)])),
            ignored: std::collections::BTreeSet::new(),
            is_rescuing: true,
            is_case_sensitive: true,
            is_observing: false,
        })
    }

    fn reader(store: &Arc<InMemory>, format: Format) -> StoreReader {
        let store = Arc::<InMemory>::clone(store) as _;
        StoreReader {
            store,
            url: "s3://b/".to_owned(),
            format,
            times: Arc::new(TextOptions::default()),
        }
    }

    fn text() -> Format {
        Format::Text { is_whole: false, line_sep: None, encoding: encoding_rs::UTF_8 }
    }

    async fn rows(reader: &StoreReader, file: &SourceFile) -> Result<(usize, usize), ReadError> {
        let schema = schema("a", DataType::Int64);
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
        let reader = reader(&store, Format::Json(JsonOptions::default()));
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

    #[tokio::test]
    async fn a_binary_file_says_where_it_lies() {
        let store = Arc::new(InMemory::new());
        store.put(&Path::from("in/a.bin"), "bytes".into()).await.expect("puts");
        let (reader, file) = (reader(&store, Format::Binary), file(&store, "in/a.bin").await);
        let (sender, mut stretches) = mpsc::channel::<Decoded>(2);
        let schema = schema("path", DataType::Utf8);
        reader.read(&file, schema, &sender).await.expect("reads");
        let found = stretches.recv().await.expect("rows");
        let paths = found.batches[0].column(0).as_string::<i32>();
        assert_eq!(paths.value(0), "s3://b/in/a.bin");
    }

    #[tokio::test]
    async fn a_packed_file_is_handed_on_in_stretches() {
        const MIB: usize = 200;
        let store = Arc::new(InMemory::new());
        let mut packed = zstd::stream::Encoder::new(Vec::new(), 1).expect("opens");
        let lines = format!("{}\n", "x".repeat(1023)).repeat(1024);
        for _ in 0..MIB {
            packed.write_all(lines.as_bytes()).expect("packs");
        }
        let packed = packed.finish().expect("packs");
        assert!(packed.len() < PIECE_BYTES, "one piece has all of it");
        store.put(&Path::from("x.txt.zst"), packed.into()).await.expect("puts");
        let (reader, file) = (reader(&store, text()), file(&store, "x.txt.zst").await);
        let (sender, mut stretches) = mpsc::channel(1);
        let reading = tokio::spawn(async move {
            reader.read(&file, schema("value", DataType::Utf8), &sender).await
        });
        let (mut rows, mut bytes_max) = (0, 0);
        while let Some(stretch) = stretches.recv().await {
            let bytes: usize =
                stretch.batches.iter().map(|rows| rows.get_array_memory_size()).sum();
            rows += stretch.batches.iter().map(|rows| rows.num_rows()).sum::<usize>();
            bytes_max = bytes.max(bytes_max);
        }
        reading.await.expect("no panic").expect("reads");
        assert_eq!(rows, MIB * 1024);
        // A stretch is 8 MiB of text; buffers grow by doubling.
        assert!(bytes_max < 32 << 20, "{bytes_max} bytes at once");
    }

    #[tokio::test]
    async fn reading_ends_when_nobody_takes_the_rows() {
        let store = Arc::new(InMemory::new());
        let packed = zstd::encode_all("x\n".repeat(1 << 20).as_bytes(), 1).expect("packs");
        store.put(&Path::from("x.zst"), packed.into()).await.expect("puts");
        let file = file(&store, "x.zst").await;
        let (sender, stretches) = mpsc::channel(1);
        drop(stretches);
        let reader = reader(&store, text());
        reader.read(&file, schema("value", DataType::Utf8), &sender).await.expect("ends well");
    }

    #[tokio::test]
    async fn what_is_wrong_with_no_file_is_not_told_of_one() {
        let store = Arc::new(InMemory::new());
        store.put(&Path::from("x"), "a\n".into()).await.expect("puts");
        let file = file(&store, "x").await;
        let nanos = DataType::Duration(arrow::datatypes::TimeUnit::Nanosecond);
        let (sender, _stretches) = mpsc::channel(1);
        let read = reader(&store, text()).read(&file, schema("value", nanos), &sender).await;
        let error = read.expect_err("no text becomes a duration");
        assert!(matches!(error, ReadError::Refused(_)), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}
