"""Every variable MiniStack reads, set before it is imported; nothing of the user's leaks in.

MiniStack listens on 0.0.0.0, opens SFTP and MQTT ports, relays mail to an SMTP server and reads
credentials from its environment unless told otherwise, so it gets an environment of ours alone.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")


def apply(options: argparse.Namespace, port: int) -> None:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    state = options.state
    temporary = state / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    os.environ.clear()
    os.environ.update(kept)
    os.environ.update(
        {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "MINISTACK_ACCOUNT_ID": options.account,
            "MINISTACK_REGION": options.region,
            "AWS_DEFAULT_REGION": options.region,
            "PERSIST_STATE": "1",
            "STATE_DIR": str(state / "blobs"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(state / "s3"),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "CLOUDTRAIL_RECORDING": "0",
            "LOG_LEVEL": options.log_level,
            "TMPDIR": str(temporary),
            # No Docker: MiniStack would look for containers of its own and remove them.
            "DOCKER_HOST": f"unix://{temporary}/no-docker.sock",
        }
    )
