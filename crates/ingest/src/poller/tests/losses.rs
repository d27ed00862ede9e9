//! What a topic lost is fetched again: all of it, once, and whatever fails meanwhile.

use chrono::TimeDelta;
use model::{landing::Divergence, landing::Opened, session::Session};
use proptest::prelude::*;

use super::*;
use crate::poller::{
    coverage::Outcome,
    losses::{Loss, Losses, SeenTo, Since, seen_to},
};

fn now() -> DateTime<Utc> {
    NOW.parse().unwrap()
}

fn loss(id: &str, topic: Option<&str>, since: Since) -> Loss {
    Loss { id: id.to_owned(), topic: topic.map(str::to_owned), since }
}

async fn run(poller: &mut Poller) {
    while poller.run_once().await.unwrap().has_moved {}
}

/// Losses that cannot be read at first.
#[derive(Debug)]
struct Away {
    asked: Mutex<u32>,
    found: Vec<Loss>,
}

#[async_trait]
impl Losses for Away {
    async fn losses(&self) -> Result<Vec<Loss>, Error> {
        let mut asked = self.asked.lock().unwrap();
        *asked += 1;
        if *asked < 3 {
            let source = object_store::Error::NotImplemented {
                operation: "reading".to_owned(),
                implementer: "a store without rights".to_owned(),
            };
            return Err(Error::LandingStore { doing: "listing", key: "/".to_owned(), source });
        }
        Ok(self.found.clone())
    }
}

#[tokio::test]
async fn what_was_fetched_since_is_fetched_again_and_once() {
    let rig = Rig::new();
    run(&mut rig.poller()).await;
    assert_eq!(rig.rows().len(), 6);
    let wall = |hours| Since::Wall(now() + TimeDelta::hours(hours));
    let all = [
        (loss("of another topic", Some("test.intraday"), Since::Ever), 0),
        (loss("later than all", Some("test.eod"), wall(48)), 0),
        (loss("test.eod 1", Some("test.eod"), wall(-1)), 6),
        (loss("test.eod 2", Some("test.eod"), Since::Ever), 6),
        (Loss::from_date("a", "2024-03-13".parse().unwrap()), 6),
        (Loss::from_date("b", "2024-03-15".parse().unwrap()), 0),
    ];
    let mut told = Vec::new();
    let mut expected = 6;
    for (loss, rows) in all {
        told.push(loss.clone());
        expected += rows;
        // Told again and again, to this poller and to later ones.
        for _ in 0..2 {
            let mut poller = rig.poller().with_losses(Arc::new(told.clone()));
            run(&mut poller).await;
            rig.clock.advance(Duration::from_secs(61));
            run(&mut poller).await;
            assert_eq!(rig.rows().len(), expected, "{loss:?}");
        }
    }
    rig.check_log_agrees();
    // What was fetched before a loss may be missing for good, and nothing else.
    let notes: Vec<SeenTo> = seen_to(rig.state.progress().unwrap()).collect();
    let explained = |topic: &str| {
        let is_explained =
            |page: &&FetchedPage| notes.iter().any(|note| note.explains(topic, page));
        rig.pages().iter().filter(is_explained).map(|page| page.rows).sum::<u64>()
    };
    let total = u64::try_from(rig.rows().len()).unwrap();
    assert_eq!((total, explained("test.eod"), explained("test.splits")), (24, 12, 0));
    let one = SeenTo { topic: Some("test.eod".to_owned()), fetch_last: 1 };
    let explained = rig.pages().into_iter().filter(|page| one.explains("test.eod", page));
    let explained: BTreeSet<u64> = explained.map(|page| page.fetch_id).collect();
    assert_eq!(explained, [1].into());
    let shard = |id: u64| (1 << 40) + (id << 10) + 5;
    let page = |fetch_id| FetchedPage { dataset: Dataset::Eod, fetch_id, page: 0, rows: 1 };
    let one = SeenTo { topic: Some("x".to_owned()), fetch_last: shard(7) };
    assert!(one.explains("x", &page(shard(6))) && !one.explains("x", &page(shard(8))));
    assert!(!one.explains("x", &page(shard(6) + 1)), "of another shard");
    assert!(!one.explains("x", &page(6)), "of a single poller");
    let fetch_ids: BTreeSet<String> = rig.rows().into_iter().map(|row| row.0).collect();
    assert!(3 < fetch_ids.len(), "each time under another id: {fetch_ids:?}");
}

#[tokio::test]
async fn a_running_poller_hears_of_a_loss() {
    let rig = Rig::new();
    let found = vec![loss("1", None, Since::Ever)];
    let away = Arc::new(Away { asked: Mutex::new(0), found });
    let mut poller = rig.poller().with_losses(Arc::clone(&away) as _);
    for rows in [6, 6, 12, 12] {
        run(&mut poller).await;
        assert_eq!(rig.rows().len(), rows, "it goes on without an answer");
        rig.clock.advance(Duration::from_secs(61));
    }
    assert_eq!(*away.asked.lock().unwrap(), 4, "once a minute");
}

#[tokio::test]
async fn a_poller_that_dies_meanwhile_leaves_it_due() {
    let rig = Rig::new();
    run(&mut rig.poller()).await;
    let told: Arc<dyn Losses> = Arc::new(vec![loss("1", None, Since::Ever)]);
    let mut dying = rig.poller().with_losses(Arc::clone(&told));
    rig.react(vec![broken(false)]);
    dying.run_once().await.expect_err("the vendor fails");
    drop(dying);
    // The loss is noted and what it stands for is due, for a poller that is told nothing as well.
    let mut next = rig.poller();
    run(&mut next).await;
    assert_eq!(rig.rows().len(), 12);
}

#[test]
fn a_loss_begins_before_the_last_scan_that_may_have_landed() {
    let opened = |ts_lost_since| Opened {
        generation: 3,
        follows: 2,
        topic: "eod".to_owned(),
        found: Divergence { partition: 0, next: 1, problem: String::new() },
        ts_opened: now(),
        ts_lost_since,
        from: [].into(),
        ends: [].into(),
    };
    let loss = Loss::of(&opened(Some(now())));
    assert_eq!((loss.id.as_str(), loss.topic.as_deref()), ("eod 3", Some("eod")));
    assert_eq!(loss.since, Since::Wall(now() - TimeDelta::hours(6)));
    assert_eq!(Loss::of(&opened(None)).since, Since::Ever);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    /// Scans of any sessions at any time: whatever was scanned since is due, the rest is as it was.
    #[test]
    fn exactly_what_was_scanned_since_is_due_again(
        scans in prop::collection::vec((0..8_i64, 0..200_i64, any::<bool>()), 1..20),
        since in 0..200_i64,
    ) {
        let config = Rig::new().config;
        let start: DateTime<Utc> = "2024-03-04T00:00:00Z".parse().unwrap();
        let date = |day: i64| start.date_naive() + TimeDelta::days(day);
        let at = |hours: i64| start + TimeDelta::days(9) + TimeDelta::hours(hours);
        let chunk = Chunk {
            id: 1,
            dataset: Dataset::Eod,
            interval: String::new(),
            symbols: config.symbols.clone(),
        };
        let mut coverage = Coverage::default();
        let mut newest: BTreeMap<NaiveDate, DateTime<Utc>> = BTreeMap::new();
        let mut scans = scans;
        scans.sort_by_key(|scan| scan.1);
        for (day, hours, is_revision) in scans {
            let plan = FetchPlan {
                dataset: Dataset::Eod,
                chunk: 1,
                symbols: config.symbols.clone(),
                interval: String::new(),
                window: Window::Dates { from: date(day), to: date(day) },
                page_rows: 2,
                pages_max: 20,
                reason: if is_revision { Reason::Revision } else { Reason::CatchUp },
            };
            let (ts_started, symbols_by_date) = (at(hours), BTreeMap::new());
            let outcome = Outcome { ts_started, set_hash: "0".to_owned(), symbols_by_date };
            for (part, _) in coverage.record(&config, &plan, &outcome) {
                newest.insert(part.parse().unwrap(), at(hours));
            }
        }
        let before = coverage.clone();
        let saved = coverage.lose(&config, &[&chunk], Some(at(since)));
        for session in Session::between(date(0), date(8)) {
            let Some(scanned) = newest.get(&session.date) else { continue };
            let is_saved = saved.iter().any(|(_, part, _)| *part == session.date.to_string());
            prop_assert_eq!(is_saved, coverage.day(1, session.date) != before.day(1, session.date));
            if at(since) <= *scanned {
                prop_assert!(coverage.is_unseen(1, session.date), "{} is due", session.date);
                prop_assert_eq!(coverage.settled(1, date(0)), date(0));
            } else if *scanned + TimeDelta::hours(24) < at(since) {
                // Revisions are known by their day only.
                prop_assert!(!is_saved, "{} was not lost", session.date);
            }
        }
    }
}
