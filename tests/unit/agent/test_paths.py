"""The choice of path, told as small stories on a clock of the test's own, and what holds in every story."""

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from plantgate_agent import paths
from plantgate_agent.paths import PathMachine, SendProbe, UsePath
from plantgate_shared.protocol.control import TunnelPath


class Story:
    """A machine and the world around it: whether UDP gets through, whether there is a tunnel."""

    def __init__(self, *, udp: bool, tunnel: bool = True, seed: int = 1) -> None:
        self.now = 1000.0
        self.udp = udp
        self.machine = PathMachine(self.now, random.Random(seed))
        self.machine.tunnel(tunnel, self.now)
        self.probes = 0
        self.changes: list[tuple[float, TunnelPath]] = []
        self.age: float | None = 1.0
        self.sent = self.received = 0

    def run(self, seconds: float) -> "Story":
        end = self.now + seconds
        while self.now < end:
            self.machine.traffic(self.sent, self.received, self.now)
            self.machine.handshake(self.age, self.now)
            for command in self.machine.poll(self.now):
                if isinstance(command, SendProbe):
                    self.probes += 1
                    if self.udp:
                        self.machine.answered(command.number, self.now + 0.05)
                else:
                    self.changes.append((self.now, command.path))
            self.now = min(end, max(self.machine.deadline, self.now + 0.01), self.now + 1.0)
        return self

    @property
    def path(self) -> TunnelPath:
        return self.machine.path


UDP, WEBSOCKET = TunnelPath.UDP, TunnelPath.WEBSOCKET


def test_it_starts_on_the_websocket_and_takes_udp_at_the_first_answer():
    story = Story(udp=True)
    assert story.path is WEBSOCKET
    story.run(1)
    assert story.path is UDP
    assert story.probes == 1


def test_without_udp_it_stays_and_asks_ever_less_often():
    story = Story(udp=False).run(3600)
    assert story.path is WEBSOCKET
    assert story.changes == []
    assert story.probes < 3 * (5 + 3600 / paths.RETRY_LONGEST) * 1.3


def test_idle_udp_costs_little():
    story = Story(udp=True).run(86_400)
    assert story.changes == [(story.changes[0][0], UDP)]
    assert story.probes * 2 * 65 < 400_000, "bytes a day"


def test_received_packets_are_proof_enough():
    story = Story(udp=True).run(1)
    before = story.probes
    for _ in range(300):
        story.sent += 5
        story.received += 5
        story.run(1)
    assert story.probes == before


def test_people_who_go_quiet_are_told_from_udp_that_did():
    story = Story(udp=True).run(1)
    story.received += 10
    story.run(1)
    story.udp = False
    blocked = story.now
    story.run(30)
    assert story.path is WEBSOCKET
    assert story.changes[-1][0] - blocked <= paths.PROBE_ACTIVE + paths.LOST_AFTER * paths.PROBE_TIMEOUT + 1


def test_sending_without_an_answer_is_looked_into_at_once():
    story = Story(udp=True).run(300)
    story.udp = False
    blocked = story.now
    for _ in range(15):
        story.sent += 3
        story.run(1)
    assert story.path is WEBSOCKET
    assert story.changes[-1][0] - blocked <= paths.STALLED_AFTER + paths.LOST_AFTER * paths.PROBE_TIMEOUT + 2.5


def test_one_lost_probe_is_weather():
    story = Story(udp=True).run(60)
    story.udp = False
    while story.machine._pending is None:
        story.run(0.2)
    story.udp = True
    story.run(60)
    assert story.path is UDP


def test_it_returns_to_udp_only_after_several_answers():
    story = Story(udp=True).run(400)
    story.udp = False
    story.run(60)
    assert story.path is WEBSOCKET
    story.udp = True
    before = story.probes
    while story.path is WEBSOCKET:
        story.run(0.5)
    assert story.probes - before >= paths.RETURN_AFTER


def test_flapping_makes_it_patient():
    story = Story(udp=True).run(400)
    waits = []
    for _ in range(5):
        story.udp = False
        while story.path is UDP:
            story.run(1)
        left, story.udp = story.now, True
        while story.path is WEBSOCKET:
            story.run(1)
        waits.append(story.now - left)
    assert waits[0] < waits[2] < waits[4]
    story.run(400)
    story.udp = False
    while story.path is UDP:
        story.run(1)
    left, story.udp = story.now, True
    while story.path is WEBSOCKET:
        story.run(1)
    assert story.now - left < waits[4] / 2, "a long good time is a new beginning"


def test_wireguard_blocked_although_probes_pass():
    story = Story(udp=True)
    story.age = None
    story.run(paths.FIRST_HANDSHAKE_WITHIN + 2)
    assert [path for _, path in story.changes] == [UDP, WEBSOCKET]
    story.run(paths.WIREGUARD_BLOCKED_HOLD / 2)
    assert story.path is WEBSOCKET
    story.age = 3.0
    story.run(paths.WIREGUARD_BLOCKED_HOLD)
    assert story.path is UDP


def test_a_session_that_cannot_be_renewed():
    story = Story(udp=True).run(300)
    story.age = paths.HANDSHAKE_OLD + 1
    story.run(2)
    assert story.path is WEBSOCKET


def test_without_a_tunnel_there_is_nothing_to_fall_back_to():
    story = Story(udp=True).run(60)
    story.machine.tunnel(False, story.now)
    story.udp = False
    story.run(120)
    assert story.path is UDP
    story.machine.tunnel(True, story.now)
    story.run(10)
    assert story.path is WEBSOCKET


def test_without_a_tunnel_udp_is_tried_often_and_taken_at_once():
    story = Story(udp=False).run(600)
    story.machine.tunnel(False, story.now)
    story.udp = True
    story.run(paths.RETRY_WITHOUT_TUNNEL * 2 + 3)
    assert story.path is UDP


def test_a_new_endpoint_is_tried_at_once():
    story = Story(udp=False).run(3600)
    story.udp = True
    story.machine.restart(story.now)
    story.run(1)
    assert story.path is UDP


def test_a_new_tunnel_may_mean_a_new_network():
    story = Story(udp=False).run(7200)
    story.machine.tunnel(False, story.now)
    story.machine.tunnel(True, story.now)
    story.udp = True
    story.run(paths.RETURN_AFTER * paths.PROBE_TIMEOUT + 1)
    assert story.path is UDP


def test_a_late_answer_proves_nothing():
    story = Story(udp=False)
    [probe] = story.machine.poll(story.now)
    assert isinstance(probe, SendProbe)
    story.run(2)
    story.machine.answered(probe.number, story.now)
    story.run(0.5)
    assert story.path is WEBSOCKET


events = st.lists(
    st.tuples(
        st.sampled_from(["udp", "tunnel", "traffic", "sent", "age", "none", "restart"]),
        st.floats(min_value=0.05, max_value=90),
    ),
    max_size=40,
)


@given(events, st.integers(0, 2**32))
def test_in_every_story_time_moves_changes_alternate_and_good_udp_is_found(story_events, seed):
    story = Story(udp=False, seed=seed)
    tunnel = True
    for event, seconds in story_events:
        if event == "udp":
            story.udp = not story.udp
        elif event == "tunnel":
            tunnel = not tunnel
            story.machine.tunnel(tunnel, story.now)
        elif event == "traffic":
            story.received += 1
        elif event == "sent":
            story.sent += 1
        elif event == "age":
            story.age = 10.0
        elif event == "none":
            story.age = None
        else:
            story.machine.restart(story.now)
        before = story.now
        story.run(seconds)
        assert story.now > before
        assert not any(isinstance(command, UsePath) for command in story.machine.poll(before - 1))
    taken = [path for _, path in story.changes]
    assert all(one is not other for one, other in pairwise(taken))
    story.udp, story.age = True, 5.0
    story.machine.tunnel(True, story.now)
    story.run(paths.WIREGUARD_BLOCKED_HOLD * 1.3 + 10)
    assert story.path is UDP
