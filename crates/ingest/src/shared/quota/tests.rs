//! Ranges and refusals, alone and between two pollers.

use std::sync::Arc;

use model::ManualClock;
use object_store::{ObjectStore, memory::InMemory};
use proptest::prelude::*;

use super::{super::objects::counting::CountingStore, *};

const NOW: &str = "2024-03-13T22:00:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn two() -> (SharedQuota, SharedQuota) {
    two_over(Arc::new(InMemory::new()))
}

fn two_over(store: Arc<dyn ObjectStore>) -> (SharedQuota, SharedQuota) {
    let clock = Arc::new(ManualClock::new(at(NOW)));
    let objects = Objects::new(store, clock);
    let quota = |holder: &str| SharedQuota::new(objects.clone(), holder.to_owned());
    (quota("a"), quota("b"))
}

proptest! {
    #[test]
    fn a_range_holds_what_is_wanted_and_little_more(wanted in any::<u64>(), left in any::<u64>()) {
        match range_size(wanted, left) {
            None => prop_assert!(left < wanted),
            Some(size) => {
                prop_assert!((wanted..=left).contains(&size));
                prop_assert!(size - wanted <= (left / 100).min(10_000));
            }
        }
    }

    #[test]
    fn a_refusal_is_its_name(seconds in 0..4_000_000_000_i64, limit in any::<u64>()) {
        let until = DateTime::from_timestamp(seconds, 0).unwrap();
        let key = refusal_key("2024-03", until, limit);
        prop_assert_eq!(parse_refusal(&key), Some((until, limit)));
    }

    #[test]
    fn any_name_is_a_refusal_or_none(key in ".*") {
        if let Some((until, limit)) = parse_refusal(&key) {
            prop_assert!(parse_refusal(&refusal_key("2024-03", until, limit)).is_some());
        }
    }
}

#[tokio::test]
async fn two_pollers_take_no_more_than_there_is() {
    let (first, second) = two();
    let mut granted = 0;
    for turn in 0..2_000 {
        let quota = if turn % 3 == 0 { &first } else { &second };
        if quota.reserve(2, Some(1_001), at(NOW)).await.unwrap() == Reservation::Granted {
            granted += 2;
        }
    }
    assert_eq!(granted, 1_000, "and no request that anybody could use is lost");
    assert_eq!(first.left(Some(1_001), at(NOW)), 1);
    assert_eq!(first.reset(Some(1_001), at(NOW)), at("2024-04-01T00:00:00Z"));
    // The new month has a quota of its own, and so has a larger limit.
    let april = at("2024-04-01T00:00:01Z");
    assert_eq!(first.reserve(2, Some(1_001), april).await.unwrap(), Reservation::Granted);
    assert_eq!(second.reserve(2, Some(1_003), at(NOW)).await.unwrap(), Reservation::Granted);
}

#[tokio::test]
async fn a_refusal_holds_for_all_for_six_hours_or_until_the_limit_is_another() {
    let (first, second) = two();
    let limit = Some(10_000);
    assert_eq!(second.reserve(1, limit, at(NOW)).await.unwrap(), Reservation::Granted);
    let until = first.refuse(limit, at(NOW)).await.unwrap();
    assert_eq!(until, at("2024-03-14T04:00:00Z"));
    second.refresh(at(NOW)).await.unwrap();
    assert_eq!(second.reserve(1, limit, at(NOW)).await.unwrap(), Reservation::Exhausted);
    assert_eq!(second.left(limit, at(NOW)), 0);
    assert_eq!(second.reset(limit, at(NOW)), until);
    assert_eq!(second.reserve(1, Some(20_000), at(NOW)).await.unwrap(), Reservation::Granted);
    assert_eq!(second.reserve(1, limit, until).await.unwrap(), Reservation::Granted);
}

#[tokio::test]
async fn a_look_at_the_month_costs_what_is_new_in_it() {
    let store = Arc::new(CountingStore::default());
    let (first, second) = two_over(Arc::<CountingStore>::clone(&store));
    let (limit, april) = (Some(1_000_000), at("2024-04-01T00:00:01Z"));
    let take = async || {
        // More than anybody has to spare.
        let taken = first.reserve(20_000, limit, at(NOW)).await.unwrap();
        assert_eq!(taken, Reservation::Granted);
    };
    for _ in 0..9 {
        take().await;
    }
    second.refresh(at(NOW)).await.unwrap();
    assert_eq!(second.left(limit, at(NOW)), first.left(limit, at(NOW)) - first.lock().spare);
    store.take();
    first.refresh(at(NOW)).await.unwrap();
    second.refresh(at(NOW)).await.unwrap();
    assert_eq!(store.take(), (0, 0), "nothing is new");
    take().await;
    second.refuse(limit, at(NOW)).await.unwrap();
    store.take();
    second.refresh(at(NOW)).await.unwrap();
    assert_eq!(store.take(), (1, 2), "one range, and the refusal");
    assert_eq!(second.lock().taken, first.lock().taken);
    assert_eq!(second.left(limit, at(NOW)), 0, "refused");
    // What was known of the old month does not hide the new one.
    assert_eq!(first.reserve(1, limit, april).await.unwrap(), Reservation::Granted);
    second.refresh(april).await.unwrap();
    assert_eq!(second.lock().taken, first.lock().taken);
    assert!(second.left(limit, april) < 1_000_000);
}
