"""The Lambda sandbox as a child process of the local cloud.

    python -m triggerfish.local.sandbox --state DIR --aws-url URL --lambda-python PATH [...]

    --port N                 port on 127.0.0.1; 0 (the default) takes a free one
    --state DIR              DIR/code: unpacked functions; DIR/logs/<function>.log: what they said
    --aws-url URL            the emulator
    --lambda-python PATH     interpreter holding awslambdaric and boto3, for every runtime ...
    --lambda-python python3.13=PATH    ... that has none of its own; repeated
    --endpoint SERVICE=URL   AWS_ENDPOINT_URL_<SERVICE> of functions, repeated;
                             `=URL` is AWS_ENDPOINT_URL
    --credentials K:S:T      access key, secret key and session token of functions (test:test:test)
    --secret-variable NAME   a variable of our own environment that functions get too, repeated:
                             its value stands in no command line
    --isolation MODE         best (the default), namespaces, user-namespaces or none
    --environments N         processes at most, 100; more are throttled
    --idle-seconds S         an environment unused for so long is ended, 300

It serves as `triggerfish.local.child` says: one line on stdout when ready (with `isolation`, the
mode), talk on stderr, and it leaves when stdin closes. The wire format is in `server.py`.
"""

from __future__ import annotations

import sys

from triggerfish.errors import Unavailable
from triggerfish.local.child import announce, serve_until_parent_exits
from triggerfish.local.sandbox.options import from_arguments
from triggerfish.local.sandbox.service import Service


def main(arguments: list[str]) -> int:
    try:
        service = Service(from_arguments(arguments))
        url = service.start()
    except (Unavailable, OSError) as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 1
    announce(url, isolation=service.isolation.mode)
    serve_until_parent_exits(service.stop)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
