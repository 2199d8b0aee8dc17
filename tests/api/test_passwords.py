"""No message, log or answer repeats the password of an address."""

from __future__ import annotations

import httpx
import pytest

from api.client import Client
from api.http.telemetry import configure_logging
from ruleforge.errors import RuleforgeError
from ruleforge.passwords import hide_passwords
from ruleforge.store import open_store
from ruleforge.store.database import Address

PASSWORD = "s3cr3t"
ADDRESSES = [
    "http://user:s3cr3t@host:8000",
    "https://user:s3cr3t@host/path?x=1",
    "http://:s3cr3t@host",
    "http://user:p@s3cr3t@host",
    "http://user:a/s3cr3t@host",
    "http://user:a:s3cr3t@host",
    "http://user:s3cr3t@",
    "http://user:s3cr3t@[::1]:8000",
    "HTTP://USER:s3cr3t@HOST",
    "postgresql://user:s3cr3t@host/record",
    "postgresql+psycopg://user:s3cr3t@host:5432/record",
    "postgresql://host/record?user=u&password=s3cr3t",
    "postgresql://host/record?sslpassword=s3cr3t&x=1",
    "postgresql://user:s3cr3t@host/record?password=s3cr3t",
    "postgresql://user:s3cr3t@host:port/record",
    "mysql://user:s3cr3t@host/record",
    "nonsense://user:s3cr3t@host/record",
    "sqlite://user:s3cr3t@host/record.db",
    "tcp://user:s3cr3t@scheduler:8786",
    "http://user:s3cr3t@host:notaport",
    "http://user:s3cr3t@127.0.0.1:1",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_text_has_it(address):
    shown = hide_passwords(f"before {address} after")
    assert PASSWORD not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert "***" in shown
    assert hide_passwords(shown) == shown


@pytest.mark.parametrize(
    "text",
    ["http://127.0.0.1:8000/x?limit=1", "sqlite:///ruleforge.db", "a: b@c", "(R - 1)*E", "user:name@host", "::1"],
)
def test_other_text_stays(text):
    assert hide_passwords(text) == text


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_error_and_no_name_has_it(address):
    for attempt in (
        lambda: Address.parse(address),
        lambda: open_store(address) if "sqlite" in address else Address.parse(address),
        lambda: Client(address, timeout=0.2),
        lambda: Client(address, timeout=0.2).jobs(),
    ):
        try:
            said = repr(attempt()) if not isinstance(found := attempt(), Address) else found.name
        except (RuleforgeError, httpx.HTTPError) as error:
            said = f"{error} {error!r}"
        assert PASSWORD not in said


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_command_repeats_it(here, address):
    commands = [
        ("submit", "reward", "--server", address),
        ("watch", "abcd", "--server", address),
        ("jobs", "--db", address),
    ]
    for command in commands[: 2 if address.startswith("post") else 3]:
        done = here(*command)
        assert done.code in (1, 2)
        assert PASSWORD not in done.err + done.out


def test_no_line_of_the_log_has_it(capfd):
    import logging

    import structlog

    try:
        configure_logging()
        for address in ADDRESSES:
            structlog.get_logger().warning("a_fault", where=address, exc_info=ValueError(address))
            logging.getLogger("other").warning("a fault at %s", address)
        written = capfd.readouterr().err
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers.clear()
    assert written.count("\n") >= 2 * len(ADDRESSES)
    assert PASSWORD not in written
