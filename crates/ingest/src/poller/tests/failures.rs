//! Failures that last: what is missing stays due, and one chunk does not hold up the others.

use super::*;

/// Plays `react` to every request of every scan, by the number of the page.
fn always(rig: &Rig, react: impl Fn(u64, &mut crate::source::Page) + Clone + Send + 'static) {
    let reaction = |_| {
        let react = react.clone();
        boxed(move |request, mut page| {
            react(request.offset / u64::from(request.rows_max), &mut page);
            Ok(page)
        })
    };
    rig.react((0..200).map(reaction).collect());
}

fn not_in_plan() -> Option<Reaction> {
    boxed(|request, _| {
        Err(Error::Fetch {
            dataset: request.dataset,
            offset: request.offset,
            retry_after: None,
            source: FetchFailure::NotInPlan {
                status: 403,
                code: "function_access_restricted".to_owned(),
                message: String::new(),
                remedy: "upgrade",
            },
        })
    })
}

#[tokio::test]
async fn a_page_that_always_counts_more_never_closes_its_window() {
    let rig = Rig::new();
    always(&rig, |page, found| found.rows_total += u64::from(page == 1));
    let mut poller = rig.poller();
    let mut errors = 0;
    for _ in 0..10 {
        match poller.run_once().await {
            Ok(progress) if !progress.has_moved => break,
            Ok(_) => (),
            Err(Error::Unstable { .. }) => errors += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(errors > 0);
    // The live session has one page; the past, two pages of two rows, is not whole.
    let done: Vec<u64> = (1..=20)
        .filter(|id| rig.state.fetch_status(*id).unwrap() == Some(FetchStatus::Done))
        .collect();
    assert_eq!(done, [1]);
    rig.check_log_agrees();
}

#[tokio::test]
async fn a_page_that_always_counts_less_hides_no_page_behind_it() {
    let mut rig = Rig::new();
    rig.config.page_rows = NonZeroU32::new(1).unwrap();
    always(&rig, |page, found| found.rows_total -= 2 * u64::from(page == 1));
    let mut poller = rig.poller();
    while poller.run_once().await.unwrap().has_moved {}
    let values: BTreeSet<String> = rig.rows().into_iter().map(|row| row.4).collect();
    assert_eq!(values.len(), 6, "two equal scans that read everything are taken");
    rig.check_log_agrees();
}

#[tokio::test]
async fn a_failure_is_told_while_the_market_is_waited_for() {
    let mut rig = Rig::new();
    rig.config.symbols_per_request = NonZeroU32::new(1).unwrap();
    let mut poller = rig.poller();
    let progress = poller.run_once().await.unwrap();
    assert_eq!((progress.is_retrying, progress.problem), (false, None));
    rig.react(vec![not_in_plan()]);
    let error = poller.run_once().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
    let mut last = poller.run_once().await.unwrap();
    while last.has_moved {
        last = poller.run_once().await.unwrap();
    }
    assert_eq!(last.waits_for, Some(WaitsFor::Market), "an hour is longer than the market's wait");
    assert!(last.is_retrying);
    let problem = last.problem.unwrap();
    assert!(problem.contains("fetching `eod`") && problem.contains("upgrade"), "{problem}");
    assert!(rig.rows().len() < 6);

    rig.clock.advance(Duration::from_secs(3600));
    let mut last = poller.run_once().await.unwrap();
    while last.has_moved {
        last = poller.run_once().await.unwrap();
    }
    assert_eq!((last.is_retrying, last.problem), (false, None));
    let values: BTreeSet<String> = rig.rows().into_iter().map(|row| row.4).collect();
    assert_eq!(values.len(), 6);
}

#[tokio::test]
async fn a_day_with_too_many_rows_is_not_halved_for_ever() {
    let rig = Rig::new();
    always(&rig, |_, found| found.rows_total = 1_000_000);
    let mut poller = rig.poller();
    let error = poller.run_once().await.unwrap_err();
    assert!(matches!(error, Error::Unstable { restarts: 1, .. }), "{error}");
    let progress = poller.run_once().await.unwrap();
    assert!(!progress.has_moved && progress.is_retrying, "{progress:?}");
    assert_eq!(rig.source.requests().len(), 1, "the chunk is parked");
}
