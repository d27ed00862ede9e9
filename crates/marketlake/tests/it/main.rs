//! The program as its users meet it: a process with arguments, an environment, two streams and an
//! exit code.

mod cli;
mod core_dumps;
mod process;
mod simulate;
mod stages;
