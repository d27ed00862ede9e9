//! Runs the fault proxy on its own, in front of a store that programs under test use.
//!
//! ```text
//! fault_proxy --listen 127.0.0.1:19001 --upstream http://127.0.0.1:19000 --seed 7 --rate 0.15
//! ```
//!
//! It prints its address, and at the end what it has struck. `--fault NAME` can be repeated; without
//! it, all faults that strike single requests are chosen from. While it runs, `GET /__faults` answers
//! the counts, `POST /__outage?seconds=N` cuts everything for a time, and `POST /__rate?rate=R`
//! changes how often it strikes; with `rate=0` it is quiet.

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use model::{Clock, clock::Sleep};
use stores::fault_proxy::{Fault, FaultProxy, Plan};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: fault_proxy --listen 127.0.0.1:PORT --upstream http://HOST:PORT \
                     [--seed N] [--rate 0.15] [--fault NAME]...";

/// What the program was asked to do.
struct Arguments {
    listen: String,
    upstream: String,
    plan: Plan,
}

impl Arguments {
    fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut listen, mut upstream) = ("127.0.0.1:0".to_owned(), None);
        let mut plan = Plan::new(0, 0.15);
        let mut faults = Vec::new();
        while let Some(name) = given.next() {
            let value = given.next().ok_or_else(|| format!("`{name}` wants a value"))?;
            let wrong = |wanted: &str| format!("`{name} {value}`: {wanted}");
            match name.as_str() {
                "--listen" => listen = value,
                "--upstream" => upstream = Some(value),
                "--seed" => plan.seed = value.parse().map_err(|_| wrong("a number"))?,
                "--rate" => {
                    let rate = value.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
                    plan.rate = rate.ok_or_else(|| wrong("a number from 0 to 1"))?;
                }
                "--fault" => faults.push(Fault::from_name(&value).ok_or_else(|| {
                    let names = Fault::SINGLE.map(Fault::name).join(", ");
                    wrong(&format!("one of {names}, outage"))
                })?),
                _ => return Err(format!("`{name}` is no argument")),
            }
        }
        if !faults.is_empty() {
            plan.faults = faults;
        }
        let upstream = upstream.ok_or("`--upstream` is missing")?;
        Ok(Self { listen, upstream, plan })
    }
}

/// The system's clock.
#[derive(Debug)]
struct SystemClock {
    start: tokio::time::Instant,
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that the proxy is given")]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        Box::pin(tokio::time::sleep(duration))
    }
}

fn say(line: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}

async fn run(arguments: Arguments) -> io::Result<()> {
    // Before anybody knows the address: whoever starts this may stop it at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let clock = Arc::new(SystemClock { start: tokio::time::Instant::now() });
    let Arguments { listen, upstream, plan } = arguments;
    let proxy = FaultProxy::start(&listen, &upstream, plan, clock).await?;
    say(proxy.url())?;
    tokio::select! {
        _ = terminate.recv() => (),
        _ = interrupt.recv() => (),
    }
    say(&proxy.fired_json())
}

#[tokio::main]
async fn main() -> ExitCode {
    let problem = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => match run(arguments).await {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => format!("running the fault proxy: {error}"),
        },
        Err(problem) => format!("{problem}\n{USAGE}"),
    };
    // Nobody to tell when this cannot be written.
    drop(writeln!(io::stderr(), "{problem}"));
    ExitCode::FAILURE
}
