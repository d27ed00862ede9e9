//! The data folder: whether it takes data.

use super::{Doctor, Report};
use crate::assemble::Workbench;

pub(super) async fn examine(doctor: &mut Doctor, bench: &Workbench) {
    let work = async {
        bench.data.try_writing()?;
        Ok(Report::ok(bench.data.root().display().to_string()))
    };
    doctor.check("data folder", "write", "make room, or name another folder", work).await;
}
