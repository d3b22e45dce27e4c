"""The page behind others' servers, in a real browser: what they answer in the gateway's place is called what it is."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from configuration import GatewayKey
from tests.clients.page_browser import chat_page
from tests.gateways.scripted import answer, scripted_gateway
from tests.program.test_nginx import NGINX, free_port, running_nginx

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser, Route

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_WORKER = {"service_workers": "block"}  # it would answer before the routes of a test
KEY = GatewayKey("phone", "65e7c884acfb26ee88bc691eec57b9bca581dc8af87485aab42fa2e9c1d05370")
HTML = "<!doctype html><title>Sign in</title><form></form>"
SIGN_IN = "You need to sign in again: a sign-in page came in the answer's place."
JSON = "application/json"

# status, headers, body; then the sentence, the buttons, and what the details have
REPLIES: dict[str, tuple[int, dict[str, str], str, str, list[str], str]] = {
    "a proxy's limit": (
        429,
        {"content-type": JSON, "retry-after": "200"},
        json.dumps({"message": "API rate limit exceeded"}),
        "A server between this page and the gateway lets no more questions through for the moment.",
        ["Try again in 4 minutes"],
        "foreign · 429 · API rate limit exceeded",
    ),
    "a proxy's refusal": (
        403,
        {"content-type": JSON},
        json.dumps({"error": "Access denied"}),
        SIGN_IN,
        ["Load the page again"],
        "foreign · 403 · Access denied",
    ),
    "a sign-in page": (
        200,
        {"content-type": "text/html"},
        HTML,
        SIGN_IN,
        ["Load the page again"],
        "foreign · 200",
    ),
    "another's JSON": (
        200,
        {"content-type": JSON},
        "{}",
        SIGN_IN,
        ["Load the page again"],
        "foreign · 200",
    ),
    "an empty answer": (200, {}, "", SIGN_IN, ["Load the page again"], "foreign · 200"),
    "a redirect": (
        302,
        {"location": "/sign-in"},
        "",
        SIGN_IN,
        ["Load the page again"],
        "redirected",
    ),
    "a redirect to another host": (
        302,
        {"location": "https://sign-in.example.com/"},
        "",
        SIGN_IN,
        ["Load the page again"],
        "redirected",
    ),
    "a proxy without a gateway": (
        502,
        {"content-type": "text/html"},
        "<h1>502 Bad Gateway</h1>",
        "A server between this page and the gateway answered in its place (status 502).",
        ["Try again"],
        "foreign · 502",
    ),
    "JSON that is cut": (
        503,
        {"content-type": JSON},
        '{"error": {"code": "over',
        "A server between this page and the gateway answered in its place (status 503).",
        ["Try again"],
        "foreign · 503",
    ),
    "an error of another shape": (
        500,
        {"content-type": JSON},
        json.dumps({"error": {"message": "oops"}}),
        "A server between this page and the gateway answered in its place (status 500).",
        ["Try again"],
        "foreign · 500",
    ),
    "a page that is too large": (
        413,
        {"content-type": "text/html"},
        "<h1>413</h1>",
        "A server between this page and the gateway answered in its place (status 413).",
        ["Load the page again"],
        "foreign · 413",
    ),
}


@pytest.mark.parametrize("name", REPLIES)
async def test_foreign_reply_is_called_what_it_is(
    browser: Browser, tmp_path: Path, name: str
) -> None:
    """In a sentence with what helps, and with what is known of it in the details."""
    status, headers, body, sentence, buttons, details = REPLIES[name]
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, **NO_WORKER) as chat,
    ):
        await chat.page.route(
            "**/chat/gpt", lambda route: route.fulfill(status=status, headers=headers, body=body)
        )
        shown = await chat.ask_and_wait("Hello?")
        problem = shown.locator(".problem")
        assert await problem.locator(".message").inner_text() == sentence
        assert await problem.locator(".row button").all_inner_texts() == buttons
        await problem.get_by_text("Details").click()
        assert details in await problem.locator("details").inner_text()
        assert sentence in await chat.status()
        chat.complaints.clear()


@pytest.mark.parametrize(
    "frame", ["data: hello\n\n", "data: {\n\n", "<p>data: {}</p>\n\n", "event: x\n\n"]
)
async def test_stream_that_is_none_of_ours_is_no_answer(
    browser: Browser, tmp_path: Path, frame: str
) -> None:
    """Nothing of it passes for a whole one."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, **NO_WORKER) as chat,
    ):
        await chat.page.route(
            "**/chat/gpt", lambda route: route.fulfill(content_type="text/event-stream", body=frame)
        )
        shown = await chat.ask_and_wait("Hello?")
        assert "This answer is not whole." in await shown.locator(".problem").inner_text()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"status": 200, "content_type": "text/html", "body": HTML}, "Something else answers"),
        ({"status": 200, "content_type": JSON, "body": "{}"}, "Something else answers"),
        ({"status": 200, "content_type": JSON, "body": "null"}, "Something else answers"),
        (
            {"status": 200, "content_type": JSON, "body": '{"providers": 3}'},
            "Something else answers",
        ),
        (
            {"status": 401, "content_type": JSON, "body": '{"message": "no"}'},
            "Something else answers",
        ),
        ({"status": 302, "headers": {"location": "/sign-in"}}, "Something else answers"),
        (None, "The gateway cannot be reached"),
    ],
    ids=str,
)
async def test_reply_of_another_server_is_not_the_gateways(
    browser: Browser, tmp_path: Path, reply: dict[str, Any] | None, words: str
) -> None:
    """The page starts, says what it has met, and keeps the question; when the gateway is back it goes on."""

    async def reply_with(route: Route) -> None:
        await (route.fulfill(**reply) if reply else route.abort())

    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, **NO_WORKER) as chat,
    ):
        await chat.page.route("**/ui/config", reply_with)
        await chat.start()
        assert words in str(await chat.page.locator("#health-words").text_content())
        await chat.ask("Hello?")
        await chat.page.locator("#ask-note", has_text=words).wait_for()
        assert await chat.page.input_value("#question") == "Hello?"
        assert await chat.page.locator("#offline").is_visible() == (reply is None)
        await chat.page.unroute("**/ui/config")
        await chat.start()
        gateway.gpt.enqueue(*answer("Here again"))
        await chat.ask_and_wait("Hello?")
        assert "Here again" in await chat.last_answer.inner_text()
        chat.complaints.clear()


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
async def test_gateway_with_keys_behind_basic_authentication(
    browser: Browser, tmp_path: Path
) -> None:
    """The browser's name and password are for the proxy, the page's key for the gateway: each has its own header."""
    port = free_port()
    name, password = "ann", "secret"
    (tmp_path / "users").write_text(f"{name}:{{PLAIN}}{password}\n")
    async with scripted_gateway(tmp_path, gateway_api_keys=(KEY,)) as gateway:
        text = (
            f'server {{ listen 127.0.0.1:{port}; auth_basic "us"; auth_basic_user_file {tmp_path}/users; '
            f"location / {{ proxy_pass {gateway.running.url}; proxy_buffering off; "
            f"proxy_set_header Host $http_host; }} }}"
        )
        gateway.gpt.enqueue(*answer("Both let you in"))
        credentials = {"username": name, "password": password}
        async with (
            running_nginx(tmp_path, text, port) as client,
            chat_page(browser, f"http://127.0.0.1:{port}", http_credentials=credentials) as chat,
        ):
            assert (await client.get("/health")).status_code == 401
            known = base64.b64encode(f"{name}:{password}".encode()).decode()
            headers = {"Authorization": f"Basic {known}"}
            assert (await client.get("/health", headers=headers)).status_code == 200
            await chat.ask("Hello?")
            await chat.page.get_by_role("dialog").locator("input").fill("gw-phone")
            await chat.page.keyboard.press("Enter")
            await chat.last_answer.get_by_text("Both let you in").wait_for()
