"""Joins the parts: HTTP, moto and the fleet behind one lock, the journal, the timers, the outbox.

A mutating call is: take the lock, let moto answer, close the change, give the lock back, wait until
the snapshot that holds the change is on disk, answer.
"""

from __future__ import annotations

import json
import sys
import threading
import traceback
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from moto.core.request import Request
from werkzeug.serving import WSGIRequestHandler, make_server

from triggerfish.local.fleet import control, mending, outbox, snapshot
from triggerfish.local.fleet.journal import Journal
from triggerfish.local.fleet.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIEnvironment

    from triggerfish.local.fleet.fleet import Fleet

Answer = tuple[int, dict[str, str], bytes]

PREFIX = "/_fleet/"
SIGNING_ALIASES = {"elasticloadbalancingv2": "elasticloadbalancing"}


class _ServerRequest(Request):
    from_wsgi_server = True


class _Handler(WSGIRequestHandler):
    # Headers and body are two writes; without this each answer waits 40 ms for an acknowledgement.
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing of requests: stderr is for what went wrong."""


class Service:
    def __init__(self, fleet: Fleet, *, state: Path, sns_url: str) -> None:
        self.fleet = fleet
        self.journal = Journal(state / "fleet.snapshot", self._dump, committed=self._committed)
        self._throttle = Throttle()
        self._publisher = outbox.Publisher(
            fleet,
            outbox.SnsDoor(sns_url, fleet.region),
            durable_version=lambda: self.journal.durable,
            delivered=self.journal.tidy,
        )
        self._stopping = False
        self._timers = threading.Thread(target=self._run_timers, name="timers", daemon=True)

    def start(self) -> None:
        self.journal.durable = self.fleet.version
        self.journal.start()
        self._timers.start()
        self._publisher.start()

    def stop(self) -> None:
        self._stopping = True
        with self.fleet.lock:
            self.fleet.woken.notify_all()
        self._timers.join(1)
        self._publisher.stop()
        self.journal.stop()

    def _dump(self) -> tuple[int, bytes]:
        return snapshot.dump(self.fleet)

    def _committed(self) -> None:
        self._publisher.wake()

    def _run_timers(self) -> None:
        while not self._stopping:
            with self.fleet.lock:
                try:
                    done = self.fleet.run_due()
                except Exception:  # noqa: BLE001 - one bad timer must not stop the others
                    sys.stderr.write(f"fleet: a timer failed\n{traceback.format_exc()}")
                    done = 1
                if done:
                    self.journal.want(self.fleet.changed())
                else:
                    due = self.fleet.state.timers.next_due()
                    wait_s = None if due is None else max(0.0, due - self.fleet.seconds())
                    self.fleet.woken.wait(wait_s)

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        try:
            path = str(environ.get("PATH_INFO", ""))
            answer = (
                self._control(environ, path.removeprefix(PREFIX))
                if path.startswith(PREFIX)
                else self._aws(environ)
            )
        except Exception as error:  # noqa: BLE001 - a server answers whatever happens
            sys.stderr.write(f"fleet: {traceback.format_exc()}")
            answer = _error(500, "InternalFailure", f"{type(error).__name__}: {error}")
        status, headers, body = answer
        headers["Content-Length"] = str(len(body))
        start(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
        return [body]

    def _aws(self, environ: WSGIEnvironment) -> Answer:
        request = _ServerRequest(environ)
        body = request.get_data(cache=True)
        action = parse_qs(body.decode("utf-8", "replace")).get("Action", [""])[0]
        region, service = _scope(str(environ.get("HTTP_AUTHORIZATION", "")))
        response = mending.SERVICES.get(service)
        if response is None:
            known = ", ".join(sorted(mending.SERVICES))
            return _error(
                400, "UnknownService", f"found {service or 'no signature'}, wanted {known}"
            )
        if region != self.fleet.region:
            return _error(400, "UnknownRegion", f"found {region}, wanted {self.fleet.region}")
        if not hasattr(response, mending.method_name(action)):
            return _error(400, "InvalidAction", f"The action {action} is not served by the fleet.")
        return self._change(
            lambda: self._dispatch(response.dispatch, request, service, action),
            is_change=not action.startswith(("Describe", "Get")),
        )

    def _dispatch(
        self, dispatch: Callable[[Request], object], request: Request, service: str, action: str
    ) -> Answer:
        limit = self.fleet.state.faults.limits.get(action)
        if service == "ec2" and not self._throttle.admit(action, limit, self.fleet.seconds()):
            return _ec2_error(503, "RequestLimitExceeded", "Request limit exceeded.")
        return _answer(dispatch(request))

    def _control(self, environ: WSGIEnvironment, name: str) -> Answer:
        endpoint = control.ENDPOINTS.get(name)
        if endpoint is None:
            return _json(404, {"error": f"no {PREFIX}{name}: {sorted(control.ENDPOINTS)}"})
        method, handle = endpoint
        if environ["REQUEST_METHOD"] != method:
            return _json(405, {"error": f"{PREFIX}{name} takes {method}"})
        try:
            body = control.parse(Request(environ).get_data())
            return self._change(
                lambda: _json(200, handle(self.fleet, body)), is_change=method == "POST"
            )
        except control.BadRequestError as error:
            return _json(400, {"error": str(error)})
        except control.NotFoundError as error:
            return _json(404, {"error": str(error)})

    def _change(self, work: Callable[[], Answer], *, is_change: bool) -> Answer:
        with self.fleet.lock:
            answer = work()
            if not is_change or answer[0] >= 500:
                return answer
            version = self.fleet.changed()
        self.journal.wait(version)
        return answer


def _scope(authorization: str) -> tuple[str, str]:
    """Region and service of `Credential=KEY/DATE/REGION/SERVICE/aws4_request`."""
    _, _, credential = authorization.partition("Credential=")
    parts = credential.split(",")[0].split("/")
    if len(parts) != 5:
        return "", ""
    return parts[2], SIGNING_ALIASES.get(parts[3], parts[3])


def _answer(result: object) -> Answer:
    """Moto answers (status, headers, body), the body as text or bytes."""
    if not isinstance(result, tuple) or len(result) != 3:
        raise TypeError(f"moto answered {type(result).__name__}")
    status, headers, body = result
    data = body.encode() if isinstance(body, str) else bytes(body)
    kept = {str(name): str(value) for name, value in headers.items() if name.lower() != "status"}
    kept.setdefault("Content-Type", "text/xml")
    return int(status), kept, data


def _json(status: int, body: object) -> Answer:
    data = json.dumps(body, default=str).encode()
    return status, {"Content-Type": "application/json"}, data


def _error(status: int, code: str, message: str) -> Answer:
    body = (
        "<ErrorResponse><Error><Type>Sender</Type>"
        f"<Code>{code}</Code><Message>{_escape(message)}</Message></Error></ErrorResponse>"
    )
    return status, {"Content-Type": "text/xml"}, body.encode()


def _ec2_error(status: int, code: str, message: str) -> Answer:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Response><Errors><Error><Code>{code}</Code><Message>{_escape(message)}</Message></Error>"
        "</Errors><RequestID>00000000-0000-0000-0000-000000000000</RequestID></Response>"
    )
    return status, {"Content-Type": "text/xml;charset=UTF-8"}, body.encode()


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def serve(service: Service, port: int) -> tuple[str, Callable[[], None]]:
    """Answer on 127.0.0.1; returns the address, and what stops it."""
    server = make_server("127.0.0.1", port, service, threaded=True, request_handler=_Handler)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.2}, name="http", daemon=True
    )
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        service.stop()

    return f"http://127.0.0.1:{server.server_port}", stop
