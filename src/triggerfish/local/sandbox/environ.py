"""The environment variables a function sees: Lambda's and its own, and nothing of this machine's.

Source: docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html, November 2026.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from triggerfish.local.sandbox.functions import Function


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    access_key: str
    secret_key: str
    session_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """What alone differs from AWS: where the services are, and the credentials."""

    endpoints: Mapping[str, str]
    """Service to URL, as botocore names services (`auto_scaling`); "" is every other service."""
    credentials: Credentials
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables that `env:NAME` references of the local stage name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one environment runs."""

    task_root: str
    runtime_api: str
    log_stream: str
    log_fd: int


def function_environment(function: Function, place: Place, injected: Injected) -> dict[str, str]:
    """Everything, complete. The user's variables win over those Lambda lets them override."""
    overridable = {
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:"
        "/var/task:/var/task/lib:/opt/lib",
        "PYTHONPATH": "/var/runtime",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    }
    credentials = injected.credentials
    fixed = {
        "_HANDLER": function.handler,
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
        "AWS_REGION": function.id.region,
        "AWS_DEFAULT_REGION": function.id.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": function.id.name,
        "AWS_LAMBDA_FUNCTION_VERSION": function.id.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": place.log_stream,
        "AWS_LAMBDA_RUNTIME_API": place.runtime_api,
        "LAMBDA_TASK_ROOT": place.task_root,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "_LAMBDA_TELEMETRY_LOG_FD": str(place.log_fd),  # AWS's client removes it
    }
    if function.log_json:
        fixed["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
    if function.log_level:
        fixed["AWS_LAMBDA_LOG_LEVEL"] = function.log_level
    endpoints = {
        f"AWS_ENDPOINT_URL_{name.upper()}" if name else "AWS_ENDPOINT_URL": url
        for name, url in injected.endpoints.items()
    }
    return {
        **overridable,
        **dict(function.environment),
        **injected.secrets,
        **fixed,
        **endpoints,
    }
