//! `demo`: a simulated vendor and the whole pipeline, from nothing to a chart.
//!
//! The market is written down at the first start. Market time is a function of the wall clock, so
//! a second start finds the market where it would be had it never stopped.

use std::{num::NonZeroU32, path::PathBuf, sync::Arc, time::Duration};

use chrono::{Datelike, Days, NaiveDate, TimeDelta};
use model::{BarInterval, Dataset, ErrorKind, clock::MarketTime, session::Session};
use serde::{Deserialize, Serialize};
use simulator::{GeneratedSource, Simulator, SimulatorConfig, Source};
use tokio::net::TcpListener;

use super::{
    Context, Ended,
    pipeline::{Whole, run_opened, start},
};
use crate::{
    assemble::{CurrentKey, ResultExt, Workbench, servers::PortTaken},
    cli::DemoArgs,
    config::{MarketTimeConfig, SourceVersion},
    failure::Failure,
    supervise::Supervisor,
};

/// The simulator's key with the largest plan; it opens nothing anywhere else.
const DEMO_KEY: &str = "sim-biz";
/// The demo's folder when none is given, so that it never mixes with real data.
const DATA_DIR: &str = "marketlake-demo";
/// Sessions before the first moment: candles from the first second, filled in a few seconds.
const SESSIONS_BEFORE: usize = 2;
/// Sessions generated: at 20 times real time about two weeks of wall time.
const SESSIONS: u32 = 180;
/// How long the first session has run at the first moment.
const INTO_SESSION: TimeDelta = TimeDelta::minutes(45);
/// How far before today the market starts, so that it stays in the past for a while.
const DAYS_BACK: u64 = 365;
/// Nobody counts here, and the first fill should take seconds.
const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(50).expect("fifty is not zero");

/// The market of a demo, as written down in its folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Market {
    epoch: chrono::DateTime<chrono::Utc>,
    start: chrono::DateTime<chrono::Utc>,
    speed: u32,
    first_date: NaiveDate,
    symbols: u32,
    seed: u64,
    bars: Option<PathBuf>,
}

pub(crate) async fn run(context: Context, args: DemoArgs) -> Result<Ended, Failure> {
    run_opened(Box::pin(open(context, args))).await
}

async fn open(mut context: Context, args: DemoArgs) -> Result<Supervisor, Failure> {
    if context.is_default_data_dir {
        context.config.data_dir = PathBuf::from(DATA_DIR);
    }
    let mut bench = context.open()?;
    let (market, simulator) = settle_market(&bench, args)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| {
        Failure::new(ErrorKind::Config, error).context("opening a port for the simulated vendor")
    })?;
    let address = listener.local_addr().map_err(|error| {
        Failure::new(ErrorKind::Internal, error).context("asking for the vendor's address")
    })?;
    configure(&mut bench, &market, &format!("http://{address}/v2"), simulator.symbols())?;
    let whole = Whole { when_taken: PortTaken::TryNext, is_password_renewed: true };
    let key = CurrentKey::fixed(DEMO_KEY);
    let (mut supervisor, welcome) = start(&bench, Some(key), whole).await?;
    let shutdown = supervisor.shutdown_token().cancelled_owned();
    supervisor.spawn_service("simulate", async move {
        simulator.serve(listener, shutdown).await.or_fail()
    });
    welcome.print(
        context.output,
        "marketlake demo: all prices are SIMULATED; stop it with Ctrl-C, start it again to go on",
    )?;
    Ok(supervisor)
}

/// Reads the market that the first start wrote down, or writes this one down; opens it.
fn settle_market(bench: &Workbench, args: DemoArgs) -> Result<(Market, Simulator), Failure> {
    let now = bench.clock.now();
    let market = match &args.bars {
        Some(path) => market_of_bars(path, now, args.speed)?,
        None => generated_market(now, &args)?,
    };
    let path = bench.data.root().join("demo.json");
    let another = "delete the folder for a new market";
    let text = serde_json::to_string_pretty(&market)
        .map_err(|error| Failure::internal(format!("writing the demo's market: {error}")))?;
    // Opened before it is written down: a market that cannot be opened must not be kept.
    let is_kept = path.try_exists().unwrap_or(false);
    let opened = if is_kept { None } else { Some(simulator(bench, &market)?) };
    let kept = bench.data.create_or_read(&path, &text)?;
    if let Some(simulator) = opened
        && kept == text
    {
        return Ok((market, simulator));
    }
    let kept: Market = serde_json::from_str(&kept).map_err(|error| {
        Failure::new(ErrorKind::Data, error)
            .context(format!("reading the market in `{}`; {another}", path.display()))
    })?;
    let is_same = kept.bars == market.bars
        && (kept.symbols, kept.seed, kept.speed) == (market.symbols, market.seed, market.speed);
    if !is_same {
        tracing::warn!(
            "the market of `{}` goes on as it was begun; another one needs another `--data-dir`",
            bench.data.root().display()
        );
    }
    let simulator = simulator(bench, &kept).map_err(|failure| {
        failure.context(format!("opening the market of `{}`; {another}", path.display()))
    })?;
    Ok((kept, simulator))
}

fn generated_market(
    now: chrono::DateTime<chrono::Utc>,
    args: &DemoArgs,
) -> Result<Market, Failure> {
    let no_calendar = || Failure::internal("the calendar has no session to start the demo in");
    let last = now.date_naive().checked_sub_days(Days::new(DAYS_BACK)).ok_or_else(no_calendar)?;
    let from = last.checked_sub_days(Days::new(14)).ok_or_else(no_calendar)?;
    let sessions: Vec<Session> = Session::between(from, last).collect();
    // Early in the week, or the first night to wait through would be a weekend.
    let is_early = |session: &&Session| session.date.weekday().num_days_from_monday() < 2;
    let at = sessions.iter().rposition(|session| is_early(&session)).ok_or_else(no_calendar)?;
    let today = sessions.get(at).ok_or_else(no_calendar)?;
    let first = sessions.get(at.saturating_sub(SESSIONS_BEFORE)).ok_or_else(no_calendar)?;
    Ok(Market {
        epoch: now,
        start: today.open + INTO_SESSION,
        speed: args.speed,
        first_date: first.date,
        symbols: args.symbols,
        seed: args.seed,
        bars: None,
    })
}

/// Recorded bars start at their first day, so the file's first line decides.
fn market_of_bars(
    path: &std::path::Path,
    now: chrono::DateTime<chrono::Utc>,
    speed: u32,
) -> Result<Market, Failure> {
    let unusable = |problem: String| Failure::config(format!("`{}`: {problem}", path.display()));
    let path = std::path::absolute(path).map_err(|error| unusable(error.to_string()))?;
    let text = std::fs::read_to_string(&path).map_err(|error| unusable(error.to_string()))?;
    let first = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').nth(2))
        .filter_map(|ts| ts.get(..10).and_then(|date| date.parse::<NaiveDate>().ok()))
        .min()
        .ok_or_else(|| unusable("has no line with a date in its third column".to_owned()))?;
    let session = Session::between(first, first + TimeDelta::days(14)).next();
    let session = session.ok_or_else(|| unusable("has no trading session".to_owned()))?;
    Ok(Market {
        epoch: now,
        start: session.open + INTO_SESSION,
        speed,
        first_date: session.date,
        symbols: 0,
        seed: 0,
        bars: Some(path),
    })
}

fn simulator(bench: &Workbench, market: &Market) -> Result<Simulator, Failure> {
    let source = match &market.bars {
        Some(path) => Source::Csv(path.clone()),
        None => Source::Generated(GeneratedSource {
            symbols: market.symbols,
            names: Vec::new(),
            first_date: market.first_date,
            sessions: SESSIONS,
            seed: market.seed,
        }),
    };
    let mut config = SimulatorConfig::new(source, market_time(market));
    config.requests_per_second = REQUESTS_PER_SECOND;
    config.quota_monthly = Some(u64::MAX);
    Simulator::new(config, Arc::clone(&bench.clock)).or_fail()
}

const fn market_time(market: &Market) -> MarketTime {
    MarketTime { epoch: market.epoch, start: market.start, speed: market.speed }
}

/// Points the pipeline at the simulated vendor.
fn configure(
    bench: &mut Workbench,
    market: &Market,
    base_url: &str,
    symbols: Vec<String>,
) -> Result<(), Failure> {
    let config = &mut bench.config;
    config.source.base_url = base_url
        .parse()
        .map_err(|error| Failure::internal(format!("the vendor's address: {error}")))?;
    config.source.version = SourceVersion::V2;
    config.source.requests_per_second = REQUESTS_PER_SECOND;
    config.source.quota_month = None;
    config.market_time = MarketTimeConfig { replay: Some(market_time(market)) };
    config.poll.datasets = vec![
        Dataset::Intraday,
        Dataset::Eod,
        Dataset::Splits,
        Dataset::Dividends,
        Dataset::Tickers,
        Dataset::Exchanges,
    ];
    config.poll.symbols = symbols;
    config.poll.interval = BarInterval::Minute1;
    config.poll.start_date = Some(market.first_date);
    config.poll.settle = Duration::ZERO;
    config.poll.poll_every = Duration::from_secs(60);
    Ok(())
}
