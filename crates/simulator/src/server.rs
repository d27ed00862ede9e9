//! The HTTP server: who asks, may they, what goes wrong, what they get.

mod connection;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{ConnectInfo, Query as UrlQuery, State},
    http::{Method, StatusCode, Uri},
    response::{Html, IntoResponse, Response},
};
use chrono::{DateTime, SecondsFormat, Utc};
use model::{BarInterval, Clock, Dataset};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::connection::{Connection, CuttableListener};
use crate::{
    ApiVersion, Error, FaultKind, Plan, Quirk, SimulatorConfig,
    account::Accounts,
    faults::SLOW_MS_MAX,
    reply::{Refusal, envelope, json},
    request::{Query, Route},
    served::Served,
    tape::Seconds,
    truth::{self, TruthFile},
    vendor::Vendor,
};

/// After the signal, answers under way get this long; the slowest takes two seconds.
const DRAIN: Duration = Duration::from_secs(5);
/// Size of the head of an answer: what a truncated answer sends of it in full.
const HEAD_BYTES: usize = 112;

/// A simulated vendor, ready to serve.
pub struct Simulator {
    shared: Arc<Shared>,
}

struct Shared {
    config: SimulatorConfig,
    clock: Arc<dyn Clock>,
    vendor: Vendor,
    accounts: Mutex<Accounts>,
    served: Mutex<Served>,
    ordinal: AtomicU64,
    counters: Mutex<Counters>,
}

/// What has happened so far, for `/__sim/state`.
#[derive(Default)]
struct Counters {
    requests: BTreeMap<String, u64>,
    /// By kind: requests that it befell, or rows that were served with it.
    faults: BTreeMap<&'static str, u64>,
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl Simulator {
    /// Loads or generates the market. Wall time comes from `clock`, market time follows from it.
    ///
    /// # Errors
    /// The settings contradict each other, or the recorded bars cannot be read.
    pub fn new(config: SimulatorConfig, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        config.validate()?;
        let vendor = Vendor::new(&config)?;
        let accounts = Accounts::new(config.requests_per_second, config.quota_monthly);
        tracing::info!(symbols = vendor.tape.instruments.len(), "simulated market is ready");
        Ok(Self {
            shared: Arc::new(Shared {
                config,
                clock,
                vendor,
                accounts: Mutex::new(accounts),
                served: Mutex::default(),
                ordinal: AtomicU64::new(0),
                counters: Mutex::default(),
            }),
        })
    }

    /// Returns the symbols of the market, sorted.
    #[must_use]
    pub fn symbols(&self) -> Vec<String> {
        self.shared.vendor.tape.instruments.iter().map(|one| one.symbol.clone()).collect()
    }

    /// Returns the truth at a moment of market time, as NDJSON; see the crate's `truth` module.
    #[must_use]
    pub fn truth(&self, ts_market: DateTime<Utc>) -> String {
        self.shared.truth(ts_market.timestamp())
    }

    /// Serves until `shutdown` ends, then lets running answers finish and writes the truth file.
    ///
    /// # Errors
    /// The listener breaks, or the truth file cannot be written.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        // First no new requests, then, when the last answer has left, a last look at the truth.
        let (stop, over) = (CancellationToken::new(), CancellationToken::new());
        let app = Router::new().fallback(answer).with_state(Arc::clone(&self.shared));
        let app = app.into_make_service_with_connect_info::<Connection>();
        let server = axum::serve(CuttableListener(listener), app)
            .with_graceful_shutdown(stop.clone().cancelled_owned());
        let clock = Arc::clone(&self.shared.clock);
        let drained = async {
            shutdown.await;
            stop.cancel();
            clock.sleep(DRAIN).await;
        };
        let serving = async {
            let ended = tokio::select! {
                ended = server => ended.map_err(|source| Error::Serve { source }),
                () = drained => {
                    tracing::warn!("a client kept its connection open");
                    Ok(())
                }
            };
            over.cancel();
            ended
        };
        let mut file = TruthFile::new(&self.shared.config);
        let keeping = async {
            let kept = self.keep_truth(&mut file, &over).await;
            // A truth nobody can read makes the test that needs it worthless: stop at once.
            if kept.is_err() {
                stop.cancel();
            }
            kept
        };
        let (served, kept) = tokio::join!(serving, keeping);
        served.and(kept)
    }

    /// Renews the truth file again and again, and a last time when serving is `over`.
    async fn keep_truth(
        &self,
        file: &mut TruthFile,
        over: &CancellationToken,
    ) -> Result<(), Error> {
        if !file.is_wanted() {
            return Ok(());
        }
        let clock = &self.shared.clock;
        loop {
            let is_last = over.is_cancelled();
            let began = clock.monotonic();
            file.renew(&truth_now(&self.shared).await?).await?;
            if is_last {
                return Ok(());
            }
            // A large market takes long to state; it may cost a tenth of a core, not all of it.
            let pause =
                (clock.monotonic().saturating_sub(began) * 10).max(self.shared.config.truth_every);
            tokio::select! {
                () = clock.sleep(pause) => (),
                () = over.cancelled() => (),
            }
        }
    }
}

/// States the truth of this moment, on a thread that may take its time.
async fn truth_now(shared: &Arc<Shared>) -> Result<String, Error> {
    let now = shared.now();
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || shared.truth(now))
        .await
        .map_err(|source| Error::StateTruth { source })
}

impl Shared {
    fn now(&self) -> Seconds {
        self.config.time.at(self.clock.now()).timestamp()
    }

    fn truth(&self, now: Seconds) -> String {
        let served = lock(&self.served).of_symbol();
        truth::text(&self.vendor, &self.config, &served, now)
    }

    fn count(&self, name: &str) {
        *lock(&self.counters).requests.entry(name.to_owned()).or_default() += 1;
    }

    fn count_faults(&self, kinds: &[FaultKind]) {
        let mut counters = lock(&self.counters);
        for kind in kinds {
            *counters.faults.entry(kind.as_str()).or_default() += 1;
        }
    }

    fn state(&self) -> String {
        let (requests, faults) = {
            let counters = lock(&self.counters);
            (counters.requests.clone(), counters.faults.clone())
        };
        let report = lock(&self.accounts).report();
        let quota: serde_json::Map<String, serde_json::Value> = report
            .into_iter()
            .map(|(plan, used, limit)| {
                (plan.to_owned(), serde_json::json!({ "used": used, "limit": limit }))
            })
            .collect();
        let ts_market = self.config.time.at(self.clock.now());
        serde_json::json!({
            "ts_market": ts_market.to_rfc3339_opts(SecondsFormat::Millis, true),
            "speed": self.config.time.speed,
            "symbols": self.vendor.tape.instruments.len(),
            "requests": requests,
            "faults": faults,
            "quota": quota,
        })
        .to_string()
    }

    /// Decides whether the account may ask for this, and charges it.
    fn admit(&self, params: &BTreeMap<String, String>) -> Result<Plan, Refusal> {
        let key = params.get("access_key").filter(|key| !key.is_empty());
        let plan = Plan::of_key(key.ok_or(Refusal::MissingKey)?).ok_or(Refusal::InvalidKey)?;
        lock(&self.accounts).take_token(plan, self.clock.monotonic())?;
        Ok(plan)
    }

    fn admit_query(
        &self,
        plan: Plan,
        route: &Route,
        query: Result<Query, Refusal>,
    ) -> Result<Query, Refusal> {
        let interval = query.as_ref().map_or(BarInterval::Hour1, |query| query.interval);
        if !plan.includes(route.dataset(), interval) {
            return Err(Refusal::Plan);
        }
        // Every symbol counts as a request, unknown ones and refused lists included.
        let symbols = query.as_ref().map_or(1, |query| query.symbols.len().max(1));
        let requests = u64::try_from(symbols).unwrap_or(u64::MAX);
        lock(&self.accounts).charge(plan, requests, self.clock.now())?;
        query
    }
}

/// Answers every request.
async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    method: Method,
    uri: Uri,
) -> Response {
    match uri.path() {
        "/__sim/state" => return json(StatusCode::OK, shared.state()),
        "/__sim/truth" => {
            return match truth_now(&shared).await {
                Ok(text) => ([("content-type", "application/x-ndjson")], text).into_response(),
                Err(error) => {
                    tracing::error!(%error, "stating the truth");
                    StatusCode::INTERNAL_SERVER_ERROR.into_response()
                }
            };
        }
        _ => (),
    }
    shared.count("total");
    let (version, route) = Route::parse(uri.path());
    let response = match checked(&shared, &method, &uri, route.as_ref()) {
        Ok((route, query)) => serve_rows(&shared, &connection, version, route, &query).await,
        Err(refusal) => {
            let is_auth = matches!(refusal, Refusal::MissingKey | Refusal::InvalidKey);
            let is_gateway = is_auth && shared.config.quirks.has(Quirk::GatewayErrors);
            refusal.response(version, is_gateway)
        }
    };
    shared.count(&format!("status_{}", response.status().as_u16()));
    response
}

/// Passes a request that the account may make and that makes sense.
fn checked<'a>(
    shared: &Shared,
    method: &Method,
    uri: &Uri,
    route: Option<&'a Route>,
) -> Result<(&'a Route, Query), Refusal> {
    let params: BTreeMap<String, String> = UrlQuery::<Vec<(String, String)>>::try_from_uri(uri)
        .map(|UrlQuery(params)| params.into_iter().collect())
        .unwrap_or_default();
    let plan = shared.admit(&params)?;
    let route = route.filter(|_| method == Method::GET).ok_or(Refusal::UnknownFunction)?;
    let query = shared.admit_query(plan, route, Query::parse(route, &params))?;
    Ok((route, query))
}

/// Serves rows, unless the fault plan has something else in mind.
async fn serve_rows(
    shared: &Shared,
    connection: &Connection,
    version: ApiVersion,
    route: &Route,
    query: &Query,
) -> Response {
    let ordinal = shared.ordinal.fetch_add(1, Ordering::Relaxed);
    let fault = shared.config.faults.as_ref().and_then(|plan| plan.of_request(ordinal));
    if let Some((kind, detail)) = fault {
        shared.count_faults(&[kind]);
        if let Some(response) = instead_of_rows(kind, detail, version, connection) {
            return response;
        }
    }
    let kind = fault.map(|(kind, _)| kind);
    let now = shared.now();
    let body = match route {
        Route::Ticker(symbol) => shared.vendor.ticker(version, symbol),
        _ => shared.vendor.page(version, route, query, now).map(|mut page| {
            if kind == Some(FaultKind::WrongCount) {
                page.pagination.count += 1;
            }
            let is_usable = !matches!(kind, Some(FaultKind::WrongCount | FaultKind::Truncated));
            if is_usable && matches!(route.dataset(), Dataset::Intraday | Dataset::Eod) {
                lock(&shared.served).note(&page.served);
                shared.count_faults(&page.faults);
            }
            envelope(page.pagination, &page.rows)
        }),
    };
    let body = match body {
        Ok(body) => body,
        Err(refusal) => return refusal.response(version, false),
    };
    match fault {
        Some((FaultKind::Slow, detail)) => {
            shared.clock.sleep(Duration::from_millis(detail % SLOW_MS_MAX)).await;
        }
        Some((FaultKind::Truncated, _)) => connection.cut_after(HEAD_BYTES + body.len() / 2),
        _ => (),
    }
    json(StatusCode::OK, body)
}

/// Returns the answer that a fault gives in the place of rows; `None` for those that spoil rows.
fn instead_of_rows(
    kind: FaultKind,
    detail: u64,
    version: ApiVersion,
    connection: &Connection,
) -> Option<Response> {
    let refusal = match kind {
        FaultKind::RateLimit => {
            let retry_after = detail.is_multiple_of(2).then_some(1);
            return Some(Refusal::RateLimit { retry_after }.response(version, false));
        }
        FaultKind::Internal => Refusal::Internal,
        FaultKind::Unavailable => Refusal::Unavailable,
        FaultKind::ErrorInOk => {
            return Some(json(StatusCode::OK, Refusal::Internal.body(version)));
        }
        FaultKind::Html => {
            let page = "<html><head><title>502 Bad Gateway</title></head><body></body></html>";
            return Some(Html(page).into_response());
        }
        FaultKind::Empty => return Some(json(StatusCode::OK, String::new())),
        FaultKind::Closed => {
            connection.cut_after(0);
            return Some(json(StatusCode::OK, String::new()));
        }
        _ => return None,
    };
    Some(refusal.response(version, false))
}

/// Locks a mutex; a panic elsewhere leaves counters at worst one behind, never broken.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
