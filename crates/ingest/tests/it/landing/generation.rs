//! A topic that is no longer the one that landed: a new generation begins, and nothing is lost.

mod incidents;

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use ingest::{
    Error,
    landing::{Lander, Progress, chain, generation},
    poller::losses::{LandedLosses, Loss, Losses, Since},
    topic::{NewRecord, Record, TopicWriter},
};
use model::{ErrorKind, envelope::EnvelopeLine, landing::Opened};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};

use super::{
    Fixture, TOPIC,
    memory_topic::{Log, MemoryTopic},
};

/// A record that no other test run and no other incarnation of a topic has.
fn numbered(numbers: std::ops::Range<u32>) -> Vec<NewRecord> {
    numbers
        .map(|number| NewRecord {
            key: format!("K{}", number % 7),
            value: Bytes::from(format!("{{\"n\":{number}}}")),
            headers: vec![
                ("fetch_id".to_owned(), number.to_string()),
                ("ts_fetched".to_owned(), ts(number).to_rfc3339()),
            ],
        })
        .collect()
}

fn ts(number: u32) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(i64::from(number))
}

/// Loses a partition's records from offset `end` on.
fn truncate(log: &mut Log, end: u64) {
    log.records.retain(|record| record.offset < end);
    log.next = log.next.min(end);
}

/// The topic as a disaster leaves it: only what is below `end`.
fn truncate_all(topic: &MemoryTopic, end: u64) {
    for partition in 0..u32::try_from(topic.logs(TOPIC).len()).expect("few") {
        topic.tamper(TOPIC, partition, |log| truncate(log, end));
    }
}

/// Reads one generation's chain of a partition; checks that it has no hole and begins where it must.
async fn read_chain(
    store: &Arc<dyn ObjectStore>,
    current: &generation::Current,
    partition: u32,
) -> Vec<(u64, String)> {
    let keys = chain::list(store, current.generation, TOPIC, partition, None).await;
    let mut next = current.begins_at(partition);
    let mut found = Vec::new();
    for key in keys.expect("lists") {
        assert_eq!(key.first_offset, next, "`{key}` is no link of the chain");
        let link = chain::read(store, &key).await.expect("reads").expect("is there");
        assert!(!chain::is_gap(&link.footer), "`{key}`: nothing is missing");
        next = link.footer.next;
        for line in link.lines.split_inclusive(|byte| *byte == b'\n') {
            let line = EnvelopeLine::parse(&line[..line.len() - 1]).expect("parses");
            assert!(found.last().is_none_or(|(offset, _)| *offset < line.offset), "in order");
            found.push((line.offset, line.data.get().to_owned()));
        }
    }
    found
}

/// Every record of the newest generation's reach is in its chain, as the topic has it; returns the
/// values of all generations.
async fn check_all(store: &Arc<dyn ObjectStore>, topic: &MemoryTopic) -> BTreeSet<String> {
    let generations = generation::all(store, TOPIC).await.expect("lists");
    let mut values = BTreeSet::new();
    for current in &generations {
        for (partition, log) in (0..).zip(topic.logs(TOPIC)) {
            let landed = read_chain(store, current, partition).await;
            if Some(current) == generations.last() {
                let text = |record: &Record| {
                    let value = String::from_utf8(record.value.to_vec()).expect("text");
                    (record.offset, value)
                };
                let from = current.begins_at(partition);
                let held: Vec<_> = log.records.iter().map(text).filter(|at| from <= at.0).collect();
                assert_eq!(landed, held, "partition {partition} of {}", current.generation);
            }
            values.extend(landed.into_iter().map(|(_, value)| value));
        }
    }
    for record in topic.logs(TOPIC).iter().flat_map(|log| &log.records) {
        let value = std::str::from_utf8(&record.value).expect("text");
        assert!(values.contains(value), "{value} of the topic is in no chain");
    }
    values
}

fn values(numbers: std::ops::Range<u32>) -> BTreeSet<String> {
    numbers.map(|number| format!("{{\"n\":{number}}}")).collect()
}

async fn opened(fixture: &Fixture) -> Vec<Opened> {
    let all = generation::all(&fixture.store, TOPIC).await.expect("lists");
    all.into_iter().filter_map(|current| current.opened).collect()
}

impl Fixture {
    async fn append_numbers(&self, numbers: std::ops::Range<u32>) {
        self.topic.append(TOPIC, numbered(numbers)).await.expect("appends");
    }

    /// With a topic that says nothing when it was made anew.
    fn silent() -> Self {
        let mut topic = MemoryTopic::new(1);
        topic.is_silent = true;
        Self { topic: Arc::new(topic), ..Self::small() }
    }

    /// Lands small links, so that there is something to search.
    fn small() -> Self {
        let mut fixture = Self::new();
        fixture.config.rows_max = 3;
        fixture
    }
}

#[tokio::test]
async fn a_lost_tail_goes_on_in_the_next_generation_where_both_part() {
    let fixture = Fixture::small();
    fixture.append_numbers(0..30).await;
    let mut lander = fixture.lander();
    fixture.land(&mut lander).await;
    let before = fixture.keys().await;
    fixture.topic.tamper(TOPIC, 0, |log| truncate(log, 20));
    let progress = lander.run_once().await.expect("goes on");
    assert_eq!((progress.opened, progress.is_behind), (Some(1), true));
    assert_eq!(lander.generation(), 1);
    fixture.append_numbers(100..110).await;
    fixture.land(&mut lander).await;

    let opened = opened(&fixture).await;
    let [opened] = &opened[..] else { panic!("{opened:?}") };
    assert_eq!((opened.begins_at(0), opened.ends[&0]), (18, 30), "behind the link that ends at 18");
    assert_eq!((opened.follows, opened.found.next), (0, 30));
    assert!(opened.found.problem.contains("ends at 20"), "{opened:?}");
    assert_eq!(opened.ts_lost_since, Some(ts(29)), "what came after the last that landed");
    assert_eq!(fixture.keys().await, before, "what landed stays as it is");
    let all = check_all(&fixture.store, &fixture.topic).await;
    assert_eq!(all, values(0..30).into_iter().chain(values(100..110)).collect());
    assert_eq!((lander.landed(), lander.lag().await.expect("lag")), (vec![30], vec![0]));
    // One that starts later knows it all from the store.
    let mut later = fixture.lander();
    assert_eq!(later.lag().await.expect("lag"), [0]);
    assert_eq!(fixture.land(&mut later).await.objects, 0);
    assert_eq!((later.generation(), later.landed()), (1, vec![30]));
}

#[tokio::test]
async fn pollers_hear_of_it_from_the_landing_store() {
    let fixture = Fixture::small();
    let topics = vec![TOPIC.to_owned(), "eod".to_owned()];
    let clock = Arc::clone(&fixture.clock) as _;
    let losses = LandedLosses::new(Arc::clone(&fixture.store), topics, clock);
    fixture.append_numbers(0..30).await;
    let mut lander = fixture.lander();
    fixture.land(&mut lander).await;
    assert_eq!(losses.losses().await.expect("reads"), []);
    let mut expected = Vec::new();
    for (end, newest) in [(20, 29), (8, 19)] {
        fixture.topic.tamper(TOPIC, 0, |log| truncate(log, end));
        fixture.land(&mut lander).await;
        let since = Since::Wall(ts(newest) - chrono::TimeDelta::hours(6));
        let (id, topic) = (format!("{TOPIC} {}", lander.generation()), Some(TOPIC.to_owned()));
        expected.push(Loss { id, topic, since });
        fixture.clock.advance(std::time::Duration::from_secs(31));
        assert_eq!(losses.losses().await.expect("reads"), expected);
    }
}

#[tokio::test]
async fn offsets_used_again_are_landed_from_where_they_differ() {
    let fixture = Fixture::small();
    fixture.append_numbers(0..30).await;
    fixture.land(&mut fixture.lander()).await;
    fixture.topic.tamper(TOPIC, 0, |log| truncate(log, 11));
    // Beyond the old end: only the records themselves tell.
    fixture.append_numbers(100..150).await;
    let mut lander = fixture.lander();
    assert_eq!(lander.run_once().await.expect("goes on").opened, Some(1));
    fixture.land(&mut lander).await;
    let opened = opened(&fixture).await.remove(0);
    assert_eq!(opened.begins_at(0), 9);
    assert!(opened.found.problem.contains("used again"), "{opened:?}");
    check_all(&fixture.store, &fixture.topic).await;
}

#[tokio::test]
async fn the_same_rows_fetched_anew_are_not_the_records_that_landed() {
    let fixture = Fixture::small();
    fixture.append_numbers(0..30).await;
    fixture.land(&mut fixture.lander()).await;
    fixture.topic.tamper(TOPIC, 0, |log| {
        for record in &mut log.records {
            record.headers[0].1 = format!("9{}", record.headers[0].1);
        }
        // Another row among equal ones.
        log.records[5].value = Bytes::from_static(b"{\"n\":555}");
    });
    fixture.land(&mut fixture.lander()).await;
    let all = check_all(&fixture.store, &fixture.topic).await;
    assert!(all.contains("{\"n\":555}"));
    assert_eq!(opened(&fixture).await[0].begins_at(0), 0);
}

#[tokio::test]
async fn a_topic_made_anew_is_found_although_it_has_passed_the_lander() {
    let fixture = Fixture::silent();
    fixture.append_numbers(0..10).await;
    let mut lander = fixture.lander();
    fixture.land(&mut lander).await;
    fixture.topic.tamper(TOPIC, 0, |log| truncate(log, 0));
    fixture.append_numbers(100..130).await;
    // The lander does not notice, and splices the two.
    assert_eq!(lander.run_once().await.expect("lands").opened, None);
    assert_eq!(lander.landed(), [13]);
    // Neither a minute later nor after a start is it too late.
    let mut later = fixture.lander();
    for lander in [&mut later, &mut lander] {
        fixture.clock.advance(std::time::Duration::from_secs(61));
        let mut is_found = false;
        for _ in 0..100 {
            is_found |= lander.run_once().await.expect("lands").opened.is_some();
            fixture.clock.advance(fixture.config.age_max);
        }
        assert!(is_found);
    }
    assert_eq!(opened(&fixture).await.len(), 1, "both go on in the same");
    let all = check_all(&fixture.store, &fixture.topic).await;
    assert_eq!(all, values(0..10).into_iter().chain(values(100..130)).collect());
}

#[tokio::test]
async fn records_of_another_log_are_not_landed_behind_the_old_ones() {
    let fixture = Fixture::small();
    fixture.append_numbers(0..10).await;
    let mut lander = fixture.lander();
    fixture.land(&mut lander).await;
    // What the lander read last is lost, and there is more than before.
    fixture.topic.tamper(TOPIC, 0, |log| truncate(log, 7));
    fixture.append_numbers(100..130).await;
    assert_eq!(lander.run_once().await.expect("goes on").opened, Some(1));
    assert_eq!(fixture.keys().await.len(), 4, "nothing was added to the old chain");
    fixture.land(&mut lander).await;
    check_all(&fixture.store, &fixture.topic).await;
}

#[tokio::test]
async fn what_retention_took_is_not_asked_for() {
    let fixture = Fixture::small();
    fixture.append_numbers(0..30).await;
    let mut lander = fixture.lander();
    fixture.land(&mut lander).await;
    fixture.topic.tamper(TOPIC, 0, |log| {
        truncate(log, 25);
        log.records.retain(|record| 22 <= record.offset);
        log.first = 22;
    });
    fixture.land(&mut lander).await;
    // The link 21..24 ends at a record that both have.
    assert_eq!(opened(&fixture).await[0].begins_at(0), 24);
    // Now the topic has nothing that landed any more: from its beginning on.
    fixture.append_numbers(40..60).await;
    fixture.topic.tamper(TOPIC, 0, |log| {
        log.records.retain(|record| 31 <= record.offset);
        log.first = 31;
        for record in &mut log.records {
            record.headers.clear();
        }
    });
    fixture.topic.tamper(TOPIC, 0, |log| truncate(log, 33));
    fixture.append_numbers(70..90).await;
    let mut config = fixture.config.clone();
    config.on_gap = ingest::landing::OnGap::Record;
    let fixture = Fixture { config, ..fixture };
    let mut lander = fixture.lander();
    for _ in 0..40 {
        lander.run_once().await.expect("lands");
        fixture.clock.advance(fixture.config.age_max);
    }
    assert_eq!(lander.lag().await.expect("lag"), [0]);
}

#[tokio::test]
async fn partitions_that_did_not_part_go_on_where_they_are() {
    let mut fixture = Fixture::small();
    fixture.topic = Arc::new(MemoryTopic::new(3));
    fixture.append_numbers(0..60).await;
    let mut lander = fixture.lander();
    fixture.land(&mut lander).await;
    let landed = lander.landed();
    fixture.topic.tamper(TOPIC, 1, |log| truncate(log, 4));
    fixture.land(&mut lander).await;
    let opened = opened(&fixture).await.remove(0);
    assert_eq!(opened.from, [(0, landed[0]), (1, 3), (2, landed[2])].into());
    assert_eq!(opened.ends, (0..).zip(landed).collect());
    fixture.append_numbers(100..160).await;
    fixture.land(&mut lander).await;
    check_all(&fixture.store, &fixture.topic).await;
}

#[tokio::test]
async fn a_second_loss_before_anything_landed_is_noticed() {
    let fixture = Fixture::small();
    fixture.append_numbers(0..30).await;
    let mut lander = fixture.lander();
    fixture.land(&mut lander).await;
    fixture.topic.tamper(TOPIC, 0, |log| truncate(log, 21));
    fixture.land(&mut lander).await;
    assert_eq!((lander.generation(), lander.landed()), (1, vec![21]));
    // Nothing is in generation 1: the record that landed in generation 0 tells.
    fixture.topic.tamper(TOPIC, 0, |log| truncate(log, 10));
    fixture.append_numbers(100..140).await;
    fixture.land(&mut fixture.lander()).await;
    let opened = opened(&fixture).await;
    assert_eq!((opened[1].generation, opened[1].follows), (2, 1));
    assert_eq!(opened[1].ts_lost_since, Some(ts(20)));
    check_all(&fixture.store, &fixture.topic).await;
}

#[tokio::test]
async fn a_lander_that_has_not_heard_does_no_harm_and_hears_of_it() {
    let fixture = Fixture::silent();
    fixture.append_numbers(0..10).await;
    let (mut lander, mut zombie) = (fixture.lander(), fixture.lander());
    fixture.land(&mut lander).await;
    fixture.land(&mut zombie).await;
    fixture.topic.tamper(TOPIC, 0, |log| truncate(log, 7));
    assert_eq!(lander.run_once().await.expect("goes on").opened, Some(1));
    fixture.append_numbers(100..120).await;
    // It sees a topic that is longer than its chain, and lands beyond the old end.
    let progress = zombie.run_once().await.expect("lands");
    assert_eq!((progress.opened, progress.records), (None, 3));
    assert_eq!(fixture.keys().await.len(), 5, "in the old generation");
    fixture.land(&mut lander).await;
    check_all(&fixture.store, &fixture.topic).await;
    fixture.clock.advance(std::time::Duration::from_secs(61));
    assert_eq!(zombie.run_once().await.expect("hears").opened, Some(1));
    fixture.append_numbers(120..130).await;
    futures::join!(fixture.land(&mut zombie), fixture.land(&mut lander));
    assert_eq!(fixture.keys().await.len(), 5, "nothing more in the old generation");
    assert_eq!(opened(&fixture).await.len(), 1);
    check_all(&fixture.store, &fixture.topic).await;
}

#[tokio::test]
async fn landers_that_notice_at_once_open_one_generation() {
    let fixture = Fixture::small();
    fixture.append_numbers(0..10).await;
    let mut landers = [fixture.lander(), fixture.lander(), fixture.lander()];
    for lander in &mut landers {
        fixture.land(lander).await;
    }
    fixture.topic.tamper(TOPIC, 0, |log| truncate(log, 7));
    let all = futures::future::join_all(landers.iter_mut().map(Lander::run_once)).await;
    assert!(all.into_iter().all(|one| one.expect("goes on").opened == Some(1)));
    assert_eq!(opened(&fixture).await.len(), 1);
}

#[tokio::test]
async fn a_topic_that_changes_again_and_again_stops_the_lander() {
    let fixture = Fixture::small();
    fixture.append_numbers(0..10).await;
    let mut lander = fixture.lander();
    fixture.land(&mut lander).await;
    for round in 1..=3 {
        fixture.topic.tamper(TOPIC, 0, |log| truncate(log, 5));
        fixture.append_numbers(round * 100..round * 100 + 9).await;
        let mut progress = Progress::default();
        while progress.opened.is_none() {
            fixture.clock.advance(std::time::Duration::from_secs(61));
            progress = lander.run_once().await.expect("goes on");
        }
        fixture.land(&mut lander).await;
        check_all(&fixture.store, &fixture.topic).await;
    }
    fixture.topic.tamper(TOPIC, 0, |log| truncate(log, 5));
    for _ in 0..3 {
        let error = lander.run_once().await.expect_err("has had enough");
        assert!(matches!(error, Error::Diverged { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Data);
    }
    assert_eq!(opened(&fixture).await.len(), 3, "and opens no more");
    // Somebody looked at it, and started it again.
    fixture.land(&mut fixture.lander()).await;
    assert_eq!(opened(&fixture).await.len(), 4);
    check_all(&fixture.store, &fixture.topic).await;
}

#[tokio::test]
async fn a_topic_that_is_gone_is_waited_for() {
    let fixture = Fixture::small();
    fixture.append_numbers(0..10).await;
    let mut lander = fixture.lander();
    fixture.land(&mut lander).await;
    fixture.topic.remove(TOPIC);
    for _ in 0..3 {
        let progress = lander.run_once().await.expect("waits");
        assert!(!progress.moved());
    }
    assert!(opened(&fixture).await.is_empty(), "nobody can say yet what it is");
    fixture.append_numbers(100..103).await;
    fixture.land(&mut lander).await;
    assert_eq!(opened(&fixture).await[0].begins_at(0), 0);
    check_all(&fixture.store, &fixture.topic).await;
}

#[tokio::test]
async fn a_topic_that_goes_away_while_its_loss_is_looked_into_is_waited_for() {
    for answers in 0..40 {
        let fixture = Fixture::small();
        fixture.append_numbers(0..10).await;
        let mut lander = fixture.lander();
        fixture.land(&mut lander).await;
        fixture.topic.tamper(TOPIC, 0, |log| truncate(log, 5));
        fixture.topic.set_answers(Some(answers));
        for _ in 0..5 {
            lander.run_once().await.unwrap_or_else(|error| panic!("after {answers}: {error}"));
        }
        fixture.topic.set_answers(None);
        fixture.append_numbers(100..110).await;
        fixture.land(&mut lander).await;
        let opened = opened(&fixture).await;
        let found: Vec<_> = opened.iter().map(|it| (it.begins_at(0), it.ts_lost_since)).collect();
        // Behind the last link that the topic still has.
        assert_eq!(found, [(3, Some(ts(9)))], "after {answers} answers");
        check_all(&fixture.store, &fixture.topic).await;
    }
}

#[tokio::test]
async fn offsets_out_of_order_open_no_generation() {
    let fixture = Fixture::small();
    fixture.append_numbers(0..10).await;
    fixture.topic.tamper(TOPIC, 0, |log| log.records.swap(3, 4));
    let error = fixture.lander().run_once().await.expect_err("no log answers so");
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    assert!(opened(&fixture).await.is_empty());
}

#[tokio::test]
async fn an_operator_may_raise_the_generation_by_hand() {
    let mut fixture = Fixture::small();
    fixture.append_numbers(0..10).await;
    fixture.land(&mut fixture.lander()).await;
    fixture.config.generation = 4;
    let mut lander = fixture.lander();
    fixture.land(&mut lander).await;
    let current = generation::current(&fixture.store, TOPIC, 4).await.expect("reads");
    assert_eq!((current.generation, current.opened.is_none(), current.begins_at(0)), (4, true, 0));
    assert_eq!(lander.landed(), [10]);
    // The next one that opens by itself lies above every number in use.
    fixture.config.generation = 1;
    let mut low = fixture.lander();
    fixture.land(&mut low).await;
    fixture.topic.tamper(TOPIC, 0, |log| truncate(log, 5));
    fixture.land(&mut low).await;
    assert_eq!((low.generation(), opened(&fixture).await[0].follows), (5, 1));
    let all = generation::all(&fixture.store, TOPIC).await.expect("lists");
    let numbers: Vec<u32> = all.iter().map(|current| current.generation).collect();
    assert_eq!(numbers, [0, 1, 4, 5]);
    assert_eq!(generation::all(&fixture.store, "eod").await.expect("lists"), []);
}

#[tokio::test]
async fn a_damaged_opening_stops_the_lander() {
    let fixture = Fixture::small();
    fixture.append_numbers(0..10).await;
    fixture.land(&mut fixture.lander()).await;
    let path = Path::from(Opened::key(1, TOPIC));
    // What a loss of power leaves of a file that was not flushed.
    fixture.store.put(&path, Bytes::new().into()).await.expect("damages");
    let error = fixture.lander().run_once().await.expect_err("is damaged");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.to_string().contains(path.as_ref()), "{error}");
}
