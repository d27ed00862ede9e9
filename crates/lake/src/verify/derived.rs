//! Silver and gold, derived anew from the version of their source that each claims to hold.

use std::collections::BTreeMap;

use arrow::{array::UInt32Array, compute::take_record_batch, record_batch::RecordBatch};
use chrono::NaiveDate;
use model::{BarInterval, Dataset};

use super::{
    DatasetDay, Findings, VerifyScope, landed::day_at, pinned::PinnedLake, rows::difference,
};
use crate::{
    Error,
    gold::{bars, eod, quotes, resample::base_series},
    rows::{Columns, date_of_days, text_or_empty},
    schema::{TableDef, table_def},
    silver::{
        Counts, Outcome,
        bar::{Bars, Day, Refined, load_day},
        quarantine,
        versioned::{SPECS, Versions},
    },
    table::concat,
};

/// A table by layer and name.
type Name<'a> = (&'static str, &'a str);

/// Compares every table of silver and gold with its source.
pub(super) async fn compare(
    lake: &mut PinnedLake,
    scope: &VerifyScope,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    for dataset in Dataset::ALL {
        compare_quarantine(lake, dataset, scope, findings).await?;
        if dataset == Dataset::Intraday {
            compare_bars(lake, scope, findings).await?;
        } else {
            compare_versions(lake, dataset, scope, findings).await?;
        }
        lake.forget("bronze", dataset.as_str())?;
    }
    compare_gold_bars(lake, scope, findings).await?;
    compare_quotes(lake, scope, findings).await?;
    lake.forget("silver", "bar")?;
    compare_gold_eod(lake, scope, findings).await
}

/// Returns the rows of `source` that `target` claims to hold; `None` when the claim cannot be true.
async fn claimed(
    lake: &mut PinnedLake,
    target: Name<'_>,
    source: Name<'_>,
    (dataset, scope): (Dataset, &VerifyScope),
    findings: &mut Findings<'_>,
) -> Result<Option<Source>, Error> {
    let (to, from) = (format!("{}.{}", target.0, target.1), format!("{}.{}", source.0, source.1));
    let Some(claim) = lake.claim(target, source, scope.refine_generation).await? else {
        let problem = format!("{to} claims a version of {from} that does not exist");
        findings.breach(dataset, problem);
        return Ok(None);
    };
    if claim.waiting != 0 {
        let problem = format!("{} versions of {from} are not in {to} yet", claim.waiting);
        findings.pending(dataset, problem);
    }
    let rows = lake.rows_at(source.0, source.1, claim.version, findings).await?;
    Ok(Some(Source { name: from, version: claim.version, rows }))
}

/// What a table was derived from.
struct Source {
    name: String,
    version: u64,
    rows: Option<RecordBatch>,
}

/// Notes how a table differs from what its source says, if it does.
fn judge(
    def: &TableDef,
    found: Option<&RecordBatch>,
    expected: Option<&RecordBatch>,
    (dataset, source): (Dataset, &Source),
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    if let Some(difference) = difference(def, found, expected, &[])? {
        let (table, Source { name, version, .. }) = (def.full_name(), source);
        findings.breach(dataset, format!("{table} against {name} at {version}: {difference}"));
    }
    Ok(())
}

async fn compare_quarantine(
    lake: &mut PinnedLake,
    dataset: Dataset,
    scope: &VerifyScope,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    let (target, bronze) = (("silver", "quarantine"), ("bronze", dataset.as_str()));
    let Some(source) = claimed(lake, target, bronze, (dataset, scope), findings).await? else {
        return Ok(());
    };
    let mut expected = None;
    if let Some(rows) = &source.rows {
        let columns = Columns::new(&source.name, rows);
        let (days, corrupt) = (columns.int("date_key")?, columns.text("_corrupt_reason")?);
        let reasons = quarantine::reasons(dataset, rows)?;
        for (row, reason) in reasons.iter().enumerate() {
            let is_readable = arrow::array::Array::is_null(corrupt, row);
            if reason.is_some() && is_readable {
                findings.day(dataset, day_at(days, row)).rejected += 1;
            }
        }
        expected = quarantine::rejected(dataset, rows)?;
    }
    let found = lake.rows(target.0, target.1, findings).await?;
    let found = only(found, "dataset", dataset.as_str())?;
    let def = table_def(target.0, target.1);
    judge(def, found.as_ref(), expected.as_ref(), (dataset, &source), findings)
}

async fn compare_bars(
    lake: &mut PinnedLake,
    scope: &VerifyScope,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    let (dataset, target) = (Dataset::Intraday, ("silver", "bar"));
    let bronze = ("bronze", dataset.as_str());
    let Some(source) = claimed(lake, target, bronze, (dataset, scope), findings).await? else {
        return Ok(());
    };
    let (mut bars, mut refined) = (Bars::default(), Refined::new());
    for part in generations(&source)? {
        let days = Columns::new(&source.name, &part).int("date_key")?;
        let observe = |row: usize, outcome| {
            count(findings.day(dataset, day_at(days, row)), outcome);
        };
        bars.apply_observed(None, &part, scope.semantics, &mut refined, observe).await?;
    }
    let expected = refined.revisions.finish().map_err(|error| Error::Content {
        table: "silver.bar".to_owned(),
        problem: error.to_string(),
    })?;
    let found = lake.rows(target.0, target.1, findings).await?;
    let def = table_def(target.0, target.1);
    judge(def, found.as_ref(), Some(&expected), (dataset, &source), findings)
}

async fn compare_versions(
    lake: &mut PinnedLake,
    dataset: Dataset,
    scope: &VerifyScope,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    let Some(spec) = SPECS.iter().find(|spec| spec.dataset == dataset) else {
        return Ok(());
    };
    let (target, bronze) = (("silver", spec.table), ("bronze", dataset.as_str()));
    let Some(source) = claimed(lake, target, bronze, (dataset, scope), findings).await? else {
        return Ok(());
    };
    let (mut versions, mut counts) = (Versions::new(spec)?, Counts::default());
    let mut expected = Vec::new();
    for part in generations(&source)? {
        let days = Columns::new(&source.name, &part).int("date_key")?;
        let observe = |row: usize, outcome| {
            count(findings.day(dataset, day_at(days, row)), outcome);
        };
        expected.extend(versions.apply_observed(None, &part, &mut counts, observe).await?);
    }
    let def = table_def(target.0, target.1);
    let expected = concat(def, &expected)?;
    let mut found = lake.rows(target.0, target.1, findings).await?;
    // Splits and dividends share a table.
    match dataset {
        Dataset::Splits => found = only(found, "action", "split")?,
        Dataset::Dividends => found = only(found, "action", "dividend")?,
        _ => {}
    }
    judge(def, found.as_ref(), expected.as_ref(), (dataset, &source), findings)
}

async fn compare_gold_bars(
    lake: &mut PinnedLake,
    scope: &VerifyScope,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    let dataset = Dataset::Intraday;
    for interval in BarInterval::GOLD {
        let name = format!("bar_{interval}");
        let (target, silver) = (("gold", name.as_str()), ("silver", "bar"));
        let Some(source) = claimed(lake, target, silver, (dataset, scope), findings).await? else {
            continue;
        };
        let mut expected = Vec::new();
        for (date, day) in days_of(&source)? {
            expected.extend(bars::date_rows(date, &day, interval)?);
        }
        let def = table_def(target.0, target.1);
        let expected = concat(def, &expected)?;
        let found = lake.rows(target.0, target.1, findings).await?;
        lake.forget(target.0, target.1)?;
        judge(def, found.as_ref(), expected.as_ref(), (dataset, &source), findings)?;
    }
    Ok(())
}

async fn compare_quotes(
    lake: &mut PinnedLake,
    scope: &VerifyScope,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    let (dataset, target) = (Dataset::Intraday, ("gold", "quote_latest"));
    let silver = ("silver", "bar");
    let Some(source) = claimed(lake, target, silver, (dataset, scope), findings).await? else {
        return Ok(());
    };
    let found = lake.rows(target.0, target.1, findings).await?;
    let known = quotes::from_rows(found.as_slice())?;
    let days = days_of(&source)?;
    let mut expected = quotes::Quotes::new();
    quotes::update(&mut expected, &days.iter().map(|(date, day)| (*date, day)).collect());
    for (instrument, (_, series)) in days.values().flat_map(base_series) {
        // What a bar closed at on the day before is remembered from when that day was the newest:
        // a later restatement of it does not reach back, so it cannot be derived again.
        let is_bar = series.entries().values().next_back().is_some_and(|entry| entry.is_bar);
        if let (true, Some(expected), Some(known)) =
            (is_bar, expected.get_mut(&instrument), known.get(&instrument))
        {
            expected.previous_close = known.previous_close;
        }
    }
    let expected = quotes::to_rows(&expected)?;
    let def = table_def(target.0, target.1);
    judge(def, found.as_ref(), Some(&expected), (dataset, &source), findings)
}

async fn compare_gold_eod(
    lake: &mut PinnedLake,
    scope: &VerifyScope,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    let (dataset, target, silver) = (Dataset::Eod, ("gold", "eod"), ("silver", "eod"));
    let Some(source) = claimed(lake, target, silver, (dataset, scope), findings).await? else {
        return Ok(());
    };
    let expected = source.rows.as_ref().map(eod::current).transpose()?;
    let found = lake.rows(target.0, target.1, findings).await?;
    let def = table_def(target.0, target.1);
    judge(def, found.as_ref(), expected.as_ref(), (dataset, &source), findings)
}

fn count(day: &mut DatasetDay, outcome: Outcome) {
    match outcome {
        Outcome::New => day.new += 1,
        Outcome::Restated => day.restated += 1,
        Outcome::Unchanged => day.unchanged += 1,
        Outcome::Superseded => day.superseded += 1,
    }
}

/// Returns bronze rows by landing generation, the oldest first: offsets are in order within one.
fn generations(bronze: &Source) -> Result<Vec<RecordBatch>, Error> {
    let Some(rows) = &bronze.rows else {
        return Ok(Vec::new());
    };
    let file = Columns::new(&bronze.name, rows).text("_file")?;
    let mut parts: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (row, index) in (0..rows.num_rows()).zip(0_u32..) {
        let generation = text_or_empty(file, row).split('/').next().unwrap_or_default();
        parts.entry(generation.parse().unwrap_or(0)).or_default().push(index);
    }
    if parts.len() == 1 {
        return Ok(vec![rows.clone()]);
    }
    let picked = parts.into_values().map(|part| pick(rows, part, &bronze.name));
    picked.collect()
}

/// Returns the rows whose text in `column` is `value`.
fn only(
    rows: Option<RecordBatch>,
    column: &str,
    value: &str,
) -> Result<Option<RecordBatch>, Error> {
    let Some(rows) = rows else {
        return Ok(None);
    };
    let texts = Columns::new("silver", &rows).text(column)?;
    let picked = (0..rows.num_rows()).zip(0_u32..);
    let picked = picked.filter(|(row, _)| text_or_empty(texts, *row) == value);
    let picked: Vec<u32> = picked.map(|(_, index)| index).collect();
    pick(&rows, picked, "silver").map(Some)
}

fn pick(rows: &RecordBatch, picked: Vec<u32>, table: &str) -> Result<RecordBatch, Error> {
    take_record_batch(rows, &UInt32Array::from(picked))
        .map_err(|error| Error::Content { table: table.to_owned(), problem: error.to_string() })
}

/// Returns the current revisions of `silver.bar` by trading date.
fn days_of(silver: &Source) -> Result<BTreeMap<NaiveDate, Day>, Error> {
    let Some(rows) = &silver.rows else {
        return Ok(BTreeMap::new());
    };
    let dates = Columns::new(&silver.name, rows).date("session_date")?;
    let mut parts: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
    for (row, index) in (0..rows.num_rows()).zip(0_u32..) {
        parts.entry(dates.value(row)).or_default().push(index);
    }
    let mut days = BTreeMap::new();
    for (date, part) in parts {
        if let Some(date) = date_of_days(date) {
            days.insert(date, load_day(&[pick(rows, part, &silver.name)?])?);
        }
    }
    Ok(days)
}
