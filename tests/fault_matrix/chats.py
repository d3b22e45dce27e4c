"""One cell's chat: asks, and says in facts what came of it; what is no fact of a table is a complaint."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from simulator.faults import ANSWER, DELTAS_BEFORE
from simulator.faults.base import PROSE
from tests.fault_matrix.answer import Answer
from tests.fault_matrix.cells import Facts
from tests.fault_matrix.doors import NATIVE, make_request, read_answer
from tests.fault_matrix.rig import CANARY_KEY, CANARY_PROMPT, HEALTHY

if TYPE_CHECKING:
    from tests.fault_matrix.cells import Cell
    from tests.fault_matrix.rig import Rig

CANARIES = (CANARY_KEY, CANARY_PROMPT, PROSE)
CLOSED_WITHIN = 2.0  # seconds, after the client's answer

_LEVELS = ("none", "debug", "info", "warning", "error")
_WITHIN_A_STREAM = (
    "error-event",
    "error-first",
    "bare-error",
    "json-200",
)  # errors whose answer's status is 200
_GOOD_SHARE = 0.99
_BULK = "x" * 190_000  # four times: below the MiB at which aiohttp warns, which fails a test


class Left(NamedTuple):
    """What a chat left behind: its lines in debug.log, and how many events Sentry got."""

    lines: list[dict[str, Any]]
    sentry: int


async def ask(rig: Rig, cell: Cell) -> Answer:
    """Ask, and wait until the calls that the chat made are over."""
    headers = {"X-Request-ID": cell.request_id}
    try:
        path, body = _question(cell)
        response = await rig.client.post(path, json=body, headers=headers)
    except httpx.HTTPError as error:
        return Answer(0, "", complaints=[f"no whole response: {error!r}"])
    answer = _read(response) if cell.door == NATIVE else read_answer(cell.door, response)
    if cell.door == "anthropic" and cell.fault == "refusal":
        answer.text = ""  # a refusal's words are a text there
    answer.complaints += _find_strangers(response, cell)
    calls = [call for call in rig.simulator.calls if call.model in cell.models]
    over = await asyncio.gather(*(_is_over(rig, call) for call in calls))
    answer.complaints += ["a vendor's socket is still open"] * (not all(over))
    return answer


def _find_strangers(response: httpx.Response, cell: Cell) -> list[str]:
    """What a response must not hold: another request's id, a canary."""
    found = [] if response.headers["x-request-id"] == cell.request_id else ["another request's id"]
    everything = response.text + str(response.headers)
    return found + [f"{canary} in the response" for canary in CANARIES if canary in everything]


async def _is_over(rig: Rig, call: Any) -> bool:
    return call.finished or await rig.simulator.wait_closed(call, CLOSED_WITHIN)


def _question(cell: Cell) -> tuple[str, dict[str, Any]]:
    messages = [{"role": "user", "content": CANARY_PROMPT}]
    if cell.fault == "unread-body":
        messages = [
            {"role": role, "content": _BULK} for role in ("user", "assistant") * 2
        ] + messages
    if cell.door != NATIVE:
        return make_request(cell.door, cell.name, messages)
    on_break = "restart" if cell.case.get("restart") else "error"
    return f"/chat/{cell.name}", {"messages": messages, "on_break": on_break}


def _read(response: httpx.Response) -> Answer:
    answer = Answer(response.status_code, response.text)
    if response.headers["content-type"] == "application/json":
        answer.error = response.json()["error"]
        wait = answer.error["retry_after"]
        if response.headers.get("retry-after") != (None if wait is None else str(wait)):
            answer.complaints.append(
                f"Retry-After {response.headers.get('retry-after')} for {wait}"
            )
        return answer
    blocks = [block[6:] for block in answer.body.split("\n\n") if block.startswith("data: ")]
    answer.is_done = blocks[-1:] == ["[DONE]"]
    answer.events = [json.loads(block) for block in (blocks[:-1] if answer.is_done else blocks)]
    begun = max(
        (place for place, event in enumerate(answer.events) if event["type"] == "restart"),
        default=0,
    )
    deltas = [event["delta"] for event in answer.events[begun:]]
    answer.text = "".join(delta["content"] for delta in deltas)
    for piece in (delta["tool_call"] for delta in deltas if "tool_call" in delta):
        begun_call = answer.tools.get(piece["index"], f"{piece.get('name')} ")
        answer.tools[piece["index"]] = begun_call + (piece.get("arguments") or "")
    answer.error = answer.last.get("error")
    answer.complaints += _find_dishonesty(answer)
    return answer


def _find_dishonesty(answer: Answer) -> list[str]:
    """An ending is one `end` with `[DONE]`, or one `error` without; numbers are in order."""
    kinds = [event["type"] for event in answer.events]
    endings = [kind for kind in kinds if kind in ("end", "error")]
    found = [
        f"seq {event['seq']} at {place}"
        for place, event in enumerate(answer.events)
        if event["seq"] != place
    ]
    if endings != kinds[-1:] or answer.is_done != (endings == ["end"]):
        found.append(f"it ends in {endings}, {'with' if answer.is_done else 'without'} [DONE]")
    return found


def state_facts(rig: Rig, cell: Cell, answer: Answer, left: Left) -> Facts:
    """What is seen of the cell's chat, in the words that its expectation is written in; complaints are added."""
    records = [line["context"] for line in left.lines if line["message"] == "chat finished"]
    if len(records) != 1:
        answer.complaints.append(f"{len(records)} final records")
    answer.complaints += _find_unnamed(cell, left.lines)
    error = answer.error or {}
    if records and (answer.is_unnamed or (error and "reason" not in error)):
        # What this door does not say; the final record has it.
        error = {**_of_record(records[0]), **error}
    calls = _count_calls(rig, cell, answer, left.lines)
    _check_details(cell, answer, calls)
    return Facts(
        status=error.get("status", answer.http_status),
        code=error.get("code"),
        reason=error.get("reason"),
        outcome=records[0]["outcome"] if records else None,
        calls=calls,
        text=_name_text(answer, cell),
        level=_worst_level(left.lines),
        sentry=left.sentry,
        finish=answer.last.get("finish_reason") if cell.facts.finish else None,
        retry_after=error.get("retry_after") if cell.facts.retry_after else None,
        tools=None if cell.facts.tools is None else tuple(answer.tools.values()),
    )


def _of_record(record: dict[str, Any]) -> dict[str, Any]:
    return {"status": record["status"], "code": record["error_code"], "reason": record["reason"]}


def _find_unnamed(cell: Cell, lines: list[dict[str, Any]]) -> list[str]:
    """An answer with an error status has the vendor's own request id in the log."""
    if cell.case["phase"] != "before" or cell.fault in _WITHIN_A_STREAM:
        return []
    failed = [line["context"] for line in lines if line["message"] == "attempt failed"]
    nameless = [
        line
        for line in failed
        if line.get("vendor_status") and not line.get("vendor_request_id", "-")
    ]
    return ["the vendor's request id is not in the log"] * bool(nameless)


def _count_calls(
    rig: Rig, cell: Cell, answer: Answer, lines: list[dict[str, Any]]
) -> tuple[int, ...]:
    """How often each model was asked, by the vendors' own log; for a faulty address, by what the error says.

    A door whose errors are texts does not say it: there it is the log of the failed attempts.
    """
    asked = [
        call.model
        for call in rig.simulator.calls
        if call.model in cell.models and not call.is_check
    ]
    if cell.case.get("endpoint"):
        failed = [line["context"] for line in lines if line["message"] == "attempt failed"]
        asked = [attempt["model"] for attempt in (answer.error or {}).get("attempts", failed)]
    if asked != sorted(asked, key=cell.models.index):
        answer.complaints.append(f"asked out of order: {asked}")
    counts = [asked.count(model) for model in cell.models]
    return tuple(counts if counts[1] else counts[:1])


def _check_details(cell: Cell, answer: Answer, calls: tuple[int, ...]) -> None:
    """What the answer says of itself agrees with what happened."""
    complaints = answer.complaints
    error = answer.error
    began = bool(answer.text or answer.tools)
    if answer.is_unnamed or (error and "attempts" not in error):
        return
    if error:
        expected_http = 200 if began or cell.case.get("past_hold") else error["status"]
        complaints += [f"HTTP {answer.http_status}"] * (answer.http_status != expected_http)
        complaints += ["partial_chars"] * (error["partial_chars"] != len(answer.text))
        complaints += [f"stage {error['stage']}"] * (
            error["stage"] != ("after_content" if began else "before_content")
        )
        attempts = [attempt["model"] for attempt in error["attempts"]]
        complaints += ["attempts"] * (
            [attempts.count(model) for model in cell.models[: len(calls)]] != list(calls)
        )
        return
    complaints += ["attempts"] * (answer.last.get("attempts") != sum(calls))
    fallback = answer.last.get("fallback") or {}
    pair = (fallback.get("from"), fallback.get("to"))
    complaints += [f"fallback {pair}"] * (pair != (cell.models if len(calls) > 1 else (None, None)))
    complaints += [f"left for {fallback.get('reason')}"] * (
        cell.left_for not in (None, fallback.get("reason"))
    )
    if cell.case["phase"] == "whole" and cell.case.get("past_hold"):
        complaints += ["no heartbeat"] * (": keep-alive\n\n" not in answer.body)


def _name_text(answer: Answer, cell: Cell) -> str:
    if not answer.text:
        return "none"
    model = answer.last.get("model") or (answer.error or {}).get("model") or ""
    whole = "".join(HEALTHY if model.startswith("healthy") else ANSWER)
    begun = "".join(ANSWER[:DELTAS_BEFORE])
    if answer.text == whole:
        return "whole"
    if answer.text == begun:
        return "partial"
    return (
        "endless" if answer.text.startswith(begun + "and on ") else f"other: {answer.text[:60]!r}"
    )


def _worst_level(lines: list[dict[str, Any]]) -> str:
    levels = [line["level"].lower() for line in lines if line["message"] == "attempt failed"]
    return max(levels, key=_LEVELS.index, default="none")


async def ask_often(rig: Rig, cell: Cell) -> Answer:
    """Many chats one after another, summed up as one: it ended well if nearly all did."""
    answers = [await ask(rig, cell) for _ in range(cell.chats)]
    good = sum(answer.last.get("type") == "end" and not answer.complaints for answer in answers)
    summary = Answer(200 if good >= _GOOD_SHARE * cell.chats else 0, "")
    summary.complaints = [complaint for answer in answers for complaint in answer.complaints]
    return summary


def state_often(rig: Rig, cell: Cell, answer: Answer, left: Left) -> Facts:
    """What is seen of many chats."""
    records = [line for line in left.lines if line["message"] == "chat finished"]
    if len(records) != cell.chats:
        answer.complaints.append(f"{len(records)} final records of {cell.chats} chats")
    return Facts(
        answer.http_status, None, None, None, (), "any", _worst_level(left.lines), left.sentry
    )
