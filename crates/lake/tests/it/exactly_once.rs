//! Batch boundaries, restarts and rivals never show in the tables.

use std::sync::Arc;

use lake::{Semantics, VerifyScope, VerifyTopic, verify};
use model::Dataset;

use crate::landing::{Row, World, reading};

/// Rows of two symbols: a late one, a restated one, a repeated one and two that are no bars.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for minute in 0..8 {
        if minute != 3 {
            rows.push(reading(
                "AAA",
                minute,
                1,
                [10_000, 10_100 + minute, 9_900, 10_010 + minute],
                100 * u64::from(minute + 1),
            ));
        }
        rows.push(reading(
            "BBB",
            minute,
            1,
            [5_000, 5_100, 4_900, 5_050 - minute],
            10 * u64::from(minute + 1),
        ));
    }
    rows.push(reading("AAA", 3, 2, [10_000, 10_103, 9_900, 10_050], 410));
    rows.push(reading("BBB", 2, 2, [5_000, 5_100, 4_900, 5_001], 30));
    rows.push(reading("BBB", 4, 2, [5_000, 5_100, 4_900, 5_046], 50));
    rows.push(reading("BBB", 2, 1, [5_000, 5_100, 4_900, 5_048], 30));
    rows.push(Row { dataset: Dataset::Intraday, fetch_id: 3, json: "[]".to_owned() });
    rows.push(Row {
        dataset: Dataset::Intraday,
        fetch_id: 3,
        json: "{\"symbol\":\"AAA\",\"close\":1}".to_owned(),
    });
    rows
}

const SILVER: &str = "SELECT symbol, ts_start, revision, open, high, low, close, volume, topic_offset FROM silver.bar ORDER BY 1, 2, 3";
const GOLD: &str = "SELECT * FROM gold.bar_5m ORDER BY symbol, ts_start";

/// Lands `rows` in objects of the given sizes, loading and refining after each.
async fn run(sizes: &[usize], refine_each: bool) -> World {
    let mut world = World::new();
    let mut rows = rows().into_iter().peekable();
    let mut sizes = sizes.iter().cycle();
    while rows.peek().is_some() {
        let size = *sizes.next().expect("a cycle has no end");
        let object: Vec<Row> = rows.by_ref().take(size).collect();
        world.land(&object).await;
        world.load(Dataset::Intraday).await;
        if refine_each {
            world.refine().await;
        }
    }
    world.refine().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn any_split_of_the_rows_gives_the_same_tables() {
    let reference = run(&[1_000], false).await;
    let (silver, gold) = (reference.query(SILVER).await, reference.query(GOLD).await);
    assert_eq!(silver.len(), 19, "16 bars, two of them with later revisions: {silver:#?}");
    assert_eq!(gold.len(), 4, "{gold:#?}");
    for (sizes, refine_each) in
        [(&[1][..], true), (&[3, 1, 4], true), (&[5], false), (&[7, 2], true)]
    {
        let world = run(sizes, refine_each).await;
        assert_eq!(world.query(SILVER).await, silver, "objects of {sizes:?} rows");
        assert_eq!(world.query(GOLD).await, gold, "objects of {sizes:?} rows");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rivals_do_the_work_once() {
    let reference = run(&[1_000], false).await;
    let mut world = World::new();
    let rows = rows();
    let (mut one, mut two) = (world.refiner().await, world.refiner().await);
    let (mut load_one, mut load_two) =
        (world.loader(Dataset::Intraday).await, world.loader(Dataset::Intraday).await);
    let mut rest = rows.into_iter().peekable();
    while rest.peek().is_some() {
        let object: Vec<Row> = rest.by_ref().take(3).collect();
        world.land(&object).await;
        let (left, right) = tokio::join!(load_one.run_once(), load_two.run_once());
        assert!(left.is_ok() && right.is_ok(), "{left:?} {right:?}");
        let (left, right) = tokio::join!(one.run_once(), two.run_once());
        assert!(left.is_ok() && right.is_ok(), "{left:?} {right:?}");
    }
    while one.run_once().await.expect("refines").is_some() {}
    assert_eq!(world.query(SILVER).await, reference.query(SILVER).await);
    assert_eq!(world.query(GOLD).await, reference.query(GOLD).await);
    assert_eq!(world.query("SELECT count(*) FROM silver.quarantine").await, ["2"]);
}

/// A refiner that is killed forgets what it looked at in vain; the next one has to say it, though
/// nothing else is left to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_rows_of_its_own_is_brought_up_to_date() {
    let mut world = World::new();
    for minute in 0..4 {
        world.land(&[reading("AAA", minute, 1, [100, 110, 90, 105], 10)]).await;
        world.load(Dataset::Intraday).await;
        let mut killed = world.refiner().await;
        assert!(killed.run_once().await.expect("refines").is_some());
    }
    let mut last = world.refiner().await;
    while last.run_once().await.expect("refines").is_some() {}
    let found = verify(Arc::clone(&world.landing), &world.location, &scope(), &[], &mut |_| ())
        .await
        .expect("reads");
    assert_eq!((found.pending, found.breaches), (vec![], vec![]));
}

fn scope() -> VerifyScope {
    VerifyScope {
        refine_generation: 0,
        topics: vec![VerifyTopic {
            dataset: Dataset::Intraday,
            topic: "intraday".to_owned(),
            generation: 0,
            ends: vec![0],
        }],
        semantics: Semantics::Auto,
        days: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_agrees_with_a_sound_lake() {
    let world = run(&[4], true).await;
    let found = verify(Arc::clone(&world.landing), &world.location, &scope(), &[], &mut |_| ())
        .await
        .expect("reads");
    assert_eq!(found.breaches, [], "{found:#?}");
    assert_eq!(found.pending, [], "{found:#?}");
    let day = found.days[&Dataset::Intraday][&20_190_211];
    assert_eq!((day.landed, day.bronze, day.corrupt), (19, 19, 0));
    assert_eq!(
        (day.new, day.restated, day.unchanged, day.superseded, day.rejected),
        (16, 1, 1, 1, 0)
    );
    let undated = found.days[&Dataset::Intraday][&0];
    assert_eq!((undated.landed, undated.bronze, undated.corrupt, undated.rejected), (2, 1, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_names_what_is_missing() {
    use object_store::ObjectStoreExt;
    let world = run(&[4], true).await;
    let key = "0/intraday/p=00000/00000000000000000004.ndjson.zst";
    world.landing.delete(&key.into()).await.expect("deletes");
    let found = verify(Arc::clone(&world.landing), &world.location, &scope(), &[], &mut |_| ())
        .await
        .expect("reads");
    let problems: Vec<String> = found.breaches.iter().map(ToString::to_string).collect();
    assert!(problems.iter().any(|problem| problem.contains("follows offset 4")), "{problems:#?}");
    assert!(problems.iter().any(|problem| problem.contains(key)), "{problems:#?}");
}
