//! A proxy in front of a store that breaks replies on purpose, for tests.
//!
//! It stands between a client and an S3, Azure or GCS service that speaks plain http, and now and
//! then does what networks and services do: it applies a write and says that it failed, applies it
//! later, answers half an object, or nothing. The request goes through byte for byte, `Host`
//! included, so that signatures hold. A seed decides what is struck; requests that run at the same
//! time may still meet their faults in another order.

mod plan;

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use model::Clock;
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use url::Url;

use self::plan::{Decision, State};
pub use self::plan::{Fault, Plan};
use crate::http::{self, Message, Reader};

#[cfg(test)]
mod tests;

/// Delayed writes kept at once: one for each connection.
const DELAYED_MAX: usize = http::CONNECTIONS_MAX;

/// The longest outage that may be asked for.
const OUTAGE_SECONDS_MAX: u64 = 3_600;

/// A running proxy. Dropped, it cuts every connection and forgets the writes it has delayed.
#[derive(Debug)]
pub struct FaultProxy {
    shared: Arc<Shared>,
    url: String,
    _running: watch::Sender<()>,
}

impl FaultProxy {
    /// Listens at `listen`, such as `127.0.0.1:0`, and passes on to `upstream`, such as
    /// `http://127.0.0.1:9000`.
    ///
    /// # Errors
    /// The upstream address is not plain http, or nothing can listen at `listen`.
    pub async fn start(
        listen: &str,
        upstream: &str,
        plan: Plan,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let upstream = authority(upstream)?;
        let listener = TcpListener::bind(listen).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (running, stop) = watch::channel(());
        let shared = Arc::new(Shared {
            upstream,
            clock: Arc::clone(&clock),
            stop: stop.clone(),
            delayed: Arc::new(Semaphore::new(DELAYED_MAX)),
            state: Mutex::new(State::new(plan)),
        });
        let serving = Arc::clone(&shared);
        http::listen(listener, clock, stop, move |socket| Arc::clone(&serving).serve(socket));
        Ok(Self { shared, url, _running: running })
    }

    /// Returns the address for clients, such as `http://127.0.0.1:41234`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Follows another plan from now on; the counts go on.
    pub fn follow(&self, plan: Plan) {
        self.shared.state().follow(plan);
    }

    /// Cuts every request for a time that begins now.
    pub fn outage(&self, duration: Duration) {
        let until = self.shared.clock.monotonic().saturating_add(duration);
        self.shared.state().begin_outage(until);
    }

    /// Waits until every delayed write has arrived, or failed to.
    pub async fn settle(&self) {
        let all = u32::try_from(DELAYED_MAX).unwrap_or(u32::MAX);
        // Nobody closes the semaphore: all its permits are there when nothing is under way.
        drop(self.shared.delayed.acquire_many(all).await);
    }

    /// Returns how often each fault has struck.
    #[must_use]
    pub fn fired(&self) -> BTreeMap<Fault, u64> {
        self.shared.state().fired.clone()
    }

    /// Returns the counts as one line of JSON, as `GET /__faults` answers.
    #[must_use]
    pub fn fired_json(&self) -> String {
        self.shared.state().json()
    }
}

/// Returns host and port of a service's address.
fn authority(upstream: &str) -> io::Result<String> {
    let wrong = || {
        let text = format!("`{upstream}` is not an address such as `http://127.0.0.1:9000`");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    };
    let url = Url::parse(upstream).map_err(|_| wrong())?;
    match (url.scheme(), url.host_str(), url.port_or_known_default()) {
        ("http", Some(host), Some(port)) => Ok(format!("{host}:{port}")),
        _ => Err(wrong()),
    }
}

/// What all connections share.
struct Shared {
    upstream: String,
    clock: Arc<dyn Clock>,
    stop: watch::Receiver<()>,
    delayed: Arc<Semaphore>,
    state: Mutex<State>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

/// What the client gets.
enum Reply {
    Whole(Vec<u8>),
    /// These bytes, and then the connection is cut. They may be none.
    Cut(Vec<u8>),
}

type Connection = BufReader<TcpStream>;

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(self: Arc<Self>, socket: TcpStream) -> io::Result<()> {
        let mut client = BufReader::new(socket);
        let mut upstream = None;
        loop {
            let request = match Reader::new(&mut client).request().await {
                Ok(Some(request)) => request,
                Ok(None) => return Ok(()),
                // TLS, perhaps: a client must learn that it is not spoken here.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    let reply = bad_request(&error.to_string()).encode();
                    return client.get_mut().write_all(&reply).await;
                }
                Err(error) => return Err(error),
            };
            match self.answer(request, &mut upstream).await? {
                Reply::Whole(bytes) => client.get_mut().write_all(&bytes).await?,
                Reply::Cut(bytes) => {
                    client.get_mut().write_all(&bytes).await?;
                    return client.get_mut().shutdown().await;
                }
            }
        }
    }

    async fn answer(
        self: &Arc<Self>,
        request: Message,
        upstream: &mut Option<Connection>,
    ) -> io::Result<Reply> {
        if let Some(reply) = self.control(&request) {
            return Ok(Reply::Whole(reply.encode()));
        }
        let now = self.clock.monotonic();
        let fault = match self.state().decide(&request, now) {
            Decision::Cut => return Ok(Reply::Cut(Vec::new())),
            Decision::Pass => None,
            Decision::Strike(fault) => Some(fault),
        };
        match fault {
            Some(Fault::CutBefore | Fault::Outage) => Ok(Reply::Cut(Vec::new())),
            Some(Fault::SlowDown) => Ok(refusal(503, "SlowDown")),
            Some(Fault::ConflictWithoutWriting) => Ok(refusal(409, "ConditionalRequestConflict")),
            Some(Fault::DelayedPut) => {
                let Ok(permit) = Arc::clone(&self.delayed).try_acquire_owned() else {
                    self.state().take_back(Fault::DelayedPut);
                    return Ok(Reply::Whole(self.forward(&request, upstream).await?.encode()));
                };
                self.deliver_later(request, permit);
                let is_told = self.state().toss();
                Ok(if is_told { refusal(504, "GatewayTimeout") } else { Reply::Cut(Vec::new()) })
            }
            Some(fault @ (Fault::AppliedThenError | Fault::AppliedThenCut)) => {
                let reply = self.forward(&request, upstream).await?;
                if !reply.is_success() {
                    self.state().take_back(fault);
                    return Ok(Reply::Whole(reply.encode()));
                }
                Ok(match fault {
                    Fault::AppliedThenError => refusal(500, "InternalError"),
                    _ => Reply::Cut(Vec::new()),
                })
            }
            Some(Fault::TruncatedGet) => {
                let reply = self.forward(&request, upstream).await?;
                if !reply.is_success() || reply.body.is_empty() {
                    self.state().take_back(Fault::TruncatedGet);
                    return Ok(Reply::Whole(reply.encode()));
                }
                let mut bytes = reply.encode();
                bytes.truncate(bytes.len() - reply.body.len().div_ceil(2));
                Ok(Reply::Cut(bytes))
            }
            None => Ok(Reply::Whole(self.forward(&request, upstream).await?.encode())),
        }
    }

    /// Passes a request on, and returns the store's reply.
    ///
    /// A request is sent once: repeated here, a lost reply would look like somebody else's write.
    async fn forward(
        &self,
        request: &Message,
        upstream: &mut Option<Connection>,
    ) -> io::Result<Message> {
        let idle = upstream.take().filter(|connection| is_open(connection.get_ref()));
        let mut connection = match idle {
            Some(connection) => connection,
            None => BufReader::new(TcpStream::connect(&self.upstream).await?),
        };
        connection.get_mut().set_nodelay(true)?;
        connection.get_mut().write_all(&request.encode()).await?;
        let reply = Reader::new(&mut connection).response(request.method()).await?;
        if !reply.ends_connection() {
            *upstream = Some(connection);
        }
        Ok(reply)
    }

    fn deliver_later(self: &Arc<Self>, request: Message, permit: OwnedSemaphorePermit) {
        let shared = Arc::clone(self);
        let delay = self.state().plan.delay;
        http::run(self.stop.clone(), async move {
            shared.clock.sleep(delay).await;
            match shared.forward(&request, &mut None).await {
                Ok(reply) => tracing::debug!(reply = reply.start, "a delayed write arrived"),
                Err(error) => tracing::debug!(%error, "a delayed write did not arrive"),
            }
            drop(permit);
        });
    }

    /// Answers what is asked of the proxy itself.
    fn control(&self, request: &Message) -> Option<Message> {
        let (path, query) = request.target().split_once('?').unwrap_or((request.target(), ""));
        match (request.method(), path) {
            ("GET", "/__faults") => (),
            ("POST", "/__outage") => {
                let asked = query.strip_prefix("seconds=").and_then(|text| text.parse().ok());
                let Some(seconds) = asked.filter(|seconds| *seconds <= OUTAGE_SECONDS_MAX) else {
                    let text = format!("seconds=N wants a number up to {OUTAGE_SECONDS_MAX}");
                    return Some(bad_request(&text));
                };
                let until = self.clock.monotonic() + Duration::from_secs(seconds);
                self.state().begin_outage(until);
            }
            ("POST", "/__rate") => {
                let asked = query.strip_prefix("rate=").and_then(|text| text.parse().ok());
                let Some(rate) = asked.filter(|rate| (0.0..=1.0).contains(rate)) else {
                    return Some(bad_request("rate=R wants a number from 0 to 1"));
                };
                self.state().plan.rate = rate;
            }
            _ => return None,
        }
        Some(http::response("200 OK", "application/json", self.state().json()))
    }
}

/// Returns whether an idle connection still stands: nothing is to be read on it, not even its end.
fn is_open(socket: &TcpStream) -> bool {
    let mut byte = [0];
    matches!(socket.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

fn bad_request(text: &str) -> Message {
    http::response("400 Bad Request", "text/plain", text)
}

/// An error as S3 says it; the others' clients look at the status alone.
fn refusal(status: u16, code: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>struck by the fault proxy</Message></Error>"
    );
    Reply::Whole(http::response(&format!("{status} {code}"), "application/xml", body).encode())
}
