//! From a fresh socket to a connection that has proved who it is.

use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    sync::{Arc, MutexGuard, PoisonError},
};

use bytes::BytesMut;
use pgwire::messages::{
    PgWireBackendMessage, PgWireFrontendMessage,
    startup::{
        Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus,
        PasswordMessageFamily, Startup,
    },
};
use tokio::{net::TcpStream, sync::OwnedSemaphorePermit};

use super::{
    DOOR, Shared,
    connection::{Connection, Who},
    failure::Failure,
    negotiation::{self, Link},
    roles::Standing,
    scram::{self, Binding, MECHANISM, MECHANISM_PLUS, Rejected},
    settings::{DATABASE, Settings},
    throttle::Throttle,
    wire::{Input, Output, frame},
};
use crate::audit::{Act, Event, Outcome};

/// The newest protocol we speak, as `major << 16 | minor`.
const PROTOCOL_3_2: i32 = (3 << 16) | 2;

pub(crate) const WRONG_PASSWORD: &str = "28P01";

/// PostgreSQL's `configuration_limit_exceeded`.
pub(crate) const MUST_WAIT: &str = "53400";

/// Refusals that cost nothing to provoke: a wait, no encryption, a message that is no login.
const FREE_REFUSALS: [&str; 3] = [MUST_WAIT, "28000", "08P01"];

/// What is kept of the names a client gives, which may be as long as the packet.
pub(crate) const NAME_CHARACTERS_MAX: usize = 63;

/// A client that has not proved who it is.
struct Guest<'a> {
    input: Input,
    output: Output,
    link: Link,
    address: IpAddr,
    shared: &'a Shared,
}

/// Walks a client through login. `None` when there is no connection to serve: a cancel request,
/// a failed login, a client that went away.
pub(super) async fn login(
    stream: TcpStream,
    shared: Arc<Shared>,
) -> io::Result<Option<Connection>> {
    // A socket for both families shows addresses of the older one in the clothes of the newer.
    let address = stream.peer_addr()?.ip().to_canonical();
    let opened = negotiation::open(stream, shared.config.tls.as_deref()).await?;
    let Some((input, output, link)) = opened else { return Ok(None) };
    let mut guest = Guest { input, output, link, address, shared: &shared };
    let Some(startup) = guest.first_message().await? else { return Ok(None) };
    let authenticated = match guest.authenticate(&startup).await {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Failure::protocol(error.to_string()))
        }
        authenticated => authenticated?,
    };
    guest.tell(&startup, authenticated.as_ref().err());
    let Guest { mut input, mut output, .. } = guest;
    match authenticated {
        Err(failure) => {
            output.push(&PgWireBackendMessage::ErrorResponse(failure.into_response()));
            output.close().await?;
            Ok(None)
        }
        Ok((role, slots)) => {
            let mut settings = Settings::new(&role.name, role.statement_timeout);
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
            let who = Who { role, address, settings, registration, _slots: slots };
            Ok(Some(Connection::new(input, output, shared, who)))
        }
    }
}

type Login = Result<(Arc<Standing>, [OwnedSemaphorePermit; 2]), Failure>;

impl Guest<'_> {
    /// Returns the startup message, or serves a cancel request.
    async fn first_message(&mut self) -> io::Result<Option<Startup>> {
        match self.input.next().await? {
            Some(PgWireFrontendMessage::CancelRequest(request)) => {
                self.shared.cancels.cancel(request.pid, &request.secret_key);
                self.output.close().await?;
                Ok(None)
            }
            Some(PgWireFrontendMessage::Startup(startup)) => {
                self.input.expect_messages();
                Ok(Some(startup))
            }
            _ => Ok(None),
        }
    }

    async fn authenticate(&mut self, startup: &Startup) -> io::Result<Login> {
        if let Err(failure) = self.check_link() {
            return Ok(Err(failure));
        }
        let Some(user) = startup.parameters.get("user").filter(|user| !user.is_empty()) else {
            return Ok(Err(Failure::fatal("28000", "no PostgreSQL user name specified")));
        };
        negotiate_version(&mut self.output, startup);
        if let Err(failure) = self.check_patience(user) {
            return Ok(Err(failure));
        }
        let checked = self.check_password(user).await?;
        self.remember(user, &checked);
        if let Err(failure) = checked {
            return Ok(Err(failure));
        }
        // The rest only after the password: a stranger takes no slot from others, and learns nothing
        // about names.
        Ok(self.admit(user).and_then(|admitted| {
            check_database(&startup.parameters)?;
            Ok(admitted)
        }))
    }

    /// Takes a place among the connections of a role, and among all.
    fn admit(&self, user: &str) -> Login {
        let Some(role) = self.shared.standings.get(user) else {
            // Nobody proves to be a role that is not there.
            return Err(Failure::fatal("28000", format!("role \"{user}\" does not exist")));
        };
        let of_role = role.enter().ok_or_else(|| {
            Failure::fatal("53300", format!("too many connections for role \"{user}\""))
                .with_hint("Close one, or raise its `connections_max`.")
        })?;
        let Ok(of_all) = Arc::clone(&self.shared.slots).try_acquire_owned() else {
            return Err(Failure::fatal("53300", "sorry, too many clients already"));
        };
        Ok((Arc::clone(role), [of_role, of_all]))
    }

    /// Refuses to go on where others could listen.
    fn check_link(&self) -> Result<(), Failure> {
        let is_required = must_encrypt(self.shared.config.tls_required, self.address);
        if is_required && matches!(self.link, Link::Plain) {
            return Err(Failure::fatal("28000", "this server takes encrypted connections only")
                .with_hint("Connect with TLS, such as sslmode=require."));
        }
        Ok(())
    }

    /// Refuses whoever has failed too often just now.
    fn check_patience(&self, user: &str) -> Result<(), Failure> {
        let now = self.shared.clock.monotonic();
        let Some(wait) = self.throttle().wait(self.address, user, now) else { return Ok(()) };
        let seconds = wait.as_secs().saturating_add(1);
        Err(Failure::fatal(MUST_WAIT, "too many failed logins")
            .with_hint(format!("Try again in {seconds} s.")))
    }

    /// Counts wrong passwords. What is malformed is no guess.
    fn remember(&self, user: &str, checked: &Result<(), Failure>) {
        let now = self.shared.clock.monotonic();
        match checked {
            Ok(()) => self.throttle().succeeded(self.address, user),
            Err(failure) if failure.code == WRONG_PASSWORD => {
                self.throttle().failed(self.address, user, now);
            }
            Err(_) => (),
        }
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.shared.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells log and audit how the login ended. What costs a stranger nothing to repeat is told of at
    /// debug level only, or it would push out what is kept: a wait, whose failures were told, a client
    /// that does not encrypt, and what is no login at all.
    fn tell(&self, startup: &Startup, refused: Option<&Failure>) {
        let said =
            |name: &str| startup.parameters.get(name).map(String::as_str).unwrap_or_default();
        let bounded = |text: &str| text.chars().take(NAME_CHARACTERS_MAX).collect::<String>();
        let (role, application) = (bounded(said("user")), bounded(said("application_name")));
        if let Some(Failure { code, message, .. }) = refused {
            // Called `reason`, for texts of a field called `message` are written as they are.
            let reason = bounded(message);
            if FREE_REFUSALS.contains(code) {
                tracing::debug!(role, address = %self.address, code, reason, "refused a login");
                return;
            }
            tracing::warn!(role, address = %self.address, code, reason, "refused a login");
        }
        if let Some(audit) = &self.shared.config.audit {
            audit.record(&Event {
                ts: self.shared.clock.now(),
                door: DOOR,
                role,
                address: self.address,
                application,
                act: Act::Login { encrypted: matches!(self.link, Link::Tls { .. }) },
                outcome: refused
                    .map_or(Outcome::Ok, |failure| Outcome::Refused { code: failure.code }),
            });
        }
    }

    /// SCRAM-SHA-256, bound to the certificate where there is one, and nothing else.
    async fn check_password(&mut self, user: &str) -> io::Result<Result<(), Failure>> {
        let failed = |reason: Rejected| match reason {
            Rejected::WrongPassword => Failure::fatal(
                WRONG_PASSWORD,
                format!("password authentication failed for user \"{user}\""),
            ),
            Rejected::Malformed(problem) => {
                Failure::protocol(format!("malformed SCRAM message: {problem}"))
            }
        };
        let end_point = match &self.link {
            Link::Tls { end_point } => end_point.clone(),
            Link::Plain => None,
        };
        let plus = end_point.as_ref().map(|_| MECHANISM_PLUS.to_owned());
        let offered: Vec<String> = plus.into_iter().chain([MECHANISM.to_owned()]).collect();
        self.ask(Authentication::SASL(offered)).await?;

        let Some(body) = self.sasl_response().await? else {
            return Ok(Err(Failure::protocol("expected a SASL response")));
        };
        let Some((mechanism, first)) = frame::sasl_initial(&body) else {
            return Ok(Err(Failure::protocol("malformed SASL initial response")));
        };
        let binding = match (end_point, mechanism) {
            (None, mechanism) if mechanism == MECHANISM.as_bytes() => Binding::NotOffered,
            (Some(_), mechanism) if mechanism == MECHANISM.as_bytes() => Binding::Declined,
            (Some(end_point), mechanism) if mechanism == MECHANISM_PLUS.as_bytes() => {
                Binding::EndPoint(end_point)
            }
            _ => {
                let text = "the client selected a mechanism that was not offered";
                return Ok(Err(Failure::protocol(text)));
            }
        };
        let verifier = scram::verifier_or_mock(&self.shared.users, user, &self.shared.mock_key);
        let nonce = pgwire::api::auth::sasl::scram::random_nonce();
        let challenge = match scram::challenge(first, verifier, &nonce, &binding) {
            Ok(challenge) => challenge,
            Err(reason) => return Ok(Err(failed(reason))),
        };
        self.ask(Authentication::SASLContinue(challenge.server_first.clone().into())).await?;

        let Some(last) = self.sasl_response().await? else {
            return Ok(Err(Failure::protocol("expected a SASL response")));
        };
        // Those who came at the same time have failed since this one was let in.
        if let Err(failure) = self.check_patience(user) {
            return Ok(Err(failure));
        }
        match challenge.verify(&last) {
            Ok(text) => {
                let last = Authentication::SASLFinal(text.into());
                self.output.push(&PgWireBackendMessage::Authentication(last));
                Ok(Ok(()))
            }
            Err(reason) => Ok(Err(failed(reason))),
        }
    }

    async fn ask(&mut self, question: Authentication) -> io::Result<()> {
        self.output.push(&PgWireBackendMessage::Authentication(question));
        self.output.flush().await
    }

    /// The body of a message with something about a password, as it came: the decoder cannot know
    /// which of them it is, and takes the lengths inside at their word.
    async fn sasl_response(&mut self) -> io::Result<Option<BytesMut>> {
        Ok(match self.input.next().await? {
            Some(PgWireFrontendMessage::PasswordMessageFamily(PasswordMessageFamily::Raw(
                body,
            ))) => Some(body),
            _ => None,
        })
    }
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

/// Other machines never speak to us in the clear, whatever the settings say.
const fn must_encrypt(is_required: bool, address: IpAddr) -> bool {
    is_required || !address.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_come_without_tls() {
        for (address, is_ours) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("10.0.0.1", false),
            ("0.0.0.0", false),
            ("fe80::1", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(must_encrypt(false, address), !is_ours, "{address}");
            assert!(must_encrypt(true, address), "{address}");
        }
        // As a socket for both families shows an address of this machine.
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        assert!(!must_encrypt(false, mapped.to_canonical()));
    }
}
