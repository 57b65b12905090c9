"""The wire's decoder returns frames or a typed error, whatever the bytes."""

from __future__ import annotations

import contextlib
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_image import wire

LIMITS = {wire.STAGE: 100, wire.PREDICTIONS: 1000}


@given(st.binary(max_size=400))
def test_any_bytes_give_frames_or_a_wire_error(data: bytes) -> None:
    decoder = wire.Decoder(wire.FROM_SUPERVISOR | wire.FROM_PARSER)
    try:
        frames = list(decoder.feed(data))
    except wire.WireError:
        return
    assert sum(wire.HEADER.size + len(frame.payload) for frame in frames) + decoder.pending == len(data)


@given(st.lists(st.binary(max_size=100), max_size=8), st.integers(min_value=1, max_value=50))
def test_frames_survive_any_cutting_of_the_stream(payloads: list[bytes], size: int) -> None:
    stream = b"".join(wire.encode(wire.STAGE, payload) for payload in payloads)
    decoder = wire.Decoder(LIMITS)
    frames = [frame for start in range(0, len(stream), size) for frame in decoder.feed(stream[start : start + size])]
    assert [frame.payload for frame in frames] == payloads


def test_a_lying_length_is_refused_before_its_payload_comes() -> None:
    with pytest.raises(wire.WireError, match="over its limit"):
        list(wire.Decoder(LIMITS).feed(struct.pack(">cI", wire.STAGE, 2**31)))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(wire.WireError, match="unknown frame kind"):
        list(wire.Decoder(LIMITS).feed(wire.encode(b"?", b"")))


@pytest.mark.parametrize("rubbish", [b"\xff" * 8, struct.pack(">cI", wire.STAGE, 2**31)])
def test_what_comes_whole_before_a_broken_frame_counts(rubbish: bytes) -> None:
    frames = wire.Decoder(LIMITS).feed(wire.encode(wire.STAGE, b"one") + wire.encode(wire.STAGE, b"two") + rubbish)
    assert [next(frames).payload, next(frames).payload] == [b"one", b"two"]
    with pytest.raises(wire.WireError):
        next(frames)


@given(st.binary(max_size=300))
def test_any_bytes_give_an_object_or_a_wire_error(data: bytes) -> None:
    with contextlib.suppress(wire.WireError):
        assert isinstance(wire.decode_json(data), dict)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": NaN}',
        r'{"a": "\ud800"}',
        r'{"\udfff": 1}',
        '{"a": Infinity}',
        '{"a": 1e999}',
        '{"a": 1, "a": 2}',
        "[1]",
        '{"a": 1} trailing',
        '{"a": ' + "1" * 5000 + "}",
        '{"a": ' + "[" * 30000,
        '{"a": "' + "x" * wire.JSON_LIMIT + '"}',
        '{"a": "\ud800"}'.encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
)
def test_json_that_is_not_strict_is_refused(text: str) -> None:
    with pytest.raises(wire.WireError):
        wire.decode_json(text.encode("latin-1", "replace"))


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.none(), max_size=5))
def test_json_comes_back_as_it_was_sent(value: dict[str, object]) -> None:
    (frame,) = wire.Decoder({wire.CLAIM: wire.JSON_LIMIT}).feed(wire.encode_json(wire.CLAIM, value))
    assert frame.json() == json.loads(json.dumps(value))
