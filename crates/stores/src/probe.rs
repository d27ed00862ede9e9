//! The probe at start: a store that lets an object be created twice cannot keep a chain.

use std::sync::Arc;

use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, path::Path};

use crate::{Error, Trouble};

/// Creates an object twice and checks that the second time is refused and changes nothing.
///
/// The object lies at the store's root under a name that no key of ours has, and is deleted again.
///
/// # Errors
/// The store let itself be written twice, cannot create conditionally, or failed.
pub async fn probe_create_only(store: &Arc<dyn ObjectStore>) -> Result<(), Error> {
    let name = format!("probe-{}", uuid::Uuid::new_v4());
    let path = Path::from(name.as_str());
    let probed = probe(store, &path).await;
    if let Err(error) = store.delete(&path).await {
        // Harmless: nothing reads it. A store that forbids deleting is a good landing store.
        tracing::info!(object = name, %error, "the probe object could not be deleted");
    }
    probed
}

async fn probe(store: &Arc<dyn ObjectStore>, path: &Path) -> Result<(), Error> {
    let create = |content: &'static str| {
        store.put_opts(path, content.into(), PutOptions::from(PutMode::Create))
    };
    let failed = |source| Error::Store { doing: "probing", store: store.to_string(), source };
    let not_create_only = |problem| Error::NotCreateOnly { store: store.to_string(), problem };
    match create("first").await {
        // A reply may have been lost and the store's client have tried again: it is there.
        Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => (),
        Err(error) if Trouble::of(&error) == Some(Trouble::NotSupported) => {
            return Err(not_create_only("it cannot create an object only if there is none"));
        }
        Err(source) => return Err(failed(source)),
    }
    match create("second").await {
        Ok(_) => return Err(not_create_only("it let an object be created twice")),
        Err(
            object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. },
        ) => (),
        Err(source) => return Err(failed(source)),
    }
    let found = store.get(path).await.map_err(failed)?.bytes().await.map_err(failed)?;
    if found == "first" {
        Ok(())
    } else {
        Err(not_create_only("it refused to create an object a second time, and replaced it"))
    }
}
