from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from triggerfish import __version__
from triggerfish.errors import Refused, Unavailable
from triggerfish.runtime.aws import (
    ANY_SERVICE,
    Clients,
    Credentials,
    calling,
    error_code,
    error_message,
    translate,
)


def aws_error(code: str, message: str = "said so", status: int = 400) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "RequestId": "r-1",
                "HTTPHeaders": {},
                "RetryAttempts": 0,
                "HostId": "",
            },
        },
        "CreateTags",
    )


@pytest.mark.parametrize(
    "error",
    [
        aws_error("RequestLimitExceeded", status=503),
        aws_error("Throttling"),
        aws_error("ThrottlingException"),
        aws_error("PriorRequestNotComplete"),
        aws_error("ResourceContention"),
        aws_error("ExpiredTokenException"),
        aws_error("SomethingNew", status=500),
        aws_error("SomethingNew", status=429),
        EndpointConnectionError(endpoint_url="http://192.0.2.1"),
        ConnectTimeoutError(endpoint_url="http://192.0.2.1"),
        ReadTimeoutError(endpoint_url="http://192.0.2.1"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_may_succeed_later_is_unavailable(error: ClientError) -> None:
    assert type(translate(error, "ec2:CreateTags, i-1")) is Unavailable


@pytest.mark.parametrize(
    "error",
    [
        aws_error("UnauthorizedOperation", status=403),
        aws_error("AccessDeniedException"),
        aws_error("ValidationError"),
        aws_error("InvalidInstanceID.NotFound"),
        aws_error("SomethingNew"),
        NoCredentialsError(),
        ParamValidationError(report="x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_can_not_succeed_is_refused(error: ClientError) -> None:
    assert type(translate(error, "ec2:CreateTags, i-1")) is Refused


def test_the_message_says_the_call_and_what_aws_said() -> None:
    with pytest.raises(Refused) as failure, calling("ec2:CreateTags", "i-1"):
        raise aws_error("InvalidID", "The ID 'i-1' is not valid")
    assert str(failure.value) == "ec2:CreateTags, i-1: InvalidID: The ID 'i-1' is not valid"
    assert isinstance(failure.value.__cause__, ClientError)


def test_other_errors_and_success_pass() -> None:
    with calling("ec2:CreateTags", "i-1"):
        done = True
    assert done
    with pytest.raises(KeyError), calling("ec2:CreateTags", "i-1"):
        raise KeyError("not AWS")


def test_an_error_without_a_body_has_its_status_as_code() -> None:
    error = ClientError({}, "CreateTags")
    assert (error_code(error), error_message(error)) == ("Unknown", "no message")


def test_explicit_endpoints_need_credentials_too() -> None:
    """Without them the search for credentials would leave the machine."""
    with pytest.raises(ValueError, match="need a region and credentials too"):
        Clients(endpoints={ANY_SERVICE: "http://127.0.0.1:1"})


def local_clients(endpoints: dict[str, str]) -> Clients:
    return Clients(region="eu-west-1", endpoints=endpoints, credentials=Credentials("a", "b"))


def test_a_service_goes_to_its_endpoint() -> None:
    clients = local_clients({"ec2": "http://127.0.0.1:1", ANY_SERVICE: "http://127.0.0.1:2"})
    assert clients.ec2.meta.endpoint_url == "http://127.0.0.1:1"
    assert clients.sqs.meta.endpoint_url == "http://127.0.0.1:2"
    clients.close()


def test_a_service_without_an_endpoint_does_not_go_to_aws() -> None:
    with pytest.raises(ValueError, match="no endpoint is given for sns, and AWS itself"):
        _ = local_clients({"ec2": "http://127.0.0.1:1"}).sns


@pytest.mark.parametrize(
    "service",
    [
        "autoscaling",
        "dynamodb",
        "ec2",
        "elbv2",
        "route53",
        "secretsmanager",
        "sns",
        "sqs",
        "ssm",
    ],
)
def test_clients_have_our_timeouts_retries_and_name(service: str) -> None:
    clients = local_clients({ANY_SERVICE: "http://127.0.0.1:1"})
    client = getattr(clients, service)
    config = client.meta.config
    assert client.meta.service_model.service_name == service
    assert (config.connect_timeout, config.read_timeout, config.max_pool_connections) == (3, 10, 16)
    assert config.retries == {"mode": "standard", "total_max_attempts": 8}
    assert config.user_agent_extra.startswith(f"triggerfish/{__version__}")
    assert config.proxies == {}
    clients.close()


def test_a_client_is_made_once_also_by_many_threads() -> None:
    clients = local_clients({ANY_SERVICE: "http://127.0.0.1:1"})
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: id(clients.sqs), range(32)))
    assert len(made) == 1
    clients.close()


class Queues(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = b'{"QueueUrls": ["here"]}'
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep standard error for the tests."""


def test_a_users_profile_and_proxy_do_not_reach_the_local_cloud(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with HTTPServer(("127.0.0.1", 0), Queues) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        clients = local_clients({ANY_SERVICE: f"http://127.0.0.1:{server.server_port}"})
        assert clients.sqs.list_queues()["QueueUrls"] == ["here"]
        clients.close()
        thread.join()


def test_in_lambda_nothing_is_passed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:2")
    clients = Clients()
    assert clients.sqs.meta.endpoint_url == "http://127.0.0.1:1"
    assert clients.ec2.meta.endpoint_url == "http://127.0.0.1:2"
    clients.close()


def test_credentials_are_not_shown() -> None:
    assert repr(Credentials("AKIA", "hunter2")) == "Credentials('AKIA', ***)"
