//! No core dumps: the memory of this process holds secrets, and a dump would put them into a file.

use nix::sys::{
    prctl,
    resource::{Resource, setrlimit},
};

use crate::failure::Failure;

/// Forbids core dumps for good. Must run before the first secret is read.
///
/// The limit covers dumps that the kernel writes to a file, here and in the processes we start.
/// Where it pipes them to a program it knows no limit, but leaves alone a process that says that it
/// must not be dumped; such a one is also closed to debuggers of the same user.
pub(crate) fn forbid() -> Result<(), Failure> {
    let forbidden =
        setrlimit(Resource::RLIMIT_CORE, 0, 0).and_then(|()| prctl::set_dumpable(false));
    forbidden.map_err(|error| Failure::internal(format!("forbidding core dumps: {error}")))
}
