from __future__ import annotations

from datetime import UTC, datetime

import pytest

from triggerfish.audit.logfile import log_file, log_group
from triggerfish.audit.records import LogFile

NAME = "123456789012_redshift_eu-central-1_shop_userlog_2013-10-29T18:01.gz"
AT = datetime(2013, 10, 29, 18, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("path", "kind", "cluster", "at"),
    [
        (NAME, "user", "shop", AT),
        (f"AWSLogs/123456789012/redshift/eu-central-1/2013/10/29/{NAME}", "user", "shop", AT),
        (f"s3://audit/copies/2021/{NAME}", "user", "shop", AT),
        (f"C:\\logs\\{NAME}", "user", "shop", AT),
        (NAME.replace(":", "%3A"), "user", "shop", AT),
        (NAME.replace(":", "_"), "user", "shop", AT),
        (NAME.replace("18:01", "1801"), "user", "shop", AT),
        (NAME.replace("userlog", "useractivitylog"), "activity", "shop", AT),
        (NAME.replace("userlog", "connectionlog"), "connection", "shop", AT),
        (NAME.replace("userlog", "start_node"), "activity", "shop", AT),
        (NAME.replace("eu-central-1_shop", "us-gov-east-1_a-b-2"), "user", "a-b-2", AT),
        (NAME.replace("10-29", "13-29"), "user", "shop", None),
        ("my-connectionlog.txt", "connection", "", None),
        ("connectionlog/useractivitylog.gz", "activity", "", None),
        ("userlog/notes.txt", None, "", None),
        ("-", None, "", None),
    ],
)
def test_base_name_alone_says_what_a_file_is(
    path: str, kind: str | None, cluster: str, at: datetime | None
) -> None:
    file = log_file(path)
    assert (file.kind, file.cluster, file.at) == (kind, cluster, at)


def test_name_says_account_and_region() -> None:
    assert log_file(f"2021/{NAME}") == LogFile(
        name=NAME,
        kind="user",
        cluster="shop",
        account="123456789012",
        region="eu-central-1",
        at=AT,
    )


@pytest.mark.parametrize(
    ("group", "kind", "cluster"),
    [
        ("/aws/redshift/reporting/connectionlog", "connection", "reporting"),
        ("/aws/redshift/reporting/useractivitylog", "activity", "reporting"),
        ("/aws/redshift/cluster/shop/userlog", "user", "shop"),
        ("/aws/lambda/shop", None, ""),
    ],
)
def test_log_group_says_what_a_stream_is(group: str, kind: str | None, cluster: str) -> None:
    file = log_group(group)
    assert (file.kind, file.cluster) == (kind, cluster)
