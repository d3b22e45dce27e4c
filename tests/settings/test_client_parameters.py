"""CLIENT_PARAMETERS: which fields of a request count."""

from __future__ import annotations

import pytest

from configuration import ConfigurationError, load_settings
from settings.values import CLIENT_PARAMETERS


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, CLIENT_PARAMETERS),
        ("", CLIENT_PARAMETERS),
        ("Stop, max_tokens,stop", ("max_tokens", "stop")),
        ("none", ()),
        ("NONE", ()),
    ],
)
def test_list_names_the_fields_that_count(text: str | None, names: tuple[str, ...]) -> None:
    """All by default, each once."""
    assert load_settings(None, client_parameters=text).client_parameters == names


@pytest.mark.parametrize("text", ["stop,n", "none,stop", ",", "temperatur"])
def test_other_names_are_refused_with_the_right_ones(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(None, client_parameters=text)
    right = ", ".join(CLIENT_PARAMETERS)
    assert f"CLIENT_PARAMETERS: should be names out of {right}" in str(caught.value)
    assert "or none" in str(caught.value)
