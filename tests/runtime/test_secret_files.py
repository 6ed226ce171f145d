"""Secrets from files: each mistake is told in one line at the start, and never with what a variable or a file says."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic_settings import SettingsError

from runtime.secrets.files import MAX_BYTES, SecretFileError, read_secret, secret_variables
from runtime.settings import Settings
from tests.helpers.deployed import ROOT

SECRET = "tell-nobody-4711"
"""16 bytes, so that twice it is a key."""
VARIABLES = sorted(secret_variables(Settings).items())


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without any of the product's settings."""
    for name in os.environ:
        if name.startswith("MANAGE_") or "DATABASE_URL" in name:
            monkeypatch.delenv(name)


def secret_file(folder: Path, content: bytes = SECRET.encode(), mode: int = 0o600) -> Path:
    path = folder / "a-secret"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(("field", "variable"), VARIABLES)
def test_every_secret_may_stand_in_a_file(
    field: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = f"k:{base64.b64encode(SECRET.encode() * 2).decode()}" if field == "payload_keys" else SECRET
    monkeypatch.setenv(f"{variable}_FILE", str(secret_file(tmp_path, secret.encode())))
    for other in ("MANAGE_OIDC_ISSUER", "MANAGE_PUBLIC_URL"):
        monkeypatch.setenv(other, "https://there.example" if field == "oidc_client_secret" else "")
    monkeypatch.setenv("MANAGE_OIDC_CLIENT_ID", "depot" if field == "oidc_client_secret" else "")
    # Compose passes on what is empty.
    monkeypatch.setenv(variable, "")
    settings = Settings()
    assert getattr(settings, field).get_secret_value() == secret
    assert secret not in repr(settings) + str(settings.model_dump())


@pytest.mark.parametrize(("field", "variable"), VARIABLES)
def test_a_secret_is_given_once(field: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{variable}_FILE", str(secret_file(tmp_path)))
    monkeypatch.setenv(variable, f"other-{SECRET}")
    with pytest.raises(SettingsError, match=f"{variable} and {variable}_FILE are both set") as refused:
        Settings()
    assert SECRET not in str(refused.value), field


@pytest.mark.parametrize(
    "content", [SECRET.encode() + b"\n", SECRET.encode() + b"\r\n", b"\xef\xbb\xbf" + SECRET.encode() + b"\n\n"]
)
def test_what_editors_add_is_no_part_of_it(tmp_path: Path, content: bytes) -> None:
    assert read_secret(str(secret_file(tmp_path, content))) == SECRET


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf \n", "empty"),
        (SECRET.encode() + b"\n" + SECRET.encode(), "more than one line"),
        (SECRET.encode() + b"\x00", "control characters"),
        (SECRET.encode("utf-16"), "no UTF-8 text"),
        (SECRET.encode() * MAX_BYTES, "larger than"),
    ],
)
def test_a_file_without_a_secret_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(SecretFileError, match=reason) as refused:
        read_secret(str(secret_file(tmp_path, content)))
    assert SECRET not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    for path, reason in {
        str(tmp_path): "folder or a device",
        str(tmp_path / "pipe"): "folder or a device",
        "/dev/zero": "folder or a device",
        str(tmp_path / "none"): "no such file",
        str(tmp_path / "round"): "cannot be read",
        "x" * 5000: "cannot be read",
        "a\x00b": "cannot be read",
        f"postgresql://u:{SECRET}@host/db": "no such file",
    }.items():
        with pytest.raises(SecretFileError, match=reason) as refused:
            read_secret(path)
        assert path not in str(refused.value)


def test_a_file_that_the_process_may_not_read_is_refused(tmp_path: Path) -> None:
    path = secret_file(tmp_path, mode=0o000)
    # Root may read everything.
    code = """if True:
        import os, sys
        from runtime.secrets.files import SecretFileError, read_secret
        os.geteuid() or os.seteuid(65534)
        try:
            read_secret(sys.argv[1])
        except SecretFileError as error:
            print(error)
    """
    for folder in tmp_path.parents[:2] if os.geteuid() == 0 else ():
        folder.chmod(0o711)
    tmp_path.chmod(0o711)
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "This process may not read the file.\n", done.stderr


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("program", [["worker.py"], ["-m", "cli.migrate"], ["-m", "cli", "up"]])
def test_a_process_names_every_wrong_file_and_ends(tmp_path: Path, program: list[str], log_format: str) -> None:
    environment = os.environ | {
        "DATABASE_URL": f"postgresql://u:{SECRET}@host/db",
        "DATABASE_URL_FILE": str(secret_file(tmp_path)),
        "MANAGE_MQTT_URL_FILE": f"mqtt://u:{SECRET}@host",
        "MANAGE_LOG_FORMAT": log_format,
        "MANAGE_DATA_DIR": str(tmp_path / "data"),
    }
    done = subprocess.run(
        [sys.executable, *program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == (1 if "cli" in program else 2), said
    assert "Traceback" not in said
    assert SECRET not in said
    for words in ("DATABASE_URL and DATABASE_URL_FILE are both set", "MANAGE_MQTT_URL_FILE: There is no such file."):
        assert words in " ".join(said.split())


def test_a_file_that_everybody_may_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = secret_file(tmp_path, mode=0o644)
    monkeypatch.setenv("MANAGE_MQTT_URL_FILE", str(path))
    monkeypatch.setenv("MANAGE_LOG_FORMAT", "json")
    monkeypatch.setenv("DATABASE_URL", "postgresql:///manage")
    code = "from runtime.begin import begin; begin()"
    lines = [
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stderr
        for mode in (0o644, 0o640)
        if path.chmod(mode) is None
    ]
    (line,) = lines[0].splitlines()
    assert json.loads(line)["setting"] == "MANAGE_MQTT_URL_FILE"
    assert lines[1] == ""
