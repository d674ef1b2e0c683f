"""Start the emulator: `<emulator python> launcher.py --port N --state DIR --sandbox-url URL`.

Speaks the protocol of every child of the local cloud: one line of JSON on stdout when it serves,
and it leaves when standard input ends or SIGTERM or SIGINT arrives. The parent owns the choice of
interpreter; this script owns everything else, down to the environment variables MiniStack reads.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from pathlib import Path

PACKAGE = "triggerfish_emulator"


def load_folder() -> None:
    """Make this folder importable as `PACKAGE`, and not as a heap of top-level modules."""
    folder = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        message = f"{folder} holds no package"
        raise ImportError(message)
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != folder]


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="launcher.py", description="the local cloud's AWS")
    parser.add_argument("--port", type=int, required=True, help="loopback port; 0 takes a free one")
    parser.add_argument("--state", type=Path, required=True, help="folder of the durable state")
    parser.add_argument(
        "--sandbox-url", required=True, help="where every Lambda invocation is POSTed"
    )
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--account", default="123456789012")
    parser.add_argument("--log-level", default="WARNING")
    return parser.parse_args(words)


def main() -> None:
    # Compiled modules make the difference between 0.4 s and 1.2 s to ready.
    sys.dont_write_bytecode = False
    options = arguments(sys.argv[1:])
    load_folder()
    server = importlib.import_module(f"{PACKAGE}.server")
    server.run(options)


if __name__ == "__main__":
    main()
