//! Incidents at any moment: landers that die, stores that fail, files that are put back.

use std::{num::NonZeroU32, path::Path as FilePath, sync::Arc, time::Duration};

use ingest::{
    landing::{Lander, chain, generation},
    topic::{EmbeddedTopic, EmbeddedTopicConfig, TopicReader, TopicWriter},
};
use model::{ErrorKind, envelope::EnvelopeLine};
use object_store::{ObjectStore, memory::InMemory};
use proptest::prelude::*;

use super::{
    super::{
        faulty::{Dice, FaultyReader, FaultyStore, Script},
        memory_topic::MemoryTopic,
    },
    Fixture, TOPIC, check_all, numbered, opened, truncate_all, values,
};

/// One run: records, an incident, and a lander that dies at its `step`-th request.
async fn crash_at(step: u64, end: u64, refill: u32) -> bool {
    let mut fixture = Fixture::small();
    fixture.topic = Arc::new(MemoryTopic::new(2));
    fixture.append_numbers(0..40).await;
    let store = Arc::new(InMemory::new());
    fixture.store = Arc::clone(&store) as _;
    fixture.land(&mut fixture.lander()).await;
    truncate_all(&fixture.topic, end);
    fixture.append_numbers(100..100 + refill).await;

    let script = Script::new(step);
    script.quiet();
    script.arm(Some(step));
    let faulty = Arc::new(FaultyStore { inner: Arc::clone(&store), script: Arc::clone(&script) });
    let inner = Arc::clone(&fixture.topic) as Arc<dyn TopicReader>;
    let reader = Arc::new(FaultyReader { inner, script: Arc::clone(&script) });
    let clock = Arc::clone(&fixture.clock) as _;
    let mut dying = Lander::new(faulty, reader, clock, fixture.config.clone()).expect("sound");
    let mut has_died = false;
    for _ in 0..40 {
        tokio::select! {
            biased;
            progress = dying.run_once() => { progress.expect("no fault but death"); }
            () = script.crashed() => {
                has_died = true;
                break;
            }
        }
        fixture.clock.advance(fixture.config.age_max);
    }
    let mut next = fixture.lander();
    fixture.land(&mut next).await;
    fixture.append_numbers(200..220).await;
    fixture.land(&mut next).await;
    let all = check_all(&fixture.store, &fixture.topic).await;
    assert!(all.is_superset(&values(0..40)), "what had landed is there, step {step}");
    assert_eq!(opened(&fixture).await.len(), 1, "step {step}");
    has_died
}

#[tokio::test]
async fn a_lander_that_dies_at_any_step_leaves_nothing_undone() {
    let mut deaths = 0;
    for step in 0..200 {
        if !crash_at(step, 9, 30).await {
            break;
        }
        deaths += 1;
    }
    assert!((20..199).contains(&deaths), "{deaths} steps");
}

/// Two landers whose stores fail and who die, and incidents meanwhile.
async fn simulate(seed: u64) {
    let mut dice = Dice::new(seed);
    let mut fixture = Fixture::new();
    fixture.config.rows_max = 1 + dice.roll(6);
    fixture.topic = Arc::new(MemoryTopic::new(1 + u32::try_from(dice.roll(3)).expect("small")));
    let store = Arc::new(InMemory::new());
    fixture.store = Arc::clone(&store) as _;
    let scripts = [Script::new(seed * 31), Script::new(seed * 31 + 1)];
    let start = |script: &Arc<Script>| {
        let store = FaultyStore { inner: Arc::clone(&store), script: Arc::clone(script) };
        let inner = Arc::clone(&fixture.topic) as Arc<dyn TopicReader>;
        let reader = Arc::new(FaultyReader { inner, script: Arc::clone(script) });
        let clock = Arc::clone(&fixture.clock) as _;
        Lander::new(Arc::new(store), reader, clock, fixture.config.clone()).expect("sound")
    };
    let mut landers = scripts.each_ref().map(start);
    let mut number = 0;
    let mut landed = values(0..0);
    for _ in 0..20 {
        let count = u32::try_from(dice.roll(15)).expect("small");
        fixture.append_numbers(number..number + count).await;
        number += count;
        if dice.percent(8) && number != count {
            landed.extend(in_chains(&fixture.store).await);
            truncate_all(&fixture.topic, dice.roll(u64::from(number)));
        }
        for (lander, script) in landers.iter_mut().zip(&scripts) {
            script.arm(dice.percent(30).then(|| dice.roll(25)));
            let died = tokio::select! {
                biased;
                ran = lander.run_once() => {
                    if let Err(error) = ran {
                        let is_expected = error.kind() == ErrorKind::Transient
                            || matches!(error, ingest::Error::LandingObject { .. });
                        assert!(is_expected, "seed {seed}: {error:?}");
                    }
                    false
                }
                () = script.crashed() => true,
            };
            if died {
                *lander = start(script);
            }
        }
        fixture.clock.advance(Duration::from_millis(dice.roll(30_000)));
    }
    scripts.iter().for_each(|script| script.quiet());
    for _ in 0..2 {
        for lander in &mut landers {
            fixture.land(lander).await;
        }
        fixture.clock.advance(Duration::from_secs(61));
    }
    let all = check_all(&fixture.store, &fixture.topic).await;
    assert!(all.is_superset(&landed), "seed {seed}: what had landed is there");
}

/// Returns what any chain holds.
async fn in_chains(store: &Arc<dyn ObjectStore>) -> std::collections::BTreeSet<String> {
    let mut found = values(0..0);
    for current in generation::all(store, TOPIC).await.expect("lists") {
        for partition in 0..3 {
            let keys = chain::list(store, current.generation, TOPIC, partition, None).await;
            for key in keys.expect("lists") {
                let link = chain::read(store, &key).await.expect("reads").expect("is there");
                found.extend(link.lines.split_inclusive(|byte| *byte == b'\n').map(|line| {
                    let line = EnvelopeLine::parse(&line[..line.len() - 1]).expect("parses");
                    line.data.get().to_owned()
                }));
            }
        }
    }
    found
}

#[tokio::test]
async fn faults_and_incidents_together_lose_nothing() {
    for seed in 0..100 {
        simulate(seed).await;
    }
}

async fn embedded(fixture: &Fixture, path: &FilePath) -> Arc<EmbeddedTopic> {
    let config = EmbeddedTopicConfig { partitions: NonZeroU32::MIN, ..Default::default() };
    let clock = Arc::clone(&fixture.clock) as _;
    Arc::new(EmbeddedTopic::open(path, &config, clock).await.expect("opens"))
}

async fn land_all(fixture: &Fixture, topic: &Arc<EmbeddedTopic>) -> u32 {
    let (store, reader) = (Arc::clone(&fixture.store), Arc::clone(topic) as Arc<dyn TopicReader>);
    let clock = Arc::clone(&fixture.clock) as _;
    let mut lander = Lander::new(store, reader, clock, fixture.config.clone()).expect("sound");
    fixture.land(&mut lander).await;
    assert_eq!(lander.lag().await.expect("lag"), [0]);
    lander.generation()
}

#[tokio::test]
async fn an_embedded_topic_that_is_put_back_or_deleted_loses_nothing_that_landed() {
    let fixture = Fixture::small();
    let folder = tempfile::tempdir().expect("a folder");
    let (path, copy) = (folder.path().join("topic.db"), folder.path().join("copy.db"));
    let topic = embedded(&fixture, &path).await;
    topic.append(TOPIC, numbered(0..20)).await.expect("appends");
    assert_eq!(land_all(&fixture, &topic).await, 0);
    drop(topic);
    std::fs::copy(&path, &copy).expect("copies");
    let topic = embedded(&fixture, &path).await;
    topic.append(TOPIC, numbered(20..40)).await.expect("appends");
    assert_eq!(land_all(&fixture, &topic).await, 0);
    drop(topic);
    let remove = || {
        for ending in ["", "-wal", "-shm"] {
            let file = folder.path().join(format!("topic.db{ending}"));
            std::fs::remove_file(&file)
                .or_else(|error| match error.kind() {
                    std::io::ErrorKind::NotFound => Ok(()),
                    _ => Err(error),
                })
                .expect("removes");
        }
    };
    // The old copy, and more than it lacks.
    remove();
    std::fs::copy(&copy, &path).expect("copies");
    let topic = embedded(&fixture, &path).await;
    topic.append(TOPIC, numbered(100..150)).await.expect("appends");
    assert_eq!(land_all(&fixture, &topic).await, 1);
    let found = opened(&fixture).await.remove(0);
    assert_eq!((found.begins_at(0), found.ends[&0]), (20, 40), "{found:?}");
    drop(topic);
    // Nothing at all, and the same rows once more.
    remove();
    let topic = embedded(&fixture, &path).await;
    topic.append(TOPIC, numbered(0..30)).await.expect("appends");
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(land_all(&fixture, &topic).await, 2);
    assert_eq!(opened(&fixture).await[1].begins_at(0), 0);
    let all = in_chains(&fixture.store).await;
    assert_eq!(all, values(0..40).into_iter().chain(values(100..150)).collect());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    /// Any incidents, noticed at any time by any of two landers.
    #[test]
    fn every_record_that_was_landed_or_is_held_is_in_some_chain(
        incidents in prop::collection::vec((0..60_u64, 0..50_u32, 0..8_usize, any::<bool>()), 1..3),
        rows_max in 1..7_u64,
        partitions in 1..4_u32,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async move {
            let mut fixture = Fixture::new();
            fixture.config.rows_max = rows_max;
            fixture.topic = Arc::new(MemoryTopic::new(partitions));
            fixture.append_numbers(0..50).await;
            let mut landers = [fixture.lander(), fixture.lander()];
            fixture.land(&mut landers[0]).await;
            let mut number = 1000;
            for (end, refill, runs, who) in incidents {
                // Everything below has landed, so that it can be demanded.
                let landed = check_all(&fixture.store, &fixture.topic).await;
                truncate_all(&fixture.topic, end);
                fixture.append_numbers(number..number + refill).await;
                number += 1000;
                for _ in 0..runs {
                    landers[usize::from(who)].run_once().await.expect("lands");
                    fixture.clock.advance(fixture.config.age_max);
                }
                // Both look at it again.
                fixture.clock.advance(Duration::from_secs(61));
                for lander in &mut landers {
                    fixture.land(lander).await;
                }
                fixture.clock.advance(Duration::from_secs(61));
                for lander in &mut landers {
                    fixture.land(lander).await;
                }
                let all = check_all(&fixture.store, &fixture.topic).await;
                assert!(all.is_superset(&landed));
            }
        });
    }
}
