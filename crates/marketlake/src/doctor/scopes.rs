//! Secret scopes: whether every secret that the settings refer to can be read.

use secrets::SecretRef;

use super::{Doctor, Report};
use crate::{
    commands::{Setup, settings},
    config::Reference,
    failure::Failure,
};

/// Looks for each of them; says whether those are there without which there are no settings.
pub(super) async fn examine(doctor: &mut Doctor, setup: &Setup) -> bool {
    let scopes = setup.open_scopes();
    let mut has_values = true;
    for reference in &setup.settings.references() {
        let Reference { path, secret: SecretRef { scope, key }, is_value } = reference;
        let work = async {
            settings::look_up(reference, &scopes).await.map_err(Failure::from)?;
            Ok(Report::ok(format!("`{path}` has `{key}` of scope `{scope}`")))
        };
        let remedy = "`marketlake secrets list` shows what each scope has";
        let is_found = doctor.check("secrets", "read", remedy, work).await;
        has_values &= is_found || !is_value;
    }
    has_values
}
