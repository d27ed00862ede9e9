//! The stores of the pipeline, each opened, and asked whether it can arbitrate, once per process.

use std::{path::Path, sync::Arc};

use lake::Location;
use object_store::{ObjectStore, prefix::PrefixStore};
use stores::Opened;
use tokio::sync::OnceCell;
use url::Url;

use super::{ResultExt, Workbench, options::CurrentOptions};
use crate::{
    config::{Durability, StoreConfig},
    failure::Failure,
};

/// Where the loader keeps its plans in a lake that lies in a store: no layer has such a name.
const CHECKPOINTS: &str = "_checkpoints";

/// What was opened so far.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    landing: OnceCell<Opened>,
    lake: OnceCell<Opened>,
    checkpoints: OnceCell<Opened>,
}

impl Workbench {
    /// Returns the landing zone, rooted so that keys are relative to it.
    pub(crate) async fn landing_store(&self) -> Result<Arc<dyn ObjectStore>, Failure> {
        let (config, folder) = (&self.config.landing.store, self.data.landing());
        let open = || self.open_store("landing.url", config, &folder);
        Ok(Arc::clone(&self.shelf.landing.get_or_try_init(open).await?.store))
    }

    /// Returns where the tables lie.
    pub(crate) async fn lake(&self) -> Result<Location, Failure> {
        let opened = self.lake_store().await?;
        Ok(Location { store: Arc::clone(&opened.root), url: opened.url.clone() })
    }

    /// Returns the store of the loader's plans: beside the lake, for whoever loads into it.
    pub(crate) async fn checkpoint_store(&self) -> Result<Arc<dyn ObjectStore>, Failure> {
        if self.config.lake.address.is_some() {
            let lake = Arc::clone(&self.lake_store().await?.store);
            return Ok(Arc::new(PrefixStore::new(lake, CHECKPOINTS)));
        }
        let config = StoreConfig::default();
        let folder = self.data.checkpoints();
        let open = || self.open_store("data_dir", &config, &folder);
        Ok(Arc::clone(&self.shelf.checkpoints.get_or_try_init(open).await?.store))
    }

    async fn lake_store(&self) -> Result<&Opened, Failure> {
        let (config, folder) = (&self.config.lake, self.data.lake());
        let open = || self.open_store("lake.url", config, &folder);
        self.shelf.lake.get_or_try_init(open).await
    }

    /// Opens a store; `folder` where the settings name none.
    pub(crate) async fn open_store(
        &self,
        setting: &str,
        config: &StoreConfig,
        folder: &Path,
    ) -> Result<Opened, Failure> {
        let durability = match self.config.durability {
            Durability::Process => stores::Durability::Process,
            Durability::Power => stores::Durability::Power,
        };
        let address = match &config.address {
            Some(address) => address.clone(),
            None => Url::from_directory_path(folder)
                .map_err(|()| {
                    Failure::config(format!("`{}` is no absolute path", folder.display()))
                })?
                .to_string(),
        };
        let options = Arc::new(CurrentOptions::new(&self.scopes, &config.options));
        let clock = Arc::clone(&self.clock);
        let opened = stores::open(&address, options, durability, clock).await.or_fail();
        opened.map_err(|failure| failure.context(format!("opening the store of `{setting}`")))
    }
}
