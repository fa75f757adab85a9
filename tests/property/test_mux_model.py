"""Two muxes under arbitrary interleavings: bytes arrive intact and in order, credit holds, nothing ever gets stuck."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.property.mux_world import assert_all_arrived, deliver, settle, world

sides = st.sampled_from([0, 1])
picks = st.integers(0, 5)


class TwoMuxes(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ends = world()
        self.counter = 0

    def fresh(self, size: int) -> bytes:
        """Bytes that differ from all others, so that a swap or a repetition shows."""
        self.counter += 1
        return (self.counter.to_bytes(3, "big") * (size // 3 + 1))[:size]

    @staticmethod
    def pick(choices: list[int], number: int) -> int | None:
        return sorted(choices)[number % len(choices)] if choices else None

    @rule(side=sides)
    def open(self, side):
        mux = self.ends[side].mux
        if mux.can_open():
            mux.open_stream({"host": "192.168.1.10", "port": 80})

    @rule(side=sides, number=picks)
    def accept(self, side, number):
        end = self.ends[side]
        stream = self.pick(list(end.offered), number)
        if stream is not None:
            end.offered.discard(stream)
            end.mux.accept_stream(stream)

    @rule(side=sides, number=picks, size=st.integers(1, 40))
    def write(self, side, number, size):
        end = self.ends[side]
        stream = self.pick(end.writable(), number)
        if stream is not None:
            end.write(stream, self.fresh(size))

    @rule(side=sides, number=picks)
    def say_eof(self, side, number):
        end = self.ends[side]
        stream = self.pick(end.writable(), number)
        if stream is not None:
            end.said_eof.add(stream)
            end.mux.send_eof(stream)

    @precondition(lambda self: self.counter % 4 == 3)  # seldom, or streams never live for long
    @rule(side=sides, number=picks)
    def reset(self, side, number):
        end = self.ends[side]
        stream = self.pick(end.live(), number)
        if stream is not None:
            end.reset(stream)

    @rule(side=sides, number=picks, size=st.integers(1, 40))
    def read(self, side, number, size):
        end = self.ends[side]
        stream = self.pick([s for s, unread in end.unread.items() if unread], number)
        if stream is not None:
            end.consume(stream, size)

    @rule(side=sides, size=st.integers(1, 60))
    def datagrams(self, side, size):
        self.ends[side].mux.send_datagrams(min(20, size), self.fresh(size))

    @rule(side=sides, number=picks)
    def control(self, side, number):
        self.ends[side].mux.send_control({"number": number})
        self.ends[side].mux.ping(bytes([number]))

    @rule(side=sides, count=st.integers(1, 6))
    def flush(self, side, count):
        self.ends[side].flush(count)
        self.ends[side].take_events()

    @rule(side=sides, count=st.integers(1, 6))
    def deliver(self, side, count):
        deliver(self.ends[side], self.ends[1 - side], count)

    @invariant()
    def bounded_and_in_order(self):
        for end, other in (self.ends, self.ends[::-1]):
            end.check()
            for stream, data in end.got.items():
                assert other.sent[stream].startswith(data)

    def teardown(self):
        settle(*self.ends)
        assert_all_arrived(*self.ends)


TestTwoMuxes = TwoMuxes.TestCase
TestTwoMuxes.settings = settings(settings.default, stateful_step_count=60)
