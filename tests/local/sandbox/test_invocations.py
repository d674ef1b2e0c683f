"""What a function finds and what its caller gets, in a real environment."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.local.sandbox.lab import RUNTIME, eventually
from triggerfish.local.fakes.lambda_api import zipped

if TYPE_CHECKING:
    from tests.local.sandbox.lab import Lab

pytestmark = pytest.mark.cloud


def test_the_result_is_the_functions_json(lab: Lab) -> None:
    answer = lab.run(
        "def handler(event, context): return {'got': event, 'ü': None}", {"a": [1, "é"]}
    )
    assert answer.status == 200
    assert answer.error is None
    assert answer.body.decode() == '{"got": {"a": [1, "é"]}, "ü": null}'


def test_a_function_sees_lambdas_environment_and_nothing_of_the_machine(lab: Lab) -> None:
    arn = lab.put(
        "import os\ndef handler(event, context): return dict(os.environ)",
        variables={"MY_OWN": "1", "MINISTACK_LAMBDA_PROXY_URL": "http://127.0.0.1:1"},
        MemorySize=256,
    )
    seen = lab.invoke(arn, headers={"X-Amzn-Trace-Id": "Root=1-2-3"}).fields
    name = arn.rpartition(":")[2]
    for changing in ("AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API"):
        assert seen.pop(changing)
    assert seen == {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_AUTO_SCALING": "http://127.0.0.1:10",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_REGION": "eu-west-1",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SESSION_TOKEN": "test",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:"
        "/var/task:/var/task/lib:/opt/lib",
        "MY_OWN": "1",
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "PYTHONPATH": "/var/runtime",
        "TZ": ":UTC",
        "_HANDLER": "app.handler",
        "_X_AMZN_TRACE_ID": "Root=1-2-3",
    }


INTERPRETER_IN_TMP = list(RUNTIME.path.parts[2:3]) if RUNTIME.path.is_relative_to("/tmp") else []
"""A project in /tmp keeps its interpreter there, and the function has to find that."""


def test_a_function_finds_its_code_read_only_and_an_empty_tmp(lab: Lab) -> None:
    answer = lab.run("""
        import os, sys
        def refused(path):
            try:
                open(path, "w")
            except OSError as error:
                return str(error)
        def handler(event, context):
            return [os.getcwd(), __file__, sys.path[0], os.listdir("/tmp"), os.listdir("/var/task"),
                    refused("/var/task/x"), refused("/etc/x"), os.listdir("/proc/self/fd")[:3]]
    """)
    assert answer.json == [
        "/var/task",
        "/var/task/app.py",
        "/var/task",
        INTERPRETER_IN_TMP,
        ["app.py"],
        "[Errno 30] Read-only file system: '/var/task/x'",
        "[Errno 30] Read-only file system: '/etc/x'",
        ["0", "1", "2"],
    ]


def test_none_of_our_modules_is_importable(lab: Lab) -> None:
    answer = lab.run("""
        import http, sys
        def handler(event, context):
            try:
                import triggerfish
            except ImportError as error:
                return [str(error), http.__file__.endswith("http/__init__.py"), sys.argv]
    """)
    bootstrap = ["/var/runtime/bootstrap.py", "app.handler"]
    assert answer.json == ["No module named 'triggerfish'", True, bootstrap]


def test_the_context_is_awss(lab: Lab) -> None:
    arn = lab.put(
        """
        def handler(event, context):
            return [context.function_name, context.function_version, context.memory_limit_in_mb,
                    context.aws_request_id, context.invoked_function_arn, context.log_group_name,
                    9000 < context.get_remaining_time_in_millis() <= 10000,
                    context.client_context.custom, context.log_stream_name[:4].isdigit()]
        """,
        name="context",
        Timeout=10,
        MemorySize=300,
    )
    context = base64.b64encode(b'{"custom": {"a": "b"}}').decode()
    headers = {"X-Amzn-Lambda-Request-Id": "id-1", "X-Amz-Client-Context": context}
    seen = lab.invoke(arn, headers=headers).json
    group = "/aws/lambda/context"
    assert seen == ["context", "$LATEST", "300", "id-1", arn, group, True, {"a": "b"}, True]


def test_an_environment_is_warm_and_keeps_its_globals_after_an_exception(lab: Lab) -> None:
    arn = lab.put("""
        import itertools
        count = itertools.count(1)
        def handler(event, context):
            number = next(count)
            if event == "fail":
                raise ValueError("bäng")
            return number
    """)
    first, failed, third = (lab.invoke(arn, each) for each in (0, "fail", 0))
    assert (first.json, failed.error, third.json) == (1, "Unhandled", 3)
    assert len(lab.environments_of(arn)) == 1


def test_an_exception_comes_with_its_type_and_stack(lab: Lab) -> None:
    arn = lab.put("""
        class Odd(Exception): pass
        def inner():
            raise Odd("bäng")
        def handler(event, context):
            inner()
    """)
    answer = lab.invoke(arn, headers={"X-Amzn-Lambda-Request-Id": "id-2"})
    assert answer.status == 200
    assert answer.error == "Unhandled"
    assert answer.json == {
        "errorMessage": "bäng",
        "errorType": "Odd",
        "requestId": "id-2",
        "stackTrace": [
            '  File "/var/task/app.py", line 6, in handler\n    inner()\n',
            '  File "/var/task/app.py", line 4, in inner\n    raise Odd("bäng")\n',
        ],
    }


@pytest.mark.parametrize(
    ("source", "handler", "error_type", "message"),
    [
        pytest.param(
            "import absent_module",
            "app.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'app': No module named 'absent_module'",
            id="import",
        ),
        pytest.param(
            "x = 1",
            "app.handler",
            "Runtime.HandlerNotFound",
            "Handler 'handler' missing on module 'app'",
            id="no-handler",
        ),
        pytest.param(
            "x = 1",
            "other.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'other': No module named 'other'",
            id="no-module",
        ),
        pytest.param(
            "x = 1",
            "handler",
            "Runtime.MalformedHandlerName",
            "Bad handler 'handler': not enough values to unpack (expected 2, got 1)",
            id="no-dot",
        ),
        pytest.param(
            "def",
            "app.handler",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'app': invalid syntax (app.py, line 1)",
            id="syntax",
        ),
        pytest.param("1 / 0", "app.handler", "ZeroDivisionError", "division by zero", id="raises"),
    ],
)
def test_an_init_error_is_awss(
    lab: Lab, source: str, handler: str, error_type: str, message: str
) -> None:
    arn = lab.put(source, Handler=handler)
    answer = lab.invoke(arn)
    assert answer.error == "Unhandled"
    assert (answer.fields["errorType"], answer.fields["errorMessage"]) == (error_type, message)
    log = lab.log(arn)
    assert f"\tPhase: init\tStatus: error\tError Type: {error_type}\n" in log
    assert f"\tPhase: invoke\tStatus: error\tError Type: {error_type}\n" in log
    assert lab.environments_of(arn) == []


@pytest.mark.parametrize(
    ("expression", "error_type", "message"),
    [
        pytest.param(
            "__import__('datetime').datetime(2026, 1, 1)",
            "Runtime.MarshalError",
            "Unable to marshal response: Object of type datetime is not JSON serializable",
            id="datetime",
        ),
        pytest.param(
            "{1, 2}",
            "Runtime.MarshalError",
            "Unable to marshal response: Object of type set is not JSON serializable",
            id="set",
        ),
    ],
)
def test_what_is_no_json_is_a_marshal_error(
    lab: Lab, expression: str, error_type: str, message: str
) -> None:
    answer = lab.run(f"def handler(event, context): return {expression}")
    assert answer.fields["errorType"] == error_type
    assert answer.fields["errorMessage"] == message


def test_a_decimal_is_a_number_as_on_aws(lab: Lab) -> None:
    source = "from decimal import Decimal\ndef handler(event, context): return Decimal('1.10')"
    assert lab.run(source).body == b"1.10"


def test_a_payload_that_is_no_json_is_an_unmarshal_error(lab: Lab) -> None:
    answer = lab.run("def handler(event, context): return 1", b"{nonsense")
    assert answer.fields["errorType"] == "Runtime.UnmarshalError"


def test_parallel_invocations_have_environments_of_their_own(lab: Lab) -> None:
    arn = lab.put("""
        import time, uuid
        me = uuid.uuid4().hex
        def handler(event, context):
            time.sleep(0.5)
            return me
    """)
    with ThreadPoolExecutor(4) as threads:
        ids = {str(each.json) for each in threads.map(lambda _: lab.invoke(arn), range(4))}
    assert len(ids) == 4
    assert len(lab.environments_of(arn)) == 4


def test_more_than_the_reserved_concurrency_is_throttled(lab: Lab) -> None:
    source = "import time\ndef handler(event, context): time.sleep(2)"
    arn = lab.put(source, reserved=1)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(lab.invoke, arn)
        eventually(lambda: lab.environments_of(arn), "the first invocation")
        throttled = lab.invoke(arn)
        assert running.result().status == 200
    assert (throttled.status, throttled.error_type) == (429, "TooManyRequestsException")
    assert throttled.json == {
        "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
        "Type": "User",
        "message": "Rate Exceeded.",
    }


def test_new_code_runs_at_once_in_a_new_environment(lab: Lab) -> None:
    arn = lab.put("def handler(event, context): return 'old'", name="changing")
    assert lab.invoke(arn).json == "old"
    lab.put("def handler(event, context): return 'new'", name="changing")
    assert lab.invoke(arn).json == "new"
    assert len(lab.environments_of(arn)) == 1


def test_a_changed_configuration_runs_at_once(lab: Lab) -> None:
    source = "import os\ndef handler(event, context): return os.environ['STEP']"
    arn = lab.put(source, name="configured", variables={"STEP": "1"})
    assert lab.invoke(arn).json == "1"
    lab.put(source, name="configured", variables={"STEP": "2"})
    assert lab.invoke(arn).json == "2"


def test_an_environment_busy_while_its_code_changed_is_not_used_again(lab: Lab) -> None:
    slow = "import time\ndef handler(event, context): time.sleep(1); return 'old'"
    arn = lab.put(slow, name="overtaken")
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(lab.invoke, arn)
        eventually(lambda: lab.environments_of(arn), "the old one")
        lab.put("def handler(event, context): return 'new'", name="overtaken")
        assert lab.invoke(arn).json == "new"
        assert running.result().json == "old"
    assert len(lab.environments_of(arn)) == 1
    assert lab.invoke(arn).json == "new"


def test_modules_and_data_of_the_zip_are_there_with_their_modes(lab: Lab) -> None:
    archive = zipped(
        {
            "package/__init__.py": "from package.inner import value",
            "package/inner.py": "value = open('/var/task/data.txt').read()",
            "data.txt": "dätä",
            "app.py": "import package\ndef handler(event, context): return package.value",
        }
    )
    arn = lab.api.put("packaged", archive)
    assert lab.invoke(arn).json == "dätä"


def test_a_published_version_is_told_its_number(lab: Lab) -> None:
    arn = lab.put("def handler(event, context): return context.function_version")
    headers = {"X-Amzn-Lambda-Function-Version": "7"}
    assert lab.invoke(f"{arn}:7", headers=headers).json == "7"


def test_functions_run_on_the_interpreter_given(lab: Lab) -> None:
    source = "import platform\ndef handler(event, context): return platform.python_version()"
    assert str(lab.run(source).json).startswith(RUNTIME.version)
