"""`python main.py top`: what the gateway does now, from its metrics, once or again and again."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from configuration import ConfigurationError, Settings, load_settings
from telemetry import metric_names as names
from telemetry.exposition import Sample, read_samples, total
from telemetry.redaction import text_line

_CLEAR = "\x1b[2J\x1b[H"
_TOKENS = names.OUTPUT_TOKENS.sample_name
_CHATS = names.CHATS.sample_name
_COST = names.COST.sample_name
_KEY_CHATS = names.KEY_CHATS.sample_name
_KEY_TOKENS = names.KEY_TOKENS.sample_name
_KEY_COST = names.KEY_COST.sample_name
_BREAKERS = ("closed", "half open", "open")


def add_top_command(commands: Any) -> None:
    """Add the command to a parser's commands."""
    parser = commands.add_parser("top", help="show what the gateway does now, from its metrics")
    parser.add_argument("--url", help="of the metrics; by default that of METRICS_PORT or PORT")
    parser.add_argument("--key", help="a gateway key, for the metrics on the gateway's own port")
    parser.add_argument("--seconds", type=float, default=2.0, help="between two measurements")
    parser.add_argument("--once", action="store_true", help="print once, and end")
    parser.set_defaults(run=run_top)


def run_top(chosen: argparse.Namespace) -> int:
    """Run the command until Ctrl-C. Raises ConfigurationError."""
    url = chosen.url or metrics_url(load_settings())
    headers = {"Authorization": f"Bearer {chosen.key}"} if chosen.key else {}
    is_terminal = sys.stdout.isatty() and not chosen.once
    with httpx.Client(headers=headers, trust_env=False, timeout=10) as client:
        try:
            before, seen_at = read(client, url), time.monotonic()
            while True:
                time.sleep(chosen.seconds)
                now, then = time.monotonic(), seen_at
                samples, seen_at = read(client, url), now
                lines = "\n".join(describe(before, samples, now - then))
                print(f"{_CLEAR}{lines}" if is_terminal else lines, flush=True)
                if chosen.once:
                    return 0
                before = samples
        except KeyboardInterrupt:
            return 0
        except httpx.HTTPError as error:
            print(f"{url} cannot be read: {type(error).__name__}", file=sys.stderr)
            return 1


def metrics_url(settings: Settings) -> str:
    """The URL of the metrics on this machine. Raises ConfigurationError if they are off."""
    if settings.metrics_port:
        host, port = settings.metrics_host, settings.metrics_port
    elif settings.metrics:
        host, port = settings.host, settings.port
    else:
        raise ConfigurationError(["METRICS: top reads the metrics; set METRICS_PORT or METRICS"])
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not listened on
    return f"http://[{host}]:{port}/metrics" if ":" in host else f"http://{host}:{port}/metrics"


def read(client: httpx.Client, url: str) -> list[Sample]:
    """The metrics of this moment. Raises httpx.HTTPError."""
    response = client.get(url)
    response.raise_for_status()
    return list(read_samples(response.text))


def describe(before: list[Sample], samples: list[Sample], seconds: float) -> Iterator[str]:
    """The whole gateway, then a table of its providers, its breakers, and a table of its keys."""

    def rate(name: str, **labels: str) -> float:
        return max(0.0, total(samples, name, **labels) - total(before, name, **labels)) / seconds

    open_streams = total(samples, names.STREAMS_OPEN.name)
    limit = total(samples, names.STREAMS_LIMIT.name)
    memory = total(samples, names.MEMORY.name) / 2**20
    yield (
        f"workers {total(samples, names.WORKERS.name):.0f}   "
        f"streams {open_streams:.0f} of {limit:.0f}   {rate(_CHATS):.1f} chats/s   "
        f"{rate(_TOKENS):.0f} tokens/s   memory {memory:.0f} MB   "
        f"cost {total(samples, _COST):.4f} USD"
    )
    yield ""
    yield f"{'PROVIDER':<12}{'RUNNING':>8}{'CHATS/S':>9}{'CHATS':>10}{'NOT WHOLE':>11}{'USD':>12}"
    for name in values(samples, _CHATS, "provider"):
        chats = total(samples, _CHATS, provider=name)
        whole = sum(
            total(samples, _CHATS, provider=name, outcome=outcome)
            for outcome in ("ok", "fallback_ok")
        )
        running = total(samples, names.CHATS_RUNNING.name, provider=name)
        cost = total(samples, _COST, provider=name)
        yield (
            f"{name:<12}{running:>8.0f}{rate(_CHATS, provider=name):>9.1f}{chats:>10.0f}"
            f"{chats - whole:>11.0f}{cost:>12.4f}"
        )
    for sample in samples:
        if sample.name == names.BREAKER.name and sample.value:
            state = _BREAKERS[int(sample.value)]
            yield text_line(f"breaker {state}: {' '.join(sample.labels.values())}")
    yield ""
    yield from describe_keys(samples, rate)


def describe_keys(samples: list[Sample], rate: Callable[..., float]) -> Iterator[str]:
    """A table of the keys. `rate` is a counter's rate, by its name and labels."""
    yield f"{'KEY':<24}{'CHATS/S':>9}{'CHATS':>10}{'TOKENS/S':>10}{'USD':>12}"
    for name in values(samples, _KEY_CHATS, "key"):
        tokens = rate(_KEY_TOKENS, key=name, direction="output")
        cost = total(samples, _KEY_COST, key=name)
        yield text_line(
            f"{name:<24}{rate(_KEY_CHATS, key=name):>9.1f}"
            f"{total(samples, _KEY_CHATS, key=name):>10.0f}{tokens:>10.0f}{cost:>12.4f}"
        )


def values(samples: list[Sample], name: str, label: str) -> list[str]:
    """The values of a metric's label, sorted."""
    return sorted({sample.labels[label] for sample in samples if sample.name == name})
