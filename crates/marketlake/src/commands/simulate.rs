//! `simulate`: the vendor's double as a process of its own.

use std::sync::Arc;

use model::clock::MarketTime;
use simulator::{FaultPlan, GeneratedSource, Quirks, Simulator, SimulatorConfig, Source};
use tokio::net::TcpListener;

use super::{Context, Ended};
use crate::{
    assemble::ResultExt,
    cli::SimulateArgs,
    failure::Failure,
    render, signals,
    supervise::{Board, Supervisor},
};

pub(crate) async fn run(context: Context, args: SimulateArgs) -> Result<Ended, Failure> {
    let bind = args.bind;
    let config = simulator_config(args, &context)?;
    let listener = TcpListener::bind(bind).await.map_err(|error| {
        Failure::new(model::ErrorKind::Config, error)
            .context(format!("port {} cannot be opened; choose another with `--bind`", bind.port()))
    })?;
    let address = listener.local_addr().map_err(|error| {
        Failure::new(model::ErrorKind::Internal, error).context("asking for the bound address")
    })?;
    let clock = Arc::clone(&context.clock);
    // Reading a file of bars takes seconds; the port already queues the first clients.
    let simulator = Simulator::new(config, Arc::clone(&clock)).or_fail()?;
    let mut supervisor = Supervisor::new(clock, Board::default(), context.redactor.clone());
    let shutdown = supervisor.shutdown_token().cancelled_owned();
    supervisor.spawn_service("simulate", async move {
        simulator.serve(listener, shutdown).await.or_fail()
    });
    let signals = signals::listen()?;
    render::print(&format!("listening on http://{address}\n"))?;
    Ok(supervisor.run(signals).await.into())
}

fn simulator_config(args: SimulateArgs, context: &Context) -> Result<SimulatorConfig, Failure> {
    let source = match args.bars {
        Some(path) => Source::Csv(path),
        None => Source::Generated(GeneratedSource {
            symbols: args.symbols,
            names: Vec::new(),
            first_date: args.first_date,
            sessions: args.days,
            seed: args.seed,
        }),
    };
    let now = context.clock.now();
    let time = match args.start {
        Some(start) => MarketTime { epoch: args.epoch.unwrap_or(now), start, speed: args.speed },
        None => MarketTime { epoch: now, start: now, speed: 1 },
    };
    let quirks: Quirks = args.quirks.join(",").parse().or_fail()?;
    let mut config = SimulatorConfig::new(source, time);
    config.semantics = args.semantics.parse().or_fail()?;
    config.quirks = quirks;
    config.faults = args.faults.map(|seed| FaultPlan::new(seed, args.fault_rate));
    config.requests_per_second = args.requests_per_second;
    config.quota_monthly = args.quota;
    config.iex_share_permille = args.iex_share_permille;
    config.late_minutes_max = args.late_minutes_max;
    config.restated_minutes_max = args.restated_minutes_max;
    config.truth_interval = args.truth_interval;
    config.truth_version = args.truth_version.parse().or_fail()?;
    config.truth_file = args.truth;
    Ok(config)
}
