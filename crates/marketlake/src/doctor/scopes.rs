//! Secret scopes: whether every secret that the settings refer to can be read.

use secrets::SecretRef;

use super::{Doctor, Report};
use crate::{commands::Setup, config::Reference, failure::Failure};

/// Looks for each of them; says whether those are there without which there are no settings.
pub(super) async fn examine(doctor: &mut Doctor, setup: &Setup) -> bool {
    let scopes = setup.open_scopes();
    let mut has_values = true;
    for Reference { path, secret, is_value } in setup.settings.references() {
        let SecretRef { scope, key } = &secret;
        let work = async {
            scopes.resolve(&secret).await.map_err(Failure::from)?;
            Ok(Report::ok(format!("`{path}` has `{key}` of scope `{scope}`")))
        };
        let remedy = "`marketlake secrets list` shows what each scope has";
        let is_found = doctor.check("secrets", "read", remedy, work).await;
        has_values &= is_found || !is_value;
    }
    has_values
}
