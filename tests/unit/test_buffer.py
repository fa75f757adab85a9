"""The byte queue: order, limits, and that small pieces do not cost an object each."""

from hypothesis import given
from hypothesis import strategies as st

from plantgate_shared.protocol.buffer import ByteQueue


@given(st.lists(st.one_of(st.binary(max_size=50), st.integers(900, 3000).map(bytes), st.integers(1, 40))))
def test_bytes_come_out_as_they_went_in(steps):
    """A number takes that many bytes, bytes are appended."""
    queue, expected, taken = ByteQueue(), b"", b""
    for step in steps:
        if isinstance(step, int):
            got = queue.take(step)
            assert type(got) is bytes
            assert len(got) <= step
            assert got or not queue.size
            taken += got
        else:
            queue.append(step)
            expected += step
        assert queue.size == len(expected) - len(taken)
    while queue.size:
        taken += queue.take(1000)
    assert taken == expected


def test_a_large_piece_comes_out_uncopied():
    queue, piece = ByteQueue(), bytes(5000)
    queue.append(piece)
    assert queue.take(10_000) is piece


def test_whole_pieces_stay_whole():
    queue = ByteQueue()
    for letter in b"abc":
        queue.append(bytes([letter]) * 4000)
    parts, size = queue.take_parts(9000)
    assert [len(part) for part in parts] == [4000, 4000]
    assert size == 8000
    assert queue.take(100) == b"c" * 100
    assert queue.take(9000) == b"c" * 3900


def test_single_bytes_are_gathered():
    queue = ByteQueue()
    for number in range(100_000):
        queue.append(bytes([number % 256]))
    assert len(queue._pieces) < 10
    assert queue.take(100_000)[:3] == b"\0\1\2"


def test_clear_empties_it():
    queue = ByteQueue()
    queue.append(b"x")
    queue.clear()
    assert (queue.size, queue.take(10)) == (0, b"")
