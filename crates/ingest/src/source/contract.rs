//! What every [`MarketSource`] must do; each implementation runs this from its own tests.

use super::{MarketSource, PageRequest, parse_ts};

/// Asks for the pages of `request`, which must match at least `rows_max + 1` well-formed rows.
///
/// # Panics
/// The source breaks the contract; the message says how.
pub async fn market_source_contract(source: &dyn MarketSource, request: &PageRequest) {
    assert!(!source.name().is_empty(), "a source has a name");
    let first = source.page(request).await.expect("the first page");
    let rows_max = usize::try_from(request.rows_max).expect("fits");
    assert_eq!(first.rows.len(), rows_max, "a page is full while more rows follow");

    let mut offset = request.offset;
    let mut seen: Vec<(Option<String>, Option<chrono::DateTime<chrono::Utc>>)> = Vec::new();
    // More pages than rows would mean that a page was empty before the end.
    for _ in 0..=first.rows_total {
        let request = PageRequest { offset, ..request.clone() };
        let page = source.page(&request).await.expect("a page");
        assert_eq!(page.rows_total, first.rows_total, "the total of a closed window is constant");
        assert!(page.rows.len() <= rows_max, "a page respects `rows_max`");
        if page.rows.is_empty() {
            break;
        }
        for row in &page.rows {
            let value: serde_json::Value =
                serde_json::from_slice(&row.bytes).expect("the row is the vendor's JSON");
            let symbol = row.symbol.clone().expect("a readable row names its symbol");
            assert!(request.symbols.contains(&symbol), "only symbols that were asked for");
            let ts = row.ts.expect("a readable row has a date");
            assert!(request.window.contains(ts), "every row lies inside the window");
            let date = value.get("date").and_then(serde_json::Value::as_str);
            assert_eq!(date.and_then(parse_ts), Some(ts), "the row's bytes agree with its time");
            seen.push((Some(symbol), Some(ts)));
        }
        offset += u64::try_from(page.rows.len()).expect("fits");
    }
    assert_eq!(offset - request.offset, first.rows_total, "every row is served");
    assert!(seen.is_sorted_by(|left, right| left.1 <= right.1), "oldest first");
    let rows = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), rows, "no row is served twice");

    let past_the_end = PageRequest { offset: first.rows_total, ..request.clone() };
    let page = source.page(&past_the_end).await.expect("a page past the end");
    assert!(page.rows.is_empty(), "past the end is an empty page, not an error");
}
