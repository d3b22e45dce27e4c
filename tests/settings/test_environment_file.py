"""`.env` and files of single values: a value is what is written, and what can't be read is reported by its line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from configuration import ConfigurationError, load_settings, startup_warnings
from settings import variables
from settings.environment_file import MAX_VALUE_BYTES, parse_environment_file

if TYPE_CHECKING:
    from pathlib import Path

    from configuration import Settings

SECRET = "sk-verysecret0123456789"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine that runs the tests is seen, its `.env` included."""
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_FILE")) or name in ("PORT", "HOST", "DEMO", "WORKERS"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    path.chmod(mode)
    return path


def prompt_of(settings: Settings) -> str | None:
    return settings.system_prompt


def key_of(settings: Settings) -> str | None:
    key = settings.provider("gpt").api_key
    return key.get_secret_value() if key else None


def refuse(*arguments: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("a b", "a b"),
        ("  a b\t", "a b"),
        ("a # comment", "a"),
        ("a\t# comment", "a"),
        ("a#b", "a#b"),
        ("#a", "#a"),
        (" # comment", ""),
        ("${HOME}", "${HOME}"),
        ("$HOME ${PORT:-1} $(id) `id`", "$HOME ${PORT:-1} $(id) `id`"),
        ("a=b", "a=b"),
        ("a\\nb", "a\\nb"),
        ('"a"', "a"),
        ("'a'", "a"),
        ('"a" # comment', "a"),
        ('"a # b"', "a # b"),
        ('"${HOME}"', "${HOME}"),
        ("'${HOME}'", "${HOME}"),
        ("\"'a'\"", "'a'"),
        ("'\"a\"'", '"a"'),
        ('""a""', '"a"'),
        ('"a\\nb"', "a\\nb"),
        ('"C:\\new\\"', "C:\\new\\"),
        ('"say \\"hi\\""', 'say \\"hi\\"'),
        ('"a" and "b"', 'a" and "b'),
        ('" a "', " a "),
        ('""', ""),
        ('"a\nb\n\nc"', "a\nb\n\nc"),
        ("'a\nb = c'", "a\nb = c"),
        ("it's", "it's"),
        ("é 😀", "é 😀"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_value_is_what_is_written(written: str, value: str, line_end: str) -> None:
    """Quotes are stripped once; nothing is expanded, in quotes or without."""
    text = f"# first\n\nA={written}\nexport B = b\n".replace("\n", line_end)
    assert parse_environment_file(text, set()) == ({"A": value, "B": "b"}, [])


@pytest.mark.parametrize(
    "line",
    [
        "A",
        "A B",
        "A: b",
        "1A=b",
        "A-B=c",
        "=b",
        "export A",
        "A B=c",
        "- A=b",
        "A=b\0c",
        "A='b",
        'A="b',
        "A=\"b'",
        'A="b" c',
    ],
)
def test_line_that_cannot_be_parsed_is_reported_by_its_number(line: str) -> None:
    """And hides no other: neither the lines behind it nor their problems."""
    read = parse_environment_file(f"FIRST=1\n\n{line}\nLAST='2'\nbroken too\n", {"LAST"})
    assert read.values == {"FIRST": "1", "LAST": "2"}
    assert [problem.partition(":")[0] for problem in read.problems] == ["line 3", "line 5"]


@pytest.mark.parametrize(
    "following",
    [
        "OPENAI_API_KEY=",
        "openai_api_key=",
        "Openai_Api_Key = ",
        "  export openai_api_key=",
        "OPENAI_API_KEY_FILE=",
        "openai_api_key_file=",
    ],
)
@pytest.mark.parametrize("between", ["", "# a comment\n", "And honest.\n\n"])
def test_forgotten_quote_takes_no_other_variable_into_a_value(
    tmp_path: Path, following: str, between: str
) -> None:
    """A key would be sent to a vendor as a part of the system prompt."""
    text = f'SYSTEM_PROMPT="Be kind.\n{between}{following}"{SECRET}"\nDEMO=on\n'
    report = refuse(write(tmp_path / ".env", text))
    assert ".env, line 1: SYSTEM_PROMPT: the quote at its beginning has no end" in report
    assert SECRET not in report


@pytest.mark.parametrize(
    "prompt",
    [
        "Answer in this form:\nRESULT=number\nDone",
        "Answer in this form:\nexport RESULT = number",
        "a\nNOT_OPENAI_API_KEY=b",
        "a\nsay PORT=b",
        "PORT=1 is on its first line\nb",
    ],
)
@pytest.mark.parametrize("quote", ["'", '"'])
def test_quoted_text_may_assign_what_is_no_variable(
    tmp_path: Path, prompt: str, quote: str
) -> None:
    path = write(
        tmp_path / ".env", f"SYSTEM_PROMPT={quote}{prompt}{quote}\nOPENAI_API_KEY={SECRET}\n"
    )
    settings = load_settings(path)
    assert (prompt_of(settings), key_of(settings)) == (prompt, SECRET)


def test_report_has_every_line_that_is_wrong_and_no_value(tmp_path: Path) -> None:
    path = write(
        tmp_path / ".env",
        f"OPENAI_API_KEY {SECRET}\nPORT=http\n'{SECRET}'\nGROQ_API_KEY='{SECRET}\n",
    )
    report = refuse(path)
    for finding in (".env, line 1: ", ".env, line 3: ", ".env, line 4: GROQ_API_KEY", "PORT: "):
        assert finding in report
    assert SECRET not in report


def test_value_of_the_file_reaches_the_settings_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAME", "expanded")
    path = write(tmp_path / ".env", "SYSTEM_PROMPT=\"'${NAME}' is # you\"\n")
    assert prompt_of(load_settings(path)) == "'${NAME}' is # you"


def test_quotes_of_the_environment_are_stripped_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Docker passes them on from its file."""
    monkeypatch.setenv("SYSTEM_PROMPT", "\"'a'\"")
    assert prompt_of(load_settings(None)) == "'a'"


def test_file_is_the_one_beside_main_from_wherever_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert variables.BESIDE_MAIN.name == ".env"
    assert (variables.BESIDE_MAIN.parent / "main.py").is_file()
    here = write(tmp_path / ".env", f"OPENAI_API_KEY={SECRET}\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("ENV_FILE", str(here))
    assert key_of(load_settings()) == SECRET
    monkeypatch.setenv("ENV_FILE", "../.env")
    assert key_of(load_settings()) == SECRET


def test_named_file_that_is_absent_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENV_FILE", str(tmp_path / "absent"))
    assert "ENV_FILE: there is no file" in refuse()
    monkeypatch.setenv("ENV_FILE", str(tmp_path))
    assert "cannot be read" in refuse()


def test_file_of_another_directory_cannot_lead_to_demo_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was written for this gateway, which does not start as if there were none, or says that it was not read."""
    if variables.BESIDE_MAIN.exists():
        pytest.skip("a .env of this machine's user is read first")
    write(tmp_path / ".env", f"OPENAI_API_KEY={SECRET}\n")
    assert "ENV_FILE" in refuse()
    monkeypatch.setenv("GROQ_API_KEY", SECRET)
    assert any("is not read" in warning for warning in startup_warnings(load_settings()))
    monkeypatch.setenv("ENV_FILE", os.devnull)
    assert startup_warnings(load_settings()) == []


@pytest.mark.parametrize(
    ("held", "value"),
    [(SECRET, SECRET), (f"{SECRET}\n", SECRET), (f"{SECRET}\r\n", SECRET)],
)
@pytest.mark.parametrize("is_in_file", [False, True])
def test_variable_is_read_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str, value: str, is_in_file: bool
) -> None:
    """One line end at the end is not part of it; a relative path in `.env` is relative to its folder."""
    (tmp_path / "secrets").mkdir()
    write(tmp_path / "secrets" / "key", held)
    write(tmp_path / "secrets" / "prompt", "'a'\n\n")
    if is_in_file:
        names = "OPENAI_API_KEY_FILE=key\nSYSTEM_PROMPT_FILE=prompt\n"
        settings = load_settings(write(tmp_path / "secrets" / ".env", names))
    else:
        monkeypatch.setenv("OPENAI_API_KEY_FILE", "secrets/key")
        monkeypatch.setenv("SYSTEM_PROMPT_FILE", str(tmp_path / "secrets" / "prompt"))
        settings = load_settings(None)
    assert (key_of(settings), prompt_of(settings)) == (value, "'a'\n")
    assert startup_warnings(settings) == []


def test_variable_and_its_file_at_once_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = write(tmp_path / "key", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(key))
    report = refuse(None)
    assert "OPENAI_API_KEY_FILE: OPENAI_API_KEY is set too" in report
    assert SECRET not in report


def test_environment_wins_over_the_file_in_either_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = write(tmp_path / "key", SECRET)
    path = write(tmp_path / ".env", "OPENAI_API_KEY=another\n")
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(key))
    assert key_of(load_settings(path)) == SECRET


@pytest.mark.parametrize(
    "content", [None, b"\xff\xfe", b"a" * (MAX_VALUE_BYTES + 1)], ids=["absent", "no text", "large"]
)
def test_file_that_cannot_be_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    monkeypatch.setenv("OPENAI_API_KEY_FILE", "key")
    assert "OPENAI_API_KEY_FILE: cannot be read" in refuse(None)


def test_empty_file_counts_as_unset_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "key", "\n")
    monkeypatch.setenv("OPENAI_API_KEY_FILE", "key")
    settings = load_settings(None)
    assert (settings.demo_mode, startup_warnings(settings)) == (
        True,
        ["placeholders count as unset: OPENAI_API_KEY_FILE"],
    )


@pytest.mark.parametrize(
    ("text", "mode", "is_warned"),
    [
        (f"OPENAI_API_KEY={SECRET}", 0o644, True),
        (f"UPSTREAM_PROXY=http://u:{SECRET}@proxy:1\nOPENAI_API_KEY_FILE=", 0o604, True),
        (f"OPENAI_API_KEY={SECRET}", 0o640, False),
        ("OPENAI_API_KEY=your_key\nPORT=1", 0o644, False),
    ],
)
def test_secrets_that_all_users_can_read_are_a_warning(
    tmp_path: Path, text: str, mode: int, is_warned: bool
) -> None:
    warnings = startup_warnings(load_settings(write(tmp_path / ".env", text, mode)))
    assert (
        any("every user of this machine can read it" in warning for warning in warnings)
        is is_warned
    )
