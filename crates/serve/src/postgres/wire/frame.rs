//! The shape of a client's messages, checked before they are decoded.
//!
//! pgwire's decoders take the counts and lengths inside a message at their word and panic where a
//! body is shorter than they promise, also before login. A message whose parts do not fill its
//! body exactly is refused, as PostgreSQL does.

/// True when `body` has the parts that a message of this type has. True also for types that are
/// not known, which the decoder refuses.
pub(super) fn is_well_formed(message_type: u8, body: &[u8]) -> bool {
    let mut parts = Parts(body);
    let has_parts = match message_type {
        b'Q' | b'f' => parts.text(),
        b'P' => parts.text().and_then(|()| parts.text()).and_then(|()| parts.array(4)),
        b'B' => parts.bind(),
        b'C' | b'D' => parts.take(1).and_then(|_| parts.text()),
        b'E' => parts.text().and_then(|()| parts.take(4)).map(|_| ()),
        b'H' | b'S' | b'X' | b'c' => Some(()),
        _ => return true,
    };
    has_parts.is_some() && parts.0.is_empty()
}

/// The mechanism and the first message of a SASL exchange, the body of `SASLInitialResponse`.
/// `None` when it is no such thing.
pub(in crate::postgres) fn sasl_initial(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = body.iter().position(|byte| *byte == 0)?;
    let (mechanism, rest) = body.split_at(end);
    let mut parts = Parts(rest.get(1..)?);
    let first = match parts.length()? {
        Some(length) => parts.take(length)?,
        None => &[],
    };
    parts.0.is_empty().then_some((mechanism, first))
}

/// What is left of a body.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (part, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(part)
    }

    /// A text up to its zero byte.
    fn text(&mut self) -> Option<()> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        self.take(end + 1).map(|_| ())
    }

    fn count(&mut self) -> Option<usize> {
        let bytes = self.take(2)?.try_into().ok()?;
        Some(usize::from(u16::from_be_bytes(bytes)))
    }

    /// The length of a value; a value that is NULL has the length -1.
    fn length(&mut self) -> Option<Option<usize>> {
        match i32::from_be_bytes(self.take(4)?.try_into().ok()?) {
            -1 => Some(None),
            length => usize::try_from(length).ok().map(Some),
        }
    }

    /// A count, and so many items of `size` bytes.
    fn array(&mut self, size: usize) -> Option<()> {
        let count = self.count()?;
        self.take(count * size).map(|_| ())
    }

    /// Portal, statement, formats of the parameters, parameters, formats of the columns.
    fn bind(&mut self) -> Option<()> {
        self.text()?;
        self.text()?;
        self.array(2)?;
        for _ in 0..self.count()? {
            if let Some(length) = self.length()? {
                self.take(length)?;
            }
        }
        self.array(2)
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut as _, BytesMut};
    use pgwire::messages::{
        DecodeContext, PgWireFrontendMessage, ProtocolVersion,
        copy::{CopyData, CopyDone, CopyFail},
        extendedquery::{Bind, Close, Describe, Execute, Flush, Parse, Sync},
        simplequery::Query,
        startup::SASLInitialResponse,
        terminate::Terminate,
    };

    use super::*;

    /// One of every type of message, in pgwire's own encoding: type, length, body.
    fn messages() -> Vec<BytesMut> {
        use PgWireFrontendMessage as Message;
        let name = || Some("name".to_owned());
        let values = vec![Some(b"value".to_vec().into()), None, Some(Vec::new().into())];
        [
            Message::Query(Query::new("select 1".to_owned())),
            Message::Parse(Parse::new(name(), "select $1".to_owned(), vec![23, 25])),
            Message::Bind(Bind::new(None, name(), vec![0, 1, 1], values, vec![1, 0])),
            Message::Bind(Bind::new(name(), name(), vec![], vec![], vec![])),
            Message::Describe(Describe::new(b'S', name())),
            Message::Close(Close::new(b'P', None)),
            Message::Execute(Execute::new(name(), 100)),
            Message::Flush(Flush::new()),
            Message::Sync(Sync::new()),
            Message::Terminate(Terminate::new()),
            Message::CopyData(CopyData::new(b"data".to_vec().into())),
            Message::CopyDone(CopyDone::new()),
            Message::CopyFail(CopyFail::new("reason".to_owned())),
        ]
        .iter()
        .map(|message| {
            let mut bytes = BytesMut::new();
            message.encode(&mut bytes).unwrap();
            bytes
        })
        .collect()
    }

    /// Decodes a message of this type and body as the server does. A panic fails the test.
    fn decode(message_type: u8, body: &[u8]) -> bool {
        let mut frame = BytesMut::new();
        frame.put_u8(message_type);
        frame.put_i32(i32::try_from(body.len() + 4).unwrap());
        frame.put_slice(body);
        let mut context = DecodeContext::new(ProtocolVersion::PROTOCOL3_2);
        context.awaiting_frontend_ssl = false;
        context.awaiting_frontend_startup = false;
        let decoded = PgWireFrontendMessage::decode(&mut frame, &context);
        matches!(decoded, Ok(Some(_))) && frame.is_empty()
    }

    #[test]
    fn every_message_as_it_should_be_passes_and_is_decoded_whole() {
        for message in messages() {
            let (message_type, body) = (message[0], &message[5..]);
            assert!(is_well_formed(message_type, body), "{message:?}");
            assert!(decode(message_type, body), "{message:?}");
        }
    }

    #[test]
    fn what_passes_is_decoded_without_a_panic_however_it_was_cut_or_bent() {
        for message in messages() {
            let (message_type, body) = (message[0], &message[5..]);
            for length in 0..body.len() {
                let cut = &body[..length];
                let passes = is_well_formed(message_type, cut);
                // Bytes to copy have no shape; all others miss what was cut off.
                assert_eq!(passes, message_type == b'd', "{message_type} {cut:?}");
            }
            for index in 0..body.len() {
                for byte in [0, 1, 0x7f, 0x80, 0xff] {
                    let mut bent = body.to_vec();
                    bent[index] = byte;
                    if is_well_formed(message_type, &bent) {
                        decode(message_type, &bent);
                    }
                }
            }
            let longer = [body, &[0]].concat();
            assert_eq!(is_well_formed(message_type, &longer), message_type == b'd');
        }
    }

    #[test]
    fn a_sasl_response_is_only_what_fills_its_body() {
        let good = b"SCRAM-SHA-256\0\0\0\0\x03n,,";
        assert_eq!(sasl_initial(good), Some((&b"SCRAM-SHA-256"[..], &b"n,,"[..])));
        assert_eq!(sasl_initial(b"x\0\xff\xff\xff\xff"), Some((&b"x"[..], &b""[..])));
        for length in 0..good.len() {
            assert_eq!(sasl_initial(&good[..length]), None, "{length}");
        }
        for bad in [&b"x\0\x7f\xff\xff\xff"[..], b"x\0\xff\xff\xff\xfe", b"x\0\0\0\0\0y", b""] {
            assert_eq!(sasl_initial(bad), None, "{bad:?}");
        }
        let encoded = SASLInitialResponse::new("x".to_owned(), Some(b"abc".to_vec().into()));
        let mut bytes = BytesMut::new();
        pgwire::messages::Message::encode(&encoded, &mut bytes).unwrap();
        assert_eq!(sasl_initial(&bytes[5..]), Some((&b"x"[..], &b"abc"[..])));
    }
}
