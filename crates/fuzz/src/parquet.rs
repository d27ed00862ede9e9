//! Parquet through the reader of stores: what is damaged is told as such, whatever the library does.

use std::{
    io::Write as _,
    sync::{Arc, LazyLock},
};

use autoloader::files::{
    options::{Format, TextOptions},
    ports::ReadRows as _,
    reading::StoreReader,
};
use object_store::{ObjectStoreExt as _, memory::InMemory, path::Path};
use tokio::{runtime::Runtime, sync::mpsc};

use crate::{decode::STEP_BYTES_MAX, said::Said};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread().build().expect("needs nothing of the system")
});

/// Reads a Parquet file.
///
/// # Panics
/// The reader dies, or hands on too much at once.
pub fn parquet(input: &[u8]) {
    let Some(said) = Said::parse(input) else { return };
    let Some(schema) = said.read_schema().map(Arc::new) else { return };
    RUNTIME.block_on(async {
        let store = Arc::new(InMemory::new());
        let path = Path::from("a.parquet");
        store.put(&path, said.body.to_vec().into()).await.expect("memory takes it");
        let meta = store.head(&path).await.expect("it is there");
        let times = Arc::new(TextOptions::default());
        let reader = StoreReader { url: String::new(), store, format: Format::Parquet, times };
        let (sender, mut stretches) = mpsc::channel(1);
        let file = meta.into();
        let reading = async move { reader.read(&file, schema, &sender).await };
        let taking = async {
            while let Some(stretch) = stretches.recv().await {
                let sizes = stretch.batches.iter().map(|batch| batch.get_array_memory_size());
                let bytes: usize = sizes.sum();
                assert!(bytes <= STEP_BYTES_MAX, "{bytes} bytes at once");
            }
        };
        let (done, ()) = tokio::join!(reading, taking);
        let told = done.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(!told.contains("bug of ours"), "{told}");
    });
}

/// Lets a search go on when the library panics, which the reader expects: what the reader does not
/// take ends up as a panic of the target, and that ends the search whatever this does.
pub fn expect_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let is_ours = panic.location().is_some_and(|at| at.file().starts_with("crates/"));
        if is_ours {
            // Not to lose what was said is all that matters here.
            drop(writeln!(std::io::stderr(), "{panic}"));
        }
    }));
}
