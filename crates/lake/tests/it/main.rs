//! The lake through its public doors: a landing chain in, tables out.

mod absent;
mod exactly_once;
mod landing;
mod queries;
mod target;
