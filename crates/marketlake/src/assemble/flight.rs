//! The Flight SQL port from settings: its bounds and its certificate.

use std::sync::Arc;

use serve::{
    audit::Audit,
    flight::{FlightConfig, Tls},
};

use super::{
    Workbench,
    certificate::{Files, named},
    servers,
};
use crate::failure::Failure;

impl Workbench {
    /// Returns the settings of the port, if there is to be one.
    pub(crate) fn flight(
        &self,
        audit: Option<Arc<dyn Audit>>,
    ) -> Result<Option<FlightConfig>, Failure> {
        let config = &self.config.flight;
        if !config.is_enabled {
            return Ok(None);
        }
        let tls = match &config.tls {
            None => None,
            Some(files) => {
                let paths = [files.cert_file.as_path(), files.key_file.as_path()];
                let read = Files::read("serve.flight.tls", paths)?;
                let tls = Tls::new(&read.chain, &read.key).map_err(|error| named(error, paths))?;
                Some(Arc::new(tls))
            }
        };
        Ok(Some(FlightConfig {
            bind: config.bind,
            tls,
            connections_max: servers::CONNECTIONS_MAX,
            statement_timeout: servers::STATEMENT_TIMEOUT,
            rows_max: servers::ROWS_MAX,
            audit,
        }))
    }
}
