"""What a chat leaves in the log files: an opening line, one final record however it ended, and its conversation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from models import Chat, End, File, GatewayError, Image, Reasoning, Text, Turn, Usage
from providers.refusals import VendorRefusalError
from tests.gateways.log_files import logs_in, read_log
from tests.gateways.scripted import IDENTITY, QUESTION, PortGateway, ask
from tests.vendors.scripted_provider import Step, answer, finish, silence, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Scripts = list[list[Step]]

RESTART = msgspec.structs.replace(QUESTION, on_break="restart")
BLANK = ask(" ")


class Logs:
    """The log files of one test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def lines(self, name: str, message: str) -> list[Any]:
        """The lines of a log that have this message."""
        return [line for line in read_log(self.directory, name) if line["message"] == message]

    def record(self) -> Any:
        """What the one final record of the one chat says."""
        (line,) = self.lines("app", "chat finished")
        return line["context"]

    def conversation(self) -> Any:
        """What the one entry of conversation.log says."""
        (line,) = self.lines("conversation", "conversation")
        return line["context"]


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    """Logs as the gateway opens them."""
    with logs_in(tmp_path):
        yield Logs(tmp_path)


def late() -> GatewayError:
    return GatewayError("upstream_truncated")


def slow() -> GatewayError:
    return GatewayError("upstream_timeout", reason="connect")


async def have(gateway: PortGateway) -> None:
    """One chat, however it ends; if the vendor falls silent, the client leaves."""
    chat = asyncio.create_task(gateway.read_batches())
    silent = asyncio.create_task(gateway.gpt.silent.wait())
    await asyncio.wait({chat, silent}, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    for task in (chat, silent):
        task.cancel()
    await asyncio.gather(chat, silent, return_exceptions=True)


# What most chats have in their record; a case has what differs.
USUAL: dict[str, Any] = {
    "door": "native",
    "client": None,
    "provider": "gpt",
    "model": "first",
    "fallback": None,
    "error_code": None,
    "reason": None,
    "status": 200,
    "input_tokens": None,
    "output_tokens": None,
    "cost": None,
    "attempts": 1,
    "dropped_params": [],
}
TOKENS = {"input_tokens": 9, "output_tokens": 12}
REPORTED = Usage(input_tokens=9, output_tokens=1)
SLOW = {"error_code": "upstream_timeout", "reason": "connect", "status": 504, "attempts": 2}
FALLBACK = {"from": "first", "to": "second", "reason": "upstream_timeout"}

OUTCOMES: dict[str, tuple[str, Scripts, dict[str, Any]]] = {
    "whole": ("ok", [answer("Hi")], TOKENS),
    "tokens untold": ("ok", [[[text("Hi")], [finish()]]], {}),
    "by the next model": (
        "fallback_ok",
        [[slow()], answer("Hi")],
        TOKENS | {"model": "second", "fallback": FALLBACK, "attempts": 2},
    ),
    "refused": (
        "rejected",
        [[GatewayError("rejected_by_provider")]],
        {"error_code": "rejected_by_provider", "status": 400},
    ),
    "too long": (
        "rejected",
        [[GatewayError("context_length_exceeded")], [GatewayError("context_length_exceeded")]],
        {"error_code": "context_length_exceeded", "status": 400, "attempts": 2},
    ),
    "no model answers": ("upstream_error_before", [[slow()], [slow()]], SLOW),
    "limited": (
        "upstream_error_before",
        [[GatewayError("rate_limited")], [GatewayError("rate_limited")]],
        {"error_code": "rate_limited", "status": 429, "attempts": 2},
    ),
    "broken": (
        "upstream_error_after",
        [[[text("Hi")], late()]],
        {"error_code": "upstream_truncated", "status": 502},
    ),
    "refused midway": (
        "upstream_error_after",
        [[[text("Hi")], GatewayError("content_filtered")]],
        {"error_code": "content_filtered", "status": 422},
    ),
    "instance stops": (
        "drained",
        [[[text("Hi")], GatewayError("draining")]],
        {"error_code": "draining", "status": 503},
    ),
    "bug": ("internal_error", [[KeyError("bug")]], {"error_code": "internal_error", "status": 500}),
    "failed early after a report": (
        "upstream_error_before",
        [[[REPORTED], slow()], [slow()]],
        SLOW,
    ),
    "broken after a report": (
        "upstream_error_after",
        [[[REPORTED, text("Hello, world")], late()]],
        {"error_code": "upstream_truncated", "status": 502, "input_tokens": 9, "output_tokens": 3},
    ),
    "instance stops after a report": (
        "drained",
        [[[REPORTED], [text("Hi")], GatewayError("draining")]],
        {"error_code": "draining", "status": 503, "input_tokens": 9, "output_tokens": 1},
    ),
    "client gone after a report": (
        "client_gone",
        [[[REPORTED, text("Hi")], [Usage(input_tokens=9, output_tokens=7), text("!")], silence]],
        {"input_tokens": 9, "output_tokens": 7},
    ),
    "client gone before any content of a report": (
        "client_gone",
        [[[REPORTED], silence]],
        {"model": None, "input_tokens": 9, "output_tokens": 1},
    ),
    "client gone from another model than the reporting one": (
        "client_gone",
        [[[REPORTED], slow()], [[text("Hi")], silence]],
        {"model": "second", "fallback": FALLBACK, "attempts": 2},
    ),
    "client gone early": ("client_gone", [[silence]], {"model": None}),
    "client gone midway": ("client_gone", [[[text("Hi")], silence]], {}),
}


@pytest.mark.parametrize(("outcome", "scripts", "facts"), OUTCOMES.values(), ids=OUTCOMES)
async def test_chat_leaves_one_record(
    logs: Logs, outcome: str, scripts: Scripts, facts: dict[str, Any]
) -> None:
    """However a chat goes, one line has all of it: its model, its end, its duration, its cost."""
    await have(PortGateway(*scripts))
    record = logs.record()
    first_content_ms, total_ms = record.pop("first_content_ms"), record.pop("total_ms")
    cpu_seconds, memory_mb = record.pop("cpu_seconds"), record.pop("memory_mb")
    assert record == USUAL | facts | {"outcome": outcome}
    batches = [step for script in scripts for step in script if isinstance(step, list)]
    has_content = any(not isinstance(event, Usage) for batch in batches for event in batch)
    assert (first_content_ms is not None) == has_content
    assert 0 <= (first_content_ms or 0) <= total_ms < 10_000
    assert cpu_seconds > 0
    assert memory_mb > 1
    assert len(logs.lines("app", "chat started")) == 1


REFUSALS = {
    "unknown provider": ("unknown", QUESTION, "unknown_provider", 404),
    "provider without a key": ("groq", QUESTION, "provider_not_configured", 503),
    "nothing asked": ("gpt", BLANK, "invalid_request", 422),
}


@pytest.mark.parametrize(("name", "asked", "code", "status"), REFUSALS.values(), ids=REFUSALS)
async def test_chat_that_asks_no_vendor_is_rejected(
    logs: Logs, name: str, asked: Chat, code: str, status: int
) -> None:
    """What no vendor was asked for is no vendor's failure."""
    await PortGateway().fail(asked, name)
    record = logs.record()
    assert (record["outcome"], record["provider"], record["error_code"]) == ("rejected", name, code)
    assert (record["status"], record["model"], record["attempts"]) == (status, None, 0)


@pytest.mark.parametrize(
    ("script", "level", "files"),
    [
        (answer("Hi"), "INFO", {"app", "debug"}),
        ([GatewayError("rejected_by_provider")], "INFO", {"app", "debug"}),
        ([[text("Hi")], late()], "WARNING", {"app", "debug"}),
        ([KeyError("bug")], "ERROR", {"app", "debug", "error"}),
    ],
    ids=["whole", "refused", "broken", "bug"],
)
async def test_record_has_the_level_of_its_outcome(
    logs: Logs, script: list[Step], level: str, files: set[str]
) -> None:
    """Our bugs are errors, the vendors' failures warnings, the clients' mistakes neither."""
    await have(PortGateway(script))
    written = {
        file.stem: logs.lines(file.stem, "chat finished") for file in logs.directory.glob("*.log")
    }
    assert {
        name: [line["level"] for line in lines] for name, lines in written.items() if lines
    } == {name: [level] for name in files}


@pytest.mark.parametrize("opening", [[], [[text("Hel")]]], ids=["before content", "after content"])
async def test_bug_is_in_the_log_with_its_place(logs: Logs, opening: list[Step]) -> None:
    """error.log has the stack frames once, without the exception's message."""
    await have(PortGateway([*opening, KeyError("How far is the moon?")]))
    (line,) = logs.lines("error", "chat failed by a bug")
    assert "scripted_provider.py" in line["exception"]
    assert line["exception"].endswith("KeyError")


async def test_chat_is_in_the_log_before_a_vendor_is_asked(logs: Logs) -> None:
    """A chat that is killed midway leaves its opening line."""
    gateway = PortGateway([silence])
    chat = asyncio.create_task(gateway.read_batches())
    await gateway.gpt.next_asked()
    (line,) = logs.lines("app", "chat started")
    assert line["context"] == {"provider": "gpt", "id": "gpt-1", "messages": 1}
    assert logs.lines("app", "chat finished") == []
    chat.cancel()
    await asyncio.wait({chat})


@pytest.mark.parametrize(
    ("batches", "outcome"), [(0, None), (1, "client_gone"), (2, "client_gone"), (3, "ok")]
)
async def test_client_that_has_the_end_is_not_gone(
    logs: Logs, batches: int, outcome: str | None
) -> None:
    """Closed between batches a chat is `client_gone`; after the End it was whole; unasked it was none."""
    chat = PortGateway(answer("Hel", "lo")).stream_chat("gpt", QUESTION, IDENTITY)
    events = [event for _ in range(batches) for event in await anext(chat)]
    await chat.aclose()
    assert any(isinstance(event, End) for event in events) == (outcome == "ok")
    records = logs.lines("app", "chat finished") if outcome else []
    assert [line["context"]["outcome"] for line in records] == ([outcome] if outcome else [])


async def test_restart_is_a_fallback(logs: Logs) -> None:
    """An answer that another model gave in the end, with the time of the first content that the client saw."""
    await PortGateway([[text("Hel")], late()], [0.05, *answer("Hi")]).read_batches(RESTART)
    record = logs.record()
    assert (record["outcome"], record["model"], record["attempts"]) == ("fallback_ok", "second", 2)
    assert record["first_content_ms"] <= record["total_ms"] - 49


async def test_dropped_parameters_are_in_the_record(logs: Logs) -> None:
    """A parameter that the model refused was left out: the record says so."""
    refusal = VendorRefusalError("rejected_by_provider", places=["temperature"], texts=[])
    await PortGateway([refusal], answer("Hi")).read_batches()
    assert (logs.record()["dropped_params"], logs.record()["attempts"]) == (["temperature"], 2)


async def test_chats_at_once_have_a_record_each(logs: Logs) -> None:
    """What one chat did is not in the other's record."""
    gateway = PortGateway(answer("Hi"))
    gateway.claude.enqueue([text("Hel")], late())
    await asyncio.gather(gateway.read_batches(), gateway.fail(name="claude"))
    records = [line["context"] for line in logs.lines("app", "chat finished")]
    assert sorted((record["provider"], record["outcome"]) for record in records) == [
        ("claude", "upstream_error_after"),
        ("gpt", "ok"),
    ]


CONVERSATIONS: dict[str, tuple[str, Scripts, str | None, str]] = {
    "whole": ("ok", [answer("Hel", "lo")], "first", "Hello"),
    "by the next model": ("fallback_ok", [[slow()], answer("Hi")], "second", "Hi"),
    "broken": ("upstream_error_after", [[[text("Hel")], late()]], "first", "Hel"),
    "no model answers": ("upstream_error_before", [[slow()], [slow()]], None, ""),
    "client gone": ("client_gone", [[[text("Hel")], silence]], "first", "Hel"),
    "thought first": ("ok", [[[Reasoning("hm")], [text("Hi"), finish()]]], "first", "Hi"),
}


@pytest.mark.parametrize(
    ("outcome", "scripts", "model", "said"), CONVERSATIONS.values(), ids=CONVERSATIONS
)
async def test_conversation_has_question_and_answer(
    logs: Logs, outcome: str, scripts: Scripts, model: str | None, said: str
) -> None:
    """One entry a chat: what the user asked, and what the client has of the answer."""
    await have(PortGateway(*scripts))
    facts = {"provider": "gpt", "model": model, "outcome": outcome}
    assert logs.conversation() == facts | {"query": "How far is the moon?", "answer": said}


async def test_conversation_has_what_the_client_kept(logs: Logs) -> None:
    """After a Restart the client has discarded what came before it."""
    await PortGateway([[text("Hel")], late()], answer("Hi")).read_batches(RESTART)
    assert (logs.conversation()["model"], logs.conversation()["answer"]) == ("second", "Hi")


async def test_query_is_the_newest_of_the_user(logs: Logs) -> None:
    """Of a long conversation the last question alone, its texts without its images and files."""
    media = Image("image/png", "AAAA"), File("application/pdf", "JVBERi0x", "secret.pdf")
    words = [Text(text) for text in ("And ", "now?")]
    old = Turn("user", (Text("Old?"),)), Turn("assistant", (Text("Old."),))
    new = Turn("user", (words[0], *media, words[1])), Turn("assistant", (Text("I"),))
    await PortGateway(answer("Hi")).read_batches(Chat(turns=(*old, *new)))
    assert logs.conversation()["query"] == "And now?"
    written = "".join(file.read_text() for file in logs.directory.glob("*.log"))
    assert not any(word in written for word in ("AAAA", "JVBERi0x", "secret.pdf"))


@pytest.mark.parametrize(
    "last", [finish(), late(), KeyError("384,400")], ids=["whole", "broken", "bug"]
)
async def test_prompt_and_answer_are_in_no_other_log(logs: Logs, last: Any) -> None:
    """Prompts and answers are in conversation.log alone."""
    await have(PortGateway([[text("384,400")], last if isinstance(last, Exception) else [last]]))
    assert logs.conversation()["answer"] == "384,400"
    for file in logs.directory.glob("*.log"):
        if file.name != "conversation.log":
            assert "moon" not in file.read_text()
            assert "384,400" not in file.read_text()
