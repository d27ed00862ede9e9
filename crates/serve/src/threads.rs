//! Threads with a deep stack, apart from the caller's, so that queries cannot starve ingest.

use tokio::runtime::{Handle, Runtime};

use crate::Error;

/// Stack of the threads that serve clients. Parsing and planning recurse over the statement, and
/// a stack overflow would end the whole process: at 10 KiB a level, which an unoptimized build
/// needs, this is six thousand levels, six times what the statement gate lets through. Only
/// touched pages cost memory.
pub(crate) const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Threads of a server.
///
/// Connections have theirs and the engine has its own: it may be busy with all of them for a long
/// time, and clients still have to be heard.
pub(crate) struct Threads {
    pub(crate) handle: Handle,
    runtime: Option<Runtime>,
}

impl Threads {
    /// Starts as many as there are processors, each called `name`, for `protocol`.
    pub(crate) fn start(name: &str, protocol: &'static str) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name(name)
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|source| Error::Threads { protocol, source })?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Waiting for threads is forbidden in async code, where this is dropped.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
