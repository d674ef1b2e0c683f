"""The local cloud: its processes, the world they simulate, and the stack deployed into it.

Local differs from AWS by endpoints, credentials and the values of template parameters, and by
nothing else: the template, the artifacts and the functions are those of every other stage.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from triggerfish.deploy import blueprints
from triggerfish.deploy.deployment import Plan, deploy, plan
from triggerfish.deploy.package import Target
from triggerfish.local import emulator, environments
from triggerfish.local.audit import AuditWorld
from triggerfish.local.clients import FLEET_SERVICES, clients_of
from triggerfish.local.jenkins import TOKEN_VARIABLE
from triggerfish.local.notices import NoticesWorld
from triggerfish.local.ports import HOST, choose_ports
from triggerfish.local.process import Child
from triggerfish.local.project import LocalProject, Running
from triggerfish.local.provision import ACCOUNT, ProvisionWorld
from triggerfish.local.sandbox.options import Options, to_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

    from triggerfish.config.model import Config
    from triggerfish.runtime.aws import Clients

STAGE = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds from the start: until all processes served, and until the stack was deployed."""

    ready_s: float
    deploy_s: float


@dataclass
class LocalCloud:
    """A context: inside it the local cloud runs, with the config's stack deployed."""

    project: LocalProject
    config: Config
    say: Callable[[str], None]
    real_jenkins: bool = True
    """Whether a Jenkins of the config that can be reached is used instead of a stand-in."""
    fresh: bool = False
    """Forget the state of earlier runs first."""
    build_s: float = 0.4
    """How long a build of the Jenkins stand-in takes."""
    addresses: dict[str, str] = field(default_factory=dict)
    children: dict[str, Child] = field(default_factory=dict)
    timings: Timings | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        began = time.monotonic()
        try:
            self._stack.enter_context(self.project.locked())
            self._place = self._stack.enter_context(self.project.free_of_parts())
            if self.fresh:
                self.project.forget_state()
            self._stack.callback(self._stop)
            self._start()
            ready_s = time.monotonic() - began
            parameters = self._deploy()
            deploy_s = time.monotonic() - began - ready_s
            self.timings = Timings(ready_s=round(ready_s, 3), deploy_s=round(deploy_s, 3))
            self.project.announce(
                Running(
                    pid=os.getpid(),
                    started_at=datetime.now(UTC).isoformat(timespec="seconds"),
                    stack=self.stack,
                    region=self.config.region_in(STAGE),
                    addresses=self.addresses,
                    parameters=parameters,
                )
            )
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def stack(self) -> str:
        return self.config.stack(STAGE)

    @property
    def clients(self) -> Clients:
        return clients_of(self.addresses, self.config.region_in(STAGE))

    @property
    def function_logs(self) -> Path:
        """The folder of the functions' logs."""
        return self.project.state / "sandbox" / "logs"

    def fallen(self) -> str | None:
        """The name of a part that has ended by itself, if one has."""
        return next((name for name, c in self.children.items() if c.exit_code is not None), None)

    # --- processes

    def _start(self) -> None:
        environments.ensure_environments(self.say, runtimes=[self.config.functions.runtime])
        world = ProvisionWorld(self.config, self.project.state, build_s=self.build_s)
        self._world = world
        self._notices_world = NoticesWorld(self.config)
        self._audit_world = AuditWorld(self.config)
        stand_ins = world.stand_ins(probe=self.real_jenkins)
        parts = ["aws", "fleet", "sandbox", *(f"jenkins-{name}" for name in stand_ins)]
        ports = choose_ports(parts, self.project.state / "ports.json")
        self.addresses.update({part: f"http://{HOST}:{port}" for part, port in ports.items()})
        self._child("aws", self._emulator_command(ports["aws"]))
        self._child("sandbox", self._sandbox_command(ports["sandbox"]), self._secret_variables)
        self._child("fleet", self._fleet_command(ports["fleet"]))
        for name, command in stand_ins.items():
            part = f"jenkins-{name}"
            self._child(
                part,
                [*_module("jenkins"), *command, f"--port={ports[part]}"],
                {TOKEN_VARIABLE: world.token_of(name)},
            )
        for child in self.children.values():
            child.wait_until_ready()

    @property
    def _secret_variables(self) -> dict[str, str]:
        return {**self._world.secret_variables, **self._notices_world.secret_variables}

    def _child(
        self, name: str, command: list[str], secret_variables: Mapping[str, str] | None = None
    ) -> None:
        """Secrets go into a child's environment: everybody can read its command line."""
        self.children[name] = Child(
            name,
            command,
            log=self.project.logs / f"{name}.log",
            environment={**_environment(), **(secret_variables or {})},
            inherited=[self._place],
        )

    def _emulator_command(self, port: int) -> list[str]:
        launcher = Path(emulator.__file__).parent / "launcher.py"
        return [
            str(environments.emulator_python()),
            str(launcher),
            f"--port={port}",
            f"--state={self.project.state / 'aws'}",
            f"--sandbox-url={self.addresses['sandbox']}",
            f"--region={self.config.region_in(STAGE)}",
            f"--account={ACCOUNT}",
        ]

    def _sandbox_command(self, port: int) -> list[str]:
        runtime = self.config.functions.runtime
        python = environments.lambda_python(runtime)
        endpoints = {"": self.addresses["aws"]}
        endpoints |= dict.fromkeys(FLEET_SERVICES.values(), self.addresses["fleet"])
        options = Options(
            state=self.project.state / "sandbox",
            aws_url=self.addresses["aws"],
            default_python=python.path,
            endpoints=endpoints,
            secrets=tuple(self._secret_variables),
            port=port,
        )
        return [*_module("sandbox"), *to_arguments(options)]

    def _fleet_command(self, port: int) -> list[str]:
        return [
            *_module("fleet"),
            f"--port={port}",
            f"--state={self.project.state / 'fleet'}",
            f"--sns-url={self.addresses['aws']}",
            f"--region={self.config.region_in(STAGE)}",
            f"--account={ACCOUNT}",
        ]

    def _stop(self) -> None:
        """End all parts at once, then wait for each."""
        for child in self.children.values():
            child.ask_to_stop()
        for child in self.children.values():
            child.stop()

    # --- the stack

    def _deploy(self) -> dict[str, str]:
        """Make the world the config speaks of, and deploy the stack into it."""
        config, clients = self.config, self.clients
        with ThreadPoolExecutor(1) as pool:
            building = pool.submit(self._plan)
            self._world.make(clients, self.addresses)
            self._notices_world.make(clients)
            self._audit_world.make(clients)
            made = building.result()
        done = deploy(
            made,
            clients,
            region=config.region_in(STAGE),
            account=ACCOUNT,
            given=self._world.template_parameters(self.addresses),
        )
        self._world.connect(clients, dict(done.applied.outputs))
        self._audit_world.connect(clients)
        return self._world.function_parameters(clients, self.addresses)

    def _plan(self) -> Plan:
        functions = self.config.functions
        python = environments.lambda_python(functions.runtime)
        return plan(
            blueprints.collect(self.config, STAGE),
            stack=self.stack,
            functions=functions,
            target=Target.of_this_machine(python.path, python.version),
            cache=self.project.cache,
        )


def _module(part: str) -> list[str]:
    return [sys.executable, "-m", f"triggerfish.local.{part}"]


def _environment() -> dict[str, str]:
    """Ours without what would send a child, or AWS's SDK in it, anywhere but to loopback."""
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("AWS_", "MINISTACK_", "MOTO_"))
        and not key.lower().endswith("_proxy")
    } | {"AWS_EC2_METADATA_DISABLED": "true"}
