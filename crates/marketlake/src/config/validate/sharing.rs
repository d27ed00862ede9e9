//! What is shared with others, as written to as trusted.

use std::{collections::BTreeMap, time::Duration};

use serve::http::sharing::{PREFIX, Recipient, Share};
use url::Url;

use super::values::{at_least, optional};
use crate::config::{Problems, SharingConfig, file::SharingFile};

/// An address that opens a file is as good as the file: none lasts longer than a working day.
const LIFETIME_MIN: Duration = Duration::from_secs(60);
const LIFETIME_MAX: Duration = Duration::from_secs(12 * 3600);

pub(super) fn sharing(file: &SharingFile, problems: &mut Problems) -> Option<SharingConfig> {
    let endpoint =
        problems.take("serve.sharing.endpoint", optional(&file.endpoint, parse_endpoint));
    let url_lifetime =
        problems.take("serve.sharing.url_lifetime", parse_lifetime(&file.url_lifetime));
    let shares = shares(&file.shares, problems);
    let recipients = recipients(&file.tokens, &file.shares, problems);
    Some(SharingConfig {
        is_enabled: file.enabled,
        endpoint: endpoint?,
        url_lifetime: url_lifetime?,
        shares: shares?,
        recipients: recipients?,
    })
}

fn parse_endpoint(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is no address: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        // The value stays out of the message: it may hold a credential.
        return Err("must have neither user, password nor query".to_owned());
    }
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    if !is_web || !url.path().trim_end_matches('/').ends_with(PREFIX) {
        return Err(format!("`{text}` must be http or https and end in `{PREFIX}`"));
    }
    Ok(url)
}

fn parse_lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = at_least(text, LIFETIME_MIN)?;
    if LIFETIME_MAX < lifetime {
        return Err(format!("must be at most 12h, not `{text}`"));
    }
    Ok(lifetime)
}

fn shares(written: &BTreeMap<String, String>, problems: &mut Problems) -> Option<Vec<Share>> {
    let known: Vec<String> = lake::table_names().collect();
    let mut shares: Vec<Share> = Vec::new();
    let mut is_valid = true;
    for (name, text) in written {
        let path = format!("serve.sharing.shares.{name}");
        let share = Share::parse(name, text, &known).map_err(|error| error.to_string());
        let share = share.and_then(|share| {
            match shares.iter().find(|other| other.name.eq_ignore_ascii_case(name)) {
                Some(other) => Err(format!("differs from `{}` only in case", other.name)),
                None => Ok(share),
            }
        });
        let share = problems.take(&path, share);
        is_valid &= share.is_some();
        shares.extend(share.filter(|share| !share.is_empty()));
    }
    is_valid.then_some(shares)
}

fn recipients(
    written: &BTreeMap<String, String>,
    shares: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> Option<Vec<Recipient>> {
    let mut recipients = Vec::new();
    let mut is_valid = true;
    for (name, text) in written {
        let path = format!("serve.sharing.tokens.{name}");
        let recipient = Recipient::parse(name, text).map_err(|error| error.to_string());
        let recipient = recipient.and_then(|recipient| {
            let is_share =
                |name: &str| shares.get(name).is_some_and(|text| !text.trim().is_empty());
            match recipient.shares.iter().find(|name| !is_share(name)) {
                Some(unknown) => Err(format!(
                    "is for the share `{unknown}`, which `serve.sharing.shares` does not have"
                )),
                None => Ok(recipient),
            }
        });
        let recipient = problems.take(&path, recipient);
        is_valid &= recipient.is_some();
        recipients.extend(recipient);
    }
    is_valid.then_some(recipients)
}
