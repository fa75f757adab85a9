"""What each kind of person sees: their own, what their job or role shows them, and nothing else."""

from plantgate_hub.api.problems import Problem
from plantgate_hub.domain.model import AgentId
from tests.api.site import ApiSite


async def names(site: ApiSite, path: str, who: str, key: str = "name") -> list[str]:
    reply = await site.call("GET", path, who)
    assert reply.status == 200, reply.text
    return sorted(item[key] for item in reply.json["items"])


async def test_plants_by_job(site: ApiSite):
    expected = {
        "ada": {"Wind": "operator", "Solar": "operator"},
        "mod": {"Wind": "operator", "Solar": "operator"},
        "tom": {"Wind": "operator"},
        "vic": {"Wind": "viewer"},
        "tec": {"Wind": "technical-manager"},
        "sue": {"Wind": "technical-manager"},
        "sam": {},  # an office in the partner's organization gives nothing
        "root": {},  # running the platform neither
        "wes": {"Mill": "operator"},
    }
    for who, plants in expected.items():
        listed = (await site.call("GET", "/plants", who)).json["items"]
        assert {plant["name"]: plant["job"] for plant in listed} == plants, who


async def test_what_is_on_a_plant_is_for_who_sees_it(site: ApiSite):
    paths = [f"/plants/{site.id('wind')}{part}" for part in ("", "/subnets", "/devices", "/gateways", "/status")]
    paths += [f"/{kind}s/{site.id(f'wind {kind}')}" for kind in ("subnet", "device", "target", "gateway")]
    paths.append(f"/devices/{site.id('wind device')}/targets")
    for path in paths:
        for who in ("ada", "sue"):
            assert (await site.call("GET", path, who)).status == 200, (path, who)
        for who in ("sam", "root", "wes"):
            assert (await site.call("GET", path, who)).problem is Problem.NOT_FOUND, (path, who)


async def test_each_job_sees_what_it_needs(site: ApiSite):
    plant = f"/plants/{site.id('wind')}"
    network = [f"{plant}/subnets", f"{plant}/gateways", f"/devices/{site.id('wind device')}/targets"]
    alone = [f"/{kind}s/{site.id(f'wind {kind}')}" for kind in ("subnet", "target", "gateway")]
    device = f"/devices/{site.id('wind device')}"
    # a Viewer: the plant, and whether it is there
    assert (await site.call("GET", f"{plant}/status", "vic")).json["gateways"] == []
    assert (await site.call("GET", f"{plant}/devices", "vic")).problem is Problem.FORBIDDEN
    assert (await site.call("GET", device, "vic")).problem is Problem.NOT_FOUND
    # a commercial Asset Manager: its devices as well, but not where they are
    grant = {"person": site.id("vic"), "job": "asset-manager-commercial"}
    assert (await site.call("POST", f"{plant}/grants", body=grant)).status == 201
    assert (await site.call("GET", device, "vic")).json["address"] is None
    assert [d["address"] for d in (await site.call("GET", f"{plant}/devices", "vic")).json["items"]] == [None]
    for path in network:
        assert (await site.call("GET", path, "vic")).problem is Problem.FORBIDDEN, path
    for path in alone:
        assert (await site.call("GET", path, "vic")).problem is Problem.NOT_FOUND, path
    # a technical one: the network
    grant["job"] = "asset-manager-technical"
    assert (await site.call("POST", f"{plant}/grants", body=grant)).status == 201
    assert (await site.call("GET", device, "vic")).json["address"] is not None
    for path in (*network, *alone):
        assert (await site.call("GET", path, "vic")).status == 200, path


async def test_who_sees_a_plant_may_not_change_it(site: ApiSite):
    before = await site.revision()
    plant = f"/plants/{site.id('wind')}"
    assert (await site.call("PATCH", plant, "vic", body={"name": "Mine"}, match="*")).problem is Problem.FORBIDDEN
    codes = f"/plants/{site.id('wind')}/enrolment-codes"
    assert (await site.call("GET", codes, "vic")).problem is Problem.FORBIDDEN
    assert (await site.call("DELETE", f"/plants/{site.id('wind')}", "tec", match="*")).problem is Problem.FORBIDDEN
    assert await site.revision() == before


async def test_members_are_for_those_who_manage_them(site: ApiSite):
    members = f"/organizations/{site.id('north')}/members"
    everyone = ["Ada", "Mod", "Tec", "Tom", "Vic"]
    for who, seen in (("ada", everyone), ("mod", everyone), ("tom", ["Tom"]), ("vic", ["Vic"]), ("root", [])):
        assert await names(site, members, who) == seen, who
    assert (await site.call("GET", members, "sue")).problem is Problem.NOT_FOUND
    assert (await site.call("GET", f"{members}/{site.id('ada')}", "tom")).problem is Problem.NOT_FOUND
    assert (await site.call("GET", f"{members}/{site.id('tom')}", "tom")).json["email"] == "tom@example.com"


async def test_people_and_organizations(site: ApiSite):
    assert await names(site, "/people", "tom") == ["Tom"]
    assert await names(site, "/people", "mod") == ["Ada", "Mod", "Tec", "Tom", "Vic"]
    assert len(await names(site, "/people", "root")) == 9
    assert (await site.call("GET", f"/people/{site.id('sue')}", "ada")).problem is Problem.NOT_FOUND
    assert await names(site, "/organizations", "tom") == ["North"]
    assert await names(site, "/organizations", "root") == ["Empty", "North", "South", "West"]


async def test_jobs_are_for_those_who_manage_members_and_one_s_own(site: ApiSite):
    grants = f"/plants/{site.id('wind')}/grants"
    assert await names(site, grants, "mod") == ["Sue", "Tec", "Tom", "Vic"]
    assert await names(site, grants, "vic") == ["Vic"]
    assert await names(site, grants, "sue") == ["Sue"]


async def test_a_cooperation_is_for_both_sides_managers(site: ApiSite):
    for who in ("ada", "mod"):
        assert await names(site, "/cooperations", who, "plant_name") == ["Solar", "Wind"]
    shared = (await site.call("GET", f"/cooperations/{site.id('shared')}", "sam")).json
    assert (shared["plant_name"], shared["owner_name"], shared["partner_name"]) == ("Wind", "North", "South")
    for who in ("tom", "sue", "root", "wes"):
        assert await names(site, "/cooperations", who, "id") == []
        assert (await site.call("GET", f"/cooperations/{site.id('shared')}", who)).problem is Problem.NOT_FOUND


async def test_vpn_services_are_for_who_manages_them(site: ApiSite):
    services = f"/organizations/{site.id('north')}/vpn-services"
    assert await names(site, services, "mod") == ["Default", "Second"]
    assert await names(site, services, "tom") == []
    assert (await site.call("GET", f"/vpn-services/{site.id('second')}", "tom")).problem is Problem.NOT_FOUND


async def test_profiles_and_routes_are_one_s_own(site: ApiSite):
    assert await names(site, "/me/profiles", "wes") == ["laptop"]
    assert await names(site, "/me/profiles", "tom") == []
    configuration = await site.call("GET", f"/me/profiles/{site.id('profile of ada')}/configuration?aliases_only=true")
    assert "PrivateKey = put" in configuration.json["configuration"]
    assert "192.168.0.0/16" not in configuration.json["configuration"]
    assert len((await site.call("GET", "/me/routes", "ada")).json["items"]) == 3
    assert (await site.call("GET", "/me/routes", "vic")).json["items"] == []


async def test_states_of_routes_and_plants(site: ApiSite):
    status = f"/plants/{site.id('wind')}/status"
    assert not (await site.call("GET", status, "vic")).json["online"]
    site.online.add(AgentId(site.id("wind gateway")))
    assert (await site.call("GET", status, "vic")).json["online"]
    mine = {route["subnet"]: route for route in (await site.call("GET", "/me/routes", "ada")).json["items"]}
    wind = mine[site.id("wind subnet")]
    assert (wind["state"], wind["reason"]) == ("not yet reachable", "outside the agent's boundary")
    assert wind["conflicts_with"] == [site.id("solar subnet")]
    solar = mine[site.id("solar subnet")]
    assert (solar["state"], solar["reason"]) == ("not yet reachable", "agent offline")
    preference = f"/me/routes/{site.id('wind subnet')}/preference"
    etag = await site.etag(preference)
    off = await site.call("PATCH", preference, body={"disabled": True}, match=etag)
    assert off.json == {"subnet": site.id("wind subnet"), "priority": 0, "disabled": True}
    raised = await site.call("PATCH", preference, body={"priority": 5}, match=off.headers["ETag"])
    assert (raised.json["priority"], raised.json["disabled"]) == (5, True)
    mine = {route["subnet"]: route for route in (await site.call("GET", "/me/routes", "ada")).json["items"]}
    assert mine[site.id("wind subnet")]["state"] == "disabled"


async def test_what_a_removal_would_end(site: ApiSite):
    assert (await site.call("GET", f"/plants/{site.id('wind')}/removal", "vic")).problem is Problem.FORBIDDEN
    plant = (await site.call("GET", f"/plants/{site.id('wind')}/removal")).json
    assert plant == {"subnets": 2, "devices": 1, "targets": 1, "gateways": 1, "cooperations": 1, "people": 6}
    service = f"/vpn-services/{site.id('second')}"
    assert (await site.call("GET", f"{service}/removal")).json == {"plants": [], "people": 0}
    default = next(
        item["id"]
        for item in (await site.call("GET", f"/organizations/{site.id('north')}/vpn-services")).json["items"]
        if item["default"]
    )
    taken_out = await site.call("DELETE", f"/vpn-services/{default}/plants/{site.id('wind')}", match="*")
    assert taken_out.status == 200
    assert (await site.call("GET", f"{service}/removal")).json == {"plants": [site.id("wind")], "people": 3}
    refused = await site.call("DELETE", service, match="*")
    assert refused.problem is Problem.CONFLICT
    assert "Wind" in refused.json["detail"]
    assert (await site.call("DELETE", f"{service}?confirm=true", match="*")).status == 204


async def test_time_boxes_open_and_close(site: ApiSite):
    await site.call(
        "POST",
        f"/plants/{site.id('solar')}/grants",
        body={"person": site.id("vic"), "job": "viewer", "ends": "1970-01-12T15:00:00+01:00"},
    )
    solar = f"/plants/{site.id('solar')}"
    assert (await site.call("GET", solar, "vic")).status == 200
    grants = (await site.call("GET", f"{solar}/grants", "vic")).json["items"]
    assert [grant["ends"] for grant in grants] == ["1970-01-12T14:00:00Z"]
    site.clock.now += 3600
    assert (await site.call("GET", solar, "vic")).problem is Problem.NOT_FOUND


async def test_a_person_of_another_organization_is_told_from_one_that_is_not_by_nobody(site: ApiSite):
    """As the body's reference, where the path is one's own."""
    for path, job in (
        (f"/plants/{site.id('solar')}/grants", "viewer"),
        (f"/cooperations/{site.id('shared')}/invitations", "viewer"),
    ):
        stranger = await site.call("POST", path, body={"person": site.id("wes"), "job": job})
        nobody = await site.call("POST", path, body={"person": "nobody", "job": job})
        assert stranger.status == 422
        assert (stranger.status, stranger.text) == (nobody.status, nobody.text)
    service = f"/vpn-services/{site.id('second')}/plants"
    for method, status in (("PUT", 422), ("DELETE", 404)):
        stranger = await site.call(method, f"{service}/{site.id('mill')}", match="*")
        nobody = await site.call(method, f"{service}/nothing", match="*")
        assert stranger.status == status
        assert (stranger.status, stranger.text) == (nobody.status, nobody.text)
