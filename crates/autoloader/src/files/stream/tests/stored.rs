//! Streams that really read files and really keep their columns, start by start.

use std::sync::{Arc, Mutex};

use arrow::util::display::array_value_to_string;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};

use super::{
    target::{Kept, MemoryTarget},
    world::World,
};
use crate::{
    faults::Faults,
    files::{
        Discoverer, LoadOptions,
        columns::StoredColumns,
        discover::Source,
        options::{Format, Overwrites},
        reading::StoreReader,
        schema::{Iso, SchemaStore, field_text},
        stream::{Progress, Stream, StreamParts},
    },
};

/// A folder of files, and the table that it is loaded into.
struct Folder {
    files: Arc<InMemory>,
    world: World,
    table: Arc<Mutex<Kept>>,
    /// What files are read as instead of what the options say.
    read_as: Option<Format>,
}

impl Folder {
    fn new() -> Self {
        let world = World::new(Overwrites::Ignore);
        let (files, table) = (Arc::new(InMemory::new()), Arc::clone(&world.table));
        Self { files, table, world, read_as: None }
    }

    fn stream(&self, told: &[&str]) -> Stream<MemoryTarget> {
        let told = told.iter().map(|told| told.split_once('=').expect("name=value"));
        let told = told.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let options = LoadOptions::parse(told).unwrap();
        let files: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(&self.files);
        let state: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(&self.world.state);
        let target = |kept: &Arc<Mutex<Kept>>| MemoryTarget {
            kept: Arc::clone(kept),
            faults: Faults::none(),
        };
        let mut config = self.world.manner().config;
        config.keeps_metadata = options.schema.metadata_column.is_some();
        let source = Source {
            store: Arc::clone(&files),
            prefix: None,
            is_local: false,
            names: Arc::new(|_| true),
        };
        let (discovery, overwrites) = (config.discovery.clone(), config.overwrites);
        let discover = Discoverer::new(source, discovery, overwrites, Vec::new(), None);
        Stream::new(StreamParts {
            config,
            discover: Box::new(discover),
            reader: Arc::new(StoreReader {
                url: String::new(),
                store: Arc::clone(&files),
                format: self.read_as.clone().unwrap_or_else(|| options.format.clone()),
                times: Arc::new(Iso),
            }),
            schemas: Box::new(StoredColumns {
                versions: SchemaStore::new(Arc::clone(&state), "_schema"),
                source: files,
                format: options.format,
                options: options.schema,
                times: Arc::new(Iso),
                prepared: None,
            }),
            state,
            target: target(&self.table),
            quarantine: Some(target(&self.world.quarantine)),
            clock: Arc::clone(&self.world.clock) as _,
        })
    }

    /// Loads what there is; returns each batch's files with their rows, or why they were set aside,
    /// and at the end the error, if there is one.
    async fn load(&self, told: &[&str]) -> String {
        let mut stream = self.stream(told);
        let mut batches = Vec::new();
        for _ in 0..10 {
            match stream.run_once().await {
                Ok(Progress::UpToDate { .. }) => return batches.join("; "),
                Ok(Progress::Loaded(report)) => {
                    let file =
                        |(path, found): (&String, &crate::files::plan::FileOutcome)| match &found
                            .set_aside
                        {
                            Some(why) => format!("{path} {why:?}"),
                            None => format!("{path} {}", found.rows),
                        };
                    let files: Vec<_> = report.outcome.files.iter().map(file).collect();
                    let version = report.outcome.schema_version;
                    let version = version.map_or("no columns".to_owned(), |it| format!("v{it}"));
                    batches.push(format!("{version}: {}", files.join(" ")));
                }
                Err(error) => {
                    let mut cause: Option<&dyn std::error::Error> = Some(&error);
                    while let Some(error) = cause {
                        batches.push(error.to_string());
                        cause = error.source();
                    }
                    batches.push(format!("{:?}", error.kind()));
                    return batches.join("; ");
                }
            }
        }
        panic!("it does not end: {batches:?}");
    }

    /// Returns the columns of the table but those of the loader.
    fn columns(&self) -> String {
        let table = self.table.lock().unwrap();
        let columns = table.columns.iter().flat_map(|columns| columns.fields().iter());
        let own = columns.filter(|column| !column.name().starts_with("_m"));
        own.map(|column| field_text(column)).collect::<Vec<_>>().join(", ")
    }

    /// Returns what a column holds, row by row, in the order of the commits.
    fn values(&self, column: &str) -> Vec<String> {
        let table = self.table.lock().unwrap();
        let mut values = Vec::new();
        for rows in &table.rows {
            let array = rows.column_by_name(column);
            for row in 0..rows.num_rows() {
                values.push(
                    array.map_or(String::new(), |array| array_value_to_string(array, row).unwrap()),
                );
            }
        }
        values
    }
}

/// One start of a stream.
struct Start {
    /// Files that are there since the last start.
    puts: &'static [(&'static str, &'static str)],
    told: &'static [&'static str],
    /// What comes of them, as [`Folder::load`] says it.
    loaded: &'static str,
    /// The columns of the table behind it.
    columns: &'static str,
}

const fn start(
    puts: &'static [(&'static str, &'static str)],
    told: &'static [&'static str],
    loaded: &'static str,
    columns: &'static str,
) -> Start {
    Start { puts, told, loaded, columns }
}

async fn play(scenarios: &[(&str, &[Start])]) {
    for (name, starts) in scenarios {
        let folder = Folder::new();
        for (at, start) in starts.iter().enumerate() {
            for (path, text) in start.puts {
                folder.files.put(&Path::from(*path), (*text).into()).await.unwrap();
            }
            assert_eq!(folder.load(start.told).await, start.loaded, "{name}: start {at}");
            assert_eq!(folder.columns(), start.columns, "{name}: columns after start {at}");
        }
    }
}

const JSON: &[&str] = &["format=json", "inferColumnTypes=true", "schemaEvolutionMode=rescue"];
const RESCUED: &str = "a BIGINT, _rescued_data STRING";

#[tokio::test]
async fn a_first_batch_without_columns_does_not_hold_up_the_next() {
    const HAS_A: &str = "{\"a\":1}\n";
    play(&[
        (
            "an empty file",
            &[
                start(&[("a", "")], JSON, "no columns: a 0", ""),
                start(&[("b", HAS_A)], JSON, "v1: b 1", RESCUED),
                start(&[], JSON, "", RESCUED),
            ],
        ),
        (
            "one that is cut off beside one that has columns",
            &[start(
                &[("a.json", "BZh9"), ("a.json.bz2", "BZh9"), ("b", HAS_A)],
                JSON,
                "v1: a.json 0 a.json.bz2 Failed b 1",
                RESCUED,
            )],
        ),
        (
            "nothing but one that is cut off, until it is tried no more",
            &[
                start(&[("a.bz2", "BZh9")], JSON, "no columns: a.bz2 Failed", ""),
                start(&[], JSON, "no columns: a.bz2 Failed", ""),
                start(&[], JSON, "no columns: a.bz2 Poisoned", ""),
                start(&[], JSON, "", ""),
                start(&[("b", HAS_A)], JSON, "v1: b 1", RESCUED),
            ],
        ),
        (
            "records that are none",
            &[
                start(&[("a", "x\ny\n")], JSON, "no columns: a 0", ""),
                start(&[("b", HAS_A)], JSON, "v1: b 1", RESCUED),
            ],
        ),
        (
            "the sample has no columns, and another file has",
            &[start(
                &[("a", HAS_A), ("b", "{\"a\":2}"), ("c", "")],
                &["format=json", "inferColumnTypes=true", "sampleFiles=1"],
                "v1: a 1 b 1 c 0",
                RESCUED,
            )],
        ),
        (
            "nothing but nulls that are dropped",
            &[start(
                &[("a", "{\"a\":null}")],
                &["format=json", "dropFieldIfAllNull=true"],
                "no columns: a 0",
                "",
            )],
        ),
        (
            "a header alone has columns",
            &[start(
                &[("a", "x,y\n")],
                &["format=csv", "header=true"],
                "v1: a 0",
                "x STRING, y STRING, _rescued_data STRING",
            )],
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_is_given_later_reaches_the_columns() {
    const A: (&str, &str) = ("a", "{\"a\":1}");
    const B: (&str, &str) = ("b", "{\"a\":2,\"b\":3}");
    const FAIL: &[&str] =
        &["format=json", "inferColumnTypes=true", "schemaEvolutionMode=failOnNewColumns"];
    const HINTED: &[&str] = &[FAIL[0], FAIL[1], FAIL[2], "schemaHints=b DECIMAL(18,6)"];
    const NEW: &str = "the files have columns that the schema does not: `b BIGINT`; add them to `schema` or `schemaHints`, remove the files that have them, or choose another `cloudFiles.schemaEvolutionMode`; Data";
    play(&[
        (
            "failOnNewColumns: a hint",
            &[
                start(&[A], FAIL, "v1: a 1", RESCUED),
                start(&[B], FAIL, NEW, RESCUED),
                start(
                    &[],
                    HINTED,
                    "v2: b 1",
                    "a BIGINT, b DECIMAL(18,6), _rescued_data STRING",
                ),
            ],
        ),
        (
            "failOnNewColumns: a schema with another column at its end",
            &[
                start(
                    &[A],
                    &["format=json", "schema=a BIGINT"],
                    "v1: a 1",
                    "a BIGINT",
                ),
                start(
                    &[B],
                    &["format=json", "schema=a BIGINT, b INT"],
                    "v2: b 1",
                    "a BIGINT, b INT",
                ),
            ],
        ),
        (
            "a hint that is a widening",
            &[
                start(&[A], &["format=json", "schemaHints=a INT"], "v1: a 1", "a INT, _rescued_data STRING"),
                start(&[B], &["format=json", "schemaHints=a BIGINT, b INT"], "v2: b 1", "a BIGINT, b INT, _rescued_data STRING"),
            ],
        ),
        (
            "a hint that is none",
            &[
                start(&[A], JSON, "v1: a 1", RESCUED),
                start(
                    &[B],
                    &["format=json", "schemaHints=a STRING"],
                    "making the columns of the table; column `a` is BIGINT in the table and cannot become STRING; take that back, or load into a new table; Config",
                    RESCUED,
                ),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_path_that_fits_no_longer_is_rescued_or_stops_the_stream() {
    let folder = Folder::new();
    for path in ["region=1/a", "region=eu/b"] {
        folder.files.put(&Path::from(path), "{\"a\":1}".into()).await.unwrap();
    }
    let told = ["format=json", "schemaHints=region INT"];
    assert_eq!(folder.load(&told).await, "v1: region=1/a 1 region=eu/b 1");
    assert_eq!(folder.columns(), "a STRING, region INT, _rescued_data STRING");
    assert_eq!(folder.values("region"), ["1", ""]);
    let rescued = r#"{"region":"eu","_file_path":"s3://bucket/source/region=eu/b"}"#;
    assert_eq!(folder.values("_rescued_data"), ["", rescued]);

    let folder = Folder::new();
    folder.files.put(&Path::from("region=eu/b"), "{\"a\":1}".into()).await.unwrap();
    let told = ["format=json", "schema=a STRING, region INT"];
    assert_eq!(
        folder.load(&told).await,
        "the path of file `region=eu/b` says `eu`, which column `region` cannot hold; give a `rescuedDataColumn`, or a `schema` in which it can; Data"
    );
}

#[tokio::test]
async fn a_format_that_cannot_be_read_so_stops_the_stream_and_poisons_nothing() {
    let mut folder = Folder::new();
    folder.files.put(&Path::from("a"), "{\"length\":1}".into()).await.unwrap();
    folder.read_as = Some(Format::Binary);
    let told = ["format=json", "schema=length STRING"];
    for _ in 0..5 {
        assert_eq!(
            folder.load(&told).await,
            "reading file `a`; no file can be read with these columns and options; column `length` is Utf8, which text does not become; Config"
        );
    }
    folder.read_as = None;
    assert_eq!(folder.load(&told).await, "v1: a 1");
}
