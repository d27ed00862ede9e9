//! What each command does.

use std::{collections::BTreeMap, sync::Arc};

use model::Clock;
use secrets::{Redactor, ScopeConfig, Scopes, SecretName};

use crate::{
    assemble::{DataDir, Workbench},
    cli::Output,
    config::{Config, Origin, Unresolved},
    failure::Failure,
    progress::Bars,
    supervise::{self, Stopped},
};

pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod files;
pub(crate) mod pipeline;
pub(crate) mod powerbi;
pub(crate) mod query;
pub(crate) mod role;
pub(crate) mod settings;
pub(crate) mod sharing;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod vault;
pub(crate) mod verify;

/// What a command begins with: settings whose values may still be secrets to be read.
pub(crate) struct Setup {
    pub(crate) settings: Unresolved,
    pub(crate) scopes: BTreeMap<SecretName, ScopeConfig>,
    pub(crate) output: Output,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) redactor: Redactor,
    pub(crate) bars: Bars,
}

impl Setup {
    /// Returns the scopes to read from; nothing is asked yet.
    pub(crate) fn open_scopes(&self) -> Scopes {
        Scopes::new(&self.scopes, self.redactor.clone())
    }

    /// Reads the secrets that stand for settings.
    pub(crate) async fn resolve(self) -> Result<Context, Failure> {
        let scopes = self.open_scopes();
        let loaded = settings::resolve(self.settings, &scopes).await?;
        Ok(Context {
            is_default_data_dir: loaded.layers.origin("data_dir") == Some(&Origin::Default),
            config: loaded.config,
            output: self.output,
            clock: self.clock,
            redactor: self.redactor,
            bars: self.bars,
        })
    }
}

/// What a command is given that needs all its settings.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) is_default_data_dir: bool,
    pub(crate) output: Output,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) redactor: Redactor,
    pub(crate) bars: Bars,
}

impl Context {
    /// Opens the data folder, creating it when it is absent.
    pub(crate) fn open(&self) -> Result<Workbench, Failure> {
        Ok(self.bench(DataDir::open(&self.config.data_dir)?))
    }

    /// Opens a data folder that must be there: a command that only looks creates nothing, and works
    /// on a full disk, when it is needed most.
    pub(crate) fn open_existing(&self) -> Result<Workbench, Failure> {
        let folder = &self.config.data_dir;
        // What there is to look at may lie elsewhere.
        let is_here = self.config.lake.address.is_none();
        if is_here && !folder.join("lake").try_exists().unwrap_or(false) {
            return Err(Failure::config(format!(
                "there is no data folder `{}`; `marketlake up` or `marketlake demo` creates one, \
                 `--data-dir` names another",
                folder.display()
            )));
        }
        self.open_untried()
    }

    /// Opens the data folder without trying whether it takes data.
    pub(crate) fn open_untried(&self) -> Result<Workbench, Failure> {
        Ok(self.bench(DataDir::open_untried(&self.config.data_dir)?))
    }

    /// Returns what needs no data folder: addresses are on the command line.
    pub(crate) fn without_data(&self) -> Workbench {
        self.bench(DataDir::unmade(&self.config.data_dir))
    }

    fn bench(&self, data: DataDir) -> Workbench {
        let (clock, redactor) = (Arc::clone(&self.clock), self.redactor.clone());
        Workbench::new(self.config.clone(), clock, redactor, data)
    }
}

/// How a command ended, if not with a failure of its own.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// Tasks that stopped early, each with its reason.
    pub(crate) tasks: Vec<Stopped>,
    /// An exit code that is no task's failure.
    pub(crate) code: u8,
}

impl Ended {
    /// Returns the process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        supervise::exit_code(&self.tasks).max(self.code)
    }
}

impl From<Vec<Stopped>> for Ended {
    fn from(tasks: Vec<Stopped>) -> Self {
        Self { tasks, code: 0 }
    }
}
