"""Wrong settings: every problem at once, each in a line of its own with the remedy."""

from harness import Process


def check(folder, text, *arguments):
    path = folder / "marketlake.toml"
    path.write_text(text)
    process = Process("check", ["--config", path, *(arguments or ("config", "check"))], folder)
    return process.wait(), process.output() + process.errors()


def test_an_unknown_setting_names_the_nearest(folder):
    code, message = check(folder, '[source]\nacess_key = "x"\n')
    assert code == 3, message
    assert "acess_key" in message and "access_key" in message.replace("acess_key", ""), message


def test_all_problems_come_at_once(folder):
    code, message = check(
        folder,
        '[poll]\ninterval = "7m"\nsymbols = []\n[topic]\npartitions = 65\n[landing]\nage_max = "soon"\n'
        '[source]\nbase_url = "http://api.marketstack.com/v2"\n',
    )
    assert code == 3, message
    for name in ("poll.interval", "topic.partitions", "landing.age_max", "source.base_url"):
        assert name in message, f"`{name}` is not named:\n{message}"


def test_nothing_starts_with_wrong_settings(folder):
    code, message = check(folder, 'data_dir = "data"\n[poll]\nintervall = "1m"\n', "up")
    assert code == 3, message
    assert "intervall" in message
    assert not (folder / "data").exists(), "a data folder was created"


def test_a_missing_key_is_named(folder):
    code, message = check(folder, 'data_dir = "data"\n[http]\nbind = "127.0.0.1:0"\n', "poll")
    assert code == 3, message
    assert "MARKETLAKE_SECRET_MARKETSTACK_ACCESS_KEY" in message, message


def test_a_key_in_plain_text_is_refused_and_not_repeated(folder):
    code, message = check(folder, '[source]\naccess_key = "cnry-plain-0123456789"\n')
    assert code == 3, message
    assert "source.access_key" in message and "cnry-plain" not in message, message
