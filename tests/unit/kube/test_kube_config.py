"""Where the API server is: kubeconfig files, tokens, credential plugins."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from podrelay.kube import config
from podrelay.kube.errors import KubeConfigError


def write(folder: Path, user: dict[str, Any], **more: Any) -> Path:
    path = folder / "config"
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443/"}}],
        "users": [{"name": "u", "user": user}],
        **more,
    }
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_plain_token(tmp_path: Path) -> None:
    connection = config.load(write(tmp_path, {"token": "abc"}))

    assert (connection.server, connection.namespace) == ("https://127.0.0.1:6443", "shop")
    assert connection.token() == "abc"
    assert not connection.token_blocks


def test_a_token_file_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "_TOKEN_REREAD_SECONDS", -1.0)
    (tmp_path / "token").write_text("one\n")
    connection = config.load(write(tmp_path, {"tokenFile": "token"}))
    assert connection.token() == "one"

    (tmp_path / "token").write_text("two\n")

    assert connection.token() == "two"


def test_a_credential_plugin_is_asked_once_until_its_answer_expires(tmp_path: Path) -> None:
    script = tmp_path / "plugin.py"
    script.write_text(
        "import json, os, pathlib\n"
        f"calls = pathlib.Path({str(tmp_path / 'calls')!r})\n"
        "calls.write_text((calls.read_text() if calls.exists() else '') + os.environ['WHO'])\n"
        "print(json.dumps({'status': {'token': 't', 'expirationTimestamp': '2999-01-01T00:00:00Z'}}))\n"
    )
    plugin = {"command": sys.executable, "args": [str(script)], "env": [{"name": "WHO", "value": "x"}]}
    connection = config.load(write(tmp_path, {"exec": plugin}))

    assert (connection.token(), connection.token()) == ("t", "t")
    assert (tmp_path / "calls").read_text() == "x"
    assert connection.token_blocks


def test_a_credential_plugin_that_fails_is_named(tmp_path: Path) -> None:
    connection = config.load(write(tmp_path, {"exec": {"command": "no-such-plugin"}}))

    with pytest.raises(KubeConfigError, match="no-such-plugin"):
        connection.token()


@pytest.mark.parametrize(
    ("change", "context", "words"),
    [
        ({"current-context": None}, None, "has no current-context; give --context"),
        ({}, "elsewhere", "no context named 'elsewhere'"),
        ({"clusters": []}, None, "no cluster named 'c'"),
        ({"users": []}, None, "no user named 'u'"),
        ({"clusters": [{"name": "c", "cluster": {}}]}, None, "has no server"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, change: dict[str, Any], context: str | None, words: str) -> None:
    path = write(tmp_path, {}, **change)

    with pytest.raises(KubeConfigError, match=words):
        config.load(path, context)


def test_a_file_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KubeConfigError, match="give --kubeconfig or set KUBECONFIG"):
        config.load(tmp_path / "none")
    (tmp_path / "bad").write_text("{")
    with pytest.raises(KubeConfigError, match="is not YAML"):
        config.load(tmp_path / "bad")


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'none'}:{write(tmp_path, {'token': 'abc'})}")

    assert config.load().token() == "abc"


def test_in_a_pod_the_service_account_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ssl

    monkeypatch.setattr(config, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setattr(ssl, "create_default_context", lambda cafile: None)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    (tmp_path / "token").write_text("abc")
    (tmp_path / "namespace").write_text("system")

    connection = config.load()

    assert (connection.server, connection.namespace, connection.token()) == ("https://[fd00::1]:443", "system", "abc")
