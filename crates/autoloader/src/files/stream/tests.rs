//! A stream on good days and on odd ones, its refusals, and thousands of bad days.

use super::*;
use crate::{faults::Faults, files::target::contract::file_target_contract};
use target::{Kept, MemoryTarget};

mod simulation;
mod target;
mod world;

#[tokio::test]
async fn the_target_in_memory_keeps_the_contract() {
    let tables: std::sync::Mutex<BTreeMap<String, Arc<std::sync::Mutex<Kept>>>> =
        std::sync::Mutex::default();
    let table = |name: &str| Arc::clone(tables.lock().unwrap().entry(name.to_owned()).or_default());
    let open = async |name: &str| MemoryTarget { kept: table(name), faults: Faults::none() };
    let read = async |name: &str| table(name).lock().unwrap().read();
    file_target_contract(open, read).await;
}
