//! Who makes a call, and from where.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hyper::{HeaderMap, header::USER_AGENT};

use crate::postgres::{NAME_CHARACTERS_MAX, Standing};

/// Somebody whose token was good.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) role: Arc<Standing>,
    pub(super) origin: Origin,
}

/// Where a call comes from, as its socket and its client say.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) address: IpAddr,
    /// What the client calls itself, and its library.
    pub(super) application: String,
}

impl Origin {
    pub(super) fn new(peer: SocketAddr, headers: &HeaderMap) -> Self {
        let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        // A socket for both families shows addresses of the older one in the clothes of the newer.
        let address = peer.ip().to_canonical();
        let application = agent.unwrap_or_default().chars().take(NAME_CHARACTERS_MAX).collect();
        Self { address, application }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_bounded_and_of_its_own_family() {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, "x".repeat(9_000).parse().unwrap());
        let origin = Origin::new("[::ffff:192.0.2.1]:9".parse().unwrap(), &headers);
        assert_eq!(origin.address, IpAddr::from([192, 0, 2, 1]));
        assert_eq!(origin.application.len(), NAME_CHARACTERS_MAX);
        let silent = Origin::new("192.0.2.1:9".parse().unwrap(), &HeaderMap::new());
        assert_eq!(silent.application, "");
    }
}
