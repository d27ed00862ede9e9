//! The truth file: replaced as a whole, so that a reader never sees half of it.

use std::path::PathBuf;

use crate::{Error, SimulatorConfig, seed::text_hash};

/// Where the truth is written, and what stands there.
#[derive(Debug)]
pub(crate) struct TruthFile {
    path: Option<PathBuf>,
    written: Option<u64>,
}

impl TruthFile {
    pub(crate) fn new(config: &SimulatorConfig) -> Self {
        Self { path: config.truth_file.clone(), written: None }
    }

    pub(crate) const fn is_wanted(&self) -> bool {
        self.path.is_some()
    }

    /// Writes `text` unless it already stands there.
    pub(crate) async fn renew(&mut self, text: &str) -> Result<(), Error> {
        let Some(path) = &self.path else { return Ok(()) };
        let hash = text_hash(text.as_bytes());
        if self.written == Some(hash) {
            return Ok(());
        }
        let failed = |source| Error::WriteTruth { path: path.clone(), source };
        let mut beside = path.clone().into_os_string();
        beside.push(".new");
        tokio::fs::write(&beside, text).await.map_err(failed)?;
        tokio::fs::rename(&beside, path).await.map_err(failed)?;
        self.written = Some(hash);
        Ok(())
    }
}
