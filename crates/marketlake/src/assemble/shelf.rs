//! The stores of the pipeline, each opened once per process; who writes has it asked whether it can
//! arbitrate.

use std::{path::Path, sync::Arc};

use lake::Location;
use object_store::{ObjectStore, prefix::PrefixStore};
use stores::Opened;
use tokio::sync::OnceCell;
use url::Url;

use super::{ResultExt, Workbench, options::CurrentOptions};
use crate::{
    config::{Durability, SharedPollConfig, StoreConfig},
    failure::Failure,
};

/// Where the loader keeps its plans in a lake that lies in a store: no layer has such a name.
const CHECKPOINTS: &str = "_checkpoints";

/// What somebody is going to do with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Look.
    Read,
    /// Create objects that nobody else may create as well. The store is asked, once per process,
    /// whether it can tell who was first; one that cannot is refused.
    Write,
}

/// A store that was opened, maybe.
#[derive(Debug, Default)]
struct Place {
    opened: OnceCell<Opened>,
    arbitrates: OnceCell<()>,
}

/// What was opened so far.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    landing: Place,
    lake: Place,
    checkpoints: Place,
    poll: Place,
}

impl Workbench {
    /// Returns the landing zone, rooted so that keys are relative to it.
    pub(crate) async fn landing_store(
        &self,
        access: Access,
    ) -> Result<Arc<dyn ObjectStore>, Failure> {
        let (config, folder) = (&self.config.landing.store, self.data.landing());
        let opened = self.open_store(&self.shelf.landing, access, "landing.url", config, &folder);
        Ok(Arc::clone(&opened.await?.store))
    }

    /// Returns where the tables lie.
    pub(crate) async fn lake(&self, access: Access) -> Result<Location, Failure> {
        let opened = self.lake_place(access).await?;
        Ok(Location { store: Arc::clone(&opened.root), url: opened.url.clone() })
    }

    /// Returns the store of the tables, rooted at the lake.
    pub(crate) async fn lake_store(&self, access: Access) -> Result<Arc<dyn ObjectStore>, Failure> {
        Ok(Arc::clone(&self.lake_place(access).await?.store))
    }

    /// Returns the store of the loader's plans: beside the lake, for whoever loads into it.
    pub(crate) async fn checkpoint_store(
        &self,
        access: Access,
    ) -> Result<Arc<dyn ObjectStore>, Failure> {
        if self.config.lake.address.is_some() {
            return Ok(Arc::new(PrefixStore::new(self.lake_store(access).await?, CHECKPOINTS)));
        }
        let (config, folder) = (StoreConfig::default(), self.data.checkpoints());
        let opened = self.open_store(&self.shelf.checkpoints, access, "data_dir", &config, &folder);
        Ok(Arc::clone(&opened.await?.store))
    }

    /// Returns the store in which pollers share what they remember.
    pub(crate) async fn poll_store(
        &self,
        settings: &SharedPollConfig,
        access: Access,
    ) -> Result<Arc<dyn ObjectStore>, Failure> {
        let (config, folder) = (&settings.state, self.data.ingest());
        let opened = self.open_store(&self.shelf.poll, access, "poll.state_url", config, &folder);
        Ok(Arc::clone(&opened.await?.store))
    }

    /// Returns who opens files of the lake to others, if its store can.
    pub(crate) async fn lake_links(
        &self,
        access: Access,
    ) -> Result<Option<stores::Links>, Failure> {
        Ok(self.lake_place(access).await?.links.clone())
    }

    async fn lake_place(&self, access: Access) -> Result<&Opened, Failure> {
        let (config, folder) = (&self.config.lake, self.data.lake());
        self.open_store(&self.shelf.lake, access, "lake.url", config, &folder).await
    }

    async fn open_store<'shelf>(
        &self,
        place: &'shelf Place,
        access: Access,
        setting: &str,
        config: &StoreConfig,
        folder: &Path,
    ) -> Result<&'shelf Opened, Failure> {
        let open = || self.connect(setting, config, folder);
        let opened = place.opened.get_or_try_init(open).await?;
        if access == Access::Write {
            let ask = || async {
                let asked = stores::probe_create_only(&opened.store).await.or_fail();
                asked.map_err(|failure| failure.context(format!("the store of `{setting}`")))
            };
            place.arbitrates.get_or_try_init(ask).await?;
        }
        Ok(opened)
    }

    /// Connects to a store, or to `folder` where the settings name none.
    pub(super) async fn connect(
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
