//! The lake through its public doors: a landing chain in, tables out.

mod absent;
mod bi;
mod exactly_once;
mod landing;
mod market;
mod queries;
mod shared;
mod target;
