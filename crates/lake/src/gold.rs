//! Gold: what people look at, derived from the current revisions of silver.

pub(crate) mod bars;
pub(crate) mod eod;
pub(crate) mod quotes;
pub(crate) mod resample;
