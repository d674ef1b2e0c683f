from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.notices.test_mail import make_message
from triggerfish.blueprint import Call
from triggerfish.errors import Refused, Unavailable
from triggerfish.local.fakes.clock import ManualClock
from triggerfish.notices.deliver import Outgoing
from triggerfish.notices.ses import SesMail, mail_calls

OUTGOING = Outgoing(message=make_message(), thread="t" * 32, number=0, mail_ids=())
HOME = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity"


def refusal(code: str, message: str = "no", status: int = 400) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status},  # type: ignore[typeddict-item]
        },
        "SendEmail",
    )


class NotFound(ClientError):
    def __init__(self) -> None:
        super().__init__({"Error": {"Code": "NotFoundException"}}, "GetSuppressedDestination")


class Ses:
    """SES, as far as a mail needs it."""

    class exceptions:  # noqa: N801 - botocore's name
        NotFoundException = NotFound

    class meta:  # noqa: N801 - botocore's name
        region_name = "eu-central-1"

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.suppressed: set[str] = set()
        self.fails: Exception | None = None
        self.look_up_fails: Exception | None = None
        self.message_id = "0107019"

    def send_email(self, **request: Any) -> dict[str, str]:
        if self.fails is not None:
            raise self.fails
        self.sent.append(request)
        return {"MessageId": self.message_id}

    def get_suppressed_destination(self, *, EmailAddress: str) -> dict[str, object]:  # noqa: N803
        self.asked.append(EmailAddress)
        if self.look_up_fails is not None:
            raise self.look_up_fails
        if EmailAddress not in self.suppressed:
            raise NotFound
        return {}


def mail_on(ses: Ses, clock: ManualClock | None = None) -> SesMail:
    return SesMail(
        ses,  # type: ignore[arg-type]
        clock or ManualClock(),
        sender="triggerfish@example.com",
        to=("a@example.com", "b@example.com"),
    )


def test_a_mail_is_sent_raw_to_everybody() -> None:
    ses = Ses()
    assert mail_on(ses).send(OUTGOING) == "<0107019@eu-central-1.amazonses.com>"
    (request,) = ses.sent
    assert request["FromEmailAddress"] == "triggerfish@example.com"
    assert request["Destination"] == {"ToAddresses": ["a@example.com", "b@example.com"]}
    assert b"To: a@example.com, b@example.com\r\n" in request["Content"]["Raw"]["Data"]


def test_the_first_region_has_a_domain_of_its_own() -> None:
    ses = Ses()
    ses.meta = type("meta", (), {"region_name": "us-east-1"})  # type: ignore[assignment]
    assert mail_on(ses).send(OUTGOING) == "<0107019@email.amazonses.com>"


def test_an_id_that_is_whole_is_left_alone() -> None:
    ses = Ses()
    ses.message_id = "x@email.amazonses.com"
    assert mail_on(ses).send(OUTGOING) == "<x@email.amazonses.com>"


def test_a_suppressed_address_gets_no_mail_and_the_others_do() -> None:
    """SES would take the mail and throw it away."""
    ses = Ses()
    ses.suppressed = {"a@example.com"}
    mail_on(ses).send(OUTGOING)
    assert ses.sent[0]["Destination"] == {"ToAddresses": ["b@example.com"]}


def test_where_all_are_suppressed_the_mail_is_refused() -> None:
    ses = Ses()
    ses.suppressed = {"a@example.com", "b@example.com"}
    with pytest.raises(Refused, match=r"^every recipient is on SES's suppression list: a@"):
        mail_on(ses).send(OUTGOING)
    assert ses.sent == []


def test_addresses_are_looked_up_once_an_hour() -> None:
    ses, clock = Ses(), ManualClock()
    mail = mail_on(ses, clock)
    mail.send(OUTGOING)
    mail.send(OUTGOING)
    assert ses.asked == ["a@example.com", "b@example.com"]
    clock.advance(3601)
    mail.send(OUTGOING)
    assert len(ses.asked) == 4


def test_what_can_not_be_looked_up_is_sent() -> None:
    ses = Ses()
    ses.look_up_fails = refusal("AccessDeniedException", status=403)
    mail_on(ses).send(OUTGOING)
    assert len(ses.sent) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (refusal("MessageRejected", "Email address is not verified."), Refused),
        (refusal("MailFromDomainNotVerifiedException"), Refused),
        (refusal("AccountSuspendedException"), Refused),
        (refusal("LimitExceededException"), Unavailable),
        (refusal("TooManyRequestsException", status=429), Unavailable),
        (refusal("InternalFailure", status=500), Unavailable),
        (EndpointConnectionError(endpoint_url="https://email.example.com"), Unavailable),
    ],
)
def test_what_ses_says_no_to_is_refused_or_tried_later(
    error: Exception, kind: type[Exception]
) -> None:
    ses = Ses()
    ses.fails = error
    with pytest.raises(kind, match=r"^ses:SendEmail, mail to a@example.com, b@example.com: "):
        mail_on(ses).send(OUTGOING)


def test_mail_may_be_sent_from_this_sender_only_and_on_exact_identities() -> None:
    only = (("StringEquals", "ses:FromAddress", ("x@example.com",)),)
    assert set(mail_calls("x@example.com", ("a@example.org",))) == {
        *(
            Call(f"ses:{action}", f"{HOME}/{identity}", only)
            for action in ("SendEmail", "SendRawEmail")
            for identity in ("x@example.com", "example.com", "a@example.org", "example.org")
        ),
        Call("ses:GetSuppressedDestination", "*"),
    }
