//! The vendor: whether it answers our key, and what is left of the quota.

use std::num::NonZeroU64;

use ingest::source::{MarketSource, PageRequest, Window};
use model::Dataset;

use super::{Doctor, Report};
use crate::{
    assemble::{CurrentKey, ResultExt, Workbench, polling::PollMemory},
    failure::Failure,
};

pub(super) async fn examine(doctor: &mut Doctor, bench: &Workbench) {
    let work = answer(bench);
    let remedy = "`source.base_url` and `source.access_key` say whom to ask and as whom";
    doctor.check("vendor", "answer", remedy, work).await;
    let work = quota(bench);
    doctor.check("vendor", "quota", "see `source.quota_month`", work).await;
}

/// Asks for one exchange: the cheapest page there is, one request of the quota.
async fn answer(bench: &Workbench) -> Result<Report, Failure> {
    let reference = bench.config.source.access_key.clone();
    let key = CurrentKey::resolve(bench.scopes.clone(), reference).await?;
    let market = bench.market(&key)?;
    let limit = bench.config.source.quota_month.map(NonZeroU64::get);
    PollMemory::open(bench).await?.reserve_one(limit, bench.clock.now()).await?;
    let request = PageRequest {
        dataset: Dataset::Exchanges,
        symbols: Vec::new(),
        interval: None,
        after_hours: false,
        window: Window::All,
        offset: 0,
        rows_max: 1,
    };
    let page = market.page(&request).await.or_fail()?;
    let host = bench.config.source.base_url.host_str().unwrap_or_default();
    Ok(Report::ok(format!(
        "{} at {host} knows the key and {} exchanges; this took one request of the quota",
        market.name(),
        page.rows_total
    )))
}

async fn quota(bench: &Workbench) -> Result<Report, Failure> {
    let Some(limit) = bench.config.source.quota_month else {
        return Ok(Report::ok("nothing is counted"));
    };
    let limit = limit.get();
    let memory = PollMemory::open(bench).await?;
    let used = memory.status(bench.clock.now()).await?.quota_used;
    let detail = format!("{used} of {limit} requests of this month are used");
    if used.saturating_mul(10) < limit.saturating_mul(9) {
        return Ok(Report::ok(detail));
    }
    Ok(Report::warn(detail, "poll fewer symbols or less often, or book a larger plan"))
}
