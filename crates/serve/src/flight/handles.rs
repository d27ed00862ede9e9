//! Handles of statements, and the tickets that carry them: random, and worth something only to the
//! user they were made for.

use arrow_flight::{
    FlightInfo, Ticket,
    sql::{Any, Command, ProstMessageExt as _, TicketStatementQuery},
};
use bytes::Bytes;
use prost::Message as _;
use tonic::Status;

use crate::kept::Key;

/// Makes a handle; the generator is the operating system's, stretched by ChaCha.
pub(super) fn random() -> Key {
    rand::random()
}

/// Reads a handle that a client sent back.
pub(super) fn read(bytes: &[u8]) -> Result<Key, Status> {
    Key::try_from(bytes)
        .map_err(|_| Status::invalid_argument("the handle is none of this server's"))
}

/// The ticket that opens the stream of a statement.
pub(super) fn ticket(handle: Key) -> Ticket {
    let statement_handle = Bytes::copy_from_slice(&handle);
    Ticket::new(TicketStatementQuery { statement_handle }.as_any().encode_to_vec())
}

/// The handles in what a client was given, and names again to cancel it.
pub(super) fn of_info(info: &FlightInfo) -> Result<Vec<Key>, Status> {
    let tickets = info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.as_ref());
    let handle = |ticket: &Ticket| match command(&ticket.ticket)? {
        Command::TicketStatementQuery(ticket) => read(&ticket.statement_handle),
        _ => Err(Status::invalid_argument("only statements can be cancelled")),
    };
    tickets.map(handle).collect()
}

/// Reads the command in a descriptor, ticket or action.
pub(super) fn command(bytes: &[u8]) -> Result<Command, Status> {
    let malformed = || Status::invalid_argument("this is no Flight SQL command");
    let any = Any::decode(bytes).map_err(|_| malformed())?;
    Command::try_from(any).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_carries_its_handle() {
        let handle = [7; 32];
        let endpoint = arrow_flight::FlightEndpoint::new().with_ticket(ticket(handle));
        let info = FlightInfo::new().with_endpoint(endpoint);
        assert_eq!(of_info(&info).unwrap(), [handle]);
    }

    #[test]
    fn garbage_is_refused_without_a_panic() {
        for bytes in [&b""[..], b"x", b"\xff\xff\xff\xff\xff", &[0; 64]] {
            assert!(read(bytes).is_err());
            let named = command(bytes);
            assert!(matches!(named, Err(_) | Ok(Command::Unknown(_))), "{named:?}");
        }
    }
}
