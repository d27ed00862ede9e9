//! Where Flight SQL is served, as written to as trusted.

use std::{net::SocketAddr, path::PathBuf};

use super::address;
use crate::config::{
    FlightConfig, FlightTlsConfig, Problems,
    file::{FlightFile, FlightTlsFile},
};

pub(super) fn flight(file: &FlightFile, problems: &mut Problems) -> Option<FlightConfig> {
    let tls = tls(&file.tls, problems);
    // A certificate that is written down wrongly is a problem of its own.
    let has_tls = !matches!(tls, Some(None));
    let bind = problems.take("serve.flight.bind", bind(&file.bind, has_tls));
    Some(FlightConfig { is_enabled: file.enabled, bind: bind?, tls: tls? })
}

fn bind(text: &str, has_tls: bool) -> Result<SocketAddr, String> {
    let address = address(text)?;
    if !address.ip().is_loopback() && !has_tls {
        return Err(format!(
            "`{text}` can be reached from other machines, to which passwords and rows would travel \
             in the clear; set `serve.flight.tls.cert_file` and `serve.flight.tls.key_file`, or \
             bind 127.0.0.1 and let them come by a tunnel"
        ));
    }
    Ok(address)
}

/// Reads where the certificate is; `Some(None)` is no TLS.
fn tls(file: &FlightTlsFile, problems: &mut Problems) -> Option<Option<FlightTlsConfig>> {
    let (cert, key) = (file.cert_file.trim(), file.key_file.trim());
    let missing = match (cert.is_empty(), key.is_empty()) {
        (true, true) => return Some(None),
        (true, false) => "serve.flight.tls.cert_file",
        (false, true) => "serve.flight.tls.key_file",
        (false, false) => {
            let (cert_file, key_file) = (PathBuf::from(cert), PathBuf::from(key));
            return Some(Some(FlightTlsConfig { cert_file, key_file }));
        }
    };
    let message = "TLS needs both a certificate (`cert_file`) and its private key (`key_file`)";
    problems.add(missing, message);
    None
}

#[cfg(test)]
mod tests {
    use crate::config::tests::load_with;

    #[track_caller]
    fn check(settings: &str, problem: Option<&str>) {
        let told = load_with(settings, &[]).err().map(|problems| problems.to_string());
        match (&told, problem) {
            (None, None) => (),
            (Some(told), Some(problem)) if told.contains(problem) => (),
            _ => panic!("{problem:?} expected for\n{settings}\nnot {told:?}"),
        }
    }

    #[test]
    fn other_machines_come_with_tls_or_not_at_all() {
        let exposed = "[serve.flight]\nbind = \"0.0.0.0:50051\"\n";
        let tls = "[serve.flight.tls]\ncert_file = \"a.pem\"\nkey_file = \"a.key\"\n";
        check("[serve.flight]\nenabled = true\n", None);
        check(tls, None);
        check(exposed, Some("serve.flight.tls.cert_file"));
        check(&format!("{exposed}{tls}"), None);
        let half = "[serve.flight.tls]\ncert_file = \"a.pem\"\n";
        check(half, Some("serve.flight.tls.key_file"));
        check("[serve.flight]\nbind = \"here\"\n", Some("no address and port"));
    }

    #[test]
    fn one_port_serves_one_protocol() {
        let taken = "[serve.flight]\nbind = \"127.0.0.1:5439\"\n";
        check(taken, None);
        let taken = format!("{taken}enabled = true\n");
        check(&taken, Some("one port serves one protocol"));
    }
}
