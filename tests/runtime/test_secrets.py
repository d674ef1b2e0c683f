from __future__ import annotations

import pickle

import pytest

from triggerfish.blueprint import Call
from triggerfish.errors import Refused
from triggerfish.local.fakes.clock import ManualClock
from triggerfish.local.fakes.secrets import FixedSecrets
from triggerfish.runtime.aws import Clients
from triggerfish.runtime.secrets import Secret, Secrets, secret_calls
from triggerfish.secret_reference import SecretReference

NOT_TEXT = "is not a JSON object with text under that key"


@pytest.fixture
def secrets(clients: Clients) -> Secrets:
    clients.ssm.put_parameter(
        Name="/jenkins/token", Value="hunter2", Type="SecureString", Overwrite=True
    )
    known = {secret.get("Name") for secret in clients.secretsmanager.list_secrets()["SecretList"]}
    if "jenkins" not in known:
        clients.secretsmanager.create_secret(
            Name="jenkins", SecretString='{"token": "s3cret", "port": 5}'
        )
    return Secrets(clients, ManualClock(), environment={"TOKEN": "from the environment"})


def reference(text: str) -> SecretReference:
    return SecretReference.parse(text)


@pytest.mark.cloud
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ssm:/jenkins/token", "hunter2"),
        ("secretsmanager:jenkins#token", "s3cret"),
        ("secretsmanager:jenkins", '{"token": "s3cret", "port": 5}'),
        ("env:TOKEN", "from the environment"),
    ],
)
def test_secrets_are_read_where_references_point(secrets: Secrets, text: str, value: str) -> None:
    assert secrets.read(reference(text)).reveal() == value


@pytest.mark.cloud
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ssm:/missing", "there is no secret at ssm:/missing"),
        ("secretsmanager:missing", "there is no secret at secretsmanager:missing"),
        ("env:MISSING", "there is no secret at env:MISSING"),
        (
            "secretsmanager:jenkins#missing",
            f"the secret at secretsmanager:jenkins#missing {NOT_TEXT}",
        ),
        (
            "secretsmanager:jenkins#port",
            f"the secret at secretsmanager:jenkins#port {NOT_TEXT}",
        ),
    ],
)
def test_a_secret_that_is_not_there_is_refused(secrets: Secrets, text: str, message: str) -> None:
    with pytest.raises(Refused) as failure:
        secrets.read(reference(text))
    assert str(failure.value) == message


@pytest.mark.cloud
def test_a_secret_that_is_no_json_is_not_told_about(clients: Clients) -> None:
    clients.secretsmanager.create_secret(Name="plain", SecretString="hunter2")
    with pytest.raises(Refused) as failure:
        Secrets(clients, ManualClock()).read(reference("secretsmanager:plain#key"))
    assert "hunter2" not in str(failure.value)
    assert failure.value.__cause__ is None


def test_a_secret_is_remembered_for_its_time() -> None:
    clock = ManualClock()
    environment = {"TOKEN": "old"}
    secrets = Secrets(Clients(), clock, ttl_s=300, environment=environment)
    assert secrets.read(reference("env:TOKEN")) == Secret("old")

    environment["TOKEN"] = "new"
    clock.advance(299)
    assert secrets.read(reference("env:TOKEN")) == Secret("old")
    clock.advance(1)
    assert secrets.read(reference("env:TOKEN")) == Secret("new")


def test_a_forgotten_secret_is_read_anew() -> None:
    environment = {"TOKEN": "old"}
    secrets = Secrets(Clients(), ManualClock(), environment=environment)
    secrets.read(reference("env:TOKEN"))
    environment["TOKEN"] = "new"
    secrets.forget(reference("env:TOKEN"))
    assert secrets.read(reference("env:TOKEN")).reveal() == "new"


def test_a_secret_is_not_shown() -> None:
    secret = Secret("hunter2")
    assert [str(secret), repr(secret), f"{secret}", repr([secret])] == [
        "***",
        "Secret(***)",
        "***",
        "[Secret(***)]",
    ]
    with pytest.raises(TypeError, match="a secret is not pickled"):
        pickle.dumps(secret)


def test_equal_secrets_are_equal() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (
            "ssm:/shop/jenkins/token",
            (
                Call(
                    "ssm:GetParameter",
                    "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/shop/jenkins/token",
                ),
            ),
        ),
        (
            "secretsmanager:shop/jenkins#token",
            (
                Call(
                    "secretsmanager:GetSecretValue",
                    "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:shop/jenkins-??????",
                ),
            ),
        ),
        ("env:TOKEN", ()),
    ],
)
def test_permissions_name_the_one_secret(text: str, calls: tuple[Call, ...]) -> None:
    assert secret_calls(reference(text)) == calls


def test_the_fake_answers_from_its_mapping() -> None:
    secrets = FixedSecrets({"ssm:/t": "hunter2"})
    assert secrets.read(reference("ssm:/t")) == Secret("hunter2")
    secrets.forget(reference("ssm:/t"))
    assert secrets.forgotten == ["ssm:/t"]
    with pytest.raises(Refused, match="there is no secret at env:X"):
        secrets.read(reference("env:X"))
