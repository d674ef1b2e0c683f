"""AWS::Lambda::Function and the Lambda API: nothing dropped, limits refused in AWS's words.

Created by CloudFormation, MiniStack's function silently loses its dead-letter queue, VPC, key, file
systems, reserved concurrency, runtime management and recursion setting, and may lack code. Either
way any memory, timeout, storage, environment and runtime is taken.
"""

# ruff: noqa: SLF001  what MiniStack calls private is what is mended here

from __future__ import annotations

import json
from typing import Any

from . import guard

Properties = dict[str, Any]

RUNTIMES = frozenset(
    """
    python3.10 python3.11 python3.12 python3.13 python3.14 nodejs20.x nodejs22.x nodejs24.x
    java8.al2 java11 java17 java21 java25 dotnet8 dotnet10 ruby3.2 ruby3.3 ruby3.4 ruby4.0
    provided.al2 provided.al2023
    """.split()  # noqa: SIM905 a list of words reads better
)
"""What CreateFunction takes; https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html"""

RESERVED_KEYS = frozenset(
    """
    _HANDLER _X_AMZN_TRACE_ID AWS_DEFAULT_REGION AWS_REGION AWS_EXECUTION_ENV
    AWS_LAMBDA_FUNCTION_NAME AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_FUNCTION_VERSION
    AWS_LAMBDA_INITIALIZATION_TYPE AWS_LAMBDA_LOG_GROUP_NAME AWS_LAMBDA_LOG_STREAM_NAME
    AWS_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_LAMBDA_RUNTIME_API
    LAMBDA_TASK_ROOT LAMBDA_RUNTIME_DIR
    """.split()  # noqa: SIM905 a list of words reads better
)
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""

ENVIRONMENT_BYTES = 4 * 1024
DROPPED = ("DeadLetterConfig", "FileSystemConfigs")
"""Properties whose name in the API is the same; the others need a word of translation."""


class Refusal(Exception):
    """What Lambda answers instead of taking the configuration."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def mend() -> None:
    from ministack.services import lambda_svc  # noqa: PLC0415
    from ministack.services.cloudformation import provisioners  # noqa: PLC0415

    _mend_api(lambda_svc)
    _mend_template(lambda_svc, provisioners)
    _mend_invoke_config(lambda_svc)


def check(settings: Properties) -> None:
    """Raise the `Refusal` that AWS would answer to these settings of a function."""
    _check_number("memorySize", settings.get("MemorySize"), 128, 10_240)
    _check_number("timeout", settings.get("Timeout"), 1, 900)
    storage = (settings.get("EphemeralStorage") or {}).get("Size")
    _check_number("ephemeralStorage.size", storage, 512, 10_240)
    runtime = settings.get("Runtime")
    if runtime and runtime not in RUNTIMES:
        raise Refusal(
            "InvalidParameterValueException",
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum "
            f"value set: [{', '.join(sorted(RUNTIMES))}] or be a valid ARN",
        )
    _check_environment((settings.get("Environment") or {}).get("Variables") or {})


def _check_number(name: str, value: object, least: int, most: int) -> None:
    if value is None:
        return
    number = int(str(value))
    if least <= number <= most:
        return
    bound = (
        f"less than or equal to {most}" if number > most else f"greater than or equal to {least}"
    )
    raise Refusal(
        "ValidationException",
        f"1 validation error detected: Value '{number}' at '{name}' failed to satisfy constraint: "
        f"Member must have value {bound}",
    )


def _check_environment(variables: dict[str, object]) -> None:
    opening = (
        "Lambda was unable to configure your environment variables because the environment "
        "variables you have provided"
    )
    reserved = sorted(RESERVED_KEYS & variables.keys())
    if reserved:
        raise Refusal(
            "InvalidParameterValueException",
            f"{opening} contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}",
        )
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > ENVIRONMENT_BYTES:
        raise Refusal(
            "InvalidParameterValueException",
            f"{opening} exceeded the 4KB limit. String measured: {measured}",
        )


def _mend_api(lambda_svc: Any) -> None:
    unlimited = "the Lambda API must refuse what Lambda refuses"
    create = guard.replace(
        lambda_svc, "_create_function", ("data",), lambda *_: None, gap=unlimited
    )
    update = guard.replace(
        lambda_svc, "_update_config", ("name", "data"), lambda *_: None, gap=unlimited
    )

    def create_function(data: Properties) -> Any:
        try:
            check(data)
            check_code(data.get("Code") or {})
        except Refusal as refusal:
            return lambda_svc.error_response_json(refusal.code, refusal.message, 400)
        return create(data)

    def update_config(name: str, data: Properties) -> Any:
        try:
            check(data)
        except Refusal as refusal:
            return lambda_svc.error_response_json(refusal.code, refusal.message, 400)
        return update(name, data)

    lambda_svc._create_function = create_function
    lambda_svc._update_config = update_config


def check_code(code: Properties) -> None:
    """A function whose code object is missing can't be made."""
    from ministack.services import lambda_svc, s3  # noqa: PLC0415

    bucket, key = code.get("S3Bucket"), code.get("S3Key")
    if not bucket or not key:
        return
    if bucket not in s3._buckets:
        reason = (
            "S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist"
        )
    elif (
        lambda_svc._fetch_code_from_s3(bucket, key, version_id=code.get("S3ObjectVersion")) is None
    ):
        reason = "S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."
    else:
        return
    raise Refusal("InvalidParameterValueException", f"Error occurred while GetObject. {reason}")


def _mend_template(lambda_svc: Any, provisioners: Any) -> None:
    dropped = "a function made by a template must be as the template says"
    taken = ("physical_id", "old_props", "new_props", "stack_name", "logical_id")
    create = guard.replace(
        provisioners,
        "_lambda_create",
        ("logical_id", "props", "stack_name"),
        lambda *_: None,
        gap=dropped,
    )
    update = guard.replace(provisioners, "_lambda_update", taken, lambda *_: None, gap=dropped)

    def create_function(logical_id: str, props: Properties, stack_name: str) -> Any:
        _refuse(props)
        made = create(logical_id, props, stack_name)
        _complete(lambda_svc, lambda_svc._functions[made[0]], props)
        return made

    def update_function(
        physical_id: str,
        old_props: Properties,
        new_props: Properties,
        stack_name: str,
        logical_id: str | None = None,
    ) -> Any:
        _refuse(new_props)
        made = update(physical_id, old_props, new_props, stack_name, logical_id)
        _complete(lambda_svc, lambda_svc._functions[made[0]], new_props)
        return made

    provisioners._lambda_create = create_function
    provisioners._lambda_update = update_function
    handlers = guard.attribute(provisioners, "_RESOURCE_HANDLERS", dropped)
    handlers["AWS::Lambda::Function"].update(create=create_function, update=update_function)


def _refuse(props: Properties) -> None:
    try:
        check(props)
        check_code(props.get("Code") or {})
    except Refusal as refusal:
        message = (
            f'Resource handler returned message: "{refusal.message} (Service: Lambda, Status Code: '
            '400)" (HandlerErrorCode: InvalidRequest)'
        )
        raise ValueError(message) from refusal


def _complete(lambda_svc: Any, function: Properties, props: Properties) -> None:
    config = function["config"]
    for name in DROPPED:
        if props.get(name):
            config[name] = props[name]
        else:
            config.pop(name, None)
    config["VpcConfig"] = lambda_svc._vpc_config_with_id(props.get("VpcConfig"))
    config["KMSKeyArn"] = props.get("KmsKeyArn", "")
    reserved = props.get("ReservedConcurrentExecutions")
    function["concurrency"] = None if reserved is None else int(reserved)
    management = props.get("RuntimeManagementConfig") or {}
    function["runtime_management"] = {"UpdateRuntimeOn": "Auto", **management}
    function["recursive_loop"] = props.get("RecursiveLoop", "Terminate")


def _mend_invoke_config(lambda_svc: Any) -> None:
    split = "the asynchronous settings of $LATEST and of no qualifier are the same"
    find = guard.replace(
        lambda_svc, "_event_invoke_config", ("func", "qualifier"), lambda *_: None, gap=split
    )

    def event_invoke_config(func: Properties, qualifier: str | None) -> Any:
        found = find(func, qualifier)
        if found is None and qualifier in {None, "", "$LATEST"}:
            found = find(func, None if qualifier == "$LATEST" else "$LATEST")
        return found

    lambda_svc._event_invoke_config = event_invoke_config
