from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.local.emulator import kit

if TYPE_CHECKING:
    from tests.local.emulator.kit import Emulator

pytestmark = pytest.mark.cloud

BIG = {"A": "x" * 4096}
ENVIRONMENT = (
    "Lambda was unable to configure your environment variables because the environment variables "
    "you have provided"
)
CONSTRAINT = (
    "1 validation error detected: Value '{}' at '{}' failed to satisfy constraint: "
    "Member must have value {}"
)

REFUSALS = [
    pytest.param(
        {"MemorySize": 20},
        CONSTRAINT.format(20, "memorySize", "greater than or equal to 128"),
        id="too little memory",
    ),
    pytest.param(
        {"MemorySize": 20_000},
        CONSTRAINT.format(20_000, "memorySize", "less than or equal to 10240"),
        id="too much memory",
    ),
    pytest.param(
        {"Timeout": 901},
        CONSTRAINT.format(901, "timeout", "less than or equal to 900"),
        id="too long",
    ),
    pytest.param(
        {"EphemeralStorage": {"Size": 20_000}},
        CONSTRAINT.format(20_000, "ephemeralStorage.size", "less than or equal to 10240"),
        id="too much /tmp",
    ),
    pytest.param(
        {"Environment": {"Variables": {"AWS_REGION": "x", "OK": "y"}}},
        f"{ENVIRONMENT} contains reserved keys that are currently not supported for modification. "
        "Reserved keys used in this request: AWS_REGION",
        id="reserved key",
    ),
    pytest.param(
        {"Environment": {"Variables": BIG}},
        f'{ENVIRONMENT} exceeded the 4KB limit. String measured: {{"A":"{"x" * 4096}"}}',
        id="environment over 4 KB",
    ),
]


@pytest.mark.parametrize(("settings", "message"), REFUSALS)
def test_the_api_refuses_what_lambda_refuses(
    emulator: Emulator, settings: dict[str, Any], message: str
) -> None:
    client = emulator.client("lambda", parameter_validation=False)
    called = kit.name()
    with pytest.raises(ClientError) as caught:
        kit.make_function(emulator, called, **settings)
    assert caught.value.response["Error"]["Message"] == message
    kit.make_function(emulator, called)
    with pytest.raises(ClientError) as caught:
        client.update_function_configuration(FunctionName=called, **settings)
    assert caught.value.response["Error"]["Message"] == message


@pytest.mark.parametrize(("settings", "message"), REFUSALS)
def test_a_template_fails_with_the_same_words(
    emulator: Emulator, settings: dict[str, Any], message: str
) -> None:
    stack = kit.name("fn")
    found = kit.deploy(emulator, stack, {"Fn": template(**settings)})
    assert found["StackStatus"] == "ROLLBACK_COMPLETE"
    assert kit.reasons(emulator, stack)["Fn"] == (
        f'Resource handler returned message: "{message} (Service: Lambda, Status Code: 400)" '
        "(HandlerErrorCode: InvalidRequest)"
    )


def test_a_runtime_that_is_none_is_refused(emulator: Emulator) -> None:
    with pytest.raises(ClientError) as caught:
        kit.make_function(emulator, kit.name(), Runtime="python2.6")
    message = caught.value.response["Error"]["Message"]
    assert message.startswith("Value python2.6 at 'runtime' failed to satisfy constraint: ")
    assert message.endswith(" or be a valid ARN")


def template(**changes: Any) -> dict[str, Any]:
    properties = {
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Role": kit.ROLE,
        "Code": {"ZipFile": "def handler(event, context): return event\n"},
        **changes,
    }
    return {"Type": "AWS::Lambda::Function", "Properties": properties}


def test_nothing_of_a_templates_function_is_dropped(emulator: Emulator) -> None:
    stack = kit.name("fn")
    _, dead = kit.make_queue(emulator, f"{stack}-dead")
    vpc = {"SubnetIds": ["subnet-0123456789abcdef0"], "SecurityGroupIds": ["sg-0123456789abcdef0"]}
    key = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    files = {
        "Arn": f"arn:aws:elasticfilesystem:eu-west-1:{kit.ACCOUNT}:access-point/fsap-{'0' * 17}",
        "LocalMountPath": "/mnt/data",
    }
    settings = {
        "FunctionName": stack,
        "Architectures": ["arm64"],
        "DeadLetterConfig": {"TargetArn": dead},
        "Description": "words",
        "Environment": {"Variables": {"A": "b"}},
        "EphemeralStorage": {"Size": 1024},
        "FileSystemConfigs": [files],
        "KmsKeyArn": key,
        "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "/made/by/hand"},
        "MemorySize": 256,
        "RecursiveLoop": "Allow",
        "ReservedConcurrentExecutions": 7,
        "Tags": [{"Key": "k", "Value": "v"}],
        "Timeout": 60,
        "TracingConfig": {"Mode": "Active"},
        "VpcConfig": vpc,
    }
    found = kit.deploy(emulator, stack, {"Fn": template(**settings)})
    assert found["StackStatus"] == "CREATE_COMPLETE"
    client = emulator.client("lambda")
    config = client.get_function_configuration(FunctionName=stack)
    assert config["Architectures"] == ["arm64"]
    assert config["DeadLetterConfig"] == {"TargetArn": dead}
    assert config["Description"] == "words"
    assert config["Environment"] == {"Variables": {"A": "b"}}
    assert config["EphemeralStorage"] == {"Size": 1024}
    assert config["FileSystemConfigs"] == [files]
    assert config["KMSKeyArn"] == key
    assert config["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": "/made/by/hand"}
    assert config["MemorySize"] == 256
    assert config["Timeout"] == 60
    assert config["TracingConfig"] == {"Mode": "Active"}
    assert config["VpcConfig"] == {**vpc, "VpcId": ""}
    assert client.get_function(FunctionName=stack)["Concurrency"] == {
        "ReservedConcurrentExecutions": 7
    }
    assert client.get_function(FunctionName=stack)["Tags"]["k"] == "v"
    recursion = client.get_function_recursion_config(FunctionName=stack)
    assert recursion["RecursiveLoop"] == "Allow"


def test_a_stack_update_changes_and_removes_them_too(emulator: Emulator) -> None:
    stack = kit.name("fn")
    settings = {"FunctionName": stack, "ReservedConcurrentExecutions": 7}
    _, dead = kit.make_queue(emulator, f"{stack}-dead")
    kit.deploy(emulator, stack, {"Fn": template(**settings)})
    resources = {"Fn": template(FunctionName=stack, DeadLetterConfig={"TargetArn": dead})}
    emulator.client("cloudformation").update_stack(
        StackName=stack, TemplateBody=json.dumps({"Resources": resources})
    )
    assert kit.settled(emulator, stack)["StackStatus"] == "UPDATE_COMPLETE"
    client = emulator.client("lambda")
    assert client.get_function_configuration(FunctionName=stack)["DeadLetterConfig"] == {
        "TargetArn": dead
    }
    assert "Concurrency" not in client.get_function(FunctionName=stack)


def test_reserved_concurrency_is_kept(emulator: Emulator) -> None:
    stack = kit.name("fn")
    settings = {"FunctionName": stack, "ReservedConcurrentExecutions": 0}
    kit.deploy(emulator, stack, {"Fn": template(**settings)})
    client = emulator.client("lambda")
    with pytest.raises(client.exceptions.TooManyRequestsException) as caught:
        client.invoke(FunctionName=stack, Payload=b"{}")
    assert caught.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


@pytest.mark.parametrize(
    ("bucket", "told"),
    [
        (
            "made",
            "S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.",
        ),
        (
            "absent",
            "S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist",
        ),
    ],
)
def test_a_function_without_its_code_is_refused(emulator: Emulator, bucket: str, told: str) -> None:
    stack = kit.name("fn")
    if bucket == "made":
        emulator.client("s3").create_bucket(
            Bucket=stack, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
    code = {"S3Bucket": stack, "S3Key": "code.zip"}
    found = kit.deploy(emulator, stack, {"Fn": template(Code=code)})
    assert found["StackStatus"] == "ROLLBACK_COMPLETE"
    message = f"Error occurred while GetObject. {told}"
    assert kit.reasons(emulator, stack)["Fn"] == (
        f'Resource handler returned message: "{message} (Service: Lambda, Status Code: 400)" '
        "(HandlerErrorCode: InvalidRequest)"
    )
    with pytest.raises(ClientError) as caught:
        kit.make_function(emulator, stack, Code=code)
    assert caught.value.response["Error"]["Message"] == message


def test_asynchronous_settings_of_latest_are_those_of_no_qualifier(emulator: Emulator) -> None:
    stack = kit.name("fn")
    resources = {
        "Fn": template(FunctionName=stack),
        "Rules": {
            "Type": "AWS::Lambda::EventInvokeConfig",
            "Properties": {
                "FunctionName": {"Ref": "Fn"},
                "Qualifier": "$LATEST",
                "MaximumRetryAttempts": 1,
            },
        },
    }
    kit.deploy(emulator, stack, resources)
    client = emulator.client("lambda")
    found = client.get_function_event_invoke_config(FunctionName=stack)
    assert found["MaximumRetryAttempts"] == 1
