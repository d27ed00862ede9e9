//! Where Flight SQL is served, as written to as trusted.

use super::certificate::{bind, certificate};
use crate::config::{FlightConfig, Problems, file::FlightFile};

/// Where the settings name the certificate.
const TLS: &str = "serve.flight.tls";

pub(super) fn flight(file: &FlightFile, problems: &mut Problems) -> Option<FlightConfig> {
    let tls = certificate(TLS, [&file.tls.cert_file, &file.tls.key_file], problems);
    // A certificate that is written down wrongly is a problem of its own.
    let has_tls = !matches!(tls, Some(None));
    let bind = problems.take("serve.flight.bind", bind(&file.bind, TLS, has_tls));
    Some(FlightConfig { is_enabled: file.enabled, bind: bind?, tls: tls? })
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
