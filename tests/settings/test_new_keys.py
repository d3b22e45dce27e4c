"""New gateway keys: their form, which scanners of secrets recognise."""

from __future__ import annotations

import hashlib

import pytest

from settings.new_keys import KEY_FORM, is_well_formed, new_key


def test_key_is_random_and_has_a_recognisable_form() -> None:
    """A prefix, 190 random bits, a checksum; and the hash is the key's."""
    made = dict(new_key("phone") for _ in range(50))
    assert len(made) == 50
    for key, sha256 in made.items():
        assert KEY_FORM.fullmatch(key)
        assert is_well_formed(key)
        assert sha256 == hashlib.sha256(key.encode()).hexdigest()


def test_text_that_only_looks_like_a_key_is_no_key() -> None:
    """One other character anywhere, and the checksum is wrong."""
    key, _ = new_key("phone")
    for place in range(3, len(key)):
        other = "a" if key[place] != "a" else "b"
        assert not is_well_formed(key[:place] + other + key[place + 1 :])
    assert not is_well_formed(key[:-1])
    assert not is_well_formed(f"x{key}")


@pytest.mark.parametrize("name", ["", "a:b", "a,b", "a b", "x" * 65])
def test_name_that_fits_no_entry_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        new_key(name)
