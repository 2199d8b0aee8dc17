"""A proxy of the environment: used for other machines, named where it fails, never asked for this machine."""

from __future__ import annotations

import socket
from contextlib import closing

import httpx
import pytest

from api.client import Client
from api.client.proxies import on_this_machine, proxy_for, shown
from ruleforge.errors import InputError, ServiceError
from tests.ports import free_port

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("proxy", ["http://user:secret@127.0.0.1:{}", "127.0.0.1:{}"])
def test_a_proxy_that_does_not_answer_is_named(monkeypatch, variable, proxy):
    proxy = proxy.format(free_port())
    monkeypatch.setenv(variable, proxy)
    with pytest.raises(ServiceError, match=r"the proxy http://127\.0\.0\.1") as refused:
        Client("http://service.invalid:8000").tasks()
    assert "NO_PROXY=service.invalid" in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "proxy", ["nonsense://x", "socks5://127.0.0.1:1", "http://", "http://[::1", "http://x:port", "\t"]
)
def test_a_proxy_that_is_none_is_a_sentence(monkeypatch, proxy):
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises((InputError, ServiceError), match=r"http://service\.invalid"):
        Client("http://service.invalid:8000").tasks()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.9.8.7", "[::1]", "me.localhost"])
def test_this_machine_is_reached_without_a_proxy(monkeypatch, host):
    with closing(socket.create_server(("127.0.0.1", 0))) as proxy:
        proxy.settimeout(0)
        for variable in ("HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        with pytest.raises(ServiceError, match="no service answers"):
            Client(f"http://{host}:{free_port()}").tasks()
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_what_no_proxy_names_is_reached_without_one(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    assert proxy_for(httpx.URL("http://service.example")) == "http://proxy:3128"
    assert proxy_for(httpx.URL("https://service.example")) is None
    for listed in ("service.example", ".example", "other,service.example", "*"):
        monkeypatch.setenv("NO_PROXY", listed)
        assert proxy_for(httpx.URL("http://service.example")) is None


def test_which_hosts_are_this_machine():
    assert all(map(on_this_machine, ("localhost", "a.localhost", "127.0.0.1", "127.1.2.3", "::1", "0.0.0.0")))
    assert not any(map(on_this_machine, ("", "localhost.example", "128.0.0.1", "10.0.0.1", "example.org")))


def test_passwords_are_not_shown():
    assert shown("http://user:pass@word@host:1") == "http://host:1"
    assert shown("http://host") == "http://host"
