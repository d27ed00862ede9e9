//! Every call of the protocol: who asks, what for, and what comes of it.
//!
//! Who asks is judged by the head of a call, in [`Door::admit`]: of what a stranger sends nothing is
//! read but that. One way leads on, [`Door::answer`]: it knows the role, counts, bounds the time, and
//! turns a panic into an answer.

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

use super::{
    Shared,
    caller::{Caller, Origin},
    calls::ACTIONS,
    login, refused,
    stream::Messages,
};
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

type Answers<T> = BoxStream<'static, Result<T, Status>>;

impl Door {
    pub(super) fn new(shared: Arc<Shared>, peer: SocketAddr, known: CancellationToken) -> Self {
        Self { shared, peer, known }
    }

    /// Carries out one call of a role, within the time of its statements.
    async fn answer<T, W>(
        &self,
        call: FlightCall,
        asked: &Extensions,
        work: impl FnOnce(Caller) -> W + Send,
    ) -> Result<Response<T>, Status>
    where
        W: Future<Output = Result<T, Status>> + Send,
    {
        let Some(caller) = asked.get::<Caller>().cloned() else {
            return Err(Status::unauthenticated("a bearer token is needed: log in first"));
        };
        let timeout = caller.role.statement_timeout;
        self.within(call, timeout, work(caller)).await
    }

    /// Carries out one call.
    async fn within<T>(
        &self,
        call: FlightCall,
        timeout: Duration,
        work: impl Future<Output = Result<T, Status>> + Send,
    ) -> Result<Response<T>, Status> {
        let shared = &self.shared;
        let started = shared.clock.monotonic();
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
        let role = self.shared.logins.role(&headers, self.shared.clock.monotonic());
        let role =
            role.inspect_err(|status| self.shared.meter.record(call, status.code(), NO_TIME))?;
        self.known.cancel();
        let origin = Origin::new(self.peer, request.headers());
        request.extensions_mut().insert(Caller { role, origin });
        Ok(())
    }

    async fn login(&self, headers: &MetadataMap) -> Result<String, Status> {
        let origin = Origin::new(self.peer, headers.as_ref());
        let token = self.shared.logins.login(headers, &origin, &self.shared.notes).await?;
        self.known.cancel();
        Ok(token)
    }

    /// Answers a call that this server does not have; strangers do not learn which.
    async fn refuse<T>(&self, asked: &Extensions, what: &str) -> Result<Response<T>, Status> {
        let work = |_| async move { Err(refused::unsupported(what)) };
        self.answer(FlightCall::Other, asked, work).await
    }
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
        let timeout = self.shared.config.statement_timeout;
        let answered = self.within(FlightCall::Handshake, timeout, work).await?;
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
        let (_, known, asked) = request.into_parts();
        let work = |caller| Box::pin(async move { self.shared.info(&caller, asked).await });
        self.answer(FlightCall::GetFlightInfo, &known, work).await
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        let (_, known, asked) = request.into_parts();
        let work = |caller| {
            Box::pin(async move {
                let schema = self.shared.schema(&caller, asked).await?;
                Ok(SchemaResult { schema })
            })
        };
        self.answer(FlightCall::GetSchema, &known, work).await
    }

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        let (_, known, asked) = request.into_parts();
        let work = |caller| Box::pin(async move { self.shared.get(&caller, asked).await });
        self.answer(FlightCall::DoGet, &known, work).await
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let (_, known, messages) = request.into_parts();
        let work = |caller| {
            Box::pin(async move {
                let result = self.shared.put(&caller, messages).await?;
                Ok(stream::iter([Ok(result)]).boxed())
            })
        };
        self.answer(FlightCall::DoPut, &known, work).await
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        let (_, known, asked) = request.into_parts();
        let work = |caller| {
            Box::pin(async move {
                let body = self.shared.act(&caller, asked).await?;
                let results = body.map(|body| Ok(arrow_flight::Result { body }));
                Ok(stream::iter(results).boxed())
            })
        };
        self.answer(FlightCall::DoAction, &known, work).await
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        let work = |_| async {
            let action = |(name, description): (&str, &str)| {
                Ok(ActionType { r#type: name.to_owned(), description: description.to_owned() })
            };
            Ok(stream::iter(ACTIONS.map(action)).boxed())
        };
        self.answer(FlightCall::ListActions, request.extensions(), work).await
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
