//! Loading one dataset: the generations of its landing chain, one after the other.

use std::{sync::Arc, time::Duration};

use autoloader::{Loader, LoaderConfig, Trigger};
use ingest::landing::generation::{self, Current};
use lake::{BronzeTarget, Location, row_schema};
use model::{Clock, Dataset};
use object_store::ObjectStore;

use super::{Access, ResultExt, Workbench};
use crate::failure::Failure;

/// How often a loader looks for a new generation. They are rare, landers take as long to hear of
/// one, and a bucket charges for each look.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How long a generation is still followed after the next one began: a lander that has not heard of
/// it lands in the old one for a minute or two.
const FOLLOWED_FOR: chrono::TimeDelta = chrono::TimeDelta::minutes(10);

/// The loaders of one dataset.
pub(crate) struct DatasetLoader {
    dataset: Dataset,
    access: Access,
    topic: String,
    /// The configured generation, below which nothing is looked for.
    floor: u32,
    config: LoaderConfig,
    landing: Arc<dyn ObjectStore>,
    checkpoints: Arc<dyn ObjectStore>,
    lake: Location,
    clock: Arc<dyn Clock>,
    /// Those that may have something to load, oldest first.
    loaders: Vec<(Current, Loader<BronzeTarget>)>,
    /// The newest generation that was ever among them.
    newest: Option<u32>,
    look_at: Duration,
}

impl DatasetLoader {
    /// Opens what loads a dataset; with [`Access::Read`] it is only asked what waits.
    pub(crate) async fn open(
        bench: &Workbench,
        access: Access,
        dataset: Dataset,
        trigger: Trigger,
    ) -> Result<Self, Failure> {
        let topic = bench.topic_name(dataset);
        let config = LoaderConfig {
            files_max: usize::try_from(bench.config.load.files_max.get()).unwrap_or(usize::MAX),
            bytes_max: bench.config.load.bytes_max,
            trigger,
            ..LoaderConfig::new(&topic, &topic, &topic)
        };
        Ok(Self {
            dataset,
            access,
            topic,
            floor: bench.config.landing.generation,
            config,
            landing: bench.landing_store(Access::Read).await?,
            checkpoints: bench.checkpoint_store(access).await?,
            lake: bench.lake(access).await?,
            clock: Arc::clone(&bench.clock),
            loaders: Vec::new(),
            newest: None,
            look_at: Duration::ZERO,
        })
    }

    /// Loads at most one batch; returns its rows.
    pub(crate) async fn run_once(&mut self) -> Result<Option<u64>, Failure> {
        self.look(false).await?;
        loop {
            for (_, loader) in &mut self.loaders {
                let progress = loader.run_once().await.or_fail()?;
                if progress.moved() {
                    return Ok(Some(progress.rows()));
                }
            }
            self.drop_ended();
            // A run that ends with what is there must not end in front of a generation.
            let is_ending = self.config.trigger == Trigger::AvailableNow;
            if !is_ending || !self.look(true).await? {
                return Ok(None);
            }
        }
    }

    /// Returns how many objects landed and are not in bronze.
    pub(crate) async fn backlog(&mut self) -> Result<u64, Failure> {
        self.look(false).await?;
        let mut objects = 0;
        for (_, loader) in &self.loaders {
            objects += loader.backlog().await.or_fail()?.objects;
        }
        if objects == 0 {
            self.drop_ended();
        }
        Ok(objects)
    }

    /// Looks for generations when it is time, or `now`; says whether there is a new one.
    async fn look(&mut self, now: bool) -> Result<bool, Failure> {
        let ts = self.clock.monotonic();
        if !now && ts < self.look_at {
            return Ok(false);
        }
        let before = self.newest;
        for current in self.generations().await? {
            if self.newest.is_none_or(|newest| newest < current.generation) {
                let loader = self.loader(current.generation).await?;
                self.newest = Some(current.generation);
                self.loaders.push((current, loader));
            }
        }
        self.look_at = ts + LOOK_EVERY;
        Ok(before < self.newest)
    }

    /// Drops the loaders of generations that nobody lands in any more. To be called when all of them
    /// have just said that nothing waits: a generation may be old and not loaded yet.
    fn drop_ended(&mut self) {
        let now = self.clock.now();
        let is_over = |current: &Current| {
            let opened = current.opened.as_ref().map(|opened| opened.ts_opened);
            opened
                .is_some_and(|ts| ts.checked_add_signed(FOLLOWED_FOR).is_some_and(|end| end < now))
        };
        // Whatever precedes the last generation that began long ago.
        if let Some(last) = self.loaders.iter().rposition(|(current, _)| is_over(current)) {
            self.loaders.drain(..last);
        }
    }

    /// Returns the generations that landing began, oldest first, the configured one at least.
    async fn generations(&self) -> Result<Vec<Current>, Failure> {
        let mut found = generation::all(&self.landing, &self.topic).await.or_fail()?;
        found.retain(|current| self.floor <= current.generation);
        if found.first().is_none_or(|first| first.generation != self.floor) {
            found.insert(0, Current { generation: self.floor, opened: None });
        }
        Ok(found)
    }

    async fn loader(&self, generation: u32) -> Result<Loader<BronzeTarget>, Failure> {
        let pipeline = format!("{}-{generation}", self.topic);
        let target = match self.access {
            Access::Read => BronzeTarget::open_to_read(&self.lake, self.dataset, &pipeline).await,
            Access::Write => BronzeTarget::open(&self.lake, self.dataset, &pipeline).await,
        };
        let config = LoaderConfig {
            pipeline: pipeline.clone(),
            pipeline_uuid: pipeline,
            generation,
            ..self.config.clone()
        };
        Ok(Loader::new(
            config,
            Arc::clone(&self.landing),
            Arc::clone(&self.checkpoints),
            row_schema(self.dataset),
            target.or_fail()?,
            Arc::clone(&self.clock),
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ingest::topic::NewRecord;
    use model::landing::{Divergence, Opened};
    use object_store::{ObjectStoreExt, path::Path};
    use secrets::Redactor;

    use super::*;
    use crate::{
        assemble::{DataDir, Gauges, Topic, stages::LandStage},
        config::tests::load_with,
        supervise::Stage,
    };

    const DATASET: Dataset = Dataset::Intraday;

    /// Appends records, and lands all there is.
    async fn land(bench: &Workbench, topic: &Topic, count: usize) {
        let value = br#"{"symbol":"A","date":"2026-01-05T14:30:00+0000"}"#;
        let record =
            NewRecord { key: "A".to_owned(), value: value.as_slice().into(), headers: vec![] };
        let name = bench.topic_name(DATASET);
        topic.writer.append(&name, vec![record; count]).await.expect("appends");
        let mut stage =
            LandStage::open(bench, topic.clone(), Gauges::default()).await.expect("opens");
        for _ in 0..10 {
            stage.run_once().await.expect("lands");
            bench.clock.sleep(bench.config.landing.age_max / 2).await;
        }
    }

    async fn load(bench: &Workbench) -> u64 {
        let mut loader = DatasetLoader::open(bench, Access::Write, DATASET, Trigger::AvailableNow)
            .await
            .expect("opens");
        let mut rows = 0;
        while let Some(more) = loader.run_once().await.expect("loads") {
            rows += more;
        }
        rows
    }

    #[tokio::test]
    async fn a_generation_that_ended_long_ago_is_loaded_before_it_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = load_with("", &[]).expect("valid").config;
        let data = DataDir::open(folder.path()).expect("opens");
        let clock = Arc::new(crate::clock::SystemClock::new());
        let bench = Workbench::new(config, clock, Redactor::default(), data);
        let topic = Topic::open(&bench).await.expect("opens");
        land(&bench, &topic, 3).await;

        // Nobody loads while another generation begins, and for an hour after that.
        let landing = bench.landing_store(Access::Write).await.expect("opens");
        let name = bench.topic_name(DATASET);
        let mut from = BTreeMap::new();
        for partition in 0..topic.reader.partitions(&name).await.expect("counts") {
            let end = topic.reader.end_offset(&name, partition).await.expect("reads");
            from.insert(partition, end);
        }
        let ts_opened = bench.clock.now() - chrono::TimeDelta::hours(1);
        let opened = Opened {
            generation: 1,
            follows: 0,
            topic: name.clone(),
            found: Divergence { partition: 0, next: 3, problem: "a test".to_owned() },
            ts_opened,
            ts_lost_since: None,
            ends: from.clone(),
            from,
        };
        let key = Path::from(Opened::key(1, &name));
        landing.put(&key, opened.to_bytes().into()).await.expect("puts");
        land(&bench, &topic, 2).await;

        assert_eq!(load(&bench).await, 5, "rows of both generations");
        assert_eq!(load(&bench).await, 0, "each of them once");
    }
}
