"""A server with certificates, a second role and an audit, and one that does not start."""

import json

from harness import Process

DESK = "desk"


def settings(folder, **changes):
    """Settings of a server with TLS, a second role and an audit; `changes` are whole sections."""
    sections = {
        "http": {"bind": "127.0.0.1:0"},
        "postgres": {"bind": "127.0.0.1:0"},
        "postgres.tls": {"cert_file": f"{folder}/cert.pem", "key_file": f"{folder}/key.pem"},
        "serve.audit": {"enabled": True},
        **changes,
    }
    lines = [f"data_dir = {json.dumps(str(folder / 'data'))}"]
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    path = folder / "marketlake.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def role(folder, *arguments):
    """Lets marketlake make up a password; returns it with the lines of the settings."""
    process = Process("role", ["--output", "json", "role", DESK, *arguments], folder)
    assert process.wait() == 0, process.errors()
    made = json.loads(process.output())
    assert made["setting"]["path"] == f"postgres.roles.{DESK}"
    assert made["password"] not in json.dumps(made["setting"]), "the password is in the settings"
    return made["password"], made["setting"]["value"]


def refuses(folder, path, *wanted):
    process = Process("serve", ["--config", path, "serve"], folder)
    assert process.wait() == 3, process.output() + process.errors()
    for text in wanted:
        assert text in process.errors(), process.errors()
