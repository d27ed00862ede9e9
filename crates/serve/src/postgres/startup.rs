//! From a fresh socket to a connection that has proved who it is.

use std::{collections::BTreeMap, io, sync::Arc};

use bytes::BytesMut;
use pgwire::messages::{
    PgWireBackendMessage, PgWireFrontendMessage, SslNegotiationMetaMessage,
    response::{GssEncResponse, SslResponse},
    startup::{
        Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus,
        PasswordMessageFamily, Startup,
    },
};
use tokio::{net::TcpStream, sync::OwnedSemaphorePermit};

use super::{
    Shared,
    connection::{Connection, Who},
    failure::Failure,
    scram::{self, MECHANISM, Rejected},
    settings::{DATABASE, Settings},
    wire::{self, Input, Output, frame},
};

/// A client asks for TLS, for GSS encryption, then starts: nobody needs more rounds.
const NEGOTIATIONS_MAX: u32 = 4;

/// The newest protocol we speak, as `major << 16 | minor`.
const PROTOCOL_3_2: i32 = (3 << 16) | 2;

/// Walks a client through login. `None` when there is no connection to serve: a cancel request,
/// a failed login, a client that went away.
pub(super) async fn login(
    stream: TcpStream,
    shared: Arc<Shared>,
) -> io::Result<Option<Connection>> {
    let (mut input, mut output) = wire::split(stream);
    let Some(startup) = negotiate(&mut input, &mut output, &shared).await? else {
        return Ok(None);
    };
    let authenticated = match authenticate(&mut input, &mut output, &shared, &startup).await {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Failure::protocol(error.to_string()))
        }
        authenticated => authenticated?,
    };
    match authenticated {
        Err(failure) => {
            output.push(&PgWireBackendMessage::ErrorResponse(failure.into_response()));
            output.close().await?;
            Ok(None)
        }
        Ok((user, slot)) => {
            let mut settings = Settings::new(&user, shared.config.statement_timeout);
            settings.apply_startup(startup.parameters.iter());
            let registration = shared.cancels.register(startup.protocol_number_minor >= 2);
            input.allow_long_messages();
            output.push(&PgWireBackendMessage::Authentication(Authentication::Ok));
            for (name, value) in settings.reported() {
                let status = ParameterStatus::new(name.to_owned(), value);
                output.push(&PgWireBackendMessage::ParameterStatus(status));
            }
            let key = BackendKeyData::new(registration.pid, registration.secret.clone());
            output.push(&PgWireBackendMessage::BackendKeyData(key));
            let who = Who { user, settings, registration, _slot: slot };
            Ok(Some(Connection::new(input, output, shared, who)))
        }
    }
}

/// Refuses encryption, serves cancel requests, and returns the startup message.
async fn negotiate(
    input: &mut Input,
    output: &mut Output,
    shared: &Shared,
) -> io::Result<Option<Startup>> {
    for _ in 0..NEGOTIATIONS_MAX {
        match input.next().await? {
            Some(PgWireFrontendMessage::SslNegotiation(
                SslNegotiationMetaMessage::PostgresSsl(_),
            )) => output.push(&PgWireBackendMessage::SslResponse(SslResponse::Refuse)),
            Some(PgWireFrontendMessage::SslNegotiation(
                SslNegotiationMetaMessage::PostgresGss(_),
            )) => output.push(&PgWireBackendMessage::GssEncResponse(GssEncResponse::Refuse)),
            Some(PgWireFrontendMessage::SslNegotiation(SslNegotiationMetaMessage::None)) => {
                input.expect_startup();
                continue;
            }
            Some(PgWireFrontendMessage::CancelRequest(request)) => {
                shared.cancels.cancel(request.pid, &request.secret_key);
                output.close().await?;
                return Ok(None);
            }
            Some(PgWireFrontendMessage::Startup(startup)) => {
                input.expect_messages();
                return Ok(Some(startup));
            }
            _ => return Ok(None),
        }
        output.flush().await?;
    }
    Ok(None)
}

type Login = Result<(String, OwnedSemaphorePermit), Failure>;

async fn authenticate(
    input: &mut Input,
    output: &mut Output,
    shared: &Shared,
    startup: &Startup,
) -> io::Result<Login> {
    let Some(user) = startup.parameters.get("user").filter(|user| !user.is_empty()) else {
        return Ok(Err(Failure::fatal("28000", "no PostgreSQL user name specified")));
    };
    negotiate_version(output, startup);
    let checked = check_password(input, output, shared, user).await?;
    if let Err(failure) = checked {
        tracing::warn!(user = user.as_str(), message = failure.message, "refused a login");
        return Ok(Err(failure));
    }
    // The rest only after the password: a stranger takes no slot from others, and learns nothing
    // about names.
    let Ok(slot) = Arc::clone(&shared.slots).try_acquire_owned() else {
        return Ok(Err(Failure::fatal("53300", "sorry, too many clients already")));
    };
    Ok(check_database(&startup.parameters).map(|()| (user.clone(), slot)))
}

/// Tells clients of a newer protocol, or with options of it, what this server speaks.
fn negotiate_version(output: &mut Output, startup: &Startup) {
    let unknown: Vec<String> =
        startup.parameters.keys().filter(|name| name.starts_with("_pq_.")).cloned().collect();
    if startup.protocol_number_minor > 2 || !unknown.is_empty() {
        let negotiated = NegotiateProtocolVersion::new(PROTOCOL_3_2, unknown);
        output.push(&PgWireBackendMessage::NegotiateProtocolVersion(negotiated));
    }
}

fn check_database(parameters: &BTreeMap<String, String>) -> Result<(), Failure> {
    match parameters.get("database").map(String::as_str) {
        None | Some("" | DATABASE) => Ok(()),
        Some(other) => Err(Failure::fatal("3D000", format!("database \"{other}\" does not exist"))
            .with_hint(format!("The only database is \"{DATABASE}\"."))),
    }
}

/// SCRAM-SHA-256, and nothing else.
async fn check_password(
    input: &mut Input,
    output: &mut Output,
    shared: &Shared,
    user: &str,
) -> io::Result<Result<(), Failure>> {
    let failed = |reason: Rejected| match reason {
        Rejected::WrongPassword => {
            Failure::fatal("28P01", format!("password authentication failed for user \"{user}\""))
        }
        Rejected::Malformed(problem) => {
            Failure::protocol(format!("malformed SCRAM message: {problem}"))
        }
    };
    let offer = Authentication::SASL(vec![MECHANISM.to_owned()]);
    output.push(&PgWireBackendMessage::Authentication(offer));
    output.flush().await?;

    let Some(body) = sasl_response(input).await? else {
        return Ok(Err(Failure::protocol("expected a SASL response")));
    };
    let Some((mechanism, first)) = frame::sasl_initial(&body) else {
        return Ok(Err(Failure::protocol("malformed SASL initial response")));
    };
    if mechanism != MECHANISM.as_bytes() {
        return Ok(Err(Failure::protocol("the client selected a mechanism that was not offered")));
    }
    let verifier = scram::verifier_or_mock(&shared.users, user, &shared.mock_key);
    let nonce = pgwire::api::auth::sasl::scram::random_nonce();
    let challenge = match scram::challenge(first, verifier, &nonce) {
        Ok(challenge) => challenge,
        Err(reason) => return Ok(Err(failed(reason))),
    };
    let text = challenge.server_first.clone();
    output.push(&PgWireBackendMessage::Authentication(Authentication::SASLContinue(text.into())));
    output.flush().await?;

    let Some(last) = sasl_response(input).await? else {
        return Ok(Err(Failure::protocol("expected a SASL response")));
    };
    match challenge.verify(&last) {
        Ok(text) => {
            let last = Authentication::SASLFinal(text.into());
            output.push(&PgWireBackendMessage::Authentication(last));
            Ok(Ok(()))
        }
        Err(reason) => Ok(Err(failed(reason))),
    }
}

/// The body of a message with something about a password, as it came: the decoder cannot know
/// which of them it is, and takes the lengths inside at their word.
async fn sasl_response(input: &mut Input) -> io::Result<Option<BytesMut>> {
    Ok(match input.next().await? {
        Some(PgWireFrontendMessage::PasswordMessageFamily(PasswordMessageFamily::Raw(body))) => {
            Some(body)
        }
        _ => None,
    })
}
