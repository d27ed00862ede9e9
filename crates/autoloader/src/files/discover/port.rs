//! The discoverer as a stream asks for it.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;

use super::Discoverer;
use crate::{
    Error,
    files::{
        choice::Candidate,
        plan::FilePlan,
        ports::{Discover, PortError},
        seen::Seen,
    },
};

#[async_trait]
impl Discover for Discoverer {
    async fn look(&mut self, seen: &Seen, now: DateTime<Utc>) -> Result<Vec<Candidate>, PortError> {
        let looked = Self::look(self, seen, now).await;
        let looked = looked.map_err(|error| failed("looking for files", error))?;
        looked.log();
        Ok(looked.candidates)
    }

    async fn planned(
        &mut self,
        seen: &Seen,
        plan: Option<&FilePlan>,
    ) -> Result<Option<DateTime<Utc>>, PortError> {
        let settled = self.settle(seen, plan).await;
        let settled = settled.map_err(|error| failed("deleting hints of planned files", error))?;
        // Where each look lists everything, a proof saves nothing.
        let is_useful = !self.inboxes.is_empty() || self.discovery.window.is_some();
        Ok(settled.ts_proven.filter(|_| is_useful))
    }

    async fn answers(&mut self) -> Result<(), PortError> {
        let prefix = self.source.prefix.as_ref();
        match self.source.store.list(prefix).try_next().await {
            Ok(_) => Ok(()),
            Err(source) => {
                let key = prefix.map(ToString::to_string).unwrap_or_default();
                let error = Error::Store { action: "listing", key, source };
                Err(failed("asking whether the source answers", error))
            }
        }
    }
}

fn failed(doing: &str, error: Error) -> PortError {
    PortError { doing: doing.to_owned(), kind: error.kind(), source: Box::new(error) }
}
