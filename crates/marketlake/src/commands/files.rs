//! `load SOURCE TABLE` and `files`: any folder of files into a Delta table, and what came of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use autoloader::{
    BatchId,
    files::{
        SourceFile,
        clean::Cleaner,
        command::{Which, import, parse_list, redrive, replay, undo},
        ledger::{LedgerOf, ledger_rows},
        options::{Glob, LoadTrigger},
        plan::{PlannedFile, SetAside},
        seen::Seen,
        stream::{Progress, Stream, remembered},
    },
};
use comfy_table::CellAlignment;
use lake::FileTable;
use model::Clock;
use serde_json::json;
use tokio::sync::Notify;

use super::{Context, Ended, pipeline::run_opened};
use crate::{
    assemble::{
        Access, ResultExt,
        folder::{OpenFolder, TablePlace, open_folder},
    },
    cli::{FilesCommand, FolderArgs, Output, TableArgs, WhichArgs},
    failure::Failure,
    progress::Work,
    render,
    supervise::{Board, Slot, Stage, Step, Supervisor, Until},
};

mod plan;
mod probe;

/// How long a continuous load waits before it looks again: a listing costs money, and what a queue
/// tells is asked for with every look.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a load that goes on moves or deletes files: what is due waited for days, and each go
/// asks the state what others have cleaned.
const CLEAN_EVERY: Duration = Duration::from_secs(60);

/// Loads what there is, or goes on for ever, as the options say.
pub(crate) async fn load(
    context: Context,
    args: FolderArgs,
    is_available_now: bool,
) -> Result<Ended, Failure> {
    let totals = Arc::new(std::sync::Mutex::new(Totals::default()));
    let shared = Arc::clone(&totals);
    let output = context.output;
    let ended = run_opened(Box::pin(async move {
        let bench = context.without_data();
        let OpenFolder { stream, cleaner, options, .. } =
            open_folder(&bench, &args, Access::Write).await?;
        let (until, idle_max) = match options.trigger {
            _ if is_available_now => (Until::Idle, Duration::ZERO),
            LoadTrigger::AvailableNow => (Until::Idle, Duration::ZERO),
            LoadTrigger::ProcessingTime(every) => (Until::Shutdown, every),
            LoadTrigger::Continuous => (Until::Shutdown, LOOK_EVERY),
        };
        let clock = Arc::clone(&bench.clock);
        let work = context.bars.begin("load", "files", 0, Arc::clone(&clock));
        let is_missing_ignored = options.bad.is_missing_ignored;
        let clock_of_stage = Arc::clone(&clock);
        let stage = FolderStage {
            stream,
            cleaner,
            work,
            totals: shared,
            clock: clock_of_stage,
            until,
            is_missing_ignored,
            clean_at: Duration::ZERO,
        };
        let mut supervisor = Supervisor::new(clock, Board::default(), bench.redactor.clone());
        supervisor.spawn_stage(Slot {
            name: "load",
            stage: Box::new(stage),
            wake: Arc::new(Notify::new()),
            wakes: Vec::new(),
            idle_max,
            until,
        });
        Ok(supervisor)
    }))
    .await?;
    let totals = totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    if totals.batches != 0 || ended.tasks.is_empty() {
        totals.print(output)?;
    }
    Ok(ended)
}

/// What a load did.
#[derive(Clone, Debug, Default)]
struct Totals {
    batches: u64,
    files: u64,
    bytes: u64,
    rows: u64,
    rows_rescued: u64,
    records_bad: u64,
    set_aside: u64,
    /// Files that were found and wait for the next batch, and their bytes.
    outstanding: (u64, u64),
    table_version: Option<u64>,
}

impl Totals {
    fn print(&self, output: Output) -> Result<(), Failure> {
        let Self { batches, files, bytes, rows, rows_rescued, records_bad, set_aside, .. } = self;
        if output == Output::Json {
            let totals = json!({
                "batches": batches, "files": files, "bytes": bytes, "rows": rows,
                "rows_rescued": rows_rescued, "records_bad": records_bad,
                "files_set_aside": set_aside, "table_version": self.table_version,
                "numFilesOutstanding": self.outstanding.0,
                "numBytesOutstanding": self.outstanding.1,
            });
            return render::print(&format!("{totals}\n"));
        }
        let mut table = render::table(&["what", "count"]);
        for (what, count) in [
            ("batches", batches),
            ("files", files),
            ("bytes", bytes),
            ("rows", rows),
            ("rows with rescued data", rows_rescued),
            ("bad records, in quarantine", records_bad),
            ("files set aside", set_aside),
        ] {
            table.add_row([what.to_owned(), count.to_string()]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        render::print(&format!("{table}\n"))
    }
}

/// A stream of files as a stage.
struct FolderStage {
    stream: Stream<FileTable>,
    cleaner: Cleaner,
    work: Work,
    totals: Arc<std::sync::Mutex<Totals>>,
    clock: Arc<dyn Clock>,
    until: Until,
    is_missing_ignored: bool,
    clean_at: Duration,
}

#[async_trait]
impl Stage for FolderStage {
    async fn run_once(&mut self) -> Result<Step, Failure> {
        let progress = self.stream.run_once().await.or_fail();
        let progress = progress.map_err(|failure| match self.until {
            // Somebody waits for the end of it.
            Until::Idle => Failure { kind: failure.kind_for_operator(), ..failure },
            Until::Shutdown => failure,
        });
        let report = match progress? {
            Progress::Loaded(report) => report,
            Progress::UpToDate { ripe_at } => {
                if self.clean_at <= self.clock.monotonic() {
                    self.clean_at = self.clock.monotonic() + CLEAN_EVERY;
                    self.clean().await?;
                }
                let next_in = ripe_at
                    .map(|ripe_at| (ripe_at - self.clock.now()).to_std().unwrap_or(Duration::ZERO));
                return Ok(Step { next_in, ..Step::default() });
            }
        };
        let outcomes = || report.outcome.files.values();
        let files = u64::try_from(report.plan.files.len()).unwrap_or_default();
        let rows = outcomes().map(|file| file.rows).sum();
        {
            let mut totals = self.totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            totals.batches += 1;
            totals.files += files;
            totals.bytes += report.plan.files.iter().map(|it| it.file.size).sum::<u64>();
            totals.rows += rows;
            totals.rows_rescued += outcomes().map(|file| file.rows_rescued).sum::<u64>();
            totals.records_bad += outcomes().map(|file| file.records_bad).sum::<u64>();
            let is_told = |why: SetAside| !(self.is_missing_ignored && why == SetAside::Missing);
            let aside = outcomes().filter(|file| file.set_aside.is_some_and(is_told)).count();
            totals.set_aside += u64::try_from(aside).unwrap_or_default();
            totals.outstanding = report.waiting;
            if let autoloader::Appended::Committed { version } = report.appended {
                totals.table_version = Some(version);
            }
        }
        // Under Auto Loader's names for what waits.
        let (outstanding, bytes_outstanding) = report.waiting;
        tracing::info!(
            batch = %report.plan.batch,
            files,
            rows,
            seconds = report.took.as_secs_f64(),
            numFilesOutstanding = outstanding,
            numBytesOutstanding = bytes_outstanding,
            "loaded"
        );
        self.work.expect_in_all(files, outstanding);
        self.work.advance(files);
        Ok(Step { has_moved: true, rows, ..Step::default() })
    }
}

impl FolderStage {
    /// Moves or deletes what is due, to the end: a go takes some hundred files.
    async fn clean(&mut self) -> Result<(), Failure> {
        let mut after = None;
        loop {
            let done = self.stream.clean(&self.cleaner, after.as_deref()).await.or_fail()?;
            if done.gone != 0 || done.kept != 0 {
                tracing::info!(gone = done.gone, kept = done.kept, "the source was cleaned");
            }
            after = done.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

/// Runs a subcommand of `files`.
pub(crate) async fn run(context: Context, command: FilesCommand) -> Result<Ended, Failure> {
    // What an open stream is made of is large, and lies on the heap for that.
    match command {
        FilesCommand::List { table, at, keep } => list(context, &table, &at, keep).await,
        FilesCommand::Plan(folder) => plan::run(context, &folder).await,
        FilesCommand::Replay { folder, which } => {
            Box::pin(wish(context, &folder, &which, replay, false)).await
        }
        FilesCommand::Undo { folder, which } => {
            Box::pin(wish(context, &folder, &which, undo, false)).await
        }
        FilesCommand::Redrive { folder, which } => {
            // One that failed may have been mended since: what is there now is tried.
            Box::pin(wish(context, &folder, &which, redrive, true)).await
        }
        FilesCommand::Probe { folder, count, patience, ending } => {
            probe::run(context, &folder, count, Duration::from_secs(patience), &ending).await
        }
        FilesCommand::Import { folder, list } => {
            Box::pin(import_list(context, &folder, &list)).await
        }
    }
}

/// Shows the ledger; with `keep` it is a Delta table, too.
async fn list(
    context: Context,
    table: &str,
    at: &TableArgs,
    is_kept: bool,
) -> Result<Ended, Failure> {
    let bench = context.without_data();
    let access = if is_kept { Access::Write } else { Access::Read };
    let place = TablePlace::open(&bench, table, at, access).await?;
    let target = place.table(place.plain_config()).await?;
    let versions = target.versions().await.or_fail()?;
    let clock = Arc::clone(&bench.clock);
    let found = remembered(place.state(), place.stream(), target, clock).await.or_fail()?;
    let Some(found) = found else {
        return Err(Failure::config(format!(
            "no load named `{}` has begun to fill `{table}`; `--stream` names another",
            place.stream()
        )));
    };
    let versions = versions.into_iter().map(|(batch, version)| (BatchId(batch), version));
    let of = LedgerOf {
        source: found.source,
        stream: place.stream().to_owned(),
        versions: versions.collect(),
    };
    let rows = ledger_rows(&of, found.seen.rows())
        .map_err(|error| Failure::internal(format!("building the ledger: {error}")))?;
    if is_kept {
        let version = lake::put_table(&place.ledger()?, &rows).await.or_fail()?;
        tracing::info!(version, table = %place.ledger()?.url, "the ledger is kept as a table");
    }
    let rows = [rows];
    let text = match context.output {
        Output::Text => render::as_table(&rows)?,
        Output::Json => render::as_json(&rows)?,
        Output::Csv => render::as_csv(&rows)?,
    };
    render::print(&text)?;
    Ok(Ended::default())
}

/// Does with files of the ledger what somebody wishes, before anything else is loaded.
async fn wish(
    context: Context,
    folder: &FolderArgs,
    which: &WhichArgs,
    select: fn(&Seen, Which<'_>) -> Vec<PlannedFile>,
    is_newest_meant: bool,
) -> Result<Ended, Failure> {
    let glob = which.files.as_deref().map(Glob::new).transpose().map_err(Failure::config)?;
    let fits = |path: &str| glob.as_ref().is_some_and(|glob| glob.matches(path));
    let bench = context.without_data();
    let mut open = open_folder(&bench, folder, Access::Write).await?;
    let meant = match (&glob, which.day, which.batch) {
        (Some(_), ..) => Which::Paths(&fits),
        (_, Some(day), _) => Which::Day(day),
        (.., Some(batch)) => Which::Batch(BatchId(batch)),
        _ => Which::All,
    };
    let mut files = select(open.stream.recall().await.or_fail()?, meant);
    if is_newest_meant {
        let found = open.stream.found_now().await.or_fail()?;
        let found: BTreeMap<&str, &SourceFile> =
            found.iter().map(|candidate| (candidate.file.path.as_str(), &candidate.file)).collect();
        for planned in &mut files {
            if let Some(&now) = found.get(planned.file.path.as_str()) {
                planned.file = now.clone();
            }
        }
    }
    fulfil(&context, &mut open.stream, files).await
}

/// Takes files for loaded that a list says another loader has loaded.
async fn import_list(
    context: Context,
    folder: &FolderArgs,
    list: &std::path::Path,
) -> Result<Ended, Failure> {
    let text = std::fs::read_to_string(list).map_err(|error| {
        Failure::config(format!("the list `{}` cannot be read: {error}", list.display()))
    })?;
    let bench = context.without_data();
    let mut open = open_folder(&bench, folder, Access::Write).await?;
    let listed = parse_list(&text, open.stream.source()).map_err(|bad| {
        let bad: Vec<String> = bad.iter().map(ToString::to_string).collect();
        Failure::config(format!("the list `{}`:\n{}", list.display(), bad.join("\n")))
    })?;
    let found = open.stream.found_now().await.or_fail()?;
    let files = import(open.stream.seen(), &found, &listed);
    fulfil(&context, &mut open.stream, files).await
}

/// Runs batches until a wish is in the table.
async fn fulfil(
    context: &Context,
    stream: &mut Stream<FileTable>,
    files: Vec<PlannedFile>,
) -> Result<Ended, Failure> {
    let mut work = context.bars.begin("files", "files", 0, Arc::clone(&context.clock));
    let (mut done, mut rows, mut aside) = (0, 0, 0);
    stream.ask(files).or_fail()?;
    while !stream.asked().is_empty() {
        // A batch that was planned before goes first, and is not counted.
        let before = stream.asked().len();
        work.expect_in_all(u64::try_from(before).unwrap_or_default(), 0);
        let Progress::Loaded(report) = stream.run_once().await.or_fail()? else { break };
        let fulfilled = before.saturating_sub(stream.asked().len());
        done += fulfilled;
        work.advance(u64::try_from(fulfilled).unwrap_or_default());
        if fulfilled != 0 {
            rows += report.outcome.files.values().map(|file| file.rows).sum::<u64>();
            aside += report.outcome.files.values().filter(|file| file.set_aside.is_some()).count();
        }
    }
    drop(work);
    match context.output {
        Output::Json => {
            let done = json!({"files": done, "rows_loaded": rows, "files_set_aside": aside});
            render::print(&format!("{done}\n"))?;
        }
        Output::Text | Output::Csv => {
            let done = format!("{done} files, {rows} rows loaded, {aside} files set aside\n");
            render::print(&done)?;
        }
    }
    Ok(Ended::default())
}
