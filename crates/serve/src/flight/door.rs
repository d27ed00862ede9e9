//! Every call of the protocol: who asks, what for, and what comes of it.
//!
//! Who asks is judged by the head of a call, in [`Door::admit`]: of what a stranger sends nothing is
//! read but that. One way leads on, [`Door::answer`]: it counts, bounds the time, and turns a panic
//! into an answer. And one to a user, [`user`]: no call but the Handshake does anything without it.

use std::{net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
    flight_service_server::FlightService,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    FutureExt as _, StreamExt as _,
    stream::{self, BoxStream},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Extensions, Request, Response, Status, Streaming,
    metadata::{AsciiMetadataValue, MetadataMap},
};

use super::{Shared, calls::ACTIONS, login, refused, stream::Messages};
use crate::metrics::FlightCall;

/// What it takes to look at a token.
const NO_TIME: Duration = Duration::ZERO;

/// One client's way in.
pub(super) struct Door {
    shared: Arc<Shared>,
    peer: SocketAddr,
    /// Cancelled once somebody has proved here who they are.
    known: CancellationToken,
}

/// Who makes a call, as its token says.
#[derive(Clone)]
struct Caller(Arc<str>);

type Answers<T> = BoxStream<'static, Result<T, Status>>;

impl Door {
    pub(super) fn new(shared: Arc<Shared>, peer: SocketAddr, known: CancellationToken) -> Self {
        Self { shared, peer, known }
    }

    /// Carries out one call.
    async fn answer<T>(
        &self,
        call: FlightCall,
        work: impl Future<Output = Result<T, Status>> + Send,
    ) -> Result<Response<T>, Status> {
        let shared = &self.shared;
        let started = shared.clock.monotonic();
        let timeout = shared.config.statement_timeout;
        let outcome = if shared.stopping.is_cancelled() {
            Err(refused::shutdown())
        } else {
            tokio::select! {
                biased;
                outcome = AssertUnwindSafe(work).catch_unwind() => {
                    outcome.unwrap_or_else(|_| Err(refused::panicked()))
                }
                () = shared.aborting.cancelled() => Err(refused::shutdown()),
                () = shared.clock.sleep(timeout) => Err(refused::timed_out()),
            }
        };
        let code = outcome.as_ref().map_or_else(Status::code, |_| tonic::Code::Ok);
        // A stream that has begun is counted when it ends.
        if call != FlightCall::DoGet || outcome.is_err() {
            let took = shared.clock.monotonic().saturating_sub(started);
            shared.meter.record(call, code, took);
        }
        outcome.map(Response::new)
    }

    /// Judges the head of a call: only the Handshake needs no token.
    pub(super) fn admit<B>(&self, request: &mut hyper::Request<B>) -> Result<(), Status> {
        let call = FlightCall::of_path(request.uri().path());
        if call == FlightCall::Handshake {
            return Ok(());
        }
        let headers = MetadataMap::from_headers(request.headers().clone());
        let user = self.shared.logins.user(&headers, self.shared.clock.monotonic());
        let user =
            user.inspect_err(|status| self.shared.meter.record(call, status.code(), NO_TIME))?;
        self.known.cancel();
        request.extensions_mut().insert(Caller(user));
        Ok(())
    }

    async fn login(&self, headers: &MetadataMap) -> Result<String, Status> {
        let clock = self.shared.clock.as_ref();
        let token = self.shared.logins.login(headers, self.peer, clock).await?;
        self.known.cancel();
        Ok(token)
    }

    /// Answers a call that this server does not have; strangers do not learn which.
    async fn refuse<T>(&self, asked: &Extensions, what: &str) -> Result<Response<T>, Status> {
        let work = async {
            user(asked)?;
            Err(refused::unsupported(what))
        };
        self.answer(FlightCall::Other, work).await
    }
}

/// Returns who makes a call that was admitted.
fn user(asked: &Extensions) -> Result<Arc<str>, Status> {
    let caller = asked.get::<Caller>().map(|Caller(user)| Arc::clone(user));
    caller.ok_or_else(|| Status::unauthenticated("a bearer token is needed: log in first"))
}

#[async_trait]
impl FlightService for Door {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Messages;
    type DoPutStream = Answers<PutResult>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;
    type DoExchangeStream = Answers<FlightData>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let work = async {
            let token = self.login(request.metadata()).await?;
            let header = format!("Bearer {token}").parse::<AsciiMetadataValue>();
            Ok((token, header.map_err(|_| Status::internal("the token is no header"))?))
        };
        let answered = self.answer(FlightCall::Handshake, work).await?;
        let (token, header) = answered.into_inner();
        let payload = Bytes::from(token);
        let answer = HandshakeResponse { protocol_version: 0, payload };
        let mut response = Response::new(stream::iter([Ok(answer)]).boxed());
        response.metadata_mut().insert(login::HEADER, header);
        Ok(response)
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let work = async {
            let user = user(request.extensions())?;
            self.shared.info(&user, request.into_inner()).await
        };
        self.answer(FlightCall::GetFlightInfo, Box::pin(work)).await
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        let work = async {
            let user = user(request.extensions())?;
            let schema = self.shared.schema(&user, request.into_inner()).await?;
            Ok(SchemaResult { schema })
        };
        self.answer(FlightCall::GetSchema, Box::pin(work)).await
    }

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        let work = async {
            let user = user(request.extensions())?;
            self.shared.get(&user, request.into_inner()).await
        };
        self.answer(FlightCall::DoGet, Box::pin(work)).await
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let work = async {
            let user = user(request.extensions())?;
            let result = self.shared.put(&user, request.into_inner()).await?;
            Ok(stream::iter([Ok(result)]).boxed())
        };
        self.answer(FlightCall::DoPut, Box::pin(work)).await
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        let work = async {
            let user = user(request.extensions())?;
            let body = self.shared.act(&user, request.into_inner()).await?;
            let results = body.map(|body| Ok(arrow_flight::Result { body }));
            Ok(stream::iter(results).boxed())
        };
        self.answer(FlightCall::DoAction, Box::pin(work)).await
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        let work = async {
            user(request.extensions())?;
            let action = |(name, description): (&str, &str)| {
                Ok(ActionType { r#type: name.to_owned(), description: description.to_owned() })
            };
            Ok(stream::iter(ACTIONS.map(action)).boxed())
        };
        self.answer(FlightCall::ListActions, work).await
    }

    async fn list_flights(
        &self,
        request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        self.refuse(request.extensions(), "a list of flights").await
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        self.refuse(request.extensions(), "polling").await
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        self.refuse(request.extensions(), "an exchange").await
    }
}
