"""The gateway's `check_health` at our own port: which models it asks, how often, and what it reports."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import Raw

from models import NO_OPTIONS, AnswerOptions, GatewayError, Tool
from providers.errors import vendor_error
from tests.gateways.scripted import PortGateway, answer, ask
from tests.vendors.scripted_provider import Step
from tests.virtual_time import in_virtual_time


async def begin_check(gateway: PortGateway) -> asyncio.Task[object]:
    """A request for health, once its check of `gpt` has reached the vendor."""
    asker: asyncio.Task[object] = asyncio.create_task(gateway.check_health("gpt"))
    async with asyncio.timeout(10):
        while not gateway.gpt.checked:  # noqa: ASYNC110 - one turn of the loop at a time
            await asyncio.sleep(0)
    return asker


async def test_state_comes_from_traffic() -> None:
    """After a chat no model is asked, for as long as its observation is fresh."""
    gateway = PortGateway(answer("Hi"))
    await gateway.read_batches()
    report = await gateway.check_health("gpt")
    assert (report["status"], report["source"], report["error"], gateway.gpt.checked) == (
        "OK",
        "traffic",
        None,
        [],
    )
    assert report["metrics"]["success_rate"] == 1.0
    assert gateway.states() == {"gpt": "OK", "claude": "UNKNOWN", "groq": "NOT_CONFIGURED"}


async def test_failing_traffic_is_an_error() -> None:
    """If the newest requests all failed, the state says so, with the last code."""
    gateway = PortGateway([GatewayError("upstream_timeout")], [GatewayError("event_too_large")])
    await gateway.fail()
    report = await gateway.check_health("gpt")
    assert (report["status"], report["source"], report["error"]) == (
        "ERROR",
        "traffic",
        "event_too_large",
    )


async def test_what_the_client_did_wrong_is_no_state() -> None:
    """A rejected chat says nothing of the vendor: it has yet to be asked."""
    gateway = PortGateway([GatewayError("rejected_by_provider")])
    await gateway.fail()
    assert gateway.states()["gpt"] == "UNKNOWN"
    assert (await gateway.check_health("gpt"))["source"] == "probe"


async def test_concurrent_requests_share_one_check() -> None:
    """Concurrent requests cause one free call of the default model; later ones get its result."""
    gate = asyncio.Event()
    gateway = PortGateway()
    gateway.gpt.check = [gate.wait]
    first = await begin_check(gateway)
    askers = [asyncio.create_task(gateway.check_health("gpt")) for _ in range(50)]
    await asyncio.sleep(0)
    gate.set()
    await first
    reports = [*await asyncio.gather(*askers), await gateway.check_health("gpt")]
    assert (gateway.gpt.checked, gateway.gpt.history) == (["first"], [])
    assert {(report["status"], report["source"]) for report in reports} == {("OK", "probe")}


async def test_providers_are_checked_each_for_itself() -> None:
    """A check in flight for one provider does not delay another's."""
    gate = asyncio.Event()
    gateway = PortGateway()
    gateway.gpt.check = [gate.wait]
    asker = await begin_check(gateway)
    assert (await gateway.check_health("claude"))["status"] == "OK"
    gate.set()
    await asker


async def test_failed_check_is_kept_too() -> None:
    """A vendor that is down is not asked more often than one that is up."""
    gateway = PortGateway()
    gateway.gpt.check = [GatewayError("upstream_auth")]
    reports = [await gateway.check_health("gpt") for _ in range(3)]
    assert {(report["status"], report["error"]) for report in reports} == {
        ("ERROR", "upstream_auth")
    }
    assert gateway.gpt.checked == ["first"]


async def test_stale_state_is_checked_again() -> None:
    """What was seen too long ago, in traffic or in a check, is asked anew."""
    gateway = PortGateway(answer("Hi"), health_cache_seconds=0.0)
    await gateway.read_batches()
    reports = [await gateway.check_health("gpt") for _ in range(2)]
    assert [report["source"] for report in reports] == ["probe", "probe"]
    assert gateway.gpt.checked == ["first", "first"]


async def test_cancelled_request_does_not_stop_the_check() -> None:
    """The check is shared: the request that began it may be cancelled."""
    gate = asyncio.Event()
    gateway = PortGateway()
    gateway.gpt.check = [gate.wait]
    asker = await begin_check(gateway)
    asker.cancel()
    await asyncio.wait({asker})
    gate.set()
    report = await gateway.check_health("gpt")
    assert (report["status"], gateway.gpt.checked) == ("OK", ["first"])


@in_virtual_time
async def test_slow_check_delays_no_request() -> None:
    """After two seconds a request gets what is known; the check goes on, and is not begun twice."""
    gateway = PortGateway()
    gateway.gpt.check = [5.0]
    reports = [await gateway.check_health("gpt") for _ in range(3)]
    assert [report["status"] for report in reports] == ["UNKNOWN", "UNKNOWN", "OK"]
    assert asyncio.get_running_loop().time() == 5
    assert gateway.gpt.checked == ["first"]


async def test_deep_check_has_the_model_answer() -> None:
    """A test message to the default model, its stream closed; what came of it is the state."""
    gateway = PortGateway(answer("OK"))
    report = await gateway.check_health("gpt", deep=True)
    assert (report["status"], report["source"]) == ("OK", "probe")
    assert (gateway.gpt.history, gateway.gpt.closed, gateway.gpt.checked) == (
        ["first"],
        ["first"],
        [],
    )


async def test_deep_check_reports_a_failure() -> None:
    """A model that fails its test message is an ERROR; no other model is asked in its place."""
    gateway = PortGateway([GatewayError("upstream_quota")], answer("never"))
    report = await gateway.check_health("gpt", deep=True)
    assert (report["status"], report["error"], gateway.gpt.history) == (
        "ERROR",
        "upstream_quota",
        ["first"],
    )


async def test_deep_checks_are_limited() -> None:
    """One in the time that a check is kept, for each provider; the refusal says how long to wait."""
    gateway = PortGateway(answer("OK"))
    gateway.claude.enqueue(*answer("OK"))
    await gateway.check_health("gpt", deep=True)
    with pytest.raises(GatewayError, match="rate_limited") as raised:
        await gateway.check_health("gpt", deep=True)
    assert raised.value.retry_after is not None
    assert 20 < raised.value.retry_after <= 30
    assert (await gateway.check_health("claude", deep=True))["status"] == "OK"
    assert gateway.gpt.history == ["first"]


async def test_deep_checks_at_once_are_one() -> None:
    """The limit holds from the moment a check begins."""
    gateway = PortGateway(answer("OK"))
    checks = [gateway.check_health("gpt", deep=True) for _ in range(5)]
    reports = await asyncio.gather(*checks, return_exceptions=True)
    assert sum(isinstance(report, GatewayError) for report in reports) == 4
    assert gateway.gpt.history == ["first"]


async def test_deep_check_is_allowed_again() -> None:
    """After the time that a check is kept."""
    gateway = PortGateway(answer("OK"), answer("OK"), health_cache_seconds=0.0)
    for _ in range(2):
        await gateway.check_health("gpt", deep=True)
    assert gateway.gpt.history == ["first", "first"]


@pytest.mark.parametrize("deep", [False, True])
async def test_provider_without_a_key_is_not_configured(deep: bool) -> None:
    """ERROR, and why; no model is asked."""
    report = await PortGateway().check_health("groq", deep=deep)
    assert (report["status"], report["error"]) == ("ERROR", "provider_not_configured")
    assert (report["checked_at"], report["source"]) == (None, None)
    assert report["model"] == {"default": "first", "fallback": "second"}


@pytest.mark.parametrize("deep", [False, True])
async def test_unknown_provider_has_no_health(deep: bool) -> None:
    """An unknown name is an error, as for a chat."""
    with pytest.raises(GatewayError, match="unknown_provider"):
        await PortGateway().check_health("unheard-of", deep=deep)


async def test_deep_check_wants_a_whole_answer() -> None:
    """A model that says nothing, and that without an end, has not answered."""
    gateway = PortGateway([])
    assert (await gateway.check_health("gpt", deep=True))["error"] == "upstream_truncated"


@pytest.mark.parametrize("refused", ["rejected_by_provider", "payload_too_large"])
async def test_provider_that_refuses_every_chat_is_not_healthy(refused: str) -> None:
    """A free call that works does not show that chats do: refused one after the other, they are an error."""
    refusals: list[list[Step]] = [[GatewayError(refused)]] * 5
    gateway = PortGateway(*refusals, health_cache_seconds=0.0)
    states = []
    for _ in range(5):
        await gateway.fail()
        report = await gateway.check_health("gpt")
        states.append((report["status"], report["error"]))
    assert states == [
        ("OK", None),
        ("OK", None),
        ("DEGRADED", refused),
        ("DEGRADED", refused),
        ("ERROR", refused),
    ]
    assert gateway.states()["gpt"] == "ERROR"


async def test_refusals_with_different_codes_are_one_row() -> None:
    """The newest code is shown."""
    codes = ["payload_too_large", "rejected_by_provider", "payload_too_large"]
    refusals: list[list[Step]] = [[GatewayError(code)] for code in codes]
    gateway = PortGateway(*refusals, health_cache_seconds=0.0)
    for _ in codes:
        await gateway.fail()
    report = await gateway.check_health("gpt")
    assert (report["status"], report["error"]) == ("DEGRADED", "payload_too_large")


@pytest.mark.parametrize("code", ["content_filtered", "context_length_exceeded"])
async def test_what_the_client_causes_is_no_refusal(code: str) -> None:
    """Chats that are filtered or too long, however many in a row, say nothing about the provider."""
    errors: list[list[Step]] = [[GatewayError(code)]] * 10
    gateway = PortGateway(*errors, health_cache_seconds=0.0)
    for _ in range(5):
        await gateway.fail()
    assert (await gateway.check_health("gpt"))["status"] == "OK"


@pytest.mark.parametrize("deep", [False, True])
async def test_answer_ends_a_row_of_refusals(deep: bool) -> None:
    """Of a chat, or of a test message."""
    refusals: list[list[Step]] = [[GatewayError("rejected_by_provider")]] * 5
    gateway = PortGateway(*refusals, answer("OK"))
    for _ in refusals:
        await gateway.fail()
    if deep:
        await gateway.check_health("gpt", deep=True)
    else:
        await gateway.read_batches()
    assert (await gateway.check_health("gpt"))["status"] == "OK"


@pytest.mark.parametrize("code", ["context_length_exceeded", "content_filtered"])
async def test_what_clients_send_makes_no_provider_unhealthy(code: str) -> None:
    """Long chats and filtered content, however many, say nothing of the provider."""
    failures: list[list[Step]] = [[GatewayError(code)]] * 20
    gateway = PortGateway(*failures)
    for _ in range(8):
        await gateway.fail()
    assert (await gateway.check_health("gpt"))["status"] == "OK"


REFUSED_SCHEMAS = {
    "openai": {
        "message": "Invalid schema for function 'look': In context=(), 'required' is required.",
        "type": "invalid_request_error",
        "param": "tools[0].function.parameters",
        "code": "invalid_function_parameters",
    },
    "anthropic": {
        "type": "invalid_request_error",
        "message": "tools.0.custom.input_schema: JSON schema is invalid.",
    },
    "gemini": {
        "code": 400,
        "message": "* GenerateContentRequest.tools[0].function_declarations[0].name: invalid.",
        "status": "INVALID_ARGUMENT",
    },
    "an answer": {"message": "Invalid schema for response_format 'answer'.", "param": None},
}


@pytest.mark.parametrize("refused", REFUSED_SCHEMAS.values(), ids=REFUSED_SCHEMAS)
@pytest.mark.parametrize("has_tools", [True, False])
async def test_schema_that_the_vendor_refuses_is_the_clients_mistake(
    refused: dict[str, object], *, has_tools: bool
) -> None:
    """A chat without tools has no such mistake to make: then it is the gateway that is refused."""
    refusals: list[list[Step]] = [[vendor_error({"error": refused}, status=400)]] * 5
    gateway = PortGateway(*refusals, health_cache_seconds=0.0)
    options = AnswerOptions(tools=(Tool("look", Raw(b"{}")),)) if has_tools else NO_OPTIONS
    for _ in refusals:
        _, failure = await gateway.fail(ask("Hi", options=options))
        assert failure.code == "rejected_by_provider"
    assert (await gateway.check_health("gpt"))["status"] == ("OK" if has_tools else "ERROR")


async def test_provider_without_a_free_call_is_judged_by_its_traffic() -> None:
    """Nothing is known of it until it is asked, and it is not asked for a free call again and again."""
    gateway = PortGateway(answer("Hi"))
    gateway.gpt.has_free_call = False
    reports = [await gateway.check_health("gpt") for _ in range(3)]
    assert [(report["status"], report["error"]) for report in reports] == [("UNKNOWN", None)] * 3
    assert gateway.gpt.checked == ["first"]
    await gateway.read_batches()
    assert (await gateway.check_health("gpt"))["status"] == "OK"


@pytest.mark.parametrize(
    "failure", [GatewayError("internal_error"), LookupError("bug"), GatewayError("upstream_auth")]
)
async def test_check_is_kept_whatever_came_of_it(failure: Exception) -> None:
    """An odd answer must not have each probe ask the vendor."""
    gateway = PortGateway()
    gateway.gpt.check = [failure]
    for _ in range(5):
        await gateway.check_health("gpt")
    assert gateway.gpt.checked == ["first"]


async def test_our_own_bug_says_nothing_of_the_vendor() -> None:
    """A check that fails in our code leaves the provider's state as it was."""
    gateway = PortGateway()
    gateway.gpt.check = [LookupError("bug")]
    assert (await gateway.check_health("gpt"))["status"] == "UNKNOWN"
