"""The door to AWS: clients made when first used, and AWS's errors in our words.

In Lambda nothing is passed in: region, credentials and endpoints come from the environment, as for
any function. The command line passes them when it speaks to the local cloud, and then nothing else
is looked at: no profile, no proxy, no instance metadata, and no service without an endpoint.
botocore is imported at the first call, and boto3 not at all: its clients are botocore's.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from msgspec import Struct

from triggerfish import __version__
from triggerfish.errors import Error, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Any

    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.session import Session
    from types_boto3_autoscaling import AutoScalingClient
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_ec2 import EC2Client
    from types_boto3_elbv2 import ElasticLoadBalancingv2Client
    from types_boto3_route53 import Route53Client
    from types_boto3_secretsmanager import SecretsManagerClient
    from types_boto3_sns import SNSClient
    from types_boto3_sqs import SQSClient
    from types_boto3_ssm import SSMClient

ANY_SERVICE = "*"
"""The endpoint of every service that `endpoints` does not name."""


class Credentials(Struct, frozen=True):
    access_key: str
    secret_key: str
    token: str | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.access_key!r}, ***)"


class Clients:
    """One botocore session and its clients. Safe to share between threads."""

    def __init__(
        self,
        *,
        region: str | None = None,
        endpoints: Mapping[str, str] | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        """`endpoints` maps a service as boto3 names it to a URL, and `ANY_SERVICE` the rest."""
        if endpoints and (credentials is None or region is None):
            raise ValueError("clients with explicit endpoints need a region and credentials too")
        self._region = region
        self._endpoints = endpoints
        self._credentials = credentials
        self._session: Session | None = None
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()  # making a client is not thread-safe, using one is

    @property
    def autoscaling(self) -> AutoScalingClient:
        client: AutoScalingClient = self.client("autoscaling")
        return client

    @property
    def dynamodb(self) -> DynamoDBClient:
        client: DynamoDBClient = self.client("dynamodb")
        return client

    @property
    def ec2(self) -> EC2Client:
        client: EC2Client = self.client("ec2")
        return client

    @property
    def elbv2(self) -> ElasticLoadBalancingv2Client:
        client: ElasticLoadBalancingv2Client = self.client("elbv2")
        return client

    @property
    def route53(self) -> Route53Client:
        client: Route53Client = self.client("route53")
        return client

    @property
    def secretsmanager(self) -> SecretsManagerClient:
        client: SecretsManagerClient = self.client("secretsmanager")
        return client

    @property
    def sns(self) -> SNSClient:
        client: SNSClient = self.client("sns")
        return client

    @property
    def sqs(self) -> SQSClient:
        client: SQSClient = self.client("sqs")
        return client

    @property
    def ssm(self) -> SSMClient:
        client: SSMClient = self.client("ssm")
        return client

    def client(self, service: str) -> Any:
        """Return the client of any service; the properties are the typed way to the common ones."""
        if service in self._clients:
            return self._clients[service]
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make(service)
            return self._clients[service]

    def close(self) -> None:
        """Close all connections; a client used afterwards opens new ones."""
        with self._lock:
            for client in self._clients.values():
                client.close()

    def _make(self, service: str) -> Any:
        from botocore.config import Config  # noqa: PLC0415 - a cold start pays only for what it uses

        local = self._credentials is not None
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 8},
            connect_timeout=3,
            read_timeout=10,
            max_pool_connections=16,
            tcp_keepalive=True,
            user_agent_extra=f"triggerfish/{__version__}",
            proxies={} if self._endpoints else None,
        )
        if self._session is None:
            self._session = _session(isolated=local)
        credentials = self._credentials or Credentials("", "")
        return self._session.create_client(
            service,
            region_name=self._region,
            endpoint_url=self._endpoint(service),
            aws_access_key_id=credentials.access_key or None,
            aws_secret_access_key=credentials.secret_key or None,
            aws_session_token=credentials.token,
            config=config,
        )

    def _endpoint(self, service: str) -> str | None:
        if not self._endpoints:
            return None
        endpoint = self._endpoints.get(service) or self._endpoints.get(ANY_SERVICE)
        if endpoint is None:
            raise ValueError(f"no endpoint is given for {service}, and AWS itself is not meant")
        return endpoint


def _session(*, isolated: bool) -> Session:
    from botocore.session import Session  # noqa: PLC0415 - as above

    if not isolated:
        return Session()
    nowhere = "/dev/null"
    return Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, nowhere, None),
            "credentials_file": (None, None, nowhere, None),
        }
    )


_TRY_LATER = {
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "ExpiredToken",  # credentials are renewed around us
    "ExpiredTokenException",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServiceError",
    "LimitExceededException",
    "PriorRequestNotComplete",  # Route 53: one change at a time in a zone
    "ProvisionedThroughputExceededException",
    "RequestExpired",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ResourceContention",  # Auto Scaling: the group is being changed
    "ScalingActivityInProgress",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
    "Unavailable",
}
_TRY_LATER_CLASSES = {
    "ConnectionError",  # botocore's: refused, reset, timed out, endpoint not found
    "CredentialRetrievalError",
    "HTTPClientError",
    "IncompleteReadError",
    "MetadataRetrievalError",
    "ResponseStreamingError",
}

_NO_CREDENTIALS_CLASSES = {"NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError"}
_NO_CREDENTIALS_HINT = "log in to AWS (`aws sso login`), or set AWS_PROFILE or AWS_ACCESS_KEY_ID"


def error_code(error: ClientError) -> str:
    """AWS's code (`ThrottlingException`); the HTTP status as text where there is none."""
    details = error.response.get("Error", {})
    return str(details.get("Code") or _status(error) or "Unknown")


def error_message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message") or "no message")


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def translate(error: ClientError | BotoCoreError, what: str) -> Error:
    """Turn AWS's error into ours: Unavailable where the request may succeed later, else Refused.

    `what` says the call and its object (`ec2:CreateTags, tag i-0123456789abcdef0`).
    """
    from botocore.exceptions import ClientError  # noqa: PLC0415 - only where AWS was called

    if not isinstance(error, ClientError):
        names = {cls.__name__ for cls in type(error).__mro__}
        kind = Unavailable if names & _TRY_LATER_CLASSES else Refused
        hint = _NO_CREDENTIALS_HINT if names & _NO_CREDENTIALS_CLASSES else None
        return kind(f"{what}: {type(error).__name__}: {error}", hint=hint)
    code, status = error_code(error), _status(error)
    kind = Unavailable if code in _TRY_LATER or status >= 500 or status == 429 else Refused
    return kind(f"{what}: {code}: {error_message(error)}")


class calling:  # noqa: N801 - a context manager, read as a verb: `with calling("ec2:CreateTags", ...)`
    """Translate what AWS raises inside the block. Other exceptions pass.

    The original stays as `__cause__`. To treat one code specially, catch `ClientError` inside.
    """

    def __init__(self, call: str, what: str, *, pass_client_errors: bool = False) -> None:
        self._what = f"{call}, {what}"
        self._pass_client_errors = pass_client_errors

    def __enter__(self) -> None:
        return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            return
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

        if isinstance(error, BotoCoreError) or (
            isinstance(error, ClientError) and not self._pass_client_errors
        ):
            raise translate(error, self._what) from error
