//! The command line: what each command is for, in the words of somebody who meets it first.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};

const AFTER_HELP: &str = "\
First steps:
  marketlake demo                    simulated market, whole pipeline, console; nothing to set up
  marketlake config show             every setting in effect, with where it came from
  marketlake query \"SELECT * FROM bar_15m LIMIT 5\"

Exit codes: 0 done, 2 wrong usage, 3 a setting, credential or quota, 4 stored data is broken,
5 the vendor, network or disk failed for now, 6 another instance kept winning, 7 a bug.";

/// Market data from a REST vendor to SQL, exactly once.
#[derive(Debug, Parser)]
#[command(name = "marketlake", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Settings file (TOML); it needs only the lines that differ from the defaults.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder of topic, landing zone, tables and progress; overrides `data_dir`.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// How results are printed on standard output.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// What is logged on standard error: a level, or a filter such as `info,ingest=debug`.
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// How it is logged: text for people, json for log collectors.
    #[arg(long, global = true, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Tables for people.
    Text,
    /// JSON for programs.
    Json,
    /// Comma-separated values (only `query` and `files list`).
    Csv,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show everything at work on simulated prices: vendor, pipeline, console, PostgreSQL port.
    ///
    /// Needs no account and no server. Keeps its state in a folder, so that a second start goes on
    /// where the first one ended.
    Demo(DemoArgs),
    /// Run the whole pipeline and its servers in one process.
    Up,
    /// Run one stage: fetch rows from the vendor and append them to the topic.
    Poll(PollArgs),
    /// Run one stage: seal the topic's records into immutable landing objects.
    Land(StageArgs),
    /// Run one stage: load landing objects into the bronze tables, each batch exactly once.
    ///
    /// With SOURCE and TABLE it loads any folder of files into a Delta table instead, each file
    /// exactly once, and stands alone: no other part of marketlake is needed.
    #[command(after_long_help = autoloader::files::options::help())]
    Load(LoadArgs),
    /// Look at, and correct, what `load SOURCE TABLE` has loaded.
    #[command(subcommand)]
    Files(Box<FilesCommand>),
    /// Run one stage: turn bronze rows into silver revisions and gold bars, and keep the tables fit.
    Refine(StageArgs),
    /// Run the servers alone: console, HTTP API, metrics, PostgreSQL port.
    Serve,
    /// Run a vendor to test against: Marketstack's HTTP API over recorded or generated bars.
    Simulate(Box<SimulateArgs>),
    /// Run read-only SQL over the tables, on the newest version of each.
    ///
    /// Schemas are bronze, silver and gold; gold is the default.
    Query {
        /// The statement, such as "SELECT symbol, close FROM bar_1d ORDER BY ts_start".
        sql: String,
    },
    /// Show how far each stage is, what waits in front of it, and the size of the tables.
    Status,
    /// Prove the promise: recount every row from landing objects to tables, and compare.
    ///
    /// Prints the counts for each dataset and day, and fails if a row is lost, invented, changed or
    /// doubled.
    Verify(VerifyArgs),
    /// Write files for Power BI: connections to open, and a project with model and report.
    ///
    /// Open the project's `.pbip` in Power BI Desktop, and refresh. Nothing is asked of the lake, and
    /// no password is written: Power BI asks for user and password once. docs/powerbi.md has each step.
    Powerbi(PowerbiArgs),
    /// Reach everything the settings name, and say what is wrong and how to mend it.
    ///
    /// Tries what the pipeline needs: reads secrets, asks the vendor (one request of the quota),
    /// sends a record through the topic, creates objects in the stores, compares clocks.
    Doctor,
    /// Show or check the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// List, read, store or check the secrets that settings refer to.
    #[command(subcommand)]
    Secrets(SecretsCommand),
    /// Let others read tables by the Delta Sharing protocol.
    #[command(subcommand)]
    Sharing(SharingCommand),
    /// Make a password for a user of the PostgreSQL port, and print the lines for the settings.
    ///
    /// The password is shown this once; the lines have only its verifier.
    Role(RoleArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SharingCommand {
    /// Make a token for somebody: print their profile file, and the line for the settings.
    ///
    /// The token is shown this once. The line has only its hash, so nobody finds it again: for a
    /// lost one a new one is made. Taking the line away ends it.
    Token(TokenArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// Who it is for, as the settings and the log will say.
    #[arg(long)]
    pub(crate) name: String,
    /// What they may read: the name of a share; may be given several times.
    #[arg(long = "share", value_name = "NAME", default_value = "market")]
    pub(crate) shares: Vec<String>,
    /// How long it is good, such as `90d`.
    #[arg(long, value_name = "DURATION", default_value = "90d")]
    pub(crate) expires: String,
}

#[derive(Debug, Args)]
pub(crate) struct RoleArgs {
    pub(crate) name: String,
    /// Schemas and tables it may read, such as `bi,gold.bar_1d`; without it everything.
    #[arg(long)]
    pub(crate) tables: Option<String>,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct VerifyArgs {
    /// First day (UTC, of the row's own date) whose counts are shown; all days are checked.
    #[arg(long, value_name = "DATE")]
    pub(crate) from: Option<NaiveDate>,
    /// Last day whose counts are shown.
    #[arg(long, value_name = "DATE")]
    pub(crate) to: Option<NaiveDate>,
    /// Fail as well (exit code 5) while a stage is still at work, so that not all can be compared.
    #[arg(long)]
    pub(crate) settled: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PowerbiArgs {
    /// The folder that the files are written into; created when it is absent.
    #[arg(long, value_name = "FOLDER", default_value = "marketlake-powerbi")]
    pub(crate) out: PathBuf,
    /// Where Power BI reaches the SQL port, as seen from its own machine; without it this machine,
    /// at the port of `postgres.bind`.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) server: Option<serve::powerbi::Server>,
    /// The database's name.
    #[arg(long, value_name = "NAME", default_value = "marketlake")]
    pub(crate) database: serve::powerbi::Database,
    /// Where the project's data is while somebody looks at it.
    #[arg(long, value_enum, default_value_t = PowerbiMode::Import)]
    pub(crate) mode: PowerbiMode,
    /// Write into a folder that is not empty. Report, model and connections of an earlier project are
    /// replaced whole, with every change that was made to them; other files stay.
    #[arg(long)]
    pub(crate) force: bool,
}

/// Where the data of a Power BI project is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PowerbiMode {
    /// Copied into the report at each refresh: quick to look at, as old as the last refresh.
    Import,
    /// Asked of marketlake whenever a visual is drawn: never old, and nothing to refresh.
    DirectQuery,
}

#[derive(Debug, Args)]
pub(crate) struct StageArgs {
    /// End when there is nothing left to do, instead of waiting for more.
    #[arg(long)]
    pub(crate) available_now: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    pub(crate) stage: StageArgs,
    /// A folder of files, a file, or a glob: /data/in, s3://bucket/in/*.json, az://container/in.
    #[arg(requires = "table")]
    pub(crate) source: Option<String>,
    /// The Delta table that they are loaded into, created if need be: a folder or an address.
    #[arg(requires = "source")]
    pub(crate) table: Option<String>,
    #[command(flatten)]
    pub(crate) how: HowArgs,
}

/// How files are loaded.
#[derive(Debug, Args)]
pub(crate) struct HowArgs {
    /// The format of the files: json, csv, parquet, avro, text or binaryFile.
    #[arg(long, requires = "source")]
    pub(crate) format: Option<String>,
    /// An option of the load under Auto Loader's name, such as `maxFilesPerTrigger=100`; see
    /// `marketlake load --help`.
    #[arg(long = "option", short = 'o', value_name = "NAME=VALUE", requires = "source")]
    #[arg(value_parser = name_and_value)]
    pub(crate) options: Vec<(String, String)>,
    /// An option of the source's store, such as `aws_region=eu-west-1`; secrets are references:
    /// `aws_secret_access_key={{secrets/SCOPE/KEY}}`.
    #[arg(long = "source-option", value_name = "NAME=VALUE", requires = "source")]
    #[arg(value_parser = name_and_value)]
    pub(crate) source_options: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

/// Where a table lies, and which of the streams that fill it is meant.
#[derive(Debug, Args)]
pub(crate) struct TableArgs {
    /// An option of the table's store.
    #[arg(long = "table-option", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) table_options: Vec<(String, String)>,
    /// The name of this load: each source that is loaded into the same table needs another.
    #[arg(long, value_name = "NAME", default_value = "main")]
    pub(crate) stream: String,
}

/// A source, a table, and how the one is loaded into the other.
#[derive(Debug, Args)]
pub(crate) struct FolderArgs {
    /// The folder of files that is loaded.
    pub(crate) source: String,
    /// The Delta table that they are loaded into.
    pub(crate) table: String,
    #[command(flatten)]
    pub(crate) how: HowArgs,
}

/// Which files of a load are meant.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct WhichArgs {
    /// Those whose path below the source fits a glob, such as `2026/*.json`.
    #[arg(long, value_name = "GLOB")]
    pub(crate) files: Option<String>,
    /// Those that were last modified on this day, UTC.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) day: Option<NaiveDate>,
    /// Those that this batch had, and none after it.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) batch: Option<u64>,
    /// All of them.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FilesCommand {
    /// List every file that was seen, with what became of it: the columns of Auto Loader's
    /// `cloud_files_state`, and rows, rescued and bad records, first error, table version.
    List {
        /// The Delta table.
        table: String,
        #[command(flatten)]
        at: TableArgs,
        /// Also keep the list as a Delta table beside the table, named `TABLE__files`.
        #[arg(long)]
        keep: bool,
    },
    /// Say what the next load would do, and do nothing: files, bytes, columns, and what
    /// each evolution mode would make of fields that are no columns.
    Plan(FolderArgs),
    /// Read files again, in exchange for their rows, in one transaction.
    Replay {
        #[command(flatten)]
        folder: FolderArgs,
        #[command(flatten)]
        which: WhichArgs,
    },
    /// Take the rows of files away; the files stay, and are not loaded again.
    Undo {
        #[command(flatten)]
        folder: FolderArgs,
        #[command(flatten)]
        which: WhichArgs,
    },
    /// Try files again that failed, were missing, or were set aside.
    Redrive {
        #[command(flatten)]
        folder: FolderArgs,
        #[command(flatten)]
        which: WhichArgs,
    },
    /// Try out the events of a source: write probes into it, wait until the queue tells of them, and
    /// delete them.
    Probe {
        #[command(flatten)]
        folder: FolderArgs,
        /// How many probes are written.
        #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
        count: u8,
        /// How many seconds they may take.
        #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
        patience: u64,
        /// What the names of probes end in, where events are only sent for such.
        #[arg(long, value_name = "TEXT", default_value = ".json")]
        ending: String,
    },
    /// Take files for loaded that another loader has loaded: a list of them, CSV or JSON lines, such
    /// as an export of `cloud_files_state`.
    Import {
        #[command(flatten)]
        folder: FolderArgs,
        /// The list.
        #[arg(long, value_name = "FILE")]
        list: PathBuf,
    },
}

/// Takes `NAME=VALUE` apart.
fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

#[derive(Debug, Args)]
pub(crate) struct PollArgs {
    #[command(flatten)]
    pub(crate) stage: StageArgs,
    /// Fetch once more what was fetched from this day on, market time, as far as the vendor has it.
    ///
    /// What is known already is recognised and dropped; requests count against the quota. Of
    /// several pollers that share, each does so for the symbols it has.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) again_from: Option<NaiveDate>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting in effect and where it came from, as a file that could be used again.
    Show,
    /// Check the settings without running anything; reports every problem at once.
    Check,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// List the scopes and what stands behind each; nothing is asked.
    Scopes,
    /// List the keys of all scopes, or of one; values are not read.
    List {
        /// The scope.
        #[arg(value_name = "SCOPE")]
        scope: Option<String>,
    },
    /// Read one secret; prints a mask unless `--reveal` is given.
    Get {
        /// A reference without braces: SCOPE/KEY.
        #[arg(value_name = "SCOPE/KEY")]
        reference: String,
        /// Print the value itself. Mind your terminal's history and who looks over your shoulder.
        #[arg(long)]
        reveal: bool,
    },
    /// Store one secret, read from standard input, in a scope that can be written.
    ///
    /// The value is never an argument: those are in the shell's history and every process list. One
    /// line break at its end is not part of it.
    Put {
        /// A reference without braces: SCOPE/KEY.
        #[arg(value_name = "SCOPE/KEY")]
        reference: String,
    },
    /// Remove one secret from a scope that can be written.
    Delete {
        /// A reference without braces: SCOPE/KEY.
        #[arg(value_name = "SCOPE/KEY")]
        reference: String,
    },
    /// Resolve every secret that the settings refer to, and say which are missing.
    Check,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many symbols to generate.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) symbols: u32,
    /// Market seconds in one real second. At 20 a trading session lasts about twenty minutes.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) speed: u32,
    /// Where all prices are derived from; the same seed makes the same market.
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// Replay recorded one-minute bars instead (columns
    /// source,symbol,ts_start_utc,open,high,low,close,volume).
    #[arg(long, value_name = "CSV")]
    pub(crate) bars: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Address to listen on; port 0 picks a free one. The address is printed on standard output.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) bind: std::net::SocketAddr,
    /// Recorded one-minute bars (columns source,symbol,ts_start_utc,open,high,low,close,volume).
    #[arg(long, value_name = "CSV", conflicts_with_all = ["symbols", "days", "seed", "first_date"])]
    pub(crate) bars: Option<PathBuf>,
    /// Symbols to generate.
    #[arg(long, default_value_t = 24)]
    pub(crate) symbols: u32,
    /// Trading days to generate.
    #[arg(long, default_value_t = 5)]
    pub(crate) days: u32,
    /// Where all generated prices are derived from.
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// First trading day to generate.
    #[arg(long, value_name = "DATE", default_value = "2019-02-11")]
    pub(crate) first_date: NaiveDate,
    /// What an intraday row is: reading (as the vendor serves US symbols) or bar.
    #[arg(long, default_value = "reading")]
    pub(crate) semantics: String,
    /// Market time at the epoch; without it market time is real time.
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<DateTime<Utc>>,
    /// Market seconds in one real second.
    #[arg(long, default_value_t = 1, requires = "start")]
    pub(crate) speed: u32,
    /// Real time at which the market started; without it now.
    #[arg(long, value_name = "TIME", requires = "start")]
    pub(crate) epoch: Option<DateTime<Utc>>,
    /// Habits of the vendor, on top of the everyday ones: a name, `no-NAME`, `all` or `none`.
    #[arg(long = "quirk", value_name = "NAME", value_delimiter = ',')]
    pub(crate) quirks: Vec<String>,
    /// Switch faults on, derived from this seed: errors, slow and truncated answers, poison rows.
    #[arg(long, value_name = "SEED")]
    pub(crate) faults: Option<u64>,
    /// Share of requests that a fault befalls, 0 to 1.
    #[arg(long, default_value_t = 0.1, requires = "faults")]
    pub(crate) fault_rate: f64,
    /// Keep a file of what a correct pipeline must hold: one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) truth: Option<PathBuf>,
    /// Requests per second before 429 answers.
    #[arg(long, default_value = "5")]
    pub(crate) requests_per_second: std::num::NonZeroU32,
    /// Requests per month before the quota error; without it what the key's plan allows.
    #[arg(long)]
    pub(crate) quota: Option<u64>,
    /// Share of the market's volume that is served, in thousandths.
    #[arg(long, default_value_t = 1000)]
    pub(crate) iex_share_permille: u32,
    /// Market minutes after its interval within which a late reading appears.
    #[arg(long, default_value_t = 20)]
    pub(crate) late_minutes_max: u32,
    /// Market minutes after its interval within which a restated reading changes.
    #[arg(long, default_value_t = 30)]
    pub(crate) restated_minutes_max: u32,
    /// Interval of the rows that the truth is about.
    #[arg(long, default_value = "1m")]
    pub(crate) truth_interval: model::BarInterval,
    /// API version whose rows the truth quotes: v1 or v2.
    #[arg(long, default_value = "v2")]
    pub(crate) truth_version: String,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
