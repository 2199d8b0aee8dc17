"""Accept headers after RFC 9110."""

from __future__ import annotations

import pytest

from api.http.negotiation import CSV, JSON, LATEX, matches, preferred


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("*/*", JSON),
        ("", None),
        ("application/json", JSON),
        ("Application/JSON; charset=utf-8", JSON),
        ("text/csv", CSV),
        ("text/*", CSV),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
        ("application/json;q=0.4, text/csv;q=0.5", CSV),
        ("application/*, application/json;q=0.1", LATEX),
        ("*/*, application/json;q=0", CSV),
        ("*/*;q=0", None),
        ("application/json;q=x", None),
        ("image/png", None),
    ],
)
def test_what_a_client_prefers(accept, chosen):
    assert preferred(accept, (JSON, CSV, LATEX)) == chosen


def test_etags():
    assert matches(['"a", W/"b"'], '"b"')
    assert matches(['"a"', '"b"'], '"b"')
    assert matches(["*"], '"b"')
    assert not matches(['"a"'], '"b"')
    assert not matches([], '"b"')


def test_a_change_needs_a_strong_etag():
    assert matches(['"a", "b"'], '"b"', strong=True)
    assert matches(["*"], '"b"', strong=True)
    for weak in (['W/"b"'], ['"a", W/"b"'], ['w/"b"'], ["b"], ["W/*"], [""]):
        assert not matches(weak, '"b"', strong=True)
