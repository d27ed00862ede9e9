//! What each call does, once it is known who asks.

use std::sync::Arc;

use arrow_flight::{
    Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightData,
    FlightDescriptor, FlightEndpoint, FlightInfo, PutResult, Ticket,
    sql::{
        ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
        ActionCreatePreparedStatementRequest, Any, Command, DoPutPreparedStatementResult,
        ProstMessageExt,
    },
};
use bytes::Bytes;
use futures::StreamExt as _;
use prost::Message as _;
use tonic::{Code, Status, Streaming};

use super::{
    Shared,
    caller::Caller,
    handles,
    listing::{self, schema_bytes},
    parameters::{self, Row},
    pump::Pump,
    refused, statements,
    stream::{self, Messages},
};
use crate::metrics::FlightCall;

/// A statement's text, and the rows of parameters that it runs with.
type Statement = (String, Arc<[Row]>);

const CREATE: &str = "CreatePreparedStatement";
const CLOSE: &str = "ClosePreparedStatement";
const CANCEL_INFO: &str = "CancelFlightInfo";
const CANCEL_QUERY: &str = "CancelQuery";

/// What can be done beside asking and fetching.
pub(super) const ACTIONS: [(&str, &str); 4] = [
    (CREATE, "Prepares a statement: ActionCreatePreparedStatementRequest"),
    (CLOSE, "Forgets a prepared statement: ActionClosePreparedStatementRequest"),
    (CANCEL_INFO, "Ends a statement: CancelFlightInfoRequest"),
    (CANCEL_QUERY, "Ends a statement, as older clients say it: ActionCancelQueryRequest"),
];

impl Shared {
    /// Says what the answer looks like and where it is to be had.
    pub(super) async fn info(
        &self,
        caller: &Caller,
        asked: FlightDescriptor,
    ) -> Result<FlightInfo, Status> {
        let command = handles::command(&asked.cmd)?;
        let (schema, ticket) = match listing::schema(&command) {
            Some(schema) => (schema?, Ticket::new(asked.cmd.clone())),
            None => {
                let (text, rows) = self.statement(&caller.role.name, command)?;
                let (handle, schema) = self.open(caller, &text, rows).await?;
                (schema, handles::ticket(handle))
            }
        };
        let endpoint = FlightEndpoint::new().with_ticket(ticket);
        let mut info = FlightInfo::new().with_descriptor(asked).with_endpoint(endpoint);
        info.schema = schema_bytes(&schema)?;
        Ok(info)
    }

    /// Says what the answer looks like.
    pub(super) async fn schema(
        &self,
        caller: &Caller,
        asked: FlightDescriptor,
    ) -> Result<Bytes, Status> {
        let command = handles::command(&asked.cmd)?;
        match listing::schema(&command) {
            Some(schema) => schema_bytes(schema?.as_ref()),
            None => {
                let (text, rows) = self.statement(&caller.role.name, command)?;
                schema_bytes(&self.describe(caller, &text, rows).await?.schema)
            }
        }
    }

    /// Returns the text of the statement that is asked for, and with which parameters.
    fn statement(&self, user: &str, asked: Command) -> Result<Statement, Status> {
        match asked {
            Command::CommandStatementQuery(asked) if asked.transaction_id.is_some() => {
                Err(refused::unsupported("a transaction"))
            }
            Command::CommandStatementQuery(asked) => Ok((asked.query, statements::once())),
            Command::CommandPreparedStatementQuery(asked) => {
                let handle = handles::read(&asked.prepared_statement_handle)?;
                self.prepared(user, &handle)
            }
            other => Err(refused::unsupported(other.type_url())),
        }
    }

    /// Opens the stream of a ticket.
    pub(super) async fn get(
        self: &Arc<Self>,
        caller: &Caller,
        ticket: Ticket,
    ) -> Result<Messages, Status> {
        match handles::command(&ticket.ticket)? {
            Command::TicketStatementQuery(ticket) => {
                let handle = handles::read(&ticket.statement_handle)?;
                // The slot first: a ticket that is refused for want of one is still good.
                let slot = self.slot(&caller.role)?;
                let opened = self.redeem(&caller.role.name, &handle)?;
                let (shared, caller) = (Arc::clone(self), caller.clone());
                Ok(Pump { shared, caller, handle, opened, slot }.start())
            }
            question => {
                let started = self.clock.monotonic();
                let listed = self.list(&caller.role, question).await?;
                let took = self.clock.monotonic().saturating_sub(started);
                self.meter.record(FlightCall::DoGet, Code::Ok, took);
                Ok(stream::of_batch(listed))
            }
        }
    }

    /// Takes parameters; refuses everything else that could be put here.
    pub(super) async fn put(
        &self,
        caller: &Caller,
        mut messages: Streaming<FlightData>,
    ) -> Result<PutResult, Status> {
        let first = messages.message().await?;
        let first = first.ok_or_else(|| Status::invalid_argument("there is no first message"))?;
        let asked = first.flight_descriptor.clone();
        let asked = asked.ok_or_else(|| Status::invalid_argument("there is no descriptor"))?;
        match handles::command(&asked.cmd)? {
            Command::CommandPreparedStatementQuery(asked) => {
                let handle = handles::read(&asked.prepared_statement_handle)?;
                let messages = futures::stream::iter([Ok(first)]).chain(messages);
                let wanted = self.parameters(&caller.role.name, &handle)?;
                self.bind(&caller.role.name, handle, parameters::read(messages, &wanted).await?)?;
                let handle = Some(asked.prepared_statement_handle);
                let result = DoPutPreparedStatementResult { prepared_statement_handle: handle };
                Ok(PutResult { app_metadata: result.encode_to_vec().into() })
            }
            Command::CommandStatementUpdate(asked) => {
                Err(self.refuse_update(caller, &asked.query).await)
            }
            Command::CommandPreparedStatementUpdate(asked) => {
                let handle = handles::read(&asked.prepared_statement_handle)?;
                let (text, _) = self.prepared(&caller.role.name, &handle)?;
                Err(self.refuse_update(caller, &text).await)
            }
            Command::CommandStatementIngest(_) => Err(refused::read_only("ingestion")),
            other => Err(refused::unsupported(other.type_url())),
        }
    }

    /// Says why a statement that is sent as an update does not run.
    async fn refuse_update(&self, caller: &Caller, text: &str) -> Status {
        match self.plan(caller, text).await {
            Err(status) => status,
            Ok(_) => Status::invalid_argument("this is a query: execute it as one, for its rows"),
        }
    }

    /// Carries out an action; returns its result, if it has one.
    pub(super) async fn act(
        &self,
        caller: &Caller,
        action: Action,
    ) -> Result<Option<Bytes>, Status> {
        match action.r#type.as_str() {
            CREATE => {
                let asked: ActionCreatePreparedStatementRequest = unpack(&action.body)?;
                if asked.transaction_id.is_some() {
                    return Err(refused::unsupported("a transaction"));
                }
                let made = self.prepare(caller, asked.query).await?;
                Ok(Some(made.as_any().encode_to_vec().into()))
            }
            CLOSE => {
                let asked: ActionClosePreparedStatementRequest = unpack(&action.body)?;
                self.close(&caller.role.name, &handles::read(&asked.prepared_statement_handle)?);
                Ok(None)
            }
            CANCEL_INFO => {
                let asked = CancelFlightInfoRequest::decode(action.body).map_err(malformed)?;
                self.cancel_info(&caller.role.name, &asked.info.unwrap_or_default())?;
                let done = CancelFlightInfoResult { status: CancelStatus::Cancelled as i32 };
                Ok(Some(done.encode_to_vec().into()))
            }
            CANCEL_QUERY => {
                let asked: ActionCancelQueryRequest = unpack(&action.body)?;
                self.cancel_info(
                    &caller.role.name,
                    &FlightInfo::decode(asked.info).map_err(malformed)?,
                )?;
                // The numbers of this older answer are those of the newer one.
                let done = ActionCancelQueryResult { result: CancelStatus::Cancelled as i32 };
                Ok(Some(done.as_any().encode_to_vec().into()))
            }
            other => Err(refused::unsupported(&format!("the action {other}"))),
        }
    }

    fn cancel_info(&self, user: &str, info: &FlightInfo) -> Result<(), Status> {
        let handles = handles::of_info(info)?;
        if handles.is_empty() {
            return Err(Status::invalid_argument("there is no ticket of what is to be cancelled"));
        }
        handles.iter().try_for_each(|handle| self.cancel(user, handle))
    }
}

fn unpack<T: ProstMessageExt>(body: &[u8]) -> Result<T, Status> {
    let any = Any::decode(body).map_err(malformed)?;
    let unpacked = any.unpack().ok().flatten();
    unpacked
        .ok_or_else(|| Status::invalid_argument("the action has another body than its name says"))
}

fn malformed(_: prost::DecodeError) -> Status {
    Status::invalid_argument("the message cannot be read")
}
