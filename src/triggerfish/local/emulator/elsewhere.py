"""Services of the local cloud that another process answers are refused here by name.

MiniStack's Auto Scaling invents instances that EC2 doesn't know, and its EC2 and load balancers
skip every state in between: an answer from them would be a lie that looks right.
"""

from __future__ import annotations

from typing import Any

from . import guard

SERVICES = {
    "autoscaling": "AWS_ENDPOINT_URL_AUTO_SCALING",
    "ec2": "AWS_ENDPOINT_URL_EC2",
    "elasticloadbalancing": "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2",
}


def mend() -> None:
    from ministack import app  # noqa: PLC0415

    gap = "Auto Scaling, EC2 and load balancers are the fleet's"
    handlers = guard.attribute(app, "SERVICE_HANDLERS", gap)
    for service, variable in SERVICES.items():
        if service not in handlers:
            raise guard.Unknown(
                f"ministack has no service {service}, so this can't be mended: {gap}"
            )
        handlers[service] = _refusal(service, variable)


def _refusal(service: str, variable: str) -> Any:
    told = (
        f"the local cloud answers {service} at the fleet's address, not here: set {variable} "
        "(`triggerfish status` shows it)"
    )
    error = f"<Error><Type>Sender</Type><Code>WrongEndpoint</Code><Message>{told}</Message></Error>"
    body = (
        f"<Response><Errors>{error}</Errors></Response>"
        if service == "ec2"
        else f"<ErrorResponse>{error}</ErrorResponse>"
    )

    async def refuse(*_request: object) -> tuple[int, dict[str, str], bytes]:
        return 400, {"Content-Type": "text/xml"}, body.encode()

    return refuse
