//! Counts what the Flight SQL server answers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tonic::Code;

use super::{
    meter::Histogram,
    text::{Exposition, Kind, seconds},
};

/// What the paths of all calls begin with.
const SERVICE: &str = "/arrow.flight.protocol.FlightService/";

/// The calls of the protocol, as far as they are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FlightCall {
    Handshake,
    GetFlightInfo,
    GetSchema,
    DoGet,
    DoPut,
    DoAction,
    ListActions,
    /// Calls that this server does not have.
    Other,
}

impl FlightCall {
    const NAMED: [Self; 7] = [
        Self::Handshake,
        Self::GetFlightInfo,
        Self::GetSchema,
        Self::DoGet,
        Self::DoPut,
        Self::DoAction,
        Self::ListActions,
    ];

    /// Returns the call that the path of a request names.
    pub(crate) fn of_path(path: &str) -> Self {
        let method = path.strip_prefix(SERVICE);
        let named = Self::NAMED.into_iter().find(|call| Some(call.name()) == method);
        named.unwrap_or(Self::Other)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "Handshake",
            Self::GetFlightInfo => "GetFlightInfo",
            Self::GetSchema => "GetSchema",
            Self::DoGet => "DoGet",
            Self::DoPut => "DoPut",
            Self::DoAction => "DoAction",
            Self::ListActions => "ListActions",
            Self::Other => "other",
        }
    }
}

/// Counts calls. The number of counters is bounded by the calls and the statuses of gRPC. Cheap to
/// clone; all clones count together.
#[derive(Clone, Debug, Default)]
pub struct FlightMeter {
    report: Arc<Mutex<Report>>,
}

#[derive(Debug, Default)]
struct Report {
    calls: BTreeMap<(FlightCall, i32), u64>,
    durations: BTreeMap<FlightCall, Histogram>,
    rows: u64,
}

impl FlightMeter {
    /// Counts a call that has ended; one that streams rows ends with the last of them.
    pub(crate) fn record(&self, call: FlightCall, code: Code, took: Duration) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        *report.calls.entry((call, code as i32)).or_default() += 1;
        report.durations.entry(call).or_default().add(took);
    }

    /// Counts rows on their way to a client.
    pub(crate) fn count_rows(&self, rows: u64) {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).rows += rows;
    }

    pub(super) fn render(&self, text: &mut Exposition) {
        let report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        let name = "marketlake_serve_flight_calls_total";
        for ((call, code), count) in &report.calls {
            text.family(name, Kind::Counter, "Calls of the Flight SQL port that have ended.");
            let code = code_name(Code::from_i32(*code));
            text.sample(name, &[("call", call.name()), ("code", code)], count);
        }
        let name = "marketlake_serve_flight_call_duration_seconds";
        for (call, histogram) in &report.durations {
            text.family(name, Kind::Histogram, "Time until a call had ended, its rows included.");
            for (bound, count) in histogram.cumulative() {
                let bound = bound.map_or_else(|| "+Inf".to_owned(), seconds);
                let labels = [("call", call.name()), ("le", &bound)];
                text.sample(&format!("{name}_bucket"), &labels, count);
            }
            let labels = [("call", call.name())];
            text.sample(&format!("{name}_sum"), &labels, seconds(histogram.sum));
            text.sample(&format!("{name}_count"), &labels, histogram.count);
        }
        let name = "marketlake_serve_flight_rows_total";
        text.family(name, Kind::Counter, "Rows sent through the Flight SQL port.");
        text.sample(name, &[], report.rows);
    }
}

/// A status as gRPC spells it.
const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_call_and_only_as_it_is_spelled() {
        for (path, expected) in [
            ("/arrow.flight.protocol.FlightService/Handshake", FlightCall::Handshake),
            ("/arrow.flight.protocol.FlightService/DoGet", FlightCall::DoGet),
            ("/arrow.flight.protocol.FlightService/DoExchange", FlightCall::Other),
            ("/arrow.flight.protocol.FlightService/other", FlightCall::Other),
            ("/arrow.flight.protocol.FlightService/Handshake/", FlightCall::Other),
            ("/elsewhere/Handshake", FlightCall::Other),
            ("/Handshake", FlightCall::Other),
            ("", FlightCall::Other),
        ] {
            assert_eq!(FlightCall::of_path(path), expected, "{path}");
        }
    }

    #[test]
    fn calls_are_told_apart_by_name_and_outcome() {
        let meter = FlightMeter::default();
        meter.record(FlightCall::DoGet, Code::Ok, Duration::from_millis(3));
        meter.clone().record(FlightCall::DoGet, Code::Cancelled, Duration::from_secs(3));
        meter.count_rows(8_192);
        let mut text = Exposition::default();
        meter.render(&mut text);
        let page = text.finish();
        for line in [
            "marketlake_serve_flight_calls_total{call=\"DoGet\",code=\"OK\"} 1",
            "marketlake_serve_flight_calls_total{call=\"DoGet\",code=\"CANCELLED\"} 1",
            "marketlake_serve_flight_call_duration_seconds_sum{call=\"DoGet\"} 3.003",
            "marketlake_serve_flight_rows_total 8192",
        ] {
            assert!(page.lines().any(|found| found == line), "no `{line}` in\n{page}");
        }
    }
}
