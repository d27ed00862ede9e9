//! Properties of a login by token (OAUTHBEARER): librdkafka asks the token endpoint itself.

use url::{Host, Url};

use super::{KafkaFailure, Property};

const METHOD: &str = "sasl.oauthbearer.method";
const ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";

/// Checks a property of tokens; others are none of our business.
pub(super) fn check(name: &str, value: &str) -> Result<(), String> {
    match name {
        // A reference to a secret is checked when it is known.
        ENDPOINT if !value.contains("{{") => check_endpoint(value),
        METHOD if value != "oidc" => {
            Err(format!("`{name}` may not be `{value}`: only with `oidc` are tokens asked for"))
        }
        _ => Ok(()),
    }
}

/// The client's secret goes there: nobody may listen on the way.
fn check_endpoint(text: &str) -> Result<(), String> {
    let Ok(url) = Url::parse(text) else {
        return Err(format!("`{ENDPOINT}` is no address; write \"https://issuer.example/token\""));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!(
            "`{ENDPOINT}` may not hold a login: it belongs into `sasl.oauthbearer.client.id` and `sasl.oauthbearer.client.secret`"
        ));
    }
    let is_near = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        // The metadata service of a virtual machine has an address of its own link.
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_link_local(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_near => Ok(()),
        _ => Err(format!(
            "`{ENDPOINT}` must begin with `https://`: the client's secret would travel in the clear"
        )),
    }
}

/// Without a method librdkafka would wait for ever for somebody to bring a token.
pub(super) fn require(properties: &[Property]) -> Result<(), KafkaFailure> {
    let is = |names: &[&str], wanted: &str| {
        let mut all = properties.iter();
        all.any(|(name, value)| names.contains(&name.as_str()) && value.as_str() == wanted)
    };
    if is(&["sasl.mechanism", "sasl.mechanisms"], "OAUTHBEARER") && !is(&[METHOD], "oidc") {
        return Err(KafkaFailure::Property {
            name: METHOD.to_owned(),
            problem: format!(
                "it is missing: set `oidc`, with `{ENDPOINT}`, `sasl.oauthbearer.client.id` and `sasl.oauthbearer.client.secret`"
            ),
        });
    }
    Ok(())
}
