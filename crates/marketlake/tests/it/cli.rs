//! Help, settings, exit codes and messages.

use std::fs;

use crate::process::{marketlake, run, run_with_input};

#[test]
fn help_names_every_command_and_the_exit_codes() {
    let temp = tempfile::tempdir().unwrap();
    let (code, out, _) = run(&mut marketlake(temp.path(), &["--help"]));
    assert_eq!(code, 0);
    for word in [
        "demo",
        "up",
        "poll",
        "land",
        "load",
        "refine",
        "serve",
        "simulate",
        "query",
        "status",
        "verify",
        "config",
        "secrets",
        "Exit codes",
    ] {
        assert!(out.contains(word), "`{word}` is missing in:\n{out}");
    }
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0, "help touches nothing");
}

#[test]
fn wrong_usage_is_exit_code_2_with_the_nearest_command() {
    let temp = tempfile::tempdir().unwrap();
    let (code, _, err) = run(&mut marketlake(temp.path(), &["stauts"]));
    assert_eq!(code, 2);
    assert!(err.contains("status"), "{err}");
}

#[test]
fn config_check_reports_all_problems_and_config_show_shows_origins() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("lake.toml");
    fs::write(&file, "[poll]\nsymbls = [\"SPY\"]\ninterval = \"2x\"\n").unwrap();
    let arguments = ["config", "check", "--config", "lake.toml"];
    let (code, out, err) =
        run(marketlake(temp.path(), &arguments).env("MARKETLAKE__HTTP__BIND", "nowhere"));
    assert_eq!((code, out.as_str()), (3, ""));
    assert_eq!(
        err,
        "error: the settings have 3 problems\n  \
         poll.symbls (file `lake.toml`): is no setting; did you mean `poll.symbols`?\n  \
         poll.interval (file `lake.toml`): `2x` is no bar interval; known are 1m, 5m, 10m, 15m, \
         30m, 1h, 1d\n  \
         http.bind (environment `MARKETLAKE__HTTP__BIND`): `nowhere` is no address and port; \
         write \"127.0.0.1:8080\"\n"
    );

    fs::write(&file, "[poll]\nsymbols = [\"SPY\"]\n").unwrap();
    let arguments = ["config", "show", "--config", "lake.toml", "--data-dir", "here"];
    let (code, out, _) = run(&mut marketlake(temp.path(), &arguments));
    assert_eq!(code, 0);
    for (line, origin) in [
        ("data_dir = \"here\"", "flag `--data-dir`"),
        ("symbols = [\"SPY\"]", "file `lake.toml`"),
        ("interval = \"15m\"", "default"),
    ] {
        let found = out.lines().find(|found| found.starts_with(line)).unwrap_or_default();
        assert!(found.ends_with(origin), "`{found}` should be `{line}` from {origin}\n{out}");
    }
}

#[test]
fn a_literal_key_in_the_environment_is_refused_and_shown_nowhere() {
    let temp = tempfile::tempdir().unwrap();
    for arguments in [["config", "show"], ["config", "check"], ["secrets", "check"]] {
        let mut command = marketlake(temp.path(), &arguments);
        let (code, out, err) =
            run(command.env("MARKETLAKE__SOURCE__ACCESS_KEY", "cnry-0123456789"));
        assert_eq!(code, 3);
        assert!(!format!("{out}{err}").contains("cnry"), "{out}{err}");
        assert!(err.contains("settings never hold a secret itself"), "{err}");
    }
}

#[test]
fn secrets_are_masked_unless_revealed() {
    let temp = tempfile::tempdir().unwrap();
    let with_key = |arguments: &[&str]| {
        let mut command = marketlake(temp.path(), arguments);
        run(command.env("MARKETLAKE_SECRET_MARKETSTACK_ACCESS_KEY", "cnry-0123456789"))
    };
    let (code, out, err) = with_key(&["secrets", "list"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("marketstack-access-key") && !out.contains("cnry"), "{out}");
    let (code, out, _) = with_key(&["secrets", "check"]);
    assert_eq!(code, 0);
    assert!(out.contains("found") && !out.contains("cnry"), "{out}");
    let (code, out, _) = with_key(&["secrets", "get", "env/marketstack-access-key"]);
    assert_eq!((code, out.as_str()), (0, "********\n"));
    let (code, out, _) = with_key(&["secrets", "get", "env/marketstack-access-key", "--reveal"]);
    assert_eq!((code, out.as_str()), (0, "cnry-0123456789\n"));

    let (code, _, err) = run(&mut marketlake(temp.path(), &["secrets", "get", "env/other-key"]));
    assert_eq!(code, 3);
    assert!(err.contains("MARKETLAKE_SECRET_OTHER_KEY"), "the remedy is named: {err}");
    let (code, out, _) = run(&mut marketlake(temp.path(), &["secrets", "check"]));
    assert_eq!(code, 3);
    assert!(out.contains("is not set"), "{out}");
}

#[test]
fn a_secret_that_a_setting_waits_for_can_be_looked_for_and_stored() {
    let temp = tempfile::tempdir().unwrap();
    let settings = "[topic]\nbrokers = \"{{secrets/local/brokers}}\"\n\
                    [topic.kafka]\nsecurity_protocol = \"PLAINTEXT\"\n\
                    [secrets.scopes.local]\nprovider = \"vault\"\npath = \"vault.age\"\n\
                    passphrase = \"{{secrets/env/passphrase}}\"\n";
    fs::write(temp.path().join("lake.toml"), settings).unwrap();
    let command = |arguments: &[&str]| {
        let mut command =
            marketlake(temp.path(), &[&["--config", "lake.toml"], arguments].concat());
        command.env("MARKETLAKE_SECRET_PASSPHRASE", "as long as a passphrase has to be");
        command
    };
    let ran = |arguments: &[&str]| run(&mut command(arguments));

    let (code, _, err) = ran(&["config", "check"]);
    assert_eq!(code, 3);
    assert!(err.contains("resolving the setting `topic.brokers`"), "{err}");
    for arguments in [&["secrets", "scopes"][..], &["secrets", "list"], &["config", "show"]] {
        let (code, out, err) = ran(arguments);
        assert_eq!(code, 0, "{arguments:?}: {err}");
        assert!(out.contains("local"), "{arguments:?}: {out}");
    }
    let (code, out, _) = ran(&["secrets", "check"]);
    assert_eq!(code, 3);
    assert!(out.contains("topic.brokers") && out.contains("source.access_key"), "{out}");
    let (code, out, err) = ran(&["doctor"]);
    assert_eq!(code, 3, "{err}");
    assert!(out.contains("brokers") && out.contains("not tried"), "{out}");
    assert!(
        !temp.path().join("marketlake-data").try_exists().unwrap(),
        "where it lies was not known yet"
    );

    let mut put = command(&["secrets", "put", "local/brokers"]);
    let (code, _, err) = run_with_input(&mut put, "kafka-1:9092\n");
    assert_eq!(code, 0, "{err}");
    let (code, out, err) = ran(&["config", "check"]);
    assert_eq!((code, out.as_str()), (0, "the settings are valid\n"), "{err}");
}

#[test]
fn a_reference_may_stand_for_a_number_a_switch_a_list_or_a_word() {
    let temp = tempfile::tempdir().unwrap();
    let settings = "[topic]\npartitions = \"{{secrets/env/partitions}}\"\n\
                    [poll]\nafter_hours = \"{{secrets/env/hours}}\"\n\
                    symbols = \"{{secrets/env/symbols}}\"\n\
                    [log]\nlevel = \"{{secrets/env/level}}\"\n";
    fs::write(temp.path().join("lake.toml"), settings).unwrap();
    let with = |partitions: &str, arguments: &[&str]| {
        let mut command =
            marketlake(temp.path(), &[&["--config", "lake.toml"], arguments].concat());
        run(command
            .env("MARKETLAKE_SECRET_MARKETSTACK_ACCESS_KEY", "cnry-0123456789")
            .env("MARKETLAKE_SECRET_PARTITIONS", partitions)
            .env("MARKETLAKE_SECRET_HOURS", "true")
            .env("MARKETLAKE_SECRET_SYMBOLS", "SPY, AAPL")
            .env("MARKETLAKE_SECRET_LEVEL", "info"))
    };
    for arguments in [&["config", "check"][..], &["secrets", "check"]] {
        let (code, out, err) = with("6", arguments);
        assert_eq!(code, 0, "{out}{err}");
        // They are words of many texts, and no secrets that have to be masked in them.
        assert!(!out.contains("[redacted]"), "{out}");
    }
    let (code, _, err) = with("700", &["config", "check"]);
    assert_eq!(code, 3);
    assert!(err.contains("topic.partitions") && err.contains("1 to 64"), "{err}");
}

#[test]
fn looking_at_a_folder_that_is_not_there_creates_nothing() {
    let temp = tempfile::tempdir().unwrap();
    for arguments in [&["status"][..], &["query", "SELECT 1"], &["verify"]] {
        let (code, out, err) = run(&mut marketlake(temp.path(), arguments));
        assert_eq!((code, out.as_str()), (3, ""), "{arguments:?}: {err}");
        assert!(err.contains("there is no data folder `marketlake-data`"), "{err}");
    }
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
}

#[test]
fn up_without_a_key_or_with_a_blocked_folder_is_one_clear_message() {
    let temp = tempfile::tempdir().unwrap();
    let (code, _, err) = run(&mut marketlake(temp.path(), &["up"]));
    assert_eq!(code, 3);
    assert!(err.contains("MARKETLAKE_SECRET_MARKETSTACK_ACCESS_KEY"), "{err}");

    fs::write(temp.path().join("file"), "").unwrap();
    let (code, _, err) = run(&mut marketlake(temp.path(), &["serve", "--data-dir", "file"]));
    assert_eq!(code, 3);
    assert!(err.contains("creating the data folder") && err.contains("--data-dir"), "{err}");
}

#[test]
fn a_port_in_use_is_named_with_its_setting() {
    let temp = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut command = marketlake(temp.path(), &["serve"]);
    let (code, _, err) = run(command.env("MARKETLAKE__HTTP__BIND", format!("127.0.0.1:{port}")));
    assert_eq!(code, 3);
    assert!(err.contains(&format!("port {port} is in use")) && err.contains("http.bind"), "{err}");
}
