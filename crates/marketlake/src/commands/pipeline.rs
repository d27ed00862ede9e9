//! `up`, `serve`, and each stage as a process of its own.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use autoloader::Trigger;
use chrono::NaiveDate;
use secrets::Secret;
use serde_json::json;
use serve::http::StatusProbe;

use super::{Context, Ended};
use crate::{
    assemble::{
        CurrentKey, Gauges, ResultExt, Topic, Workbench, ensure_password,
        probe::PipelineProbe,
        servers::{Addresses, Admission, PortTaken, Ports},
        stages::{
            Company, LandStage, LoadStage, MaintainStage, PollStage, REFINE_GENERATION,
            RefineStage, connect,
        },
    },
    cli::{Output, StageArgs},
    failure::Failure,
    progress::Shown,
    render, signals,
    supervise::{Board, Stage, Supervisor, Until},
};

/// A stage that runs alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Only {
    /// Once more what was fetched from a day on, if there is one.
    Poll {
        again_from: Option<NaiveDate>,
    },
    Land,
    Load,
    Refine,
}

/// Runs what `opening` brings until it has ended.
///
/// Opening waits for brokers and stores, for minutes if they are away. It has begun nothing that a
/// stop would harm, so a signal ends it as well as it ends running.
pub(crate) async fn run_opened(
    opening: impl Future<Output = Result<Supervisor, Failure>>,
) -> Result<Ended, Failure> {
    let mut signals = signals::listen()?;
    let supervisor = tokio::select! {
        opened = opening => opened?,
        _ = signals.recv() => {
            tracing::info!("stopped before anything ran");
            return Ok(Ended::default());
        }
    };
    Ok(supervisor.run(signals).await.into())
}

/// Everything in one process.
pub(crate) async fn up(context: Context) -> Result<Ended, Failure> {
    run_opened(Box::pin(async {
        let bench = context.open()?;
        let reference = bench.config.source.access_key.clone();
        let key = CurrentKey::resolve(bench.scopes.clone(), reference).await?;
        let whole = Whole { when_taken: PortTaken::Fail, is_password_renewed: false };
        let (supervisor, welcome) = start(&bench, Some(key), whole).await?;
        welcome.print(context.output, "marketlake is up; stop it with Ctrl-C")?;
        Ok(supervisor)
    }))
    .await
}

/// The servers alone.
pub(crate) async fn serve(context: Context) -> Result<Ended, Failure> {
    run_opened(Box::pin(async {
        let bench = context.open()?;
        let whole = Whole { when_taken: PortTaken::Fail, is_password_renewed: false };
        let (supervisor, welcome) = start(&bench, None, whole).await?;
        welcome.print(context.output, "marketlake serves; stop it with Ctrl-C")?;
        Ok(supervisor)
    }))
    .await
}

/// How a whole pipeline differs between `up` and `demo`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole {
    pub(crate) when_taken: PortTaken,
    pub(crate) is_password_renewed: bool,
}

/// Starts servers, and with a `key` all stages in front of them.
pub(crate) async fn start(
    bench: &Workbench,
    key: Option<CurrentKey>,
    whole: Whole,
) -> Result<(Supervisor, Welcome), Failure> {
    // Ports before anything else: a second `up` by mistake ends here, with nothing begun.
    let ports = Ports::open(bench, whole.when_taken).await?;
    let Addresses { http, postgres, flight } = ports.addresses()?;
    let topic = Topic::open(bench).await?;
    let reader = bench.reader().await?;
    let (board, gauges) = (Board::default(), Gauges::default());
    let clock = Arc::clone(&bench.clock);
    let mut supervisor = Supervisor::new(clock, board.clone(), bench.redactor.clone());
    let mut slots = Vec::new();
    if let Some(key) = key {
        let poll = PollStage::open(bench, &topic, key, None).await?;
        let land = LandStage::open(bench, topic.clone(), Arc::clone(&gauges)).await?;
        let load = LoadStage::open(bench, Trigger::Continuous).await?;
        let refine = RefineStage::open(bench).await?;
        let stages: Vec<(&'static str, Box<dyn Stage>)> = vec![
            ("poll", Box::new(poll)),
            ("land", Box::new(land)),
            ("load", Box::new(load)),
            ("refine", Box::new(refine)),
        ];
        let maintain: Vec<(&'static str, Box<dyn Stage>)> =
            vec![("maintain", Box::new(MaintainStage::open(bench).await?))];
        slots.extend(connect(stages, Company::Together, Until::Shutdown));
        slots.extend(connect(maintain, Company::Maintenance, Until::Shutdown));
    }
    let probe = PipelineProbe::open(bench, &topic, reader.clone(), (board, gauges)).await?;
    let sharing = bench.sharing().await?;
    // After all that can fail: a password made up by a start that ends before it is printed would
    // be known to nobody, and its verifier would stay.
    let login = ensure_password(bench, whole.is_password_renewed).await?;
    let scheme = if bench.config.http.tls.is_some() { "https" } else { "http" };
    let welcome = Welcome {
        console: format!("{scheme}://{}/", SocketAddr::new(reachable(http.ip()), http.port())),
        host: reachable(postgres.ip()).to_string(),
        port: postgres.port(),
        flight: flight.map(|address| {
            let scheme = if bench.config.flight.tls.is_some() { "grpc+tls" } else { "grpc" };
            format!("{scheme}://{address}")
        }),
        user: bench.config.postgres.user.clone(),
        new_password: login.new_password.clone(),
        verifier: bench.verifier_path().display().to_string(),
        data_dir: bench.data.root().display().to_string(),
    };
    for slot in slots {
        supervisor.spawn_stage(slot);
    }
    let admission = Admission { login, sharing };
    ports.spawn(&mut supervisor, bench, &reader, Arc::new(probe), admission)?;
    Ok((supervisor, welcome))
}

/// Returns an address under which this machine reaches what listens on all of its addresses.
fn reachable(bound: IpAddr) -> IpAddr {
    match bound {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        bound => bound,
    }
}

/// One stage as a process.
pub(crate) async fn only(context: Context, only: Only, args: &StageArgs) -> Result<Ended, Failure> {
    run_opened(Box::pin(open(context, only, args))).await
}

async fn open(context: Context, only: Only, args: &StageArgs) -> Result<Supervisor, Failure> {
    let bench = context.open()?;
    let until = if args.available_now { Until::Idle } else { Until::Shutdown };
    let trigger = match until {
        Until::Idle => Trigger::AvailableNow,
        Until::Shutdown => Trigger::Continuous,
    };
    // Only a bar needs to know how much there is.
    let is_counted = until == Until::Idle && context.bars.are_visible();
    let mut total = 0;
    let mut maintain: Vec<(&'static str, Box<dyn Stage>)> = Vec::new();
    let stage: (&'static str, Box<dyn Stage>) = match only {
        Only::Poll { again_from } => {
            let reference = bench.config.source.access_key.clone();
            let key = CurrentKey::resolve(bench.scopes.clone(), reference).await?;
            let topic = Topic::open(&bench).await?;
            // How many rows the vendor has is what polling finds out.
            ("poll", Box::new(PollStage::open(&bench, &topic, key, again_from).await?))
        }
        Only::Land => {
            let topic = Topic::open(&bench).await?;
            let land = LandStage::open(&bench, topic, Gauges::default()).await?;
            if is_counted {
                total = land.waiting().await?;
            }
            ("land", Box::new(land))
        }
        Only::Load => {
            if is_counted {
                total = rows_unloaded(&bench).await?;
            }
            ("load", Box::new(LoadStage::open(&bench, trigger).await?))
        }
        Only::Refine => {
            maintain.push(("maintain", Box::new(MaintainStage::open(&bench).await?)));
            let refine = RefineStage::open(&bench).await?;
            if is_counted {
                total = bench.reader().await?.rows_unrefined(REFINE_GENERATION).await.or_fail()?;
            }
            ("refine", Box::new(refine))
        }
    };
    let clock = Arc::clone(&bench.clock);
    let stage = match until {
        Until::Shutdown => stage,
        Until::Idle => {
            let (name, stage) = stage;
            let work = context.bars.begin(name, "rows", total, Arc::clone(&clock));
            (name, Box::new(Shown { stage, work }) as Box<dyn Stage>)
        }
    };
    let mut supervisor = Supervisor::new(clock, Board::default(), bench.redactor.clone());
    supervisor.end_with(stage.0);
    for slot in connect(vec![stage], Company::Alone, until).into_iter().chain(connect(
        maintain,
        Company::Maintenance,
        until,
    )) {
        tracing::info!(stage = slot.name, "running; stop it with Ctrl-C");
        supervisor.spawn_stage(slot);
    }
    Ok(supervisor)
}

/// Returns the rows that landed and are not loaded.
async fn rows_unloaded(bench: &Workbench) -> Result<u64, Failure> {
    let (topic, reader) = (Topic::open(bench).await?, bench.reader().await?);
    let probe = PipelineProbe::open(bench, &topic, reader, Default::default()).await?;
    let stages = probe.status().await.stages;
    let rows =
        |name: &str| stages.iter().find(|stage| stage.name == name).map(|stage| stage.rows_total);
    Ok(rows("land").zip(rows("load")).map_or(0, |(landed, loaded)| landed.saturating_sub(loaded)))
}

/// What a user needs to know once the ports are open.
#[derive(Debug)]
pub(crate) struct Welcome {
    console: String,
    host: String,
    port: u16,
    /// Where Flight SQL is served, if it is.
    flight: Option<String>,
    user: String,
    new_password: Option<Secret>,
    verifier: String,
    data_dir: String,
}

impl Welcome {
    /// Prints it: the one place where a password is shown, on standard output, once.
    pub(crate) fn print(&self, output: Output, headline: &str) -> Result<(), Failure> {
        let Self { console, host, port, user, verifier, data_dir, .. } = self;
        let psql = format!("psql -h {host} -p {port} -U {user} marketlake");
        let psql = match &self.new_password {
            Some(password) => format!("PGPASSWORD={} {psql}", password.expose()),
            None => psql,
        };
        if output == Output::Json {
            let welcome = json!({
                "message": headline,
                "console": console,
                "psql": psql,
                "postgres": {"host": host, "port": port, "user": user, "database": "marketlake",
                    "password": self.new_password.as_ref().map(Secret::expose)},
                "flight": self.flight,
                "data_dir": data_dir,
            });
            return render::print(&format!("{welcome}\n"));
        }
        let note = match &self.new_password {
            Some(_) => "the password is shown this once; only a verifier of it is kept".to_owned(),
            None => format!(
                "the password is the configured one or was printed at the first start; delete \
                 `{verifier}` for a new one"
            ),
        };
        let flight =
            self.flight.as_ref().map(|url| format!("  Flight    {url}\n")).unwrap_or_default();
        render::print(&format!(
            "{headline}\n\n  console   {console}\n  SQL       {psql}\n            ({note})\n{flight}  \
             data      {data_dir}\n\n"
        ))
    }
}
