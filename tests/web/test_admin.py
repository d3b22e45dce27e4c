"""`/admin`: not there without a key for it, refused to other keys and pages, and what its status says."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from models import GatewayError
from settings.new_keys import new_key
from tests.gateways.keys_file import bearer, write_keys
from tests.gateways.log_files import read_log
from tests.gateways.scripted import answer, scripted_gateway
from tests.vendors.scripted_provider import STOP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.gateways.scripted import ScriptedGateway

ROOT, ROOT_SHA = new_key("root")
PHONE, PHONE_SHA = new_key("phone")
OLD, OLD_SHA = new_key("old")
PATIENCE_SECONDS = 60
KEYS = f"""
[keys.root]
sha256 = "{ROOT_SHA}"
admin = true
doors = []

[keys.phone]
sha256 = "{PHONE_SHA}"
providers = ["gpt"]
requests_per_minute = 60
streams = 2
tokens_per_day = 1000
usd_per_month = 2.5
tags = ["research"]

[keys.old]
sha256 = "{OLD_SHA}"
admin = true
expires = 2020-01-01
"""
PATHS = ["/admin", "/admin/status"]


@asynccontextmanager
async def admin_gateway(
    folder: Path, keys: str = KEYS, **options: Any
) -> AsyncIterator[ScriptedGateway]:
    """A gateway with these keys in its file."""
    async with scripted_gateway(folder, keys_file=write_keys(folder, keys), **options) as gateway:
        yield gateway


async def read_status(gateway: ScriptedGateway) -> dict[str, Any]:
    response = await gateway.client.get("/admin/status", headers=bearer(ROOT))
    assert response.status_code == 200, response.text
    return dict(response.json())


def shape_of(response: httpx.Response) -> tuple[object, ...]:
    """All of a refusal but what differs from one request to the next."""
    error = response.json()["error"]
    own = {"x-request-id", "request-id", "date"}
    headers = sorted(pair for pair in response.headers.items() if pair[0] not in own)
    return response.status_code, error["code"], error["message"], headers


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", PATHS)
async def test_without_an_admin_key_the_path_is_unknown(
    tmp_path: Path, path: str, method: str
) -> None:
    """Whatever the method and the key, the response is that of a path that never was."""
    keys = f'[keys.phone]\nsha256 = "{PHONE_SHA}"\n'
    async with admin_gateway(tmp_path, keys) as gateway:
        for headers in ({}, bearer(PHONE), {"Origin": "https://foreign.example.com"}):
            asked = [
                await gateway.client.request(method, each, headers=headers)
                for each in (path, "/nothing")
            ]
            assert shape_of(asked[0]) == shape_of(asked[1])


async def test_keys_of_the_environment_are_for_no_admin_page(tmp_path: Path) -> None:
    """Though they may do everything else."""
    keys = ({"name": "phone", "sha256": PHONE_SHA},)
    async with scripted_gateway(tmp_path, gateway_api_keys=keys) as gateway:
        for path in PATHS:
            response = await gateway.client.get(path, headers=bearer(PHONE))
            assert response.status_code == 404


async def test_admin_key_that_is_added_later_opens_the_page(tmp_path: Path) -> None:
    """And the page is gone with the key, without a restart."""
    ordinary = f'[keys.phone]\nsha256 = "{PHONE_SHA}"\n'
    async with admin_gateway(tmp_path, ordinary) as gateway:
        for text, status in ((KEYS, 200), (ordinary, 404)):
            (tmp_path / "keys.toml").write_text(text)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (await gateway.client.get("/admin")).status_code != status:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("headers", "status", "code", "reason"),
    [
        ({}, 401, "unauthorized", None),
        (bearer("gw_wrong"), 401, "unauthorized", None),
        (bearer(OLD), 401, "unauthorized", "expired"),
        (bearer(PHONE), 403, "forbidden", "admin"),
        ({"x-api-key": PHONE}, 403, "forbidden", "admin"),
        (bearer(ROOT) | {"Origin": "https://foreign.example.com"}, 403, "forbidden_origin", None),
        (bearer(ROOT) | {"Sec-Fetch-Site": "cross-site"}, 403, "forbidden_origin", None),
        (bearer(ROOT) | {"Sec-Fetch-Site": "same-site"}, 403, "forbidden_origin", None),
    ],
)
async def test_status_is_refused(
    tmp_path: Path, headers: dict[str, str], status: int, code: str, reason: str | None
) -> None:
    """Without a key, by another one, to another page; each refusal is in the audit log, without the key."""
    async with admin_gateway(tmp_path) as gateway:
        response = await gateway.client.get("/admin/status", headers=headers)
        lines = read_log(tmp_path, "audit")
    error = response.json()["error"]
    assert (response.status_code, error["code"], error.get("reason")) == (status, code, reason)
    (line,) = [line["context"] for line in lines if line["message"] == "access"]
    assert (line["path"], line["outcome"], line["code"]) == ("/admin/status", "refused", code)
    written = json.dumps(lines) + json.dumps(read_log(tmp_path, "debug"))
    assert not [key for key in (ROOT, PHONE, OLD, "gw_wrong") if key in written]


async def test_page_of_an_allowed_origin_is_refused_too(tmp_path: Path) -> None:
    """CORS_ORIGINS are pages that may chat: they may not administrate."""
    origin = {"Origin": "https://friend.example.com"}
    async with admin_gateway(tmp_path, cors_origins=tuple(origin.values())) as gateway:
        response = await gateway.client.get("/admin/status", headers=bearer(ROOT) | origin)
    assert response.json()["error"]["code"] == "forbidden_origin"


async def test_rebound_host_is_refused(tmp_path: Path) -> None:
    """Before the key is looked at, as for every path."""
    async with admin_gateway(tmp_path, allowed_hosts=("chat.example.com",)) as gateway:
        for path in PATHS:
            headers = bearer(ROOT) | {"Host": "rebound.example.net"}
            response = await gateway.client.get(path, headers=headers)
            assert response.status_code == 421


async def test_lines_about_wrong_keys_are_limited(tmp_path: Path) -> None:
    """A flood of guesses pushes nothing out of the logs."""
    async with admin_gateway(tmp_path) as gateway:
        for _ in range(200):
            refused = await gateway.client.get("/admin/status", headers=bearer("gw_wrong"))
            assert refused.status_code == 401
        lines = read_log(tmp_path, "audit")
    assert 0 < len([line for line in lines if line["message"] == "access"]) < 100


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", PATHS)
async def test_page_changes_nothing(tmp_path: Path, path: str, method: str) -> None:
    """There is no method but GET and HEAD."""
    async with admin_gateway(tmp_path) as gateway:
        response = await gateway.client.request(method, path, headers=bearer(ROOT))
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_use_of_the_page_is_audited(tmp_path: Path) -> None:
    """With the name of the key; its answer is kept by no cache."""
    async with admin_gateway(tmp_path) as gateway:
        response = await gateway.client.get("/admin/status", headers=bearer(ROOT))
        lines = read_log(tmp_path, "audit")
    assert response.headers["cache-control"] == "no-store"
    (line,) = [line for line in lines if line["message"] == "access"]
    assert (line["client"], line["context"]["outcome"]) == ("root", "accepted")


async def test_admin_key_without_doors_is_for_no_chat(tmp_path: Path) -> None:
    """As `keys new --admin` writes it."""
    async with admin_gateway(tmp_path) as gateway:
        refused = await gateway.chat(headers=bearer(ROOT))
    assert (refused.status_code, refused.json()["error"]["reason"]) == (403, "door")


async def test_status_has_what_each_key_may_and_has_used(tmp_path: Path) -> None:
    """To the unit, with the last use; no hash, no key."""
    async with admin_gateway(tmp_path) as gateway:
        before = await read_status(gateway)
        gateway.gpt.enqueue(*answer("Hello"))
        done = await gateway.chat(headers=bearer(PHONE), stream=False)
        status = await read_status(gateway)
    keys = {key["name"]: key for key in status["keys"]}
    phone = keys["phone"]
    used = {limit["name"]: (limit["used"], limit["limit"]) for limit in phone["limits"]}
    usage = done.json()["usage"]
    tokens = usage["input_tokens"] + usage["output_tokens"]
    assert used == {
        "requests_per_minute": (1, 60),
        "streams": (0, 2),
        "tokens_per_day": (tokens, 1000),
        "usd_per_month": (0, 2.5),
    }
    assert (phone["providers"], phone["tags"], phone["rights"]) == (["gpt"], ["research"], [])
    assert (keys["old"]["expired"], keys["old"]["expires"]) == (True, "2020-01-02T00:00:00Z")
    assert (keys["root"]["rights"], keys["root"]["doors"]) == (["admin"], [])
    assert {key["name"]: key["last_used"] for key in before["keys"]}["phone"] is None
    assert phone["last_used"] <= status["time"]
    written = json.dumps(status)
    assert not [text for text in (ROOT, PHONE, ROOT_SHA, PHONE_SHA) if text in written]


async def test_status_counts_an_open_stream(tmp_path: Path) -> None:
    """While it is open: of the key, and of the worker."""
    go_on = asyncio.Event()
    async with admin_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("Hel")[:1], go_on.wait, [STOP])
        chat = asyncio.create_task(gateway.chat(headers=bearer(PHONE)))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                status = await read_status(gateway)
                if status["workers"][0]["streams"]["open"] == 1:
                    break
                await asyncio.sleep(0.01)
        go_on.set()
        await chat
    (phone,) = [key for key in status["keys"] if key["name"] == "phone"]
    assert {limit["name"]: limit["used"] for limit in phone["limits"]}["streams"] == 1


async def test_status_has_providers_breakers_and_the_newest_failures(tmp_path: Path) -> None:
    """A failed chat is there with its id and code; what a vendor said is not."""
    secret = "the vendor quotes the prompt"
    async with admin_gateway(tmp_path) as gateway:
        for model in ("luna", "nova"):
            for _ in range(10):
                failure = GatewayError("upstream_unavailable", detail={"body": secret})
                gateway.gpt.enqueue(failure, model=model)
        for _ in range(3):
            headers = bearer(PHONE) | {"X-Request-ID": "r-of-a-failure"}
            assert (await gateway.chat(headers=headers)).status_code == 503
        await gateway.running.settle()
        status = await read_status(gateway)
        assert secret in (tmp_path / "app.log").read_text()
    (gpt,) = status["providers"]
    assert (gpt["name"], gpt["state"], gpt["error"]) == ("gpt", "ERROR", "upstream_unavailable")
    assert {model["name"]: model["breaker"] for model in gpt["models"]}["luna"] == "open"
    failed = [each for each in status["problems"] if each.get("request_id") == "r-of-a-failure"]
    finished = [each for each in failed if each["message"] == "chat finished"]
    assert len(finished) == 3
    assert {(each["error_code"], each["client"]) for each in finished} == {
        ("upstream_unavailable", "phone")
    }
    assert secret not in json.dumps(status)
    times = [each["timestamp"] for each in status["problems"]]
    assert times == sorted(times, reverse=True)


async def test_without_log_files_the_problems_are_kept_in_memory(tmp_path: Path) -> None:
    """With LOG_DIR=-: with codes and ids, without what a vendor said; the newest come first."""
    async with scripted_gateway(Path("-"), keys_file=write_keys(tmp_path, KEYS)) as gateway:
        assert (await read_status(gateway))["problems"] == []
        for number in range(3):
            gateway.gpt.enqueue(GatewayError("upstream_auth", detail={"body": "a prompt"}))
            headers = bearer(PHONE) | {"X-Request-ID": f"r-{number}"}
            assert (await gateway.chat(headers=headers)).status_code == 502
        await gateway.running.settle()
        first, again = [(await read_status(gateway))["problems"] for _ in range(2)]
    assert first == again
    assert list(dict.fromkeys(problem["request_id"] for problem in first)) == ["r-2", "r-1", "r-0"]
    assert {problem.get("error_code") or problem["code"] for problem in first} == {"upstream_auth"}
    assert "a prompt" not in json.dumps(first)


async def test_limit_of_connections_is_listed_without_a_use(tmp_path: Path) -> None:
    """Each worker counts its own."""
    keys = KEYS.replace("streams = 2", "connections = 3")
    async with admin_gateway(tmp_path, keys) as gateway:
        status = await read_status(gateway)
    limits = {limit["name"]: limit for key in status["keys"] for limit in key["limits"]}
    assert (limits["connections"]["limit"], limits["connections"]["used"]) == (3, None)
