"""TunnelConnection in memory and over a real websocket: backpressure, fairness, cancellation, every kind of end."""

import asyncio
import hashlib
from typing import Any

import pytest

from plantgate_shared.protocol import GoAwayReason, Limits, ResetReason, Role, TunnelMux, frames
from plantgate_shared.protocol.errors import LocalProtocolError
from plantgate_shared.tunnel import EndCause, StreamReset, TunnelClosed, TunnelConnection, TunnelStream
from tests.eventually import eventually
from tests.harness.memory_channel import channel_pair
from tests.harness.tunnel_pair import PING, WAIT, memory_pair, websocket_pair

TARGET = {"host": "192.168.1.10", "port": 80}
BOTH = pytest.mark.parametrize("make", [memory_pair, websocket_pair], ids=["memory", "websocket"])


async def echo(stream: TunnelStream, target) -> None:
    stream.accept()
    while data := await stream.read():
        await stream.write(data)
    await stream.write_eof()


async def read_all(stream: TunnelStream) -> bytes:
    pieces = []
    while data := await stream.read():
        pieces.append(data)
    return b"".join(pieces)


class Device:
    """The agent's handler for streams, driven by the test: it accepts and then waits for orders."""

    def __init__(self) -> None:
        self.streams: list[TunnelStream] = []
        self.done = asyncio.Event()

    async def __call__(self, stream: TunnelStream, _target) -> None:
        stream.accept()
        self.streams.append(stream)
        await self.done.wait()


# --- bytes ------------------------------------------------------------------------------------------------------------


@BOTH
async def test_megabytes_arrive_intact_both_ways(make):
    sent = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(100_000))

    async def write(stream: TunnelStream) -> None:
        sizes, start = (1, 10, 1000, 16_384, 70_000, 300_000), 0
        while start < len(sent):
            size = sizes[start % len(sizes)]
            await stream.write(sent[start : start + size])
            start += size
        await stream.write_eof()

    async with make(agent={"on_stream": echo}) as pair:
        async with await pair.hub.open_stream(TARGET, WAIT) as stream:
            writing = asyncio.create_task(write(stream))
            assert await read_all(stream) == sent
            await writing
            assert stream.closed
        await eventually(lambda: pair.agent.mux.stream_count == pair.hub.mux.stream_count == 0)


@BOTH
async def test_both_ends_may_open_streams(make):
    async with make(hub={"on_stream": echo}, agent={"on_stream": echo}) as pair:
        for opener in (pair.hub, pair.agent):
            async with await opener.open_stream(TARGET, WAIT) as stream:
                await stream.write(bytearray(b"hello"))
                await stream.write_eof()
                await stream.write_eof()
                assert await read_all(stream) == b"hello"


async def test_small_writes_of_one_turn_leave_as_one_message():
    async with memory_pair(agent={"on_stream": echo}) as pair:
        stream = await pair.hub.open_stream(TARGET, WAIT)
        pair.channels[0].record = True
        for _ in range(50):
            await stream.write(b"word ")
        await stream.write_eof()
        assert await read_all(stream) == b"word " * 50
        sent = [frames.decode(message) for message in pair.channels[0].sent]
        assert sent[0] == frames.Data(2, b"word " * 50)


async def test_half_close_leaves_the_other_direction_open():
    async def answer_after_eof(stream: TunnelStream, target) -> None:
        stream.accept()
        request = await read_all(stream)
        await stream.write(b"you said " + request)
        await stream.write_eof()

    async with memory_pair(agent={"on_stream": answer_after_eof}) as pair:
        stream = await pair.hub.open_stream(TARGET, WAIT)
        await stream.write(b"GET /")
        await stream.write_eof()
        assert await read_all(stream) == b"you said GET /"
        with pytest.raises(LocalProtocolError):
            await stream.write(b"after EOF")


@BOTH
async def test_control_and_datagrams_arrive(make):
    got: list[Any] = []
    handlers = {"on_control": got.append, "on_datagrams": lambda size, data: got.append((size, data))}
    async with make(agent=handlers) as pair:
        pair.hub.send_control({"type": "x", "n": 1})
        assert pair.hub.send_datagrams(1000, b"d" * 2500)
        assert pair.hub.send_datagrams(1420, b"e" * 65_536)
        await eventually(lambda: len(got) == 3)
        assert got == [{"type": "x", "n": 1}, (1000, b"d" * 2500), (1420, b"e" * 65_536)]
        assert 0 <= await pair.hub.ping(WAIT) < WAIT


# --- nobody waits for another -----------------------------------------------------------------------------------------


@BOTH
async def test_a_stream_that_is_not_read_does_not_delay_another(make):
    device = Device()

    async def serve(stream: TunnelStream, target) -> None:
        await (device if target["port"] == 81 else echo)(stream, target)

    async with make(agent={"on_stream": serve}) as pair:
        stuck = await pair.hub.open_stream({"port": 81}, WAIT)
        writing = asyncio.create_task(stuck.write(bytes(20_000_000)))
        await eventually(lambda: pair.hub.mux._streams[stuck.id].credit_out == 0)
        async with await pair.hub.open_stream(TARGET, WAIT) as quick:
            for number in range(20):
                await quick.write(bytes([number]) * 10_000)
                got = b""
                while len(got) < 10_000:
                    got += await quick.read()
                assert got == bytes([number]) * 10_000
        assert not writing.done()
        assert pair.agent.mux.buffered_in <= pair.agent.mux.limits.stream_credit
        device.done.set()
        with pytest.raises(StreamReset):
            await writing


async def test_all_streams_progress_while_one_pours():
    limits = Limits(max_streams=8)

    async def pour(stream: TunnelStream, target) -> None:
        stream.accept()
        for _ in range(target["pieces"]):
            await stream.write(bytes(65_536))
        await stream.write_eof()

    async with memory_pair(hub={"limits": limits}, agent={"on_stream": pour, "limits": limits}) as pair:
        endless = await pair.hub.open_stream({"pieces": 10_000}, WAIT)
        drain = asyncio.create_task(read_all(endless))
        others = [await pair.hub.open_stream({"pieces": 5}, WAIT) for _ in range(5)]
        read = await asyncio.gather(*(read_all(stream) for stream in others))
        assert [len(data) for data in read] == [5 * 65_536] * 5
        assert not drain.done()
        endless.reset()
        with pytest.raises(StreamReset):
            await drain


async def test_datagrams_are_dropped_when_the_line_is_stuck():
    got = []
    async with memory_pair(agent={"on_datagrams": lambda _, data: got.append(data)}) as pair:
        pair.channels[0].hold(True)
        for _ in range(40):
            pair.hub.send_datagrams(1000, bytes(60_000))
            await asyncio.sleep(0)
        assert pair.hub.datagrams_dropped > 0
        assert pair.hub.mux.buffered_out <= pair.hub.mux.limits.datagram_buffer + 100
        pair.channels[0].hold(False)
        await eventually(lambda: len(got) == 40 - pair.hub.datagrams_dropped)


async def test_a_writer_waits_for_a_full_channel():
    device = Device()
    async with memory_pair(agent={"on_stream": device}) as pair:
        stream = await pair.hub.open_stream(TARGET, WAIT)
        pair.channels[0].hold(True)
        writing = asyncio.create_task(stream.write(bytes(1_000_000)))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not writing.done()
        pair.channels[0].hold(False)
        reading = asyncio.create_task(read_all(device.streams[0]))
        await writing
        await stream.write_eof()
        assert len(await reading) == 1_000_000


# --- cancellation -----------------------------------------------------------------------------------------------------


@BOTH
async def test_a_cancelled_reader_loses_nothing(make):
    device = Device()
    async with make(agent={"on_stream": device}) as pair:
        stream = await pair.hub.open_stream(TARGET, WAIT)
        got = b""
        for number in range(20):
            reader = asyncio.create_task(stream.read())
            await asyncio.sleep(0)
            reader.cancel()
            for result in await asyncio.gather(reader, return_exceptions=True):
                got += result if isinstance(result, bytes) else b""
            await device.streams[0].write(bytes([number]))
        while len(got) < 20:
            got += await stream.read()
        assert got == bytes(range(20))


@pytest.mark.parametrize("size", [100, 50_000, 500_000])
async def test_a_cancelled_writer_leaves_the_stream_in_order(size):
    """What was taken arrives once; nothing is sent twice, nothing else is lost."""
    device = Device()
    async with memory_pair(agent={"on_stream": device}) as pair:
        stream = await pair.hub.open_stream(TARGET, WAIT)
        reading = asyncio.create_task(read_all(device.streams[0]))
        for number in range(1, 20):
            pair.channels[0].hold(number % 3 == 0)
            writer = asyncio.create_task(stream.write(bytes([number]) * size))
            for _ in range(number):
                await asyncio.sleep(0)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        pair.channels[0].hold(False)
        await stream.write_eof()
        got = await reading
        assert list(dict.fromkeys(got)) == sorted(set(got)), "pieces are in order, none comes back"
        assert all(got.count(bytes([number])) <= size for number in range(1, 20))


async def test_a_cancelled_opener_resets_the_stream():
    offered = asyncio.Event()

    async def never_accept(stream: TunnelStream, target) -> None:
        offered.set()
        await asyncio.Event().wait()

    async with memory_pair(agent={"on_stream": never_accept}) as pair:
        opening = asyncio.create_task(pair.hub.open_stream(TARGET, WAIT))
        await offered.wait()
        opening.cancel()
        await eventually(lambda: pair.agent.mux.stream_count == pair.hub.mux.stream_count == 0)


# --- resets -----------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("reason", [ResetReason.REFUSED, ResetReason.UNREACHABLE, ResetReason.NOT_ALLOWED])
async def test_the_opener_learns_the_reason(make, reason):
    async def refuse(stream: TunnelStream, target) -> None:
        stream.reset(reason)

    async with make(agent={"on_stream": refuse}) as pair:
        with pytest.raises(StreamReset) as caught:
            await pair.hub.open_stream(TARGET, WAIT)
        assert caught.value.reason is reason
        assert await pair.hub.ping(WAIT) >= 0


async def test_a_peer_without_a_handler_refuses():
    async with memory_pair() as pair:
        with pytest.raises(StreamReset) as caught:
            await pair.hub.open_stream(TARGET, WAIT)
        assert caught.value.reason is ResetReason.REFUSED


async def test_an_answer_that_never_comes_times_out():
    async def never_accept(stream: TunnelStream, target) -> None:
        await asyncio.Event().wait()

    async with memory_pair(agent={"on_stream": never_accept}) as pair:
        with pytest.raises(StreamReset) as caught:
            await pair.hub.open_stream(TARGET, 0.05)
        assert caught.value.reason is ResetReason.TIMEOUT
        assert "0.05 s" in str(caught.value)
        await eventually(lambda: pair.agent.mux.stream_count == 0)


async def test_a_handler_that_fails_resets_its_stream_only(caplog):
    async def fail(stream: TunnelStream, target) -> None:
        stream.accept()
        raise ZeroDivisionError("a bug in the handler")

    async with memory_pair(agent={"on_stream": fail}) as pair:
        with pytest.raises(StreamReset) as caught:
            await read_all(await pair.hub.open_stream(TARGET, WAIT))
        assert caught.value.reason is ResetReason.FAILED
        assert await pair.hub.ping(WAIT) >= 0


async def test_a_handler_that_has_said_everything_may_return():
    """What it wrote arrives although the peer is still sending; what the peer sends is thrown away."""

    async def say_and_go(stream: TunnelStream, target) -> None:
        stream.accept()
        await stream.read(1)
        await stream.write(b"x" * 200_000)
        await stream.write_eof()

    async with memory_pair(agent={"on_stream": say_and_go}) as pair:
        stream = await pair.hub.open_stream(TARGET, WAIT)
        writing = asyncio.create_task(stream.write(bytes(5_000_000)))
        assert await read_all(stream) == b"x" * 200_000
        await writing
        await stream.write_eof()
        await eventually(lambda: pair.agent.mux.stream_count == pair.hub.mux.stream_count == 0)
        assert pair.agent.mux.buffered_in == 0


async def test_closing_a_stream_wakes_its_reader():
    async with memory_pair(agent={"on_stream": Device()}) as pair:
        stream = await pair.hub.open_stream(TARGET, WAIT)
        await stream.write_eof()
        reading = asyncio.create_task(stream.read())
        await asyncio.sleep(0)
        stream.close()
        with pytest.raises(StreamReset, match="closed by this side"):
            await reading


async def test_a_handler_that_returns_early_resets_its_stream():
    async def leave(stream: TunnelStream, target) -> None:
        stream.accept()
        await stream.write(b"bye")

    async with memory_pair(agent={"on_stream": leave}) as pair:
        with pytest.raises(StreamReset) as caught:
            await read_all(await pair.hub.open_stream(TARGET, WAIT))
        assert caught.value.reason is ResetReason.CANCELLED


@BOTH
async def test_after_a_reset_there_is_no_data(make):
    device = Device()
    async with make(agent={"on_stream": device}) as pair:
        stream = await pair.hub.open_stream(TARGET, WAIT)
        await device.streams[0].write(b"unread")
        await eventually(lambda: pair.hub.mux.buffered_in == 6)
        device.streams[0].reset(ResetReason.GONE)
        await eventually(lambda: stream.closed)
        for use in (stream.read(), stream.write(b"x"), stream.write_eof(), stream.write(bytes(100_000))):
            with pytest.raises(StreamReset) as caught:
                await use
            assert caught.value.reason is ResetReason.GONE
        assert pair.hub.mux.buffered_in == 0
        stream.reset()
        stream.close()


async def test_a_reset_wakes_a_waiting_reader_and_a_waiting_writer():
    device = Device()
    async with memory_pair(agent={"on_stream": device}) as pair:
        stream = await pair.hub.open_stream(TARGET, WAIT)
        reading = asyncio.create_task(stream.read())
        writing = asyncio.create_task(stream.write(bytes(10_000_000)))
        await eventually(lambda: pair.hub.mux._streams[stream.id].credit_out == 0)
        device.streams[0].reset(ResetReason.GONE)
        for task in (reading, writing):
            with pytest.raises(StreamReset):
                await task


async def test_a_reset_wakes_a_writer_that_waits_for_the_channel():
    device = Device()
    async with memory_pair(agent={"on_stream": device}) as pair:
        stream = await pair.hub.open_stream(TARGET, WAIT)
        pair.channels[0].hold(True)
        for number in range(10):
            pair.hub.send_control({"n": number})
        await asyncio.sleep(0)
        writing = asyncio.create_task(stream.write(bytes(1_000_000)))
        await asyncio.sleep(0)
        device.streams[0].reset(ResetReason.GONE)
        await eventually(lambda: stream.closed)
        pair.channels[0].hold(False)
        with pytest.raises(StreamReset):
            await writing


async def test_a_reset_wakes_a_writer_that_hands_over_itself():
    device = Device()
    async with memory_pair(agent={"on_stream": device}) as pair:
        stream = await pair.hub.open_stream(TARGET, WAIT)
        pair.channels[0].hold(True)
        for number in range(4):  # as many as the channel takes without waiting
            pair.hub.send_control({"n": number})
        await eventually(lambda: not pair.hub.mux.wants_to_send)
        writing = asyncio.create_task(stream.write(bytes(1_000_000)))
        await eventually(lambda: pair.hub._sending)
        device.streams[0].reset(ResetReason.GONE)
        await eventually(lambda: stream.closed)
        pair.channels[0].hold(False)
        with pytest.raises(StreamReset):
            await writing


async def test_too_many_streams_are_refused_by_this_side_at_once():
    limits = {"limits": Limits(max_streams=2)}
    async with memory_pair(hub=limits, agent={"on_stream": Device(), **limits}) as pair:
        for _ in range(2):
            await pair.hub.open_stream(TARGET, WAIT)
        with pytest.raises(StreamReset) as caught:
            await pair.hub.open_stream(TARGET, WAIT)
        assert caught.value.reason is ResetReason.TOO_MANY


# --- the end ----------------------------------------------------------------------------------------------------------


async def everything_that_waits(pair) -> list[asyncio.Task[Any]]:
    """Tasks that wait for something in every way there is."""
    idle, full = await pair.hub.open_stream(TARGET, WAIT), await pair.hub.open_stream(TARGET, WAIT)
    tasks = [
        asyncio.create_task(idle.read()),
        asyncio.create_task(full.write(bytes(50_000_000))),
        asyncio.create_task(pair.hub.open_stream({"port": 9}, WAIT)),
    ]
    await eventually(lambda: pair.hub.mux._streams[full.id].credit_out == 0)
    return tasks


async def never_answer_port_9(stream: TunnelStream, target) -> None:
    if target["port"] != 9:
        stream.accept()
    await asyncio.Event().wait()


@BOTH
@pytest.mark.parametrize("end", ["hub closes", "agent closes", "line lost", "hub cancelled"])
async def test_everyone_is_woken_at_the_end(make, end):
    async with make(agent={"on_stream": never_answer_port_9}) as pair:
        tasks = await everything_that_waits(pair)
        match end:
            case "hub closes":
                pair.hub.close(GoAwayReason.REVOKED, "by the operator")
            case "agent closes":
                pair.agent.close(GoAwayReason.SHUTDOWN)
            case "line lost":
                await pair.agent._channel.close()
            case "hub cancelled":
                pair.hub_run.cancel()
        async with asyncio.timeout(WAIT):
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [TunnelClosed] * 3
        assert pair.hub.closed
        with pytest.raises(TunnelClosed):
            await pair.hub.open_stream(TARGET, WAIT)
        with pytest.raises(TunnelClosed):
            pair.hub.send_control({})
        with pytest.raises(TunnelClosed):
            await pair.hub.ping(WAIT)
        assert pair.hub.send_datagrams(1, b"x") is False
        if end == "hub cancelled":
            with pytest.raises(asyncio.CancelledError):
                await pair.hub_run
            return
        hub, agent = await pair.ends()
        expected = {
            "hub closes": (EndCause.LOCAL, EndCause.PEER),
            "agent closes": (EndCause.PEER, EndCause.LOCAL),
            "line lost": (EndCause.LOST, EndCause.LOST),
        }[end]
        assert (hub.cause, agent.cause) == expected
        if end == "hub closes":
            assert (agent.reason, agent.detail) == (GoAwayReason.REVOKED, "by the operator")
            assert str(agent) == "closed by the peer: revoked (by the operator)"
        assert not pair.agent._handlers


async def test_bytes_before_eof_can_be_read_after_the_end():
    async def short(stream: TunnelStream, target) -> None:
        stream.accept()
        await stream.write(b"complete")
        await stream.write_eof()
        await asyncio.Event().wait()

    async with memory_pair(agent={"on_stream": short}) as pair:
        stream = await pair.hub.open_stream(TARGET, WAIT)
        await eventually(lambda: stream._eof_received)
        pair.agent.close()
        await pair.ends()
        assert await read_all(stream) == b"complete"


async def test_a_silent_peer_is_noticed():
    impatient = {"ping_interval": 0.05, "ping_timeout": 0.1}
    async with memory_pair(hub=impatient) as pair:
        await eventually(lambda: pair.agent._last_received > 0)
        pair.channels[1].hold(True)
        async with asyncio.timeout(WAIT):
            end = await pair.hub_run
        assert end.cause is EndCause.SILENT
        assert "nothing received for" in end.detail


async def test_an_idle_peer_that_answers_pings_stays():
    lively = {"ping_interval": 0.02, "ping_timeout": 10.0}
    async with memory_pair(hub=lively) as pair:
        pair.channels[1].record = True
        await eventually(lambda: len(pair.channels[1].sent) >= 3)
        assert not pair.hub.closed


async def test_a_dead_line_does_not_hold_the_end():
    """The last frame cannot leave; run() ends all the same."""
    hub_channel, _ = channel_pair()
    hub = TunnelConnection(hub_channel, Role.SERVER, **PING)
    running = asyncio.create_task(hub.run())
    for number in range(20):
        hub.send_control({"n": number})
    await asyncio.sleep(0)
    hub.close()
    async with asyncio.timeout(WAIT):
        assert (await running).cause is EndCause.LOCAL


@BOTH
async def test_a_peer_that_breaks_the_protocol_is_told_so(make):
    async with make() as pair:
        await pair.agent._channel.send(frames.encode(frames.Data(99, b"never opened")))
        hub, agent = await pair.ends()
        assert hub.cause is EndCause.BROKEN
        assert "stream 99 was never opened" in hub.detail
        assert (agent.cause, agent.reason) == (EndCause.PEER, GoAwayReason.PROTOCOL_ERROR)
        assert "stream 99 was never opened" in agent.detail


async def test_a_broken_stream_spares_the_connection():
    async with memory_pair(agent={"on_stream": echo}) as pair:
        broken = await pair.hub.open_stream(TARGET, WAIT)
        healthy = await pair.hub.open_stream(TARGET, WAIT)
        await pair.channels[1].send(frames.encode(frames.Accept(broken.id)))
        with pytest.raises(StreamReset) as caught:
            await broken.read()
        assert caught.value.reason is ResetReason.PROTOCOL_ERROR
        assert "ACCEPT on a stream that is open" in str(caught.value)
        await healthy.write(b"still here")
        assert await healthy.read() == b"still here"


async def test_a_bug_in_a_handler_of_the_connection_ends_it_loudly():
    def fail(message) -> None:
        raise ZeroDivisionError("a bug")

    async with memory_pair(agent={"on_control": fail}) as pair:
        pair.hub.send_control({})
        with pytest.raises(ZeroDivisionError):
            await pair.agent_run
        await pair.hub_run


@BOTH
async def test_a_text_message_is_no_frame(make):
    if make is memory_pair:
        return
    async with make() as pair:
        await pair.agent._channel._websocket.send("text")
        hub, _ = await pair.ends()
        assert hub.cause is EndCause.BROKEN


async def test_a_message_that_is_too_long_ends_the_websocket():
    async with websocket_pair() as pair:
        await pair.agent._channel.send(bytes(300_000))
        hub, _ = await pair.ends()
        assert hub.cause is EndCause.LOST


def test_the_roles_of_two_ends_differ():
    one, two = TunnelMux(Role.CLIENT), TunnelMux(Role.SERVER)
    assert one.open_stream({}) % 2 != two.open_stream({}) % 2
