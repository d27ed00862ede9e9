//! Stores: whether objects can be created once, read and listed, and what time it is there.

use std::{future::Future, sync::Arc};

use futures::StreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, path::Path};

use super::{Doctor, Report, skew};
use crate::{
    assemble::{Access, ResultExt, Workbench},
    config::StoreConfig,
    failure::Failure,
};

pub(super) async fn examine(doctor: &mut Doctor, bench: &Workbench) {
    let (landing, lake) = (&bench.config.landing.store, &bench.config.lake);
    let remedy = "`landing.url` and `[landing.options]` say where it lies and who asks";
    store(doctor, bench, ("landing", landing, remedy), bench.landing_store(Access::Read)).await;
    let remedy = "`lake.url` and `[lake.options]` say where it lies and who asks";
    let opened = bench.lake_store(Access::Read);
    if store(doctor, bench, ("lake", lake, remedy), opened).await {
        let work = tables(bench);
        doctor.check("lake", "tables", "`marketlake verify` looks closer", work).await;
    } else {
        doctor.skip("lake", &["tables"], "list");
    }
    if let Some(shared) = &bench.config.poll.shared {
        let remedy = "`poll.state_url` and `[landing.options]` say where it lies and who asks";
        let opened = bench.poll_store(shared, Access::Read);
        store(doctor, bench, ("poll state", &shared.state, remedy), opened).await;
    }
}

/// Looks at one store; says whether it can be read.
async fn store(
    doctor: &mut Doctor,
    bench: &Workbench,
    (service, config, remedy): (&'static str, &StoreConfig, &str),
    opened: impl Future<Output = Result<Arc<dyn ObjectStore>, Failure>>,
) -> bool {
    let checks = ["create once", "clock"];
    let mut found = None;
    let work = async {
        let store = opened.await?;
        let report = list(&store, &place(config)).await?;
        found = Some(store);
        Ok(report)
    };
    doctor.check(service, "list", remedy, work).await;
    let Some(store) = found else {
        doctor.skip(service, &checks, "list");
        return false;
    };
    let work = async {
        ::stores::probe_create_only(&store).await.or_fail()?;
        Ok(Report::ok("a second creator is refused"))
    };
    let remedy = "the store must create conditionally, and the user must be allowed to write";
    if doctor.check(service, checks[0], remedy, work).await {
        let work = clock(bench, &store);
        doctor.check(service, checks[1], "the user must be allowed to read", work).await;
    } else {
        doctor.skip(service, &checks[1..], checks[0]);
    }
    true
}

/// Returns where a store is, as the settings say it.
fn place(config: &StoreConfig) -> String {
    config.address.clone().unwrap_or_else(|| "a folder of the data folder".to_owned())
}

async fn list(store: &Arc<dyn ObjectStore>, place: &str) -> Result<Report, Failure> {
    let found = match store.list(None).next().await {
        None => "it is empty",
        Some(Ok(_)) => "it has objects",
        Some(Err(error)) => return Err(failed(error, store)),
    };
    Ok(Report::ok(format!("{place}: {found}")))
}

/// Writes an object, and compares the time the store gives it with ours.
async fn clock(bench: &Workbench, store: &Arc<dyn ObjectStore>) -> Result<Report, Failure> {
    let path = Path::from(format!("probe-{:016x}", rand::random::<u64>()));
    let created = store.put_opts(&path, "doctor".into(), PutOptions::from(PutMode::Create)).await;
    created.map_err(|error| failed(error, store))?;
    let ours = bench.clock.now();
    let found = store.head(&path).await.map_err(|error| failed(error, store));
    // Harmless when it stays: nothing reads it, and a store that forbids deleting is a good one.
    drop(store.delete(&path).await);
    Ok(skew(found?.last_modified, ours))
}

async fn tables(bench: &Workbench) -> Result<Report, Failure> {
    let tables = bench.reader().await?.tables().await.or_fail()?;
    let rows: u64 = tables.iter().map(|table| table.rows).sum();
    Ok(Report::ok(format!("{} tables, {rows} rows", tables.len())))
}

fn failed(error: object_store::Error, store: &Arc<dyn ObjectStore>) -> Failure {
    Failure::new(::stores::store_kind(&error), error).context(format!("asking {store}"))
}
