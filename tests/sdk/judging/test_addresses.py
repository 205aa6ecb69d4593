from __future__ import annotations

import pytest
from pydantic import SecretStr

from orality import JudgeError
from orality.judging import check_url, is_private, read_key, redact


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000/v1", "http://127.0.0.1", "https://[::1]:8000/v1", "http://10.1.2.3",
        "http://192.168.0.7:1234", "http://172.16.0.1", "http://judge.localhost", "http://LOCALHOST",
        "http://[fe80::1%25eth0]/v1", "http://[::ffff:10.0.0.1]", "http://169.254.1.1",
    ],
)  # fmt: skip
def test_this_machine_and_its_private_network_are_local(url):
    assert is_private(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1", "http://8.8.8.8", "http://127.0.0.1.example.org", "http://gpu",
        "http://localhost.example.org", "http://localhost@example.org", "http://[2001:4860::1]",
        "http://[::ffff:8.8.8.8]", "http://172.32.0.1", "", "localhost", "http://[", "http://2130706433",
    ],
)  # fmt: skip
def test_everything_else_is_not(url):
    assert not is_private(url)


def test_an_address_loses_its_final_slash():
    assert check_url("https://host/v1/", with_key=True) == "https://host/v1"
    assert check_url("http://10.0.0.1/v1", with_key=True) == "http://10.0.0.1/v1"
    assert check_url("http://host/v1", with_key=False) == "http://host/v1"


def test_a_key_with_a_line_break_is_refused_without_being_shown(monkeypatch):
    monkeypatch.setenv("A_KEY", "sk-secret\r\nX: y")
    with pytest.raises(JudgeError) as caught:
        read_key("A_KEY", judge="j")
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("A_KEY", " sk-secret\n")
    key = read_key("A_KEY", judge="j")
    assert key.get_secret_value() == "sk-secret"
    assert "secret" not in repr(key).replace("SecretStr", "")


def test_a_key_is_struck_out():
    assert redact("bad key sk-1: sk-1!", SecretStr("sk-1")) == "bad key ***: ***!"
    assert redact("bad key", None) == "bad key"
