//! The choice of a batch, and what a plan that was read back must look like.

use proptest::prelude::*;

use super::*;

fn object(partition: u32, first: u64, next: u64, size: u64) -> (LandingKey, PlannedObject) {
    let key = LandingKey {
        generation: 0,
        topic: "intraday".to_owned(),
        partition,
        first_offset: first,
        kind: LandingKind::Records,
    };
    let planned = PlannedObject {
        key: key.to_string(),
        etag: None,
        size,
        first,
        next,
        count: next - first,
        sha256: String::new(),
    };
    (key, planned)
}

fn limits(files_max: usize, bytes_max: u64) -> BatchLimits {
    BatchLimits { files_max, bytes_max, raw_bytes_max: u64::MAX }
}

#[track_caller]
fn check(limits: BatchLimits, sizes: &[u64], expected: usize) {
    let mut choice = BatchChoice::new(limits);
    let taken = sizes
        .iter()
        .zip(0..)
        .take_while(|(size, first)| {
            let (key, object) = object(0, *first, first + 1, **size);
            choice.offer(key, object, **size)
        })
        .count();
    assert_eq!(taken, expected, "{limits:?} {sizes:?}");
}

#[test]
fn files_are_a_hard_limit_and_bytes_a_soft_one() {
    check(limits(2, u64::MAX), &[1, 1, 1], 2);
    // Ten with files of three make a batch of twelve, as in Auto Loader.
    check(limits(9, 10), &[3, 3, 3, 3, 3], 4);
    check(limits(9, 10), &[50, 1], 1);
    check(limits(9, 0), &[1, 1], 1);
    check(BatchLimits { raw_bytes_max: 5, ..limits(9, 100) }, &[3, 3, 3], 2);
}

fn plan(before: &Cursors, objects: Vec<(LandingKey, PlannedObject)>) -> Plan {
    let mut choice = BatchChoice::new(limits(usize::MAX, u64::MAX));
    for (key, object) in objects {
        choice.offer(key, object, 0);
    }
    let (objects, after) = choice.finish(before).unwrap();
    Plan {
        format: PLAN_FORMAT,
        release: "0".to_owned(),
        pipeline: "bronze".to_owned(),
        generation: 0,
        topic: "intraday".to_owned(),
        batch: BatchId(0),
        before: before.clone(),
        after,
        objects,
    }
}

#[test]
fn lost_offsets_are_those_of_gaps_however_many() {
    for (name, gaps, expected) in [
        ("none", vec![], 0),
        ("two partitions", vec![(0, 3, 5), (1, 0, 1)], 3),
        ("more than a number holds", vec![(0, 0, u64::MAX), (1, 0, u64::MAX)], u64::MAX),
    ] {
        let gap = |(partition, first, next)| {
            let (key, planned) = object(partition, first, next, 1);
            let key = LandingKey { kind: LandingKind::Gap, ..key };
            (key.clone(), PlannedObject { key: key.to_string(), ..planned })
        };
        let mut objects: Vec<_> = gaps.into_iter().map(gap).collect();
        objects.push(object(2, 0, 7, 1));
        assert_eq!(plan(&Cursors::new(), objects).offsets_lost(), expected, "{name}");
    }
}

#[test]
fn a_plan_that_breaks_the_chain_is_refused() {
    let first =
        plan(&Cursors::new(), vec![object(0, 7, 9, 1), object(1, 0, 4, 1), object(0, 9, 12, 1)]);
    assert_eq!(first.problem(BatchId(0), None), None);
    assert_eq!(first.after, Cursors::from([(0, 12), (1, 4)]));
    assert!(first.problem(BatchId(1), None).is_some(), "another batch");
    let second = Plan { batch: BatchId(1), ..plan(&first.after, vec![object(0, 12, 13, 1)]) };
    assert_eq!(second.problem(BatchId(1), Some(&first)), None);
    assert!(second.problem(BatchId(1), None).is_some(), "begins in the air");

    let mut hole = first.clone();
    hole.before.insert(0, 7);
    hole.objects.remove(0);
    let mut long = first.clone();
    long.after.insert(0, 13);
    let mut foreign = first.clone();
    foreign.topic = "eod".to_owned();
    let newer = Plan { format: PLAN_FORMAT + 1, ..first.clone() };
    let mut jump = first;
    jump.objects[1].key = jump.objects[1].key.replace("009.", "010.");
    for broken in [hole, long, foreign, newer, jump] {
        assert!(broken.problem(BatchId(0), None).is_some(), "{broken:?}");
    }
}

proptest! {
    #[test]
    fn batches_skip_nothing_and_repeat_nothing(
        sizes in prop::collection::vec(0_u64..20, 0..40), files_max in 1_usize..8, bytes_max in 0_u64..60,
    ) {
        let all: Vec<_> = sizes.iter().zip(0..).map(|(size, n)| object(0, n, n + 1, *size)).collect();
        let mut cursors = Cursors::new();
        let mut seen = Vec::new();
        while seen.len() < all.len() {
            let mut choice = BatchChoice::new(limits(files_max, bytes_max));
            for (key, object) in &all[seen.len()..] {
                if !choice.offer(key.clone(), object.clone(), 0) {
                    break;
                }
            }
            let (objects, after) = choice.finish(&cursors).expect("at least one");
            prop_assert!(objects.len() <= files_max);
            let but_last: u64 = objects[..objects.len() - 1].iter().map(|object| object.size).sum();
            prop_assert!(objects.len() == 1 || but_last < bytes_max);
            seen.extend(objects);
            cursors = after;
        }
        prop_assert!(seen.iter().eq(all.iter().map(|(_, object)| object)));
    }
}
