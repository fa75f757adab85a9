"""The proxy's pure parts: what devices answer, whose page asks, where addresses lead, codes of the hand-over."""

import contextlib
from ipaddress import IPv4Address
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantgate_hub.access import SnapshotAccess
from plantgate_hub.domain.model import (
    Device,
    DeviceId,
    Grant,
    HostMode,
    Job,
    Membership,
    Organization,
    OrganizationId,
    OrgRole,
    Person,
    PersonId,
    Plant,
    PlantId,
    Scheme,
    TargetId,
    WebTarget,
)
from plantgate_hub.domain.snapshot import Entity, Snapshot
from plantgate_hub.identity.sessions import Session
from plantgate_hub.proxy import handover, headers, rewrite
from plantgate_hub.proxy.decision import Asked, Verdict, comes_from_own_page, is_navigation, permit
from plantgate_hub.proxy.http1 import BadReply, ChunkReader, Framing, HeadReader, ReplyHead, framing_of
from plantgate_hub.proxy.rewrite import Elsewhere

OWN = "https://inverter.devices.localhost:8443"


def read(raw: bytes, step: int = 0) -> tuple[ReplyHead, bytes]:
    """The head and what follows, fed at once or `step` bytes at a time."""
    reader = HeadReader()
    for at in range(0, len(raw), step or len(raw)):
        reader.feed(raw[at : at + (step or len(raw))])
        if (head := reader.head()) is not None:
            return head, reader.rest() + raw[at + (step or len(raw)) :]
    raise AssertionError("no head")


@pytest.mark.parametrize("step", [0, 1, 3])
@pytest.mark.parametrize(
    ("raw", "status", "found"),
    [
        (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nrest", 200, [("A", "b")]),
        (b"HTTP/1.0 200\nA:b\n\nrest", 200, [("A", "b")]),
        (b"\r\n\nHTTP/1.1 404 Not here\nA: b\r\n\nrest", 404, [("A", "b")]),
        (b"HTTP/1.1  200  OK\r\nA : b \r\nno colon\r\n: none\r\n\r\nrest", 200, [("A", "b")]),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\tmore\r\n\r\nrest", 200, [("A", "b folded more")]),
        (b"ICY 200 OK\r\n\r\nrest", 200, []),
        (b"HTTP/1.1 200 OK\r\nA: caf\xe9\0\r\n\r\nrest", 200, [("A", "café")]),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=%s\r\n\r\nrest",
            200,
            [("Content-Type", "text/html; charset=%s")],
        ),
    ],
)
def test_heads_as_devices_send_them(raw: bytes, status: int, found: list[tuple[str, str]], step: int):
    head, rest = read(raw, step)
    assert (head.status, list(head.headers), rest) == (status, found, b"rest")


@pytest.mark.parametrize("raw", [b"hello\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 20\r\n\r\n", b"A" * 200_000])
def test_what_is_no_head(raw: bytes):
    reader = HeadReader()
    reader.feed(raw)
    with pytest.raises(BadReply):
        reader.head()


@given(st.sampled_from([b"", b"\r\n", b"\n\n"]), st.binary(max_size=400), st.integers(min_value=1, max_value=50))
def test_any_bytes_give_a_head_or_one_clear_error_however_they_arrive(before: bytes, raw: bytes, step: int):
    def outcome(size: int) -> tuple[ReplyHead, bytes] | str:
        try:
            return read(before + b"HTTP/1.1 200 OK\r\n" + raw, size)
        except (BadReply, AssertionError) as error:
            return str(error)

    assert outcome(step) == outcome(0)


def head_with(status: int = 200, **fields: str) -> ReplyHead:
    return ReplyHead(status, "", (1, 1), tuple((name.replace("_", "-"), value) for name, value in fields.items()))


@pytest.mark.parametrize(
    ("method", "head", "framing"),
    [
        ("GET", head_with(Content_Length="5"), 5),
        ("GET", head_with(Content_Length="5, 5"), 5),
        ("GET", head_with(Content_Length="many"), Framing.UNTIL_CLOSE),
        ("GET", head_with(Content_Length="-1"), Framing.UNTIL_CLOSE),
        ("GET", head_with(), Framing.UNTIL_CLOSE),
        ("GET", head_with(Transfer_Encoding="Chunked", Content_Length="5"), Framing.CHUNKED),
        ("HEAD", head_with(Content_Length="5"), Framing.NONE),
        ("GET", head_with(304, Content_Length="5"), Framing.NONE),
        ("POST", head_with(204), Framing.NONE),
    ],
)
def test_how_a_body_ends(method: str, head: ReplyHead, framing: Framing | int):
    assert framing_of(method, head) == framing


@pytest.mark.parametrize("head", [head_with(Content_Length="5, 6"), head_with(Transfer_Encoding="gzip, chunked")])
def test_lengths_that_disagree_are_refused(head: ReplyHead):
    with pytest.raises(BadReply):
        framing_of("GET", head)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.integers(1, 40), st.sampled_from([b"\r\n", b"\n"]))
def test_chunks_come_apart_however_they_arrive(pieces: list[bytes], step: int, newline: bytes):
    raw = b"".join(b"%x;ext%b%b%b" % (len(p), newline, p, newline) for p in pieces) + b"0%bT: x%b%b" % ((newline,) * 3)
    reader = ChunkReader()
    body = b"".join(reader.feed(raw[at : at + step]) for at in range(0, len(raw), step))
    assert body == b"".join(pieces)
    assert reader.finished


@given(st.binary(max_size=200))
def test_any_bytes_are_chunks_or_one_clear_error(raw: bytes):
    with contextlib.suppress(BadReply):
        assert len(ChunkReader().feed(raw)) <= len(raw)


@pytest.mark.parametrize(
    ("asked", "navigation"),
    [
        (Asked("GET", mode="navigate", dest="document"), True),
        (Asked("GET", accept="text/html,*/*"), True),
        (Asked("POST", mode="navigate", dest="document"), False),
        (Asked("GET", mode="navigate", dest="iframe"), False),
        (Asked("GET", mode="cors", dest="empty", accept="text/html"), False),
        (Asked("GET", accept="text/html", requested_with="XMLHttpRequest"), False),
        (Asked("GET", websocket=True, accept="text/html"), False),
        (Asked("GET", accept="*/*"), False),
    ],
)
def test_only_navigations_go_to_the_portal(asked: Asked, navigation: bool):
    assert is_navigation(asked) == navigation


@pytest.mark.parametrize(
    ("asked", "own"),
    [
        (Asked("POST", site="same-origin", origin=OWN), True),
        (Asked("GET", site="none", mode="navigate", dest="document"), True),
        (Asked("GET", site="cross-site", mode="navigate", dest="document"), True),
        (Asked("POST", site="cross-site", mode="navigate", dest="document"), False),
        (Asked("GET", site="same-site", mode="navigate", dest="iframe"), False),
        (Asked("GET", site="same-site", mode="no-cors", dest="image"), False),
        (Asked("GET", site="something-new"), False),
        (Asked("POST", origin=OWN), True),
        (Asked("POST", origin="null"), False),
        (Asked("POST", origin=OWN.replace("8443", "9443")), False),
        (Asked("GET", websocket=True, origin=OWN), True),
        (Asked("GET", websocket=True, site="same-origin", origin=OWN), True),
        (Asked("GET", websocket=True, site="same-site", origin=OWN), False),
        (Asked("GET", websocket=True), False),
    ],
)
def test_whose_page_asks(asked: Asked, own: bool):
    assert comes_from_own_page(asked, OWN) == own


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("passed", [1.0, None])
@pytest.mark.parametrize("job", [*Job, None])
def test_who_may_open_a_page(job: Job | None, passed: float | None, active: bool):
    """The second factor must be set up and passed, whatever the role."""
    person, plant = Person(PersonId("p"), "p@example.org", "P", totp_active=active), PlantId("plant")
    organization, device = Organization(OrganizationId("o"), "O"), Device(DeviceId("d"), plant, "D", IPv4Address(1))
    membership = Membership(person.id, organization.id, OrgRole.MEMBER)
    rows: list[Entity] = [organization, person, membership, Plant(plant, organization.id, "P"), device, TARGET]
    snapshot = Snapshot.of([*rows, *([Grant(person.id, plant, job)] if job else [])])
    access = SnapshotAccess(SimpleNamespace(snapshot=snapshot, on_update=None))
    session = Session("s", person.id, 0.0, passed)
    verdict = permit(access, access.person(person.id), session, access.destination("inverter"), 1.0)
    if job is None:
        assert verdict is Verdict.NOT_AVAILABLE
    elif job < Job.TECHNICAL_MANAGER:
        assert verdict is Verdict.NO_PERMISSION
    else:
        assert verdict is (Verdict.ALLOWED if active and passed else Verdict.NO_TWO_FACTOR)


TARGET = WebTarget(TargetId("t"), DeviceId("d"), "inverter", Scheme.HTTP, 8080)
ADDRESSES = rewrite.addresses_of(TARGET, "192.168.1.10", [TARGET], "devices.localhost", 8443)


@pytest.mark.parametrize(
    ("value", "mapped"),
    [
        ("http://192.168.1.10:8080/a?b#c", OWN + "/a?b#c"),
        ("http://192.168.1.10:8080", OWN),
        ("HTTP://192.168.1.10:8080/A", OWN + "/A"),
        ("/a", "/a"),
        ("a?u=http://x/", "a?u=http://x/"),
        ("", ""),
        ("http://192.168.1.10/", None),
        ("http://192.168.1.10:8080x/", None),
        ("///192.168.1.10:8080/", None),
        ("data:text/html,x", None),
    ],
)
def test_where_a_location_leads(value: str, mapped: str | None):
    found = rewrite.map_location(value, ADDRESSES)
    assert found == (Elsewhere(value) if mapped is None else mapped)


@pytest.mark.parametrize(
    ("value", "mapped"),
    [
        ("5", "5"),
        ("0; url=/next", "0; url=/next"),
        ("0;URL='http://192.168.1.10:8080/x'", f"0;URL='{OWN}/x'"),
        ("1; http://192.168.1.10:8080/x", f"1; {OWN}/x"),
    ],
)
def test_where_a_refresh_leads(value: str, mapped: str):
    assert rewrite.map_refresh(value, ADDRESSES) == mapped


@pytest.mark.parametrize("character", ["\x01", "\x0b", "\x1f", "\x7f"])
def test_control_characters_hide_nothing_from_the_rules(character: str):
    """They go out as spaces, which browsers trim: what is judged must be what they will read."""
    planted = [("Set-Cookie", f"{character}__Host-plantgate-device=planted; Path=/; Secure")]
    assert headers.to_the_browser(planted, ADDRESSES, redirects=False) == []
    away = [("Location", f"{character}//evil.example/")]
    assert isinstance(headers.to_the_browser(away, ADDRESSES, redirects=True), Elsewhere)


@pytest.mark.parametrize("mode", list(HostMode))
def test_what_the_device_hears_of_host_and_origin(mode: HostMode):
    received = [("Origin", OWN), ("Referer", OWN + "/p"), ("Host", "forged"), ("Accept", "x")]
    sent = headers.to_the_device(received, ADDRESSES, mode, websocket=False)
    host = OWN.removeprefix("https://") if mode is HostMode.KEEP else "192.168.1.10:8080"
    origin = OWN if mode is HostMode.KEEP else "http://192.168.1.10:8080"
    assert sent[:4] == [("Host", host), ("Origin", origin), ("Referer", origin + "/p"), ("Accept", "x")]
    assert (("X-Forwarded-Proto", "https") in sent) == (mode is HostMode.MIX)


def test_no_device_hears_of_another_page():
    received = [
        ("Referer", "https://portal.localhost:8443/open?x"),
        ("Origin", "https://logger.devices.localhost:8443"),
    ]
    sent = headers.to_the_device(received, ADDRESSES, HostMode.KEEP, websocket=False)
    assert not {"Referer", "Origin"} & {name for name, _ in sent}


@pytest.mark.parametrize("mode", list(HostMode))
def test_an_api_token_never_reaches_a_device(mode: HostMode):
    received = [("authorization", "Bearer pgt_" + "x" * 43), ("Authorization", "Basic dXNlcjpwYXNzd29yZA==")]
    sent = headers.to_the_device(received, ADDRESSES, mode, websocket=False)
    assert [value for name, value in sent if name.lower() == "authorization"] == ["Basic dXNlcjpwYXNzd29yZA=="]


@given(st.lists(st.tuples(st.text("-_xX", min_size=1, max_size=9), st.text("abc,", max_size=5)), max_size=8))
def test_hop_headers_and_underscores_never_pass(received: list[tuple[str, str]]):
    sent = headers.to_the_device([*received, ("Connection", "x-x, X"), ("TE", "x")], ADDRESSES, HostMode.MIX, False)
    assert not any("_" in name or name.lower() in ("x-x", "x", "te") for name, _ in sent)


REQUEST = handover.Request("inverter", "0" * 16, handover.challenge_of("verifier"), "/")


def test_a_code_is_good_once_for_its_host_its_browser_and_a_minute():
    codes = handover.Codes()

    def redeem(host: str = "inverter", verifier: str = "verifier", now: float = 1) -> bool:
        codes.mint("code", REQUEST, "session", 0)
        return codes.redeem("code", host, verifier, now) is not None

    assert redeem()
    assert codes.redeem("code", "inverter", "verifier", 1) is None
    assert redeem(now=59.9)
    assert not redeem(now=60)
    assert not redeem(host="logger")
    assert codes.redeem("code", "inverter", "verifier", 1) is None  # used up by the wrong try
    assert not redeem(verifier="other")
    assert not redeem(verifier="")


def test_codes_that_are_out_are_bounded():
    codes = handover.Codes()
    for number in range(handover.MAX_CODES + 10):
        codes.mint(f"code {number}", REQUEST, "session", 0)
    assert len(codes._tickets) == handover.MAX_CODES
    codes.mint("late", REQUEST, "session", 100)
    assert len(codes._tickets) == 1


@pytest.mark.parametrize("path", ["x", "//" + "\r\nSet-Cookie: a=b", "/ä", "/a b", "/" + "x" * 5000, ""])
def test_paths_that_cannot_be_returned_to_lead_to_the_start_page(path: str):
    assert handover.safe_path(path) == "/"


def test_the_portals_query_comes_back_as_it_was():
    request = handover.Request("inverter", "0" * 16, "f" * 64, "/a%2Fb?x=+&y=%2B")
    query = {name: value[0] for name, value in parse_qs(urlsplit(request.portal_path()).query).items()}
    assert handover.read_request(query["host"], query["attempt"], query["challenge"], query["path"]) == request
    assert handover.read_request("a.b", query["attempt"], query["challenge"], "/") is None
    assert handover.read_request("a", "../x", query["challenge"], "/") is None
    assert handover.read_request("a", query["attempt"], "short", "/") is None
