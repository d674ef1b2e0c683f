"""A secret reference says where a secret is, and its errors never say what was given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.secret_reference import SecretReference


@pytest.mark.parametrize(
    ("text", "scheme", "name", "key"),
    [
        ("ssm:/shop/jenkins-token", "ssm", "/shop/jenkins-token", None),
        ("ssm:token", "ssm", "token", None),
        ("secretsmanager:shop/jenkins", "secretsmanager", "shop/jenkins", None),
        ("secretsmanager:shop/jenkins#token", "secretsmanager", "shop/jenkins", "token"),
        ("secretsmanager:shop#a#b", "secretsmanager", "shop", "a#b"),
        ("env:JENKINS_TOKEN", "env", "JENKINS_TOKEN", None),
    ],
)
def test_reference_is_parsed_and_written_back(
    text: str, scheme: str, name: str, key: str | None
) -> None:
    reference = SecretReference.parse(text)
    assert (reference.scheme, reference.name, reference.key) == (scheme, name, key)
    assert str(reference) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hunter2", "not a secret reference"),
        ("", "not a secret reference"),
        ("vault:hunter2", "not a secret reference"),
        (" ssm:/a", "not a secret reference"),
        ("ssm:", '"ssm:" is not followed by a valid name'),
        ("ssm:/a b", '"ssm:" is not followed by a valid name'),
        ("ssm:a/b", 'the path after "ssm:" must begin with "/" and name a parameter'),
        ("ssm:/a/", 'the path after "ssm:" must begin with "/" and name a parameter'),
        ("ssm://a", 'the path after "ssm:" must begin with "/" and name a parameter'),
        ("secretsmanager:#key", '"secretsmanager:" is not followed by a valid name'),
        ("secretsmanager:a#", '"#" is not followed by a key'),
        ("secretsmanager:a#\x1b", '"#" is not followed by a key'),
        ("env:1A", '"env:" is not followed by a valid name'),
        ("env:A-B", '"env:" is not followed by a valid name'),
    ],
)
def test_what_is_no_reference_is_refused_in_fixed_words(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the whole text is compared
        SecretReference.parse(text)
    assert str(caught.value) == message


@given(st.from_regex(r"[A-Z0-9]{6,40}", fullmatch=True), st.sampled_from(["", "ssm:a/", "env:9"]))
def test_error_holds_nothing_of_a_literal(secret: str, before: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  its text is looked at
        SecretReference.parse(before + secret)
    assert secret not in str(caught.value)
    assert caught.value.args == (str(caught.value),)
