"""G.711: bit by bit what the standard's tables say, and what other people's code makes of it."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audio.g711 import A_LAW, MU_LAW, Law
from audio.pcm import from_int16

LAWS = pytest.mark.parametrize(("law", "name"), [(MU_LAW, "ULAW"), (A_LAW, "ALAW")])
EVERY = np.arange(-32768, 32768).astype(np.int16)
BYTES = bytes(range(256))


def exactly(values: np.ndarray) -> np.ndarray:
    """Samples that `to_int16` makes these steps of 16 bits of."""
    return (values / 32767).astype(np.float32)


@LAWS
def test_each_byte_is_the_value_that_libsndfile_reads(law: Law, name: str):
    read, _ = soundfile.read(io.BytesIO(BYTES), dtype="int16", **raw(name))
    assert law.decode(BYTES).tolist() == from_int16(read).tolist()


@LAWS
def test_each_of_65536_steps_is_the_byte_that_libsndfile_writes_but_on_a_decision_value(law: Law, name: str):
    written = io.BytesIO()
    soundfile.write(written, EVERY, 8000, format="RAW", subtype=name)
    ours = law.encode(exactly(EVERY))
    other = [int(x) for x, a, b in zip(EVERY, ours, written.getvalue(), strict=True) if a != b]
    # It cuts negative values towards 0 before it looks: there it takes the lower side of a decision value.
    between = [law.encode(exactly(np.array([x - 1, x + 1]))) for x in other]
    assert all(x < 0 and below != above for x, (below, above) in zip(other, between, strict=True))


@pytest.mark.parametrize(
    ("law", "value", "byte"),
    [  # G.711, tables 1a, 1b (its even bits inverted), 2a, 2b; and G.191 on a decision value
        *((MU_LAW, 0, 0xFF), (MU_LAW, -1, 0x7F), (MU_LAW, 32767, 0x80), (MU_LAW, -32768, 0x00)),
        *((MU_LAW, 3, 0xFF), (MU_LAW, 4, 0xFE), (MU_LAW, -4, 0x7F), (MU_LAW, -5, 0x7E)),
        *((MU_LAW, 124, 0xEF), (MU_LAW, 123, 0xF0), (MU_LAW, 1000, 0xCE), (MU_LAW, -1000, 0x4E)),
        *((A_LAW, 0, 0xD5), (A_LAW, -1, 0x55), (A_LAW, 32767, 0xAA), (A_LAW, -32768, 0x2A)),
        *((A_LAW, 15, 0xD5), (A_LAW, 16, 0xD4), (A_LAW, -16, 0x55), (A_LAW, -17, 0x54)),
    ],
)  # fmt: skip
def test_known_values(law: Law, value: int, byte: int):
    assert law.encode(exactly(np.array([value]))) == bytes([byte])


@LAWS
def test_a_byte_comes_back_as_itself_but_for_the_negative_zero(law: Law, name: str):
    back = law.encode(law.decode(BYTES))
    assert [byte for byte in range(256) if back[byte] != byte] == ([0x7F] if law is MU_LAW else [])


@LAWS
@given(values=st.lists(st.floats(-1, 1, width=32), max_size=50))
def test_what_comes_back_is_within_half_a_step(law: Law, name: str, values: list[float]):
    samples = np.array(values, np.float32)
    error = np.abs(law.decode(law.encode(samples)) - samples)
    assert (error <= np.maximum(np.abs(samples) / 32, 1 / 2048)).all()


def raw(name: str) -> dict:
    return {"samplerate": 8000, "channels": 1, "format": "RAW", "subtype": name}
