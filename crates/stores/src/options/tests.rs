//! Names, secrets and plain http.

use proptest::prelude::*;

use super::*;

const KINDS: [StoreKind; 3] = [StoreKind::S3, StoreKind::Azure, StoreKind::Gcs];

fn listed(kind: StoreKind) -> Vec<&'static str> {
    let own: &[&str] = match kind {
        StoreKind::Local => &[],
        StoreKind::S3 => &S3,
        StoreKind::Azure => &AZURE,
        StoreKind::Gcs => &GCS,
    };
    own.iter().chain(&CLIENT).copied().collect()
}

#[test]
fn every_name_we_suggest_is_an_option() {
    for kind in KINDS {
        for name in listed(kind) {
            assert!(check_option(kind, name).is_ok(), "{kind:?}: {name}");
        }
    }
}

#[test]
fn a_misspelt_name_is_answered_with_the_nearest() {
    for (kind, name, nearest) in [
        (StoreKind::S3, "acces_key_id", "`access_key_id`"),
        (StoreKind::S3, "endpiont", "`endpoint`"),
        (StoreKind::S3, "cafile", "`ca_file`"),
        (StoreKind::Azure, "acount_key", "`account_key`"),
        (StoreKind::Gcs, "service_acount_key", "`service_account_key`"),
    ] {
        let problem = check_option(kind, name).expect_err(name);
        assert!(problem.contains(nearest), "{problem}");
    }
    let problem = check_option(StoreKind::S3, "zzzzzzzzzzzz").expect_err("no option");
    assert!(!problem.contains("did you mean"), "{problem}");
}

#[test]
fn the_bucket_and_blind_trust_are_no_options() {
    for (kind, name) in [
        (StoreKind::S3, "bucket"),
        (StoreKind::Azure, "container_name"),
        (StoreKind::Gcs, "google_bucket"),
        (StoreKind::S3, "allow_invalid_certificates"),
        (StoreKind::Azure, "azure_allow_invalid_certificates"),
        (StoreKind::Local, "region"),
    ] {
        check_option(kind, name).expect_err(name);
    }
}

#[test]
fn keys_are_secret_under_every_name() {
    for (kind, name) in [
        (StoreKind::S3, "access_key_id"),
        (StoreKind::S3, "aws_secret_access_key"),
        (StoreKind::S3, "token"),
        (StoreKind::S3, "aws_sse_customer_key_base64"),
        (StoreKind::S3, "secret_acess_key"),
        (StoreKind::S3, "proxy_url"),
        (StoreKind::Azure, "azure_storage_master_key"),
        (StoreKind::Azure, "sas_key"),
        (StoreKind::Azure, "client_secret"),
        (StoreKind::Gcs, "google_service_account_key"),
    ] {
        assert!(is_secret_option(kind, name), "{name}");
    }
    for (kind, name) in [
        (StoreKind::S3, "region"),
        (StoreKind::S3, "endpoint"),
        (StoreKind::S3, "ca_file"),
        (StoreKind::S3, "timeout"),
        (StoreKind::Azure, "account_name"),
        (StoreKind::Azure, "client_id"),
        (StoreKind::Gcs, "service_account"),
    ] {
        assert!(!is_secret_option(kind, name), "{name}");
    }
}

#[test]
fn plain_http_stays_on_this_machine_unless_it_is_asked_for() {
    let decide = |options: &[(&str, &str)]| {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        allow_http(StoreKind::S3, &options.iter().map(owned).collect())
    };
    assert_eq!(decide(&[]), Ok(false));
    assert_eq!(decide(&[("endpoint", "https://minio.example")]), Ok(false));
    for address in ["http://127.0.0.1:9000", "http://localhost", "http://[::1]:1"] {
        assert_eq!(decide(&[("endpoint", address)]), Ok(true), "{address}");
    }
    for address in ["http://minio.example", "http://localhost.evil", "ftp://127.0.0.1", "nonsense"]
    {
        decide(&[("aws_endpoint_url", address)]).expect_err(address);
    }
    assert_eq!(decide(&[("endpoint", "http://minio.example"), ("allow_http", "true")]), Ok(true));
}

#[test]
fn an_endpoint_carries_no_credentials() {
    for (kind, name) in [
        (StoreKind::S3, "endpoint"),
        (StoreKind::Azure, "azure_storage_endpoint"),
        (StoreKind::Gcs, "base_url"),
    ] {
        for value in [
            "https://cnry-user@host",
            "https://user:cnry-1@host/path",
            "https://:cnry-1@host",
            "https://host?sig=cnry-1",
            "https://host/#cnry-1",
            "http://127.0.0.1:9000/?sig=cnry-1",
        ] {
            let options = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            let problem = allow_http(kind, &options).expect_err(value);
            assert!(problem.contains(name) && !problem.contains("cnry"), "{problem}");
        }
    }
}

proptest! {
    #[test]
    fn a_name_is_an_option_or_secret(name in ".{0,12}") {
        for kind in KINDS {
            let is_known = check_option(kind, &name).is_ok();
            prop_assert!(is_known || is_secret_option(kind, &name));
        }
    }
}

#[test]
fn an_option_has_one_name_of_its_own() {
    for (kind, names) in [
        (StoreKind::S3, ["region", "aws_region", "aws_region"]),
        (StoreKind::Azure, ["account_name", "azure_storage_account_name", "account_name"]),
        (StoreKind::Gcs, ["google_service_account", "service_account", "service_account"]),
    ] {
        let found: Vec<_> = names.iter().map(|name| check_option(kind, name)).collect();
        assert!(found[0].is_ok() && found.windows(2).all(|two| two[0] == two[1]), "{found:?}");
    }
}
