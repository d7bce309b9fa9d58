"""The address of the API server and credentials: kubeconfig files, service accounts, credential plugins."""

import base64
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from podrelay.kube import config
from podrelay.kube.errors import KubeConfigError


@pytest.fixture(autouse=True)
def outside_of_any_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(config, "SERVICE_ACCOUNT", tmp_path / "no-service-account")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    folder = tmp_path_factory.mktemp("certificate")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "crt"), "-subj", "/CN=test", "-days", "2"]
    subprocess.run([*command, *files], check=True, capture_output=True)
    return (folder / "crt").read_bytes(), (folder / "key").read_bytes()


def kubeconfig(folder: Path, user: dict[str, Any] | None = None, name: str = "config", **cluster: Any) -> Path:
    document = {
        "current-context": "one",
        "contexts": [
            {"name": "one", "context": {"cluster": "here", "user": "me", "namespace": "shop"}},
            {"name": "two", "context": {"cluster": "there"}},
            {"name": "lost", "context": {"cluster": "nowhere"}},
            {"name": "empty", "context": {"cluster": "empty"}},
        ],
        "clusters": [
            {"name": "here", "cluster": {"server": "http://127.0.0.1:8001/", **cluster}},
            {"name": "there", "cluster": {"server": "http://127.0.0.1:8002"}},
            {"name": "empty", "cluster": {}},
        ],
        "users": [{"name": "me", "user": user or {}}],
    }
    path = folder / name
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_current_context_is_used(tmp_path: Path) -> None:
    connection = config.load(kubeconfig(tmp_path, {"token": "t0"}))

    assert (connection.server, connection.namespace) == ("http://127.0.0.1:8001", "shop")
    assert connection.token() == "t0"
    assert connection.ssl_context is None
    assert not connection.token_blocks


def test_another_context_can_be_named(tmp_path: Path) -> None:
    connection = config.load(kubeconfig(tmp_path), "two")

    assert (connection.server, connection.namespace) == ("http://127.0.0.1:8002", "default")
    assert connection.token() is None


def test_kubeconfig_in_the_environment_takes_precedence_over_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kubeconfig(tmp_path)
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}:{path}")

    assert config.load().server == "http://127.0.0.1:8001"


def test_kubeconfig_in_the_home_folder_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "home" / ".kube").mkdir(parents=True)
    kubeconfig(tmp_path / "home" / ".kube")

    assert config.load().server == "http://127.0.0.1:8001"


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ("missing", "no context named 'missing'"),
        ("lost", "no cluster named 'nowhere'"),
        ("empty", "has no server"),
    ],
)
def test_missing_entries_are_named(tmp_path: Path, context: str, words: str) -> None:
    with pytest.raises(KubeConfigError, match=words):
        config.load(kubeconfig(tmp_path), context)


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "is not YAML"), ("", "has no current-context"), ("- a", "is not a kubeconfig"), ("x", "is not a")],
)
def test_a_file_that_is_not_a_kubeconfig_is_rejected(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)

    with pytest.raises(KubeConfigError, match=words):
        config.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeConfigError, match=r"cannot read the kubeconfig .*nothing"):
        config.load(tmp_path / "nothing")


# --- credentials ------------------------------------------------------------------------------------------------------


def test_a_token_file_is_read_again_but_not_for_each_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    now = 1000.0
    monkeypatch.setattr("podrelay.kube.config.time.monotonic", lambda: now)
    (tmp_path / "token").write_text("first\n")
    token = config.load(kubeconfig(tmp_path, {"tokenFile": "token"})).token
    assert token() == "first"

    # when the file changes
    (tmp_path / "token").write_text("second\n")

    # then
    now += 29
    assert token() == "first"
    now += 2
    assert token() == "second"


def test_the_last_token_is_kept_while_its_file_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("podrelay.kube.config.time.monotonic", lambda: now)
    (tmp_path / "token").write_text("first\n")
    token = config.load(kubeconfig(tmp_path, {"tokenFile": "token"})).token
    token()

    (tmp_path / "token").unlink()
    now += 100

    assert token() == "first"


def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    token = config.load(kubeconfig(tmp_path, {"tokenFile": "token"})).token

    with pytest.raises(KubeConfigError, match="token"):
        token()


def test_a_client_certificate_is_read_from_data(tmp_path: Path, certificate: tuple[bytes, bytes]) -> None:
    crt, key = (base64.b64encode(part).decode() for part in certificate)
    user = {"client-certificate-data": crt, "client-key-data": key}

    context = config.load(
        kubeconfig(tmp_path, user, server="https://x", **{"certificate-authority-data": crt})
    ).ssl_context

    assert context is not None
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1


def test_a_client_certificate_is_read_from_files_next_to_the_kubeconfig(
    tmp_path: Path, certificate: tuple[bytes, bytes]
) -> None:
    (tmp_path / "crt").write_bytes(certificate[0])
    (tmp_path / "key").write_bytes(certificate[1])
    user = {"client-certificate": "crt", "client-key": "key"}

    path = kubeconfig(tmp_path, user, server="https://x", **{"certificate-authority": "crt"})

    assert config.load(path).ssl_context is not None


@pytest.mark.parametrize(
    "cluster",
    [
        {"certificate-authority": "missing.crt"},
        {"certificate-authority-data": base64.b64encode(b"no certificate").decode()},
    ],
)
def test_invalid_certificates_are_rejected(tmp_path: Path, cluster: dict[str, Any]) -> None:
    with pytest.raises(KubeConfigError, match="certificate"):
        config.load(kubeconfig(tmp_path, server="https://x", **cluster))


def test_verification_can_be_disabled(tmp_path: Path) -> None:
    cluster: dict[str, Any] = {"server": "https://x", "insecure-skip-tls-verify": True}
    path = kubeconfig(tmp_path, **cluster)

    context = config.load(path).ssl_context

    assert context is not None
    assert context.verify_mode == ssl.CERT_NONE


# --- credential plugins -----------------------------------------------------------------------------------------------


def plugin(folder: Path, answer: str, *arguments: str, **fields: Any) -> dict[str, Any]:
    """A plugin that records each of its calls in the file `calls`."""
    script = folder / "plugin.py"
    script.write_text(
        "import json, os, sys\n"
        f"open({str(folder / 'calls')!r}, 'a').write('x')\n"
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        f"print({answer!r} % dict(kind=info['kind'], arg=sys.argv[1], env=os.environ.get('COLOUR')))\n"
    )
    command = {"command": sys.executable, "args": ["-I", str(script), "argument"], "env": fields.pop("env", None)}
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", **command, **fields}}


def calls(folder: Path) -> int:
    return len((folder / "calls").read_text())


def test_a_plugin_runs_once_while_its_token_is_valid(tmp_path: Path) -> None:
    answer = '{"status": {"token": "%(kind)s-%(arg)s-%(env)s", "expirationTimestamp": "2999-01-01T00:00:00Z"}}'
    user = plugin(tmp_path, answer, env=[{"name": "COLOUR", "value": "red"}])

    connection = config.load(kubeconfig(tmp_path, user))

    assert connection.token_blocks
    assert [connection.token(), connection.token()] == ["ExecCredential-argument-red"] * 2
    assert calls(tmp_path) == 1


def test_a_plugin_runs_again_when_its_token_has_expired(tmp_path: Path) -> None:
    answer = '{"status": {"token": "t", "expirationTimestamp": "2001-01-01T00:00:00Z"}}'
    token = config.load(kubeconfig(tmp_path, plugin(tmp_path, answer))).token

    token()
    token()

    assert calls(tmp_path) == 2


@pytest.mark.parametrize(
    "answer",
    [
        "nonsense",
        "{}",
        "[]",
        '{"status": null}',
        '{"status": {}}',
        '{"status": {"token": "t", "expirationTimestamp": "x"}}',
    ],
)
def test_a_plugin_that_returns_no_token_is_named(tmp_path: Path, answer: str) -> None:
    token = config.load(kubeconfig(tmp_path, plugin(tmp_path, answer))).token

    with pytest.raises(KubeConfigError, match=r"plugin.py"):
        token()


def test_a_plugin_that_does_not_exist_is_named(tmp_path: Path) -> None:
    token = config.load(kubeconfig(tmp_path, {"exec": {"command": "/nowhere/plugin"}})).token

    with pytest.raises(KubeConfigError, match="/nowhere/plugin"):
        token()


# --- in a pod ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: tuple[bytes, bytes]) -> Path:
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    for name, content in (("token", b"pod-token\n"), ("namespace", b"system\n"), ("ca.crt", certificate[0])):
        (folder / name).write_bytes(content)
    monkeypatch.setattr(config, "SERVICE_ACCOUNT", folder)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return folder


@pytest.mark.usefixtures("service_account")
def test_in_a_pod_its_service_account_is_used() -> None:
    connection = config.load()

    assert (connection.server, connection.namespace, connection.token()) == (
        "https://10.0.0.1:443",
        "system",
        "pod-token",
    )


@pytest.mark.usefixtures("service_account")
def test_an_ipv6_address_gets_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")

    assert config.load().server == "https://[fd00::1]:443"


@pytest.mark.usefixtures("service_account")
def test_a_pod_without_the_address_of_the_api_server_gets_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")

    with pytest.raises(KubeConfigError, match="KUBERNETES_SERVICE_HOST"):
        config.load()


@pytest.mark.usefixtures("service_account")
def test_the_users_choice_takes_precedence_over_the_service_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kubeconfig(tmp_path)
    assert config.load(path).server == "http://127.0.0.1:8001"

    monkeypatch.setenv("KUBECONFIG", str(path))
    assert config.load().server == "http://127.0.0.1:8001"
    assert config.load(context="two").server == "http://127.0.0.1:8002"


def test_a_connection_without_credentials_has_neither_token_nor_certificate(
    tmp_path: Path, certificate: tuple[bytes, bytes]
) -> None:
    crt, key = (base64.b64encode(part).decode() for part in certificate)
    user = {"client-certificate-data": crt, "client-key-data": key, "exec": {"command": "no-such-program"}}
    path = kubeconfig(tmp_path, user)
    bare = config.load(path, with_credentials=False)

    assert bare.server == config.load(path).server
    assert bare.token() is None
    assert not bare.token_blocks


@pytest.mark.usefixtures("service_account")
def test_in_a_pod_credentials_are_optional_too() -> None:
    assert config.load(with_credentials=False).token() is None
