//! What the tables hold, against what their source says they should.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::{array::Array, record_batch::RecordBatch};
use chrono::NaiveDate;
use model::{BarInterval, Dataset, session::Session};

use super::{DatasetDay, Verification, landed::Landed};
use crate::{
    Error, Location, Semantics,
    gold::{
        bars::{DateBars, date_bars},
        resample::{GoldBar, Instrument},
    },
    rows::{Columns, date_of_days, decimal_at, text_or_empty},
    schema::table_def,
    silver::{
        Counts, Outcome,
        bar::{Bars, Refined, load_day},
        quarantine,
        series::BarValues,
        versioned::{SPECS, Versions},
    },
    table::{Table, concat},
};

/// Reads a whole bronze table as one batch, in topic order.
pub(super) async fn read_bronze(
    location: &Location,
    dataset: Dataset,
) -> Result<Option<RecordBatch>, Error> {
    let table = Table::open(location, table_def("bronze", dataset.as_str())).await?;
    concat(table.def, &table.read_all().await?)
}

/// Checks that bronze has every landed line exactly once.
pub(super) fn compare_bronze(
    dataset: Dataset,
    bronze: &Option<RecordBatch>,
    landed: &Landed,
    verification: &mut Verification,
) -> Result<(), Error> {
    let name = format!("bronze.{dataset}");
    let mut seen: HashMap<(&str, i64), u64> = HashMap::new();
    let mut lines: BTreeMap<&str, u64> = BTreeMap::new();
    if let Some(rows) = bronze {
        let columns = Columns::new(&name, rows);
        let (file, line, day) =
            (columns.text("_file")?, columns.long("_line")?, columns.int("date_key")?);
        let corrupt = columns.text("_corrupt_reason")?;
        for row in 0..rows.num_rows() {
            let file = text_or_empty(file, row);
            *seen.entry((file, line.value(row))).or_default() += 1;
            *lines.entry(file).or_default() += 1;
            let day = verification.day(dataset, if day.is_null(row) { 0 } else { day.value(row) });
            if corrupt.is_null(row) {
                day.bronze += 1;
            } else {
                day.corrupt += 1;
            }
        }
    }
    for ((file, line), count) in &seen {
        if *count != 1 {
            verification
                .breach(dataset, format!("line {line} of `{file}` is in bronze {count} times"));
        }
    }
    // A file that is not in bronze may be new; one before a file that is in bronze is lost.
    let newest: BTreeMap<&str, &str> =
        lines.keys().map(|file| (partition_of(file), *file)).collect();
    for (file, landed_lines) in &landed.lines {
        let in_bronze = lines.get(file.as_str()).copied().unwrap_or(0);
        if in_bronze == *landed_lines {
            continue;
        }
        let is_newer = newest.get(partition_of(file)).is_none_or(|newest| *newest < file.as_str());
        let problem = format!("`{file}` has {landed_lines} lines, bronze has {in_bronze} of them");
        if in_bronze == 0 && is_newer {
            verification.pending(dataset, problem);
        } else {
            verification.breach(dataset, problem);
        }
    }
    for file in lines.keys().filter(|file| !landed.lines.contains_key(**file)) {
        verification.breach(
            dataset,
            format!("bronze has rows of `{file}`, which is not in the landing zone"),
        );
    }
    Ok(())
}

/// Returns the part of a landing key that names the partition.
fn partition_of(file: &str) -> &str {
    file.rsplit_once('/').map_or(file, |(partition, _)| partition)
}

/// Derives silver and gold again from bronze, and compares.
pub(super) async fn compare_refined(
    location: &Location,
    dataset: Dataset,
    bronze: &Option<RecordBatch>,
    semantics: Semantics,
    verification: &mut Verification,
) -> Result<(), Error> {
    let Some(rows) = bronze else {
        return Ok(());
    };
    count_rejected(location, dataset, rows, verification).await?;
    if dataset == Dataset::Intraday {
        compare_bars(location, rows, semantics, verification).await
    } else {
        compare_versions(location, dataset, rows, verification).await
    }
}

async fn count_rejected(
    location: &Location,
    dataset: Dataset,
    rows: &RecordBatch,
    verification: &mut Verification,
) -> Result<(), Error> {
    let name = format!("bronze.{dataset}");
    let days = Columns::new(&name, rows).int("date_key")?;
    let corrupt = Columns::new(&name, rows).text("_corrupt_reason")?;
    let reasons = quarantine::reasons(dataset, rows)?;
    let expected = reasons.iter().flatten().count();
    for (row, _) in
        reasons.iter().enumerate().filter(|(row, reason)| reason.is_some() && corrupt.is_null(*row))
    {
        verification.day(dataset, if days.is_null(row) { 0 } else { days.value(row) }).rejected +=
            1;
    }
    let table = Table::open(location, table_def("silver", "quarantine")).await?;
    let quarantined = concat(table.def, &table.read_all().await?)?;
    let found = match &quarantined {
        Some(rows) => {
            let datasets = Columns::new("silver.quarantine", rows).text("dataset")?;
            (0..rows.num_rows()).filter(|&row| datasets.value(row) == dataset.as_str()).count()
        }
        None => 0,
    };
    compare_counts(dataset, "silver.quarantine", found, expected, verification);
    Ok(())
}

/// Fewer rows than expected may still come; more never may.
fn compare_counts(
    dataset: Dataset,
    table: &str,
    found: usize,
    expected: usize,
    verification: &mut Verification,
) {
    let problem = format!("`{table}` has {found} rows, bronze says {expected}");
    match found.cmp(&expected) {
        std::cmp::Ordering::Equal => {}
        std::cmp::Ordering::Less => verification.pending(dataset, problem),
        std::cmp::Ordering::Greater => verification.breach(dataset, problem),
    }
}

async fn compare_bars(
    location: &Location,
    rows: &RecordBatch,
    semantics: Semantics,
    verification: &mut Verification,
) -> Result<(), Error> {
    let dataset = Dataset::Intraday;
    let silver = Table::open(location, table_def("silver", "bar")).await?;
    let mut expected = Bars::default();
    let mut refined = Refined::new();
    let mut outcomes = Vec::new();
    expected
        .apply_observed(None, rows, semantics, &mut refined, |row, outcome| {
            outcomes.push((row, outcome));
        })
        .await?;
    let days = Columns::new("bronze.intraday", rows).int("date_key")?;
    for (row, outcome) in outcomes {
        let day = verification.day(dataset, if days.is_null(row) { 0 } else { days.value(row) });
        observe(day, outcome);
    }
    let found = silver.read_all().await?;
    let found_rows: usize = found.iter().map(RecordBatch::num_rows).sum();
    compare_counts(dataset, "silver.bar", found_rows, refined.revisions.len(), verification);
    if found_rows != refined.revisions.len() {
        return Ok(());
    }
    let all = load_day(&found)?;
    let mut found_values = HashMap::new();
    for (key, series) in &all {
        for (ts, entry) in series.entries() {
            found_values.insert((key, *ts), (entry.bar, entry.revision));
        }
    }
    let mut expected_count = 0;
    for day in expected.days().values() {
        for (key, series) in day {
            for (ts, entry) in series.entries() {
                expected_count += 1;
                if found_values.get(&(key, *ts)) != Some(&(entry.bar, entry.revision)) {
                    verification.breach(
                        dataset,
                        format!(
                            "silver.bar of {} at {ts} µs differs from what bronze says",
                            key.symbol
                        ),
                    );
                }
            }
        }
    }
    if expected_count != found_values.len() {
        let problem =
            format!("silver.bar has {} bars, bronze says {expected_count}", found_values.len());
        verification.breach(dataset, problem);
    }
    for interval in BarInterval::GOLD {
        compare_gold(location, interval, &expected, verification).await?;
    }
    Ok(())
}

fn observe(day: &mut DatasetDay, outcome: Outcome) {
    match outcome {
        Outcome::New => day.new += 1,
        Outcome::Restated => day.restated += 1,
        Outcome::Unchanged => day.unchanged += 1,
        Outcome::Superseded => day.superseded += 1,
    }
}

async fn compare_gold(
    location: &Location,
    interval: BarInterval,
    bars: &Bars,
    verification: &mut Verification,
) -> Result<(), Error> {
    let name = format!("bar_{interval}");
    let gold = Table::open(location, table_def("gold", &name)).await?;
    let mut found: BTreeMap<(NaiveDate, Instrument, i64), GoldBar> = BTreeMap::new();
    let mut twice = 0;
    for rows in gold.read_all().await? {
        for (key, bar) in gold_rows(&name, &rows)? {
            twice += usize::from(found.insert(key, bar).is_some());
        }
    }
    if twice != 0 {
        verification.breach(Dataset::Intraday, format!("gold.{name} has {twice} bars twice"));
    }
    let mut expected = BTreeMap::new();
    for (&date, day) in bars.days() {
        let Some(session) = Session::on(date) else {
            continue;
        };
        let date_bars: DateBars = date_bars(&session, day, interval, None);
        for (instrument, bars) in date_bars {
            expected.extend(
                bars.into_iter().map(|(start, bar)| ((date, instrument.clone(), start), bar)),
            );
        }
    }
    if found != expected {
        let missing = expected.keys().filter(|key| !found.contains_key(key)).count();
        let differing = expected
            .iter()
            .filter(|(key, bar)| found.get(key).is_some_and(|found| found != *bar))
            .count();
        let extra = found.keys().filter(|key| !expected.contains_key(key)).count();
        verification.pending(
            Dataset::Intraday,
            format!("gold.{name}: {missing} bars missing, {differing} different, {extra} too many, against silver"),
        );
    }
    Ok(())
}

type GoldRow = ((NaiveDate, Instrument, i64), GoldBar);

fn gold_rows(name: &str, rows: &RecordBatch) -> Result<Vec<GoldRow>, Error> {
    let columns = Columns::new(name, rows);
    let (source, symbol, mic) =
        (columns.text("source")?, columns.text("symbol")?, columns.text("mic")?);
    let (start, end, date) =
        (columns.moment("ts_start")?, columns.moment("ts_end")?, columns.date("session_date")?);
    let decimal = |name: &str| columns.decimal(name);
    let (open, high, low, close) =
        (decimal("open")?, decimal("high")?, decimal("low")?, decimal("close")?);
    let volume = decimal("volume")?;
    let (n_source, revision) = (columns.int("n_source")?, columns.int("revision")?);
    Ok((0..rows.num_rows())
        .filter_map(|row| {
            let instrument = Instrument {
                source: text_or_empty(source, row).to_owned(),
                symbol: text_or_empty(symbol, row).to_owned(),
                mic: text_or_empty(mic, row).to_owned(),
            };
            let bar = BarValues {
                open: open.value(row),
                high: high.value(row),
                low: low.value(row),
                close: close.value(row),
                volume: decimal_at(volume, row),
            };
            let gold = GoldBar {
                ts_end: end.value(row),
                bar,
                n_source: n_source.value(row),
                revision: revision.value(row),
            };
            Some(((date_of_days(date.value(row))?, instrument, start.value(row)), gold))
        })
        .collect())
}

async fn compare_versions(
    location: &Location,
    dataset: Dataset,
    rows: &RecordBatch,
    verification: &mut Verification,
) -> Result<(), Error> {
    let Some(spec) = SPECS.iter().find(|spec| spec.dataset == dataset) else {
        return Ok(());
    };
    let silver = Table::open(location, table_def("silver", spec.table)).await?;
    let mut versions = Versions::new(spec)?;
    let (mut counts, mut outcomes) = (Counts::default(), Vec::new());
    let revisions = versions
        .apply_observed(None, rows, &mut counts, |row, outcome| outcomes.push((row, outcome)))
        .await?;
    let name = format!("bronze.{dataset}");
    let days = Columns::new(&name, rows).int("date_key")?;
    for (row, outcome) in outcomes {
        observe(
            verification.day(dataset, if days.is_null(row) { 0 } else { days.value(row) }),
            outcome,
        );
    }
    let found = concat(silver.def, &silver.read_all().await?)?;
    let found = fingerprints(found.as_ref(), dataset)?;
    let expected = fingerprints(revisions.as_ref(), dataset)?;
    compare_counts(dataset, &silver.def.full_name(), found.len(), expected.len(), verification);
    if found.len() == expected.len() && found != expected {
        verification
            .breach(dataset, format!("{} differs from what bronze says", silver.def.full_name()));
    }
    Ok(())
}

/// Returns every row of a silver table as text, so that two tables can be compared as sets.
///
/// Splits and dividends share a table: only the rows of the dataset at hand count.
fn fingerprints(
    rows: Option<&RecordBatch>,
    dataset: Dataset,
) -> Result<BTreeSet<Vec<String>>, Error> {
    let Some(rows) = rows else {
        return Ok(BTreeSet::new());
    };
    let wrong = |error: arrow::error::ArrowError| Error::Content {
        table: format!("silver of {dataset}"),
        problem: error.to_string(),
    };
    let options = arrow::util::display::FormatOptions::default();
    let formatters = rows
        .columns()
        .iter()
        .map(|column| arrow::util::display::ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<Vec<_>, _>>()
        .map_err(wrong)?;
    let action = rows
        .column_by_name("action")
        .map(|_| Columns::new("silver.corporate_action", rows).text("action"));
    let action = action.transpose()?;
    let wanted = if dataset == Dataset::Splits { "split" } else { "dividend" };
    Ok((0..rows.num_rows())
        .filter(|&row| action.is_none_or(|action| action.value(row) == wanted))
        .map(|row| formatters.iter().map(|column| column.value(row).to_string()).collect())
        .collect())
}
