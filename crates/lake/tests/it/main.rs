//! The lake through its public doors: a landing chain in, tables out.

mod exactly_once;
mod landing;
mod queries;
mod target;
