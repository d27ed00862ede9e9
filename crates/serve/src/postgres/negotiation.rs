//! Before the first message: whether the connection is encrypted.
//!
//! A client asks for TLS with a packet of its own and waits for one byte, or begins the handshake
//! at once (PostgreSQL 17). Exactly the packet is read, never a byte behind it: what somebody slips
//! in behind an `SSLRequest` is the beginning of a broken handshake, and not of a session
//! (CVE-2021-23222).

use std::io;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::wire::{self, Input, Output};
use crate::tls::{Encrypted, Tls};

/// A client asks for GSS encryption, for TLS, then starts: nobody needs more rounds.
const NEGOTIATIONS_MAX: u32 = 4;

/// Every packet before the first message begins with its length and a code, or a version.
const HEAD_BYTES: usize = 8;

const SSL_REQUEST: [u8; HEAD_BYTES] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const GSS_REQUEST: [u8; HEAD_BYTES] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];

/// How a TLS handshake begins. A packet begins with the upper byte of a length, which is zero.
const HANDSHAKE: u8 = 0x16;

/// How a connection is protected on its way.
#[derive(Debug)]
pub(super) enum Link {
    Plain,
    /// With what channel binding binds a login to.
    Tls {
        end_point: Option<Vec<u8>>,
    },
}

/// Settles the encryption. `None` when the client went away, or will not go on.
pub(super) async fn open(
    mut stream: TcpStream,
    tls: Option<&Tls>,
) -> io::Result<Option<(Input, Output, Link)>> {
    if let Some(tls) = tls {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0] == HANDSHAKE {
            let encrypted = tls.accept(stream).await?;
            // Without a name it may be a browser that somebody made speak to this port.
            return Ok(encrypted.names_protocol().then(|| protected(encrypted)));
        }
    }
    for _ in 0..NEGOTIATIONS_MAX {
        let mut head = [0; HEAD_BYTES];
        match stream.read_exact(&mut head).await {
            Ok(_) => (),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        match (head, tls) {
            (SSL_REQUEST, Some(tls)) => {
                stream.write_all(b"S").await?;
                return Ok(Some(protected(tls.accept(stream).await?)));
            }
            (SSL_REQUEST | GSS_REQUEST, _) => stream.write_all(b"N").await?,
            _ => {
                let (read, write) = stream.into_split();
                let (input, output) = wire::halves(read, write, &head);
                return Ok(Some((input, output, Link::Plain)));
            }
        }
    }
    Ok(None)
}

fn protected(encrypted: Encrypted) -> (Input, Output, Link) {
    let Encrypted { stream, end_point, .. } = encrypted;
    let (read, write) = tokio::io::split(stream);
    let (input, output) = wire::halves(read, write, &[]);
    (input, output, Link::Tls { end_point })
}
