//! The Flight SQL port from settings: its bounds and its certificate.

use std::sync::Arc;

use serve::{audit::Audit, flight::FlightConfig, tls::Protocol};

use super::{Workbench, certificate::Certificate, servers};
use crate::failure::Failure;

impl Workbench {
    /// Returns the settings of the port with its certificate, if there is to be one.
    pub(crate) fn flight(
        &self,
        audit: Option<Arc<dyn Audit>>,
    ) -> Result<Option<(FlightConfig, Option<Certificate>)>, Failure> {
        let config = &self.config.flight;
        if !config.is_enabled {
            return Ok(None);
        }
        let certificate =
            Certificate::open("serve.flight.tls", Protocol::Grpc, config.tls.as_ref())?;
        let config = FlightConfig {
            bind: config.bind,
            tls: Certificate::shown(certificate.as_ref()),
            connections_max: servers::CONNECTIONS_MAX,
            statement_timeout: servers::STATEMENT_TIMEOUT,
            rows_max: servers::ROWS_MAX,
            audit,
        };
        Ok(Some((config, certificate)))
    }
}
