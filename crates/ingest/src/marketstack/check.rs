//! Checks a page against itself and the request; what is not exactly that is fetched again.

use chrono::{DateTime, Utc};
use model::Dataset;

use super::{FetchFailure, body::Pagination};
use crate::source::{Page, PageRequest, SourceRow};

/// Most bytes of a row and its key. A topic refuses a record of more than 16 MiB, headers included;
/// an ordinary row has 500 bytes, so half of that is no row but a mistake.
const ROW_BYTES_MAX: usize = 8 << 20;

/// Returns the page, or why it cannot be the one that was asked for.
///
/// A row that cannot be read is no reason: it is data, and its place is the quarantine.
pub(super) fn page(
    request: &PageRequest,
    pagination: Option<Pagination>,
    rows: Vec<SourceRow>,
    ts_fetched: DateTime<Utc>,
) -> Result<Page, FetchFailure> {
    let wrong = |problem| FetchFailure::WrongPage { problem };
    let rows_total = match pagination {
        Some(pagination) => check_pagination(request, pagination, rows.len()).map_err(wrong)?,
        // A single ticker comes without an envelope. A list without a total may be half a list.
        None if request.dataset == Dataset::Tickers => count(rows.len()),
        None => return Err(wrong("it has no pagination".to_owned())),
    };
    for row in &rows {
        check_row(request, row).map_err(wrong)?;
        // Rejected here, where it concerns one chunk; the topic could only refuse it for good.
        let bytes = row.bytes.len() + row.symbol.as_ref().map_or(0, String::len);
        if ROW_BYTES_MAX < bytes {
            return Err(FetchFailure::RowTooLarge { bytes, bytes_max: ROW_BYTES_MAX });
        }
    }
    Ok(Page { rows, rows_total, ts_fetched })
}

fn check_pagination(
    request: &PageRequest,
    pagination: Pagination,
    rows: usize,
) -> Result<u64, String> {
    let Pagination { limit, offset, count: counted, total } = pagination;
    let rows = count(rows);
    if counted != rows {
        return Err(format!("it counts {counted} rows and holds {rows}"));
    }
    if offset != request.offset {
        return Err(format!("it begins at row {offset}, asked for {}", request.offset));
    }
    if limit != u64::from(request.rows_max) {
        return Err(format!("it has a limit of {limit}, asked for {}", request.rows_max));
    }
    if limit < rows {
        return Err(format!("it holds {rows} rows, more than its limit of {limit}"));
    }
    if rows == 0 && offset < total {
        return Err(format!("it is empty at row {offset} of {total}"));
    }
    if 0 < rows && total < offset.saturating_add(rows) {
        return Err(format!("it ends at row {} of {total}", offset.saturating_add(rows)));
    }
    Ok(total)
}

fn check_row(request: &PageRequest, row: &SourceRow) -> Result<(), String> {
    if let Some(symbol) = &row.symbol
        && !request.symbols.is_empty()
        && !request.symbols.iter().any(|asked| is_same_symbol(asked, symbol))
    {
        return Err("it holds a symbol nobody asked for".to_owned());
    }
    match row.ts {
        Some(ts) if !request.window.contains(ts) => {
            Err(format!("it holds a row of `{ts}`, outside the window"))
        }
        _ => Ok(()),
    }
}

/// Class shares are written `BRK.B` or `BRK-B`, depending on version and endpoint.
fn is_same_symbol(left: &str, right: &str) -> bool {
    let normal = |byte: u8| if byte == b'.' { b'-' } else { byte.to_ascii_uppercase() };
    left.bytes().map(normal).eq(right.bytes().map(normal))
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
