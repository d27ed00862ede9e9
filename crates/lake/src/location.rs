//! Where the lake lies: an object store and the URL of the folder that holds the layers.

use std::{path::Path, sync::Arc};

use object_store::{ObjectStore, local::LocalFileSystem, memory::InMemory};
use url::Url;

use crate::Error;

/// The lake's place. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Location {
    /// The store at the root of the URL: the whole file system, or one bucket.
    pub store: Arc<dyn ObjectStore>,
    /// The folder of the layers, with a slash at the end.
    pub url: Url,
}

impl Location {
    /// Returns the lake in a local folder, which must exist.
    ///
    /// # Errors
    /// The path is not absolute.
    pub fn local(folder: &Path) -> Result<Self, Error> {
        let url = Url::from_directory_path(folder)
            .map_err(|()| Error::Location { url: folder.display().to_string() })?;
        Ok(Self { store: Arc::new(LocalFileSystem::new()), url })
    }

    /// Returns an empty lake in memory, for tests.
    ///
    /// # Panics
    /// Never: the address is a constant.
    #[must_use]
    pub fn in_memory() -> Self {
        let url = Url::parse("memory:///lake/").expect("a constant address parses");
        Self { store: Arc::new(InMemory::new()), url }
    }

    /// Returns the address of one table.
    pub(crate) fn table(&self, layer: &str, name: &str) -> Result<Url, Error> {
        self.url
            .join(&format!("{layer}/{name}"))
            .map_err(|_| Error::Location { url: self.url.to_string() })
    }
}
