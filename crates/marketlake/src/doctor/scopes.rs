//! Secret scopes: whether every secret that the settings refer to can be read.

use secrets::SecretRef;

use super::{Doctor, Report};
use crate::{assemble::Workbench, failure::Failure};

pub(super) async fn examine(doctor: &mut Doctor, bench: &Workbench) {
    for (setting, reference) in bench.config.references() {
        let SecretRef { scope, key } = &reference;
        let work = async {
            bench.scopes.resolve(&reference).await.map_err(Failure::from)?;
            Ok(Report::ok(format!("`{setting}` has `{key}` of scope `{scope}`")))
        };
        let remedy = "`marketlake secrets list` shows what each scope has";
        doctor.check("secrets", "read", remedy, work).await;
    }
}
