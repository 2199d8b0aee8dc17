"""Server-sent events: bytes in any pieces → whole events."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.client.events import Event, parsed

STREAM = (
    b"retry: 1000\n\n"
    b': ping\n\nid: 1\nevent: state\ndata: {"state": "queued", "reason": "a\xe2\x80\xa8b"}\n\n'
    b'event: generation\nid: 2\ndata: {"number": 0,\ndata: "best": null}\n\n'
    b': ping\n\nid:3\nevent:front\ndata:{"items": []}\n\n'
)
EVENTS = [
    Event(1, "state", {"state": "queued", "reason": "a\u2028b"}),
    Event(2, "generation", {"number": 0, "best": None}),
    Event(3, "front", {"items": []}),
]


def pieces(data, places):
    cuts = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(cuts)]


@settings(derandomize=True, deadline=None, database=None)
@given(st.lists(st.integers(0, 10_000), max_size=30), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_events_do_not_depend_on_how_the_bytes_came(places, ending):
    # The end of a stream whose lines end in \r shows only with what follows.
    data = STREAM.replace(b"\n", ending) + b": ping"
    assert list(parsed(pieces(data, places))) == EVENTS


@pytest.mark.parametrize("length", range(len(STREAM)))
def test_an_event_that_was_cut_off_is_none(length):
    found = list(parsed([STREAM[:length]]))
    assert found == EVENTS[: len(found)]
    assert len(found) == STREAM[:length].count(b"}\n\n")


def test_what_has_no_id_or_no_data_is_no_event():
    assert list(parsed([b"data: 1\n\nid: 4\n\nid: x\ndata: 1\n\nid: 5\ndata: [1]\n\n"])) == [Event(5, "message", [1])]
