//! The headers of a topic record: where a row came from, and in which order we came to know it.

/// The vendor and API version, such as `marketstack-v2`.
pub const SOURCE: &str = "source";
/// The fetch that brought the row: a u64 from durable state, the order of knowledge.
pub const FETCH_ID: &str = "fetch_id";
/// The page of the fetch, from 0.
pub const PAGE: &str = "page";
/// The row within its page, from 0.
pub const ROW: &str = "row";
/// The bar interval that was asked for, such as `1min`; empty for datasets without one.
pub const INTERVAL: &str = "interval";
/// When the vendor's response arrived, RFC 3339 UTC.
pub const TS_FETCHED: &str = "ts_fetched";
