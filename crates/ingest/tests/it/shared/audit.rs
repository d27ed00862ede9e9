//! Adds up what the chains, the vendor's meter and the topic hold, and compares them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use ingest::{shared::SharedView, source::Window, state::FetchedPage};
use serde_json::Value;
use std::sync::Arc;

use super::{
    machines::{Common, finish},
    sessions,
    store::Way,
};

/// A request without its offset.
type Asked = (Vec<String>, NaiveDate, NaiveDate);

/// What the chains say.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    pub(crate) claims: u64,
    pub(crate) releases: u64,
    /// Fetches that were given up by whoever began them.
    pub(crate) fails: u64,
    begun: BTreeMap<Asked, u64>,
    /// How often the rows of a symbol and date were fetched to the end.
    finished: BTreeMap<(String, NaiveDate), u64>,
    recorded: BTreeMap<(u64, u32), u64>,
}

/// One shard while its chain is read.
#[derive(Debug, Default)]
struct Chain {
    links: u64,
    holder: Option<String>,
    open: BTreeMap<u64, Asked>,
    fetch_last: u64,
}

fn number(change: &Value, name: &str) -> u64 {
    change[name].as_u64().expect("a number")
}

fn asked(change: &Value) -> Asked {
    let plan: Value = serde_json::from_str(change["plan"].as_str().expect("a plan")).expect("JSON");
    let date =
        |end: &str| plan["window"]["dates"][end].as_str().expect("a date").parse().expect("a date");
    let symbols = plan["symbols"].as_array().expect("symbols").iter();
    let symbols = symbols.map(|symbol| symbol.as_str().expect("text").to_owned());
    (symbols.collect(), date("from"), date("to"))
}

impl Audit {
    /// Reads the chains as they were written, whatever was deleted since.
    pub(crate) fn of(common: &Common) -> Self {
        let mut audit = Self::default();
        let mut chains: BTreeMap<u32, Chain> = BTreeMap::new();
        for link in common.store.links() {
            let chain = chains.entry(link.shard).or_default();
            assert_eq!(link.number, chain.links, "shard {}: links follow one another", link.shard);
            chain.links += 1;
            let kind = link.change["kind"].as_str().expect("a kind");
            if kind != "claim" {
                assert_eq!(chain.holder.as_ref(), Some(&link.writer), "only the holder writes");
            }
            audit.add(chain, kind, &link.change);
            match kind {
                "claim" => chain.holder = Some(link.writer),
                "release" => chain.holder = None,
                _ => (),
            }
        }
        audit
    }

    fn add(&mut self, chain: &mut Chain, kind: &str, change: &Value) {
        match kind {
            "claim" => {
                self.claims += 1;
                chain.open.clear();
            }
            "release" => self.releases += 1,
            "begin_fetch" => {
                let fetch_id = number(change, "fetch_id");
                assert!(chain.fetch_last < fetch_id, "fetch ids rise");
                chain.fetch_last = fetch_id;
                let asked = asked(change);
                *self.begun.entry(asked.clone()).or_default() += 1;
                assert!(chain.open.is_empty(), "one fetch at a time: {:?}", chain.open);
                chain.open.insert(fetch_id, asked);
            }
            "record_page" => {
                let page = u32::try_from(number(change, "page")).expect("small");
                let known = (number(change, "fetch_id"), page);
                assert!(chain.open.contains_key(&known.0), "a page of a fetch under way");
                let before = self.recorded.insert(known, number(change, "rows"));
                assert_eq!(before, None, "a page is recorded once");
            }
            "finish_fetch" => {
                let finished = chain.open.remove(&number(change, "fetch_id"));
                let (symbols, from, to) = finished.expect("a fetch under way");
                let dates = sessions().into_iter().map(|session| session.date);
                for date in dates.filter(|date| (from..=to).contains(date)) {
                    for symbol in &symbols {
                        *self.finished.entry((symbol.clone(), date)).or_default() += 1;
                    }
                }
            }
            "fail_fetch" => {
                self.fails += 1;
                chain.open.remove(&number(change, "fetch_id")).expect("a fetch under way");
            }
            _ => (),
        }
    }

    /// Returns how many fetches were begun for a window that another one was begun for before.
    pub(crate) fn repeats(&self) -> u64 {
        self.begun.values().map(|times| times - 1).sum()
    }

    /// Every window was fetched to its end, and nothing was asked for without a reason.
    pub(crate) fn check_all_fetched_once(&self, common: &Common) {
        self.check_all_fetched(common, 1);
    }

    /// Everything was fetched as often as it was due.
    pub(crate) fn check_all_fetched(&self, common: &Common, due: u64) {
        for session in sessions() {
            for symbol in &common.config.symbols {
                let times = self.finished.get(&(symbol.clone(), session.date));
                assert_eq!(times, Some(&due), "{symbol} of {} was finished", session.date);
            }
        }
        self.check_requests(common);
        self.check_topic(common);
        self.check_view(common);
    }

    /// A window is asked for again only by a fetch that was begun for it, or after a failure.
    pub(crate) fn check_requests(&self, common: &Common) {
        let mut asked: BTreeMap<(Asked, u64), u64> = BTreeMap::new();
        for (_, request) in common.vendor.requests() {
            let Window::Dates { from, to } = request.window else {
                unreachable!("no other window is planned: {request:?}");
            };
            *asked.entry(((request.symbols, from, to), request.offset)).or_default() += 1;
        }
        let unexplained = asked.iter().map(|((window, _), times)| {
            let begun = self.begun.get(window).copied().unwrap_or(0);
            assert!(0 < begun, "{window:?} was asked for and is in no chain");
            times.saturating_sub(begun)
        });
        let unexplained: u64 = unexplained.sum();
        assert!(unexplained <= common.vendor.failures(), "{unexplained} requests too many");
        let failures = common.vendor.failures() + common.topic.failures();
        let is_free = common.config.quota_month.is_none();
        assert!(
            !is_free || self.fails <= failures,
            "{} fetches were given up for nothing",
            self.fails
        );
    }

    /// The topic holds every recorded page, and fetch ids rise among those.
    pub(crate) fn check_topic(&self, common: &Common) {
        let mut rows: BTreeMap<(u64, u32), BTreeSet<String>> = BTreeMap::new();
        let mut newest: BTreeMap<String, u64> = BTreeMap::new();
        let mut shards: BTreeMap<String, u64> = BTreeMap::new();
        for row in common.topic.rows() {
            let page = (row.fetch_id, row.page);
            assert!(rows.entry(page).or_default().insert(row.value.clone()), "twice: {row:?}");
            let shard = row.fetch_id & 1023;
            assert_eq!(*shards.entry(row.symbol.clone()).or_insert(shard), shard, "{row:?}");
            if self.recorded.contains_key(&page) {
                let newest = newest.entry(row.symbol.clone()).or_default();
                assert!(*newest <= row.fetch_id, "{row:?} came after fetch {newest}");
                *newest = row.fetch_id;
            }
        }
        for (page, count) in &self.recorded {
            let found = rows.get(page).map_or(0, |rows| rows.len() as u64);
            assert_eq!(found, *count, "rows of page {page:?} in the topic");
        }
    }

    /// Whoever reads the store from outside sees the same.
    pub(crate) fn check_view(&self, common: &Common) {
        let view = view(common);
        let pages = finish(&common.world, view.fetched_pages()).expect("reads every page");
        let pages: BTreeMap<(u64, u32), u64> = pages
            .into_iter()
            .map(|FetchedPage { fetch_id, page, rows, .. }| ((fetch_id, page), rows))
            .collect();
        assert_eq!(pages, self.recorded, "pages that `verify` sees");
        let status = finish(&common.world, view.status(common.world.wall())).expect("reads");
        assert_eq!(status.rows_total, self.recorded.values().sum::<u64>());
        assert!(common.vendor.cost() <= status.quota_used, "every request is counted");
    }
}

/// The store as somebody sees it who only looks.
pub(crate) fn view(common: &Common) -> SharedView {
    let store = Arc::new(Way(Arc::clone(&common.store)));
    let (uptime, skew) = (std::time::Duration::ZERO, chrono::TimeDelta::zero());
    SharedView::new(store, super::clock::MachineClock::new(&common.world, uptime, skew))
}
