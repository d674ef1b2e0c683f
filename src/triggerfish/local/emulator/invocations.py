"""Every invocation goes to the sandbox, and an asynchronous one is retried whoever sent it.

MiniStack runs functions in a worker that isn't AWS's runtime, forwards them only where a
function's environment says so, wraps an error in a sentence of its own, and retries no event that
came from SNS, an EventBridge rule or a schedule.
"""

# ruff: noqa: SLF001  what MiniStack calls private is what is mended here

from __future__ import annotations

import contextvars
import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from . import guard
from .loop import OWNER
from .sandbox import Sandbox, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger("invocations")

Record = dict[str, Any]
Answer = tuple[int, dict[str, Any], bytes]

SYNC_BYTES = 6 * 1024 * 1024
ASYNC_BYTES = 1024 * 1024
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

SERVICE_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Between tries when Lambda itself fails or throttles; the last one repeats."""

TOLD = ("X-Amz-Invocation-Type", "X-Amz-Log-Type", "X-Amz-Client-Context")
"""What the caller of Invoke says beyond the event, and the sandbox acts on."""

_caller: contextvars.ContextVar[Mapping[str, str]] = contextvars.ContextVar("caller")


def mend(sandbox: Sandbox, changed: Callable[..., None]) -> None:
    from ministack.services import cloudwatch, eventbridge, lambda_svc, sns  # noqa: PLC0415

    invocations = Invocations(sandbox, lambda_svc, cloudwatch, changed)
    wrapped = "an invocation must reach the sandbox and its answer the caller unchanged"
    guard.replace(
        lambda_svc, "_proxy_url_for", ("config",), lambda _config: sandbox.url, gap=wrapped
    )
    guard.replace(
        lambda_svc,
        "_execute_function_proxy",
        ("func", "event", "url", "request_id"),
        invocations.execute,
        gap=wrapped,
    )
    guard.replace(
        lambda_svc,
        "_emit_lambda_logs",
        ("func", "request_id", "log_text", "error", "duration_ms", "log_source"),
        lambda *_args, **_named: None,
        gap="the sandbox writes the logs, one stream an environment",
    )
    guard.replace(
        lambda_svc,
        "_emit_lambda_metrics",
        ("function_name", "duration_ms", "error", "throttle"),
        lambda *_args, **_named: None,
        gap="only direct invocations are counted; `Invocations.execute` counts them all",
    )
    guard.replace(
        lambda_svc,
        "invoke_async_with_retry",
        ("func", "event"),
        invocations.send,
        gap="an asynchronous invocation's retries, age and dead letter",
    )
    _mend_sources(invocations, lambda_svc, eventbridge, sns)
    _mend_requests(lambda_svc)


def _mend_sources(invocations: Invocations, lambda_svc: Any, eventbridge: Any, sns: Any) -> None:
    unretried = "a function failing on SNS, an EventBridge rule or a schedule runs once"

    def from_eventbridge(arn: str, payload: str) -> None:
        try:
            event = json.loads(payload)
        except ValueError:
            event = payload
        invocations.send_to(arn, event)

    def from_sns(*delivery: Any) -> None:
        endpoint, envelope, _topic_arn, subscription_arn, *_rest = delivery
        record = {
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": subscription_arn,
            "Sns": json.loads(envelope),
        }
        invocations.send_to(endpoint, {"Records": [record]})

    guard.replace(
        eventbridge, "_dispatch_to_lambda", ("arn", "payload"), from_eventbridge, gap=unretried
    )
    guard.replace(
        sns,
        "_deliver_to_lambda",
        (
            "endpoint",
            "envelope",
            "topic_arn",
            "sub_arn",
            "msg_id",
            "raw_message",
            "message_attributes",
        ),
        from_sns,
        gap=unretried,
    )
    guard.attribute(lambda_svc, "_route_async_failure", unretried)


def _mend_requests(lambda_svc: Any) -> None:
    handle = guard.replace(
        lambda_svc,
        "handle_request",
        ("method", "path", "headers", "body", "query_params"),
        lambda *_args: None,
        gap="payload limits, payloads that aren't JSON, and failures of the sandbox",
    )

    async def handle_request(
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
    ) -> Answer:
        if method == "POST" and path.endswith("/invocations"):
            refused = _refuse_payload(body, headers)
            if refused is not None:
                return _error(lambda_svc, *refused)
            _caller.set({name: headers[name.lower()] for name in TOLD if name.lower() in headers})
        try:
            answer: Answer = await handle(method, path, headers, body, query_params)
        except ServiceError as error:
            return _error(lambda_svc, error.code, error.message, error.status)
        return answer

    lambda_svc.handle_request = handle_request


def _refuse_payload(body: bytes, headers: dict[str, str]) -> tuple[str, str, int] | None:
    kind = headers.get("x-amz-invocation-type", "RequestResponse")
    size, too_large = len(body), "RequestEntityTooLargeException"
    if kind == "Event" and size > ASYNC_BYTES:
        message = (
            f"{size} byte payload is too large for the Event invocation type (limit {ASYNC_BYTES} "
            "bytes)"
        )
        return too_large, message, 413
    if size > SYNC_BYTES:
        message = (
            f"Request must be smaller than {SYNC_BYTES} bytes for the InvokeFunction operation"
        )
        return too_large, message, 413
    try:
        json.loads(body or b"{}")
    except ValueError as error:
        message = (
            f"Could not parse request body into json: Could not parse payload into json: {error}"
        )
        return "InvalidRequestContentException", message, 400
    return None


def _error(lambda_svc: Any, code: str, message: str, status: int) -> Answer:
    answer: Answer = lambda_svc.error_response_json(code, message, status)
    return answer


class Invocations:
    def __init__(
        self, sandbox: Sandbox, lambda_svc: Any, cloudwatch: Any, changed: Callable[..., None]
    ) -> None:
        self._sandbox = sandbox
        self._lambda = lambda_svc
        self._cloudwatch = cloudwatch
        self._changed = changed

    def execute(self, func: Record, event: object, _url: str, request_id: str) -> Record:
        config = func.get("config") or func
        payload = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        caller = {"X-Amz-Invocation-Type": "RequestResponse", **_caller.get({})}
        started = time.time()
        result = self._sandbox.invoke(config, payload, request_id, caller)
        self._count(config.get("FunctionName", ""), result, (time.time() - started) * 1000)
        return result

    def send_to(self, arn: str, event: object) -> None:
        """Invoke the function of `arn` asynchronously, if there is one."""
        func, config, _name = self._lambda._get_func_record_for_ref(arn)
        if func and config:
            self.send(self._lambda._execution_record_for_config(func, config), event)
        else:
            logger.warning("no function %s: its event is dropped", arn)

    def send(self, func: Record, event: object) -> None:
        context = contextvars.copy_context()
        context.run(_caller.set, {**_caller.get({}), "X-Amz-Invocation-Type": "Event"})
        threading.Thread(
            target=context.run, args=(self._deliver, func, event), daemon=True, name="async-invoke"
        ).start()

    def _deliver(self, func: Record, event: object) -> None:
        """Try the function as AWS does: its own failures are counted, the service's aren't.

        Between attempts AWS waits one and two minutes; here one and two seconds.
        Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
        """
        config = func.get("config") or func
        account, region = self._lambda._account_region_from_function_config(config)
        self._lambda._request_account_id.set(account)
        self._lambda._request_region.set(region)
        rules = self._lambda._event_invoke_config(func, None) or {}
        retries = rules.get("MaximumRetryAttempts")
        attempts = 3 if retries is None else int(retries) + 1
        deadline = time.time() + int(rules.get("MaximumEventAgeInSeconds") or 21_600)
        result = self._attempt(func, event, attempts, deadline)
        if result is None:
            return
        OWNER.run(self._give_up, config, rules, event, result)
        self._changed("sqs", "sns")

    def _give_up(self, config: Record, rules: Record, event: object, result: Record) -> None:
        target = (rules.get("DestinationConfig") or {}).get("OnFailure", {}).get("Destination")
        if target:
            self._lambda._route_async_failure(target, config["FunctionName"], event, result)
        dead = (config.get("DeadLetterConfig") or {}).get("TargetArn")
        if dead:
            self._dead_letter(dead, event, result)

    def _attempt(
        self, func: Record, event: object, attempts: int, deadline: float
    ) -> Record | None:
        """The last failure, or None once the function succeeded."""
        failure: Record = {"error": True, "body": {"errorMessage": "the event grew too old"}}
        made, service_failures = 0, 0
        while made < attempts and time.time() < deadline:
            try:
                result = self._lambda._execute_function(func, event)
            except ServiceError as error:
                logger.warning("asynchronous invocation: %s", error)
                result = {"throttle": True}
            if result.get("throttle"):
                pause = SERVICE_RETRY_S[min(service_failures, len(SERVICE_RETRY_S) - 1)]
                service_failures += 1
            elif not result.get("error"):
                return None
            else:
                made += 1
                failure = {**result, "body": _parsed(result.get("body"))}
                pause = float(2 ** (made - 1))
                if made == attempts:
                    break
            time.sleep(min(pause, max(deadline - time.time(), 0.0)))
        return failure

    def _dead_letter(self, arn: str, event: object, result: Record) -> None:
        """The event itself with three attributes; a destination gets an envelope instead."""
        from ministack.services import sns, sqs  # noqa: PLC0415

        told = result.get("body")
        reason = told.get("errorMessage", "") if isinstance(told, dict) else ""
        attributes = {
            "RequestID": {"DataType": "String", "StringValue": self._lambda.new_uuid()},
            "ErrorCode": {"DataType": "Number", "StringValue": "200"},
            "ErrorMessage": {"DataType": "String", "StringValue": str(reason)[:1024] or "-"},
        }
        body = json.dumps(event, ensure_ascii=False)
        if ":sqs:" in arn:
            queue = sqs._queue_by_arn(arn)
            if queue is not None:
                message = {"MessageBody": body, "MessageAttributes": attributes}
                sqs._act_send_message(message, queue["url"])
        elif ":sns:" in arn:
            sns._fanout(arn, self._lambda.new_uuid(), body, "", "", attributes)

    def _count(self, name: str, result: Record, duration_ms: float) -> None:
        dimensions = {"FunctionName": name}
        throttled = bool(result.get("throttle"))
        if throttled:
            values = [("Throttles", 1.0, "Count")]
        else:
            values = [
                ("Invocations", 1.0, "Count"),
                ("Errors", float(bool(result.get("error"))), "Count"),
                ("Throttles", 0.0, "Count"),
                ("Duration", duration_ms, "Milliseconds"),
            ]
        for metric, value, unit in values:
            self._cloudwatch.record_metric("AWS/Lambda", metric, value, unit, dimensions)


def _parsed(body: object) -> object:
    if isinstance(body, str):
        try:
            return json.loads(body)
        except ValueError:
            return {"errorMessage": body}
    return body
