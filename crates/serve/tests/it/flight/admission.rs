//! Who gets in, and to what.

use std::future::poll_fn;

use arrow_flight::{
    Action, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, Ticket,
};
use futures::stream;
use serve::postgres::Users;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};
use tonic::{Request, body::Body, client::GrpcService};

use super::*;

#[tokio::test]
async fn nothing_is_answered_without_a_token_but_the_handshake() {
    let server = Server::start().await;
    let mut client = server.stranger().await.into_inner();
    let mut codes = Vec::new();
    let asked = FlightDescriptor::new_cmd(&b"x"[..]);
    codes.push(client.get_flight_info(asked.clone()).await.unwrap_err().code());
    codes.push(client.get_schema(asked.clone()).await.unwrap_err().code());
    codes.push(client.poll_flight_info(asked).await.unwrap_err().code());
    codes.push(client.do_get(Ticket::new(&b"x"[..])).await.unwrap_err().code());
    codes.push(client.do_action(Action::new("CancelFlightInfo", "")).await.unwrap_err().code());
    codes.push(client.list_actions(Empty {}).await.unwrap_err().code());
    codes.push(client.list_flights(Criteria::default()).await.unwrap_err().code());
    let messages = || Request::new(stream::iter([FlightData::default()]));
    codes.push(client.do_put(messages()).await.unwrap_err().code());
    codes.push(client.do_exchange(messages()).await.unwrap_err().code());
    let handshake = Request::new(stream::iter([HandshakeRequest::default()]));
    codes.push(client.handshake(handshake).await.unwrap_err().code());
    assert_eq!(codes, [Code::Unauthenticated; 10]);
}

#[tokio::test]
async fn a_call_without_a_token_is_refused_before_its_body_has_come() {
    let server = Server::start().await;
    let mut channel = server.channel().await;
    for method in ["GetFlightInfo", "GetSchema", "DoGet", "DoPut", "DoAction", "nothing"] {
        // A message of which nothing ever comes.
        let body = stream::pending::<Result<axum::body::Bytes, std::io::Error>>();
        let request = axum::http::Request::post(format!(
            "{}/arrow.flight.protocol.FlightService/{method}",
            server.url()
        ))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", "Bearer made-up")
        .body(Body::new(axum::body::Body::from_stream(body)))
        .unwrap();
        let channel = &mut channel;
        poll_fn(|context| GrpcService::<Body>::poll_ready(channel, context)).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, GrpcService::call(channel, request)).await;
        let answer = answer.expect("it does not wait for the body").unwrap();
        let told = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(told.code(), Code::Unauthenticated, "{method}: {told:?}");
    }
}

#[tokio::test]
async fn wrong_passwords_and_unknown_users_are_told_the_same() {
    let server = Server::start().await;
    let mut client = server.stranger().await;
    let mut told = Vec::new();
    for (user, password) in [(USER, "wrong"), ("nobody", PASSWORD), ("", ""), (USER, "")] {
        let error = client.handshake(user, password).await.unwrap_err();
        told.push(status(error).message().to_owned());
    }
    assert_eq!(told[0], told[1]);
    assert!(told[0].contains("wrong"), "{told:?}");
    client.set_token("made-up".to_owned());
    refused(query(&mut client, "select 1").await, Code::Unauthenticated, "log in again");
    client.clear_token();
    client.handshake(USER, PASSWORD).await.unwrap();
    assert_eq!(count(&query(&mut client, "select 1").await.unwrap()), 1);
}

#[tokio::test]
async fn a_token_is_good_on_other_connections() {
    let server = Server::start().await;
    let token = server.connect().await.token().unwrap().clone();
    let mut client = server.stranger().await;
    client.set_token(token);
    assert_eq!(count(&query(&mut client, "select 1").await.unwrap()), 1);
}

#[tokio::test]
async fn handles_and_tickets_are_their_users_alone() {
    let server = Server::start().await;
    let (mut own, mut other) = (server.connect().await, server.connect_as(OTHER).await);
    let info = own.execute("select 1".to_owned(), None).await.unwrap();
    refused(open(&mut other, &info).await, Code::NotFound, "ticket");
    assert_eq!(count(&rows(&mut own, &info).await.unwrap()), 1);
    refused(open(&mut own, &info).await, Code::NotFound, "used or has expired");

    let prepared = own.prepare("select 1".to_owned(), None).await.unwrap();
    let foreign = FlightDescriptor::new_cmd(statements::prepared_command(&prepared));
    let mut request = Request::new(foreign.clone());
    let bearer = format!("Bearer {}", other.token().unwrap());
    request.metadata_mut().insert("authorization", bearer.parse().unwrap());
    let answer = other.inner_mut().get_flight_info(request).await.unwrap_err();
    assert_eq!(answer.code(), Code::NotFound);
}

#[tokio::test]
async fn a_ticket_that_was_made_up_opens_nothing() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let good = client.execute("select 1".to_owned(), None).await.unwrap();
    let mut forged = good.endpoint[0].ticket.clone().unwrap().ticket.to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let endpoint = arrow_flight::FlightEndpoint::new().with_ticket(Ticket::new(forged));
    refused(
        open(&mut client, &FlightInfo::new().with_endpoint(endpoint)).await,
        Code::NotFound,
        "",
    );
    for garbage in [&b""[..], b"x", &[0xff; 40]] {
        let endpoint = arrow_flight::FlightEndpoint::new().with_ticket(Ticket::new(garbage));
        let info = FlightInfo::new().with_endpoint(endpoint);
        assert!(open(&mut client, &info).await.is_err());
    }
}

#[tokio::test]
async fn an_address_other_machines_reach_is_refused_without_tls() {
    let config = FlightConfig { bind: "0.0.0.0:0".parse().unwrap(), ..config() };
    let error = config.listen().await.unwrap_err();
    assert_eq!(error.kind(), model::ErrorKind::Config);
    assert!(error.to_string().contains("serve.flight.tls"), "{error}");

    // Also when the caller brings the socket.
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let clock = Arc::new(QuickClock::new(1));
    let observed = (clock as Arc<dyn Clock>, FlightMeter::default());
    let (users, never) = (Users::new(), std::future::pending());
    let served = serve::flight::serve(listener, config, users, tables::reader(), observed, never);
    assert!(served.await.is_err());
}

#[tokio::test]
async fn who_says_nothing_is_dropped_and_who_has_logged_in_is_not() {
    let server = Server::start_with(50, |config| config.connections_max = 2).await;
    let mut client = server.connect().await;
    let mut silent = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    // What the server says first is HTTP/2's business; then it hangs up.
    let mut said = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut said)).await;
    ended.expect("the server hangs up").ok();
    assert_eq!(count(&query(&mut client, "select 1").await.unwrap()), 1);
    // Its place is free again.
    server.connect().await;
}

#[tokio::test]
async fn sockets_that_say_nothing_do_not_keep_others_out() {
    let server = Server::start_with(0, |config| config.connections_max = 3).await;
    let mut client = server.connect().await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(("127.0.0.1", server.port)).await.unwrap());
    }
    let mut other = tokio::time::timeout(PATIENCE, server.connect()).await;
    let other = other.as_mut().expect("somebody makes room");
    for client in [&mut client, other] {
        assert_eq!(count(&query(client, "select 1").await.unwrap()), 1);
    }
}
