//! marketlake: market data from a REST vendor to SQL, exactly once.
//!
//! The binary: `cli` is what a user may say, `config` what is set, `commands` what happens then,
//! `assemble` builds the components for it, and `supervise` keeps them running.

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use model::ErrorKind;
use secrets::Redactor;

mod assemble;
mod cli;
mod clock;
mod commands;
mod config;
mod core_dumps;
mod doctor;
mod failure;
mod progress;
mod render;
mod signals;
mod supervise;
mod telemetry;

use cli::{Cli, Command, FilesCommand, FolderArgs, LoadArgs, Output, PollArgs};
use commands::{Context, Ended, Setup, pipeline::Only};
use failure::Failure;

/// How long blocking work (a SQLite transaction, a file) may take to end after everything else.
const RUNTIME_END_MAX: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let redactor = Redactor::default();
    let has_color = render::has_color(&io::stderr());
    match run(cli, &redactor, has_color) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            report(&failure, &redactor, has_color);
            ExitCode::from(failure.kind.exit_code())
        }
    }
}

/// Prints a failure. Standard error may be closed; then there is nobody to tell.
fn report(failure: &Failure, redactor: &Redactor, has_color: bool) {
    let text = failure.in_lines(redactor, has_color);
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

fn run(cli: Cli, redactor: &Redactor, has_color: bool) -> Result<u8, Failure> {
    core_dumps::forbid()?;
    let Cli { global, command } = cli;
    let is_list = |command: &FilesCommand| matches!(command, FilesCommand::List { .. });
    let has_rows = match &command {
        Command::Query { .. } => true,
        Command::Files(command) => is_list(command),
        _ => false,
    };
    if global.output == Output::Csv && !has_rows {
        let problem = "`--output csv` is only for `query` and `files list`; use text or json";
        return Err(Failure::config(problem));
    }
    let settings = commands::settings::read(&global)?;
    let setup = Setup {
        // Whatever is wrong is said before anybody is asked for a secret.
        scopes: settings.scopes()?,
        settings,
        output: global.output,
        clock: Arc::new(clock::SystemClock::new()),
        redactor: redactor.clone(),
        bars: progress::Bars::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(ErrorKind::Internal, error).context("starting the runtime")
    })?;
    let stopped = runtime.block_on(Box::pin(dispatch(command, setup, has_color)));
    runtime.shutdown_timeout(RUNTIME_END_MAX);
    let stopped = stopped?;
    for task in &stopped.tasks {
        let failure = &task.failure;
        let named = format!("stage `{}` stopped", task.name);
        let lines = failure.in_lines(redactor, has_color);
        let text = format!("{named}\n{lines}");
        drop(io::stderr().lock().write_all(text.as_bytes()));
    }
    Ok(stopped.exit_code())
}

async fn dispatch(command: Command, setup: Setup, has_color: bool) -> Result<Ended, Failure> {
    let (redactor, bars) = (setup.redactor.clone(), setup.bars.clone());
    let start_log = |log| telemetry::init(log, &redactor, has_color, bars);
    match command {
        Command::Config(command) => commands::settings::run(setup, command).await,
        // These help when a secret cannot be read, so they begin without any.
        Command::Secrets(command) => {
            start_log(&setup.settings.log())?;
            commands::vault::run(setup, command).await
        }
        Command::Doctor => {
            start_log(&setup.settings.log())?;
            commands::doctor::run(setup).await
        }
        command => {
            let context = setup.resolve().await?;
            start_log(&context.config.log)?;
            Box::pin(run_resolved(command, context)).await
        }
    }
}

/// The stage, or a folder of files.
async fn load(context: Context, args: LoadArgs) -> Result<Ended, Failure> {
    let LoadArgs { stage, source, table, how } = args;
    match (source, table) {
        (Some(source), Some(table)) => {
            let folder = FolderArgs { source, table, how };
            commands::files::load(context, folder, stage.available_now).await
        }
        _ => commands::pipeline::only(context, Only::Load, &stage).await,
    }
}

async fn run_resolved(command: Command, context: Context) -> Result<Ended, Failure> {
    match command {
        Command::Demo(args) => commands::demo::run(context, args).await,
        Command::Up => commands::pipeline::up(context).await,
        Command::Poll(PollArgs { stage, again_from }) => {
            commands::pipeline::only(context, Only::Poll { again_from }, &stage).await
        }
        Command::Land(args) => commands::pipeline::only(context, Only::Land, &args).await,
        Command::Load(args) => load(context, args).await,
        Command::Files(command) => Box::pin(commands::files::run(context, *command)).await,
        Command::Refine(args) => commands::pipeline::only(context, Only::Refine, &args).await,
        Command::Serve => commands::pipeline::serve(context).await,
        Command::Simulate(args) => commands::simulate::run(context, *args).await,
        Command::Query { sql } => commands::query::run(context, &sql).await,
        Command::Status => commands::status::run(context).await,
        Command::Verify(args) => commands::verify::run(context, args).await,
        Command::Powerbi(args) => commands::powerbi::run(&context, args),
        Command::Sharing(command) => commands::sharing::run(&context, command),
        Command::Role(args) => commands::role::run(&context, &args),
        Command::Config(_) | Command::Secrets(_) | Command::Doctor => {
            Err(Failure::internal("these commands begin without values"))
        }
    }
}
