//! The stores as their users see them: the contract, bad credentials and certificates, lost power.

mod services;
mod stores;
mod trouble;
