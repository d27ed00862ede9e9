//! URLs of every dataset, and the bounds of a page.

use model::{BarInterval, ManualClock};

use super::{body::Pagination, *};
use crate::source::SourceRow;

fn client(version: ApiVersion) -> Marketstack {
    let config = SourceConfig {
        base_url: "https://api.example.com/base".to_owned(),
        version,
        allow_http: false,
        connect_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(1),
    };
    let key = || Ok(AccessKey::new("key".to_owned()));
    let clock = ManualClock::new("2024-03-15T12:00:00Z".parse().unwrap());
    Marketstack::new(&config, Arc::new(key), Arc::new(clock)).unwrap()
}

fn request(dataset: Dataset, window: Window) -> PageRequest {
    PageRequest {
        dataset,
        symbols: vec!["A".to_owned()],
        interval: None,
        after_hours: true,
        window,
        offset: 20,
        rows_max: 10,
    }
}

fn dates() -> Window {
    Window::Dates { from: "2024-03-01".parse().unwrap(), to: "2024-03-04".parse().unwrap() }
}

#[track_caller]
fn check_url(version: ApiVersion, request: &PageRequest, expected: &str) {
    let url = client(version).url(request);
    assert_eq!(url.as_str(), format!("https://api.example.com/base/{expected}"));
}

#[test]
fn every_dataset_has_its_url() {
    let eod = request(Dataset::Eod, dates());
    let dated = "date_from=2024-03-01&date_to=2024-03-04&sort=ASC&limit=10&offset=20";
    check_url(ApiVersion::V1, &eod, &format!("eod?symbols=A&{dated}"));
    let splits = request(Dataset::Splits, dates());
    check_url(ApiVersion::V1, &splits, &format!("splits?symbols=A&{dated}"));
    let tickers = request(Dataset::Tickers, Window::All);
    check_url(ApiVersion::V2, &tickers, "tickers/A");
    let exchanges = PageRequest { symbols: vec![], ..request(Dataset::Exchanges, Window::All) };
    check_url(ApiVersion::V1, &exchanges, "exchanges?limit=10&offset=20");
    let intraday =
        PageRequest { interval: Some(BarInterval::Minute5), ..request(Dataset::Intraday, dates()) };
    check_url(ApiVersion::V1, &intraday, &format!("intraday?symbols=A&interval=5min&{dated}"));
    let after = format!("intraday?symbols=A&interval=5min&after_hours=true&{dated}");
    check_url(ApiVersion::V2, &intraday, &after);
}

fn rows(count: usize) -> Vec<SourceRow> {
    let row = SourceRow { bytes: Bytes::new(), symbol: None, ts: None, mic: None };
    vec![row; count]
}

#[track_caller]
fn check_page((limit, offset, count, total): (u64, u64, u64, u64), held: usize, is_page: bool) {
    let request = request(Dataset::Eod, dates());
    let pagination = Pagination { limit, offset, count, total };
    let page = check::page(&request, Some(pagination), rows(held), DateTime::UNIX_EPOCH);
    assert_eq!(page.is_ok(), is_page, "{pagination:?} {page:?}");
}

#[test]
fn a_page_agrees_with_itself_and_the_request() {
    check_page((10, 20, 10, 30), 10, true);
    check_page((10, 20, 3, 23), 3, true);
    check_page((10, 20, 0, 20), 0, true);
    check_page((10, 20, 0, 7), 0, true);
    check_page((10, 20, 10, 30), 9, false);
    check_page((10, 0, 10, 30), 10, false);
    check_page((100, 20, 10, 30), 10, false);
    check_page((10, 20, 11, 40), 11, false);
    check_page((10, 20, 0, 30), 0, false);
    check_page((10, 20, 10, 29), 10, false);
}

#[test]
fn a_row_that_no_topic_takes_is_refused_with_its_page() {
    let request = request(Dataset::Eod, dates());
    for (bytes, is_page) in [(8 << 20, true), ((8 << 20) + 1, false)] {
        let row = SourceRow { bytes: vec![b' '; bytes].into(), symbol: None, ts: None, mic: None };
        let pagination = Pagination { limit: 10, offset: 20, count: 1, total: 21 };
        let page = check::page(&request, Some(pagination), vec![row], DateTime::UNIX_EPOCH);
        assert_eq!(page.is_ok(), is_page, "{bytes}");
    }
}
