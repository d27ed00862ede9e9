//! Settings: every default documented and valid, every problem in one report, no secret in any
//! text.

use std::{collections::BTreeSet, time::Duration};

use secrets::Redactor;

use super::{Loaded, Problems, SettingsFile, load};

const DEFAULT: &str = include_str!("../../../../config/default.toml");

fn load_with(file: &str, environment: &[(&str, &str)]) -> Result<Loaded, Problems> {
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
