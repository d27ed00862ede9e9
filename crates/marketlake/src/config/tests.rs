//! Settings: every default documented and valid, every problem in one report, no secret in any
//! text.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use secrets::Redactor;

use super::{Loaded, OptionValue, Problems, SettingsFile, read};

const DEFAULT: &str = include_str!("../../../../config/default.toml");

fn load(
    file: Option<&SettingsFile>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[(&str, &str, String)],
) -> Result<Loaded, Problems> {
    let read = read(file, environment, flags);
    assert!(!read.references().iter().any(|reference| reference.is_value), "no value is a secret");
    let is_valid = read.scopes();
    let loaded = read.check(&BTreeMap::new());
    if let Err(problems) = is_valid {
        assert_eq!(
            loaded.as_ref().unwrap_err(),
            &problems,
            "all are found before secrets are read"
        );
    }
    loaded
}

pub(crate) fn load_with(file: &str, environment: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let file = SettingsFile { name: "lake.toml".to_owned(), text: file.to_owned() };
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(Some(&file), environment, &[])
}

#[track_caller]
fn check_problems(file: &str, environment: &[(&str, &str)], expected: &str) {
    let problems = load_with(file, environment).expect_err("the settings have problems");
    assert_eq!(problems.to_string().trim(), expected.trim(), "\n{problems}");
}

#[test]
fn the_defaults_are_valid_by_themselves() {
    let loaded = load(None, [], &[]).unwrap();
    assert_eq!(loaded.config.source.requests_per_second.get(), 5);
    assert_eq!(loaded.config.maintenance.retention, Duration::from_secs(7 * 24 * 3600));
    assert!(loaded.config.market_time.replay.is_none());
    assert!(loaded.config.postgres.password.is_none());
}

#[test]
fn what_show_prints_is_a_file_with_the_same_meaning() {
    let redactor = Redactor::default();
    let first = load(None, [], &[]).unwrap();
    let shown = first.layers.show_text(&redactor);
    let again = load_with(&shown, &[]).unwrap();
    assert_eq!(format!("{:?}", first.config), format!("{:?}", again.config), "{shown}");

    let table: toml::Table = shown.parse().unwrap();
    let default: toml::Table = DEFAULT.parse().unwrap();
    assert_eq!(table, default, "every key of the default is shown, none is added");
}

#[test]
fn every_default_has_a_comment_that_helps_to_decide() {
    let mut documented = 0;
    let mut previous = "";
    for line in DEFAULT.lines() {
        let is_key = line.contains(" = ") && !line.starts_with('#');
        if is_key {
            assert!(previous.starts_with("# "), "`{line}` has no comment line above it");
            documented += 1;
        }
        previous = line;
    }
    let json = load(None, [], &[]).unwrap().layers.show_json(&Redactor::default());
    assert_eq!(documented, json.as_object().unwrap().len());
}

#[test]
fn a_file_beats_the_default_and_the_environment_beats_the_file() {
    let file = "[poll]\nsymbols = [\"SPY\"]\nsettle = \"5s\"\n[landing]\nrows_max = 7\n";
    let environment = [("MARKETLAKE__POLL__SYMBOLS", "AAPL, MSFT"), ("HOME", "/home/somebody")];
    let file = SettingsFile { name: "lake.toml".to_owned(), text: file.to_owned() };
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let flags = [("data_dir", "--data-dir", "/srv/lake".to_owned())];
    let Loaded { config, layers } = load(Some(&file), environment, &flags).unwrap();
    assert_eq!(config.poll.symbols, ["AAPL", "MSFT"]);
    assert_eq!(config.poll.settle, Duration::from_secs(5));
    assert_eq!(config.landing.rows_max.get(), 7);
    let origin = |path| layers.origin(path).unwrap().to_string();
    assert_eq!(origin("poll.symbols"), "environment `MARKETLAKE__POLL__SYMBOLS`");
    assert_eq!(origin("poll.settle"), "file `lake.toml`");
    assert_eq!(origin("poll.interval"), "default");
    assert_eq!(origin("data_dir"), "flag `--data-dir`");
}

#[test]
fn all_problems_come_at_once_with_their_paths_and_remedies() {
    let file = r#"
data_dir = ""
speed = 3
[source]
base_url = "http://vendor.example/v2"
acess_key = "cnry-0123"
requests_per_second = "5"
[poll]
datasets = ["intraday", "quotes", "trades"]
symbols = ["SPY", "SPY"]
interval = "1x"
look_back = "ten minutes"
[market_time]
epoch = "2026-01-02T00:00:00Z"
[landing]
bytes_max = "1B"
[http]
bind = "0.0.0.0:8080"
[secrets.scopes.local]
provider = "file"
[log]
level = "loud"
"#;
    let environment =
        [("MARKETLAKE__TOPIC__PARTITIONS", "many"), ("MARKETLAKE__POL__SETTLE", "1s")];
    check_problems(file, &environment, include_str!("../../testdata/config-problems.txt"));
}

#[test]
fn a_literal_secret_is_refused_and_never_repeated() {
    let canary = "cnry-0123456789abcdef";
    for file in [
        format!("[source]\naccess_key = \"{canary}\""),
        format!("[postgres]\npassword = \"{canary}\""),
        format!("[source]\naccess_key = [\"{canary}\"]"),
        format!("[source]\naccess_key = \"{canary}\nversion = 3"),
        format!("[source]\naccess_key = {canary}"),
        format!("[source]\nbase_url = \"https://user:{canary}@vendor.example/v2\""),
        format!("[source]\nbase_url = \"https://vendor.example/v2?access_key={canary}\""),
        format!("[source]\nkey = \"{canary}\""),
        format!("[serve.sharing.tokens]\ndesk = \"{canary}\""),
        format!("[serve.sharing]\nendpoint = \"https://{canary}@lake.example/delta-sharing\""),
    ] {
        let problems = load_with(&file, &[]).expect_err(&file);
        let text = format!("{problems} {problems:?}");
        assert!(!text.contains("cnry"), "{text}");
    }
    let problems = load_with("", &[("MARKETLAKE__SOURCE__ACCESS_KEY", canary)]).unwrap_err();
    let text = problems.to_string();
    assert!(text.contains("MARKETLAKE__SOURCE__ACCESS_KEY"), "{text}");
    assert!(!text.contains("cnry"), "{text}");
}

#[test]
fn what_is_shared_is_checked_before_anybody_asks_for_it() {
    let hash = format!("sha256:{}", "0a".repeat(32));
    let token = |shares: &str| format!("{hash}; shares={shares}; expires=2027-01-31T00:00:00Z");
    let file = format!(
        "[serve.sharing]\nendpoint = \"https://lake.example/share\"\nurl_lifetime = \"13h\"\n\
         [serve.sharing.shares]\nmarket = \"gold.bar_2m\"\ndaily = \"gold.bar_1d\"\n\
         [serve.sharing.tokens]\ndesk = \"{}\"\nlost = \"{hash}\"\n",
        token("daily")
    );
    let expected = "\
the settings have 4 problems
serve.sharing.endpoint (file `lake.toml`): `https://lake.example/share` must be http or https and end in `/delta-sharing`
serve.sharing.url_lifetime (file `lake.toml`): must be at most 12h, not `13h`
serve.sharing.shares.market (file `lake.toml`): `gold.bar_2m` is no table and no schema; write for example \"gold, silver.eod\"
serve.sharing.tokens.lost (file `lake.toml`): must name shares, such as `shares=market`, several with a comma between
";
    let problems = load_with(&file, &[]).expect_err("the settings have problems").to_string();
    for line in expected.lines() {
        assert!(problems.lines().any(|found| found == line), "{line}\n{problems}");
    }

    let file = format!(
        "[serve.sharing]\nenabled = true\n[serve.sharing.shares]\nmarket = \"\"\n\
         daily = \"gold.bar_1d\"\n[serve.sharing.tokens]\ndesk = \"{}\"\n",
        token("daily")
    );
    let sharing = load_with(&file, &[]).unwrap().config.sharing;
    let names: Vec<&str> = sharing.shares.iter().map(|share| share.name.as_str()).collect();
    assert_eq!((names.as_slice(), sharing.recipients.len()), (&["daily"][..], 1));
    let gone = file.replace("shares=daily", "shares=market");
    let problems = load_with(&gone, &[]).unwrap_err().to_string();
    assert!(
        problems.contains("`market`, which `serve.sharing.shares` does not have"),
        "{problems}"
    );
}

#[test]
fn a_token_that_was_written_where_its_hash_belongs_is_not_shown() {
    let file = SettingsFile {
        name: "lake.toml".to_owned(),
        text: "[serve.sharing.tokens]\ndesk = \"cnry-0123\"\n".to_owned(),
    };
    let shown = read(Some(&file), [], &[]).layers().show_text(&Redactor::default());
    assert!(shown.contains("desk = \"[redacted]\""), "{shown}");
    assert!(!shown.contains("cnry"), "{shown}");
}

#[test]
fn a_known_secret_is_scrubbed_from_whatever_show_prints() {
    let redactor = Redactor::default();
    redactor.register(&secrets::Secret::new("cnry-0123".to_owned()));
    // A user may well paste a key where no key belongs.
    let loaded = load_with("[topic]\nprefix = \"cnry-0123\"", &[]).unwrap();
    assert!(!loaded.layers.show_text(&redactor).contains("cnry"));
    assert!(!loaded.layers.show_json(&redactor).to_string().contains("cnry"));
    assert!(!format!("{:?}", loaded.config.source).contains("cnry"));
}

#[test]
fn a_scope_can_be_given_another_provider() {
    let file = "[secrets.scopes.env]\nprovider = \"file\"\ndir = \"/run/secrets\"\n\
                [secrets.scopes.\"a.b\"]\nprovider = \"env\"\nprefix = \"X_\"\n";
    let loaded = load_with(file, &[]).unwrap();
    let names: BTreeSet<String> =
        loaded.config.scopes.iter().map(|(name, scope)| format!("{name}={scope:?}")).collect();
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        ["a.b=Env { prefix: \"X_\" }", "env=File { dir: \"/run/secrets\" }"]
    );
    load_with(&loaded.layers.show_text(&Redactor::default()), &[]).unwrap();
}

#[test]
fn a_replay_needs_both_its_moments() {
    let file = "[market_time]\nepoch = \"2026-01-02T00:00:00Z\"\n\
                start = \"2019-02-11T14:30:00Z\"\nspeed = 60\n";
    let replay = load_with(file, &[]).unwrap().config.market_time.replay.unwrap();
    assert_eq!(
        replay.at(replay.epoch + Duration::from_secs(1)),
        replay.start + Duration::from_secs(60)
    );
    check_problems(
        "[market_time]\nspeed = 60",
        &[],
        "the settings have 1 problem\n\
         market_time.speed (file `lake.toml`): must be 1 without a replay (`epoch` and `start`)",
    );
}

#[test]
fn options_of_libraries_are_taken_as_their_owners_know_them() {
    let file = r#"
[topic]
brokers = "kafka-1:9092, kafka-2:9092"
[topic.kafka]
security_protocol = "SASL_SSL"
"sasl.mechanisms" = "PLAIN"
sasl_password = "{{secrets/env/kafka}}"
[landing]
url = "s3://bucket/landing"
[landing.options]
allow_http = true
aws_secret_access_key = "{{secrets/env/landing}}"
"#;
    let environment = [("MARKETLAKE__LANDING__OPTIONS__REGION", "eu-west-1")];
    let loaded = load_with(file, &environment).unwrap();
    let kafka = loaded.config.topic.kafka.as_ref().unwrap();
    assert_eq!(kafka.brokers, "kafka-1:9092,kafka-2:9092");
    let names: Vec<&str> = kafka.properties.keys().map(String::as_str).collect();
    assert_eq!(names, ["sasl.mechanisms", "sasl.password", "security.protocol"]);
    let options = &loaded.config.landing.store.options;
    assert_eq!(options["allow_http"], OptionValue::Plain("true".to_owned()));
    assert_eq!(options["aws_region"], OptionValue::Plain("eu-west-1".to_owned()));
    let mut references = loaded.layers.references();
    references.sort_by(|left, right| left.path.cmp(&right.path));
    assert!(!references.iter().any(|reference| reference.is_value));
    assert_eq!(
        references.into_iter().map(|reference| reference.path).collect::<Vec<_>>(),
        ["landing.options.aws_secret_access_key", "source.access_key", "topic.kafka.sasl_password"]
    );
    load_with(&loaded.layers.show_text(&Redactor::default()), &[]).unwrap();
}

#[test]
fn services_that_cannot_work_are_refused_without_showing_a_secret() {
    let canary = "cnry-0123";
    for (file, wanted) in [
        ("[topic.kafka]\nssl_ca_location = \"/ca.pem\"", "topic.brokers"),
        ("[topic]\nbrokers = \"kafka\"", "no address"),
        ("[topic]\nbrokers = \"a:1\"\n[topic.kafka]\nacks = \"1\"", "may not be set"),
        ("[topic]\nbrokers = \"a:1\"\n[topic.kafka]\nsasl_password = \"cnry-0123\"", "never hold"),
        ("[topic]\nbrokers = \"a:1\"\n[topic.kafka]\nssl_ca = \"x\"", "no property"),
        ("[lake.options]\nregion = \"x\"", "lake.url"),
        ("[lake]\nurl = \"ftp://x/y\"", "no kind of store"),
        ("[lake]\nurl = \"s3://b/p\"\n[lake.options]\nregio = \"x\"", "did you mean `region`"),
        (
            "[lake]\nurl = \"s3://b/p\"\n[lake.options]\nregion = \"x\"\naws_region = \"y\"",
            "two spellings",
        ),
        (
            "[lake]\nurl = \"s3://b/p\"\n[lake.options]\nsecret_access_key = \"cnry-0123\"",
            "never hold",
        ),
        ("[poll]\nstate_url = \"s3://b/p\"", "topic.brokers"),
        (
            "[poll]\nstate_url = \"az://b/p\"\n[topic]\nbrokers = \"a:1\"\n[landing]\n\
             url = \"s3://b/p\"\n[landing.options]\nregion = \"x\"",
            "poll.state_url (file `lake.toml`): is opened with `[landing.options]`",
        ),
        ("[secrets.scopes.x]\nprovider = \"azur_key_vault\"", "azure_key_vault"),
        (
            "[secrets.scopes.x]\nprovider = \"vault\"\npath = \"/v\"\npassphrase = \"cnry-0123\"",
            "never hold",
        ),
    ] {
        let problems = load_with(file, &[]).expect_err(file).to_string();
        assert!(problems.contains(wanted), "{file}: {problems}");
        assert!(!problems.contains(canary), "{problems}");
    }
}

#[test]
fn an_option_in_two_spellings_is_a_problem_and_not_a_matter_of_luck() {
    let file = "[topic]\nbrokers = \"a:1\"\n[topic.kafka]\nclient_rack = \"a\"\n\
                sasl_mechanism = \"PLAIN\"\n\"sasl.mechanisms\" = \"PLAIN\"\n";
    let environment = [("MARKETLAKE__TOPIC__KAFKA__CLIENT.RACK", "b")];
    let problems = load_with(file, &environment).unwrap_err().to_string();
    assert_eq!(problems.matches("is written twice").count(), 2, "{problems}");
    assert!(problems.contains("of `client.rack`"), "{problems}");
    assert!(problems.contains("of `sasl.mechanisms`"), "{problems}");
}

#[test]
fn a_reference_may_stand_for_any_setting() {
    let file = "[source]\nquota_month = \"{{secrets/env/quota}}\"\n\
                base_url = \"{{secrets/env/url}}\"\n[poll]\nafter_hours = \"{{secrets/env/hours}}\"\n";
    let file = SettingsFile { name: "lake.toml".to_owned(), text: file.to_owned() };
    let unresolved = || read(Some(&file), [], &[]);
    let values = unresolved().references().into_iter().filter(|reference| reference.is_value);
    assert_eq!(
        values.map(|reference| reference.path).collect::<Vec<_>>(),
        ["source.base_url", "source.quota_month", "poll.after_hours"]
    );
    assert_eq!(unresolved().scopes().unwrap().len(), 1);
    let resolved = |quota: &str| {
        let values = [
            ("source.base_url", "https://vendor.example/v2"),
            ("source.quota_month", quota),
            ("poll.after_hours", "true"),
        ];
        let secret = |value: &str| secrets::Secret::new(value.to_owned());
        BTreeMap::from(values.map(|(path, value)| (path.to_owned(), secret(value))))
    };
    let loaded = unresolved().check(&resolved("4711")).unwrap();
    assert_eq!(loaded.config.source.quota_month.unwrap().get(), 4711);
    assert!(loaded.config.poll.after_hours);
    let shown = loaded.layers.show_text(&Redactor::default());
    assert!(shown.contains("{{secrets/env/quota}}") && !shown.contains("4711"), "{shown}");
    let problems = unresolved().check(&resolved("cnry")).unwrap_err().to_string();
    assert!(problems.contains("source.quota_month") && !problems.contains("cnry"), "{problems}");
}

#[test]
fn problems_are_found_before_anybody_is_asked_for_a_secret() {
    let file = r#"
[source]
version = "{{secrets/kv/version}}"
base_url = "ftp://vendor.example"
[poll]
symbls = ["SPY"]
interval = "2x"
[topic]
brokers = "{{secrets/kv/brokers}}"
prefix = "{{secrets/nowhere/prefix}}"
[topic.kafka]
security_protocol = "SSL"
[postgres]
password = "{{secrets/kv/password}}"
[secrets.scopes.kv]
provider = "file"
"#;
    let file = SettingsFile { name: "lake.toml".to_owned(), text: file.to_owned() };
    let problems = read(Some(&file), [], &[]).scopes().unwrap_err();
    let paths: Vec<&str> = problems.0.iter().map(|problem| problem.path.as_str()).collect();
    // What stands beside a value that is still to be read may be right once it is there.
    assert_eq!(
        paths,
        ["poll.symbls", "topic.prefix", "secrets.scopes.kv.dir", "poll.interval"],
        "{problems}"
    );
    assert!(
        problems.0.iter().all(|problem| problem.origin.is_some() || problem.path.ends_with("dir"))
    );
}

#[test]
fn a_log_is_there_before_any_secret_is() {
    let level = |text: &str| {
        let file = SettingsFile { name: "lake.toml".to_owned(), text: text.to_owned() };
        read(Some(&file), [], &[]).log().level
    };
    assert_eq!(level("[log]\nlevel = \"debug\""), "debug");
    assert_eq!(level("[log]\nlevel = \"{{secrets/env/level}}\""), "info");
}
