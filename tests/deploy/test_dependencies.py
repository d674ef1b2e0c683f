from __future__ import annotations

import pytest

from triggerfish.deploy.dependencies import PINNED, pinned, required
from triggerfish.errors import Refused

COMPILED = """\
apprise==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via -r requirements-functions.in
certifi==2.0 \\
    --hash=sha256:cc
    # via requests
requests==3.0 \\
    --hash=sha256:dd
    # via
    #   apprise
    #   other
Typing_Extensions==4.0 ; python_version < '3.13' \\
    --hash=sha256:ee
    # via -r requirements-functions.in
"""


def test_each_entry_has_its_hashes() -> None:
    assert pinned(COMPILED)["certifi"] == (
        "certifi==2.0 \\\n    --hash=sha256:cc\n    # via requests\n"
    )


def test_what_a_requirement_requires_comes_along() -> None:
    assert required(["apprise"], pinned(COMPILED)) == ["apprise", "certifi", "requests"]
    assert required(["requests"], pinned(COMPILED)) == ["certifi", "requests"]


def test_names_are_compared_as_the_index_does() -> None:
    assert required(["typing.extensions"], pinned(COMPILED)) == ["typing-extensions"]


def test_a_requirement_that_is_not_pinned_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        required(["flask"], pinned(COMPILED))

    assert str(refused.value) == (
        "requirement flask isn't pinned in requirements-functions.txt\n"
        "hint: pinned are: apprise, certifi, requests, typing-extensions"
    )


def test_the_shipped_file_pins_with_hashes_and_names_no_address() -> None:
    text = PINNED.read_text()

    assert all("--hash=sha256:" in entry for entry in pinned(text).values())
    assert "msgspec" in pinned(text)
    assert "://" not in text
