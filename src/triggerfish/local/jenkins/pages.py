"""The documents behind `api/json`, whole; `tree` prunes them.

Fields and classes as of Jenkins 2.528; the views without a `tree` are those of depth 0.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from triggerfish.local.jenkins.tree import Rendered, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from triggerfish.local.jenkins.core import Core
    from triggerfish.local.jenkins.model import Build, Item, Job, Parameters

Document = dict[str, object]

FOLDER_CLASS = "com.cloudbees.hudson.plugins.folder.Folder"
JOB_CLASS = "org.jenkinsci.plugins.workflow.job.WorkflowJob"
RUN_CLASS = "org.jenkinsci.plugins.workflow.job.WorkflowRun"

_RUN = "[number,url]"
_PARAMETERS = "actions[causes[shortDescription,userId,userName],parameters[name,value]]"
_DEFINITIONS = (
    "property[parameterDefinitions[defaultParameterValue[name,value],description,name,type]]"
)

ROOT_VIEW = parse(
    "description,jobs[name,url,color],mode,nodeDescription,nodeName,numExecutors,"
    "quietingDown,slaveAgentPort,url,useCrumbs,useSecurity,views[name,url]"
)
FOLDER_VIEW = parse(
    "actions,description,displayName,fullDisplayName,fullName,jobs[name,url,color],name,url"
)
JOB_VIEW = parse(
    "actions,buildable,color,concurrentBuild,description,displayName,fullDisplayName,fullName,"
    f"inQueue,keepDependencies,name,nextBuildNumber,resumeBlocked,url,builds{_RUN},{_DEFINITIONS},"
    f"firstBuild{_RUN},lastBuild{_RUN},lastCompletedBuild{_RUN},lastFailedBuild{_RUN},"
    f"lastStableBuild{_RUN},lastSuccessfulBuild{_RUN},lastUnstableBuild{_RUN},"
    f"lastUnsuccessfulBuild{_RUN},queueItem[id,url]"
)
RUN_VIEW = parse(
    f"{_PARAMETERS},artifacts,building,changeSets,culprits,description,displayName,duration,"
    "estimatedDuration,executor,fullDisplayName,id,inProgress,keepLog,"
    f"nextBuild{_RUN},number,previousBuild{_RUN},queueId,result,timestamp,url"
)
ITEM_FIELDS = (
    f"{_PARAMETERS},blocked,buildable,buildableStartMilliseconds,cancelled,"
    "executable[number,url],id,inQueueSince,params,pending,stuck,task[color,name,url],timestamp,"
    "url,why"
)
ITEM_VIEW = parse(ITEM_FIELDS)
QUEUE_VIEW = parse(f"discoverableItems,items[{ITEM_FIELDS}]")
NODES_VIEW = parse(
    "busyExecutors,computer[assignedLabels[name],description,displayName,"
    f"executors[currentExecutable{_RUN},number],icon,idle,numExecutors,offline,offlineCause,"
    f"oneOffExecutors[currentExecutable{_RUN}],temporarilyOffline],displayName,totalExecutors"
)
NODE_VIEW = NODES_VIEW.fields["computer"]
PERSON_VIEW = parse("absoluteUrl,anonymous,authenticated,authorities,description,fullName,id,name")


class Pages:
    """The documents of one Jenkins as somebody who calls it `base` sees them."""

    def __init__(self, core: Core, base: str) -> None:
        self._core = core
        self.base = base

    def job_url(self, name: str) -> str:
        return self.base + "".join(f"job/{quote(part, safe='')}/" for part in name.split("/"))

    def root(self, *, secured: bool) -> Document:
        settings = self._core.settings
        return {
            "_class": "hudson.model.Hudson",
            "description": None,
            "jobs": lambda: self.children(""),
            "mode": "NORMAL",
            "nodeDescription": "the Jenkins controller's built-in node",
            "nodeName": "",
            "numExecutors": self._core.executors,
            "quietingDown": settings.quieting_down,
            "slaveAgentPort": -1,
            "url": self.base,
            "useCrumbs": True,
            "useSecurity": secured,
            "views": [{"_class": "hudson.model.AllView", "name": "all", "url": self.base}],
        }

    def is_folder(self, name: str) -> bool:
        return any(job.startswith(f"{name}/") for job in self._core.jobs)

    def children(self, folder: str) -> list[Document]:
        """What stands directly in the folder; "" is the root."""
        prefix = f"{folder}/" if folder else ""
        names = {
            name.removeprefix(prefix).split("/")[0]: None
            for name in self._core.jobs
            if name.startswith(prefix)
        }
        return [
            self.job(job)
            if (job := self._core.jobs.get(prefix + name))
            else self.folder(prefix + name)
            for name in names
        ]

    def folder(self, name: str) -> Document:
        return {
            "_class": FOLDER_CLASS,
            "actions": [],
            "description": None,
            **self._names(name),
            "jobs": lambda: self.children(name),
        }

    def job(self, job: Job) -> Document:
        core = self._core
        queued = [item for item in core.queue.values() if item.job == job.name]
        newest = core.builds(job.name)
        next_number = max((build.number for build in newest), default=0) + 1
        return {
            "_class": JOB_CLASS,
            "actions": [],
            "description": None,
            **self._names(job.name),
            "allBuilds": Rendered(newest, self.build),
            "buildable": not job.disabled,
            "builds": Rendered(newest[:100], self.build),
            "color": self._color(job, newest),
            "concurrentBuild": job.concurrent,
            "inQueue": bool(queued),
            "keepDependencies": False,
            "nextBuildNumber": next_number,
            "property": _properties(job),
            "queueItem": self.item(queued[0]) if queued else None,
            "resumeBlocked": False,
            **self._permalinks(newest),
        }

    def build(self, build: Build) -> Document:
        core = self._core
        ended = build.ended_at
        job = core.jobs[build.job]
        name = _display_name(build.job)
        return {
            "_class": RUN_CLASS,
            "actions": _actions(build.parameters),
            "artifacts": [],
            "building": build.building,
            "changeSets": [],
            "culprits": [],
            "description": None,
            "displayName": f"#{build.number}",
            "duration": 0 if ended is None else milliseconds(ended - build.started_at),
            "estimatedDuration": milliseconds(job.duration_s),
            "executor": {} if build.building else None,
            "fullDisplayName": f"{name} #{build.number}",
            "id": str(build.number),
            "inProgress": build.in_progress,
            "keepLog": False,
            "nextBuild": self._reference(core.build(build.job, build.number + 1)),
            "number": build.number,
            "previousBuild": self._reference(core.build(build.job, build.number - 1)),
            "queueId": build.queue_id,
            "result": build.result,
            "timestamp": milliseconds(build.started_at),
            "url": f"{self.job_url(build.job)}{build.number}/",
        }

    def item(self, item: Item) -> Document:
        kind = {"waiting": "Waiting", "blocked": "Blocked", "left": "Left"}
        common: Document = {
            "_class": f"hudson.model.Queue${kind.get(item.state, 'Buildable')}Item",
            "actions": _actions(item.parameters),
            "blocked": item.state == "blocked",
            "buildable": item.state in {"buildable", "pending"},
            "id": item.id,
            "inQueueSince": milliseconds(item.since),
            "params": "".join(f"\n{name}={value}" for name, value in item.parameters),
            "stuck": self._is_stuck(item),
            "task": {
                "_class": JOB_CLASS,
                "color": "notbuilt",
                "name": item.job.rsplit("/", 1)[-1],
                "url": self.job_url(item.job),
            },
            "url": f"queue/item/{item.id}/",
            "why": why(self._core, item),
        }
        if item.state == "waiting":
            return {**common, "timestamp": milliseconds(item.due_at)}
        if item.state == "left":
            build = None if item.build is None else self._core.build(item.job, item.build)
            executable = self._reference(build)
            return {**common, "cancelled": item.cancelled, "executable": executable}
        start = milliseconds(item.buildable_since or item.since)
        common["buildableStartMilliseconds"] = start
        return common if item.state == "blocked" else {**common, "pending": item.state == "pending"}

    def queue(self) -> Document:
        items = list(self._core.queue.values())[::-1]
        return {
            "_class": "hudson.model.Queue",
            "discoverableItems": [],
            "items": Rendered(items, self.item),
        }

    def nodes(self) -> Document:
        running = [build for build in self._core.running.values() if build.building]
        return {
            "_class": "hudson.model.ComputerSet",
            "busyExecutors": len(running),
            "computer": [self.node()],
            "displayName": "Nodes",
            "totalExecutors": self._core.executors,
        }

    def node(self) -> Document:
        running = [build for build in self._core.running.values() if build.building]
        executors: list[Document] = [
            {
                "currentExecutable": self.build(running[slot]) if slot < len(running) else None,
                "number": slot,
            }
            for slot in range(self._core.executors)
        ]
        return {
            "_class": "hudson.model.Hudson$MasterComputer",
            "assignedLabels": [{"name": "built-in"}],
            "description": "the Jenkins controller's built-in node",
            "displayName": "Built-In Node",
            "executors": executors,
            "icon": "symbol-computer",
            "idle": not running,
            "numExecutors": self._core.executors,
            "offline": False,
            "offlineCause": None,
            "oneOffExecutors": [],
            "temporarilyOffline": False,
        }

    def person(self, name: str) -> Document:
        return {
            "_class": "hudson.model.User",
            "absoluteUrl": f"{self.base}user/{name}",
            "anonymous": name == "anonymous",
            "authenticated": name != "anonymous",
            "authorities": ["authenticated"],
            "description": None,
            "fullName": name,
            "id": name,
            "name": name,
        }

    def _names(self, name: str) -> Document:
        return {
            "displayName": name.rsplit("/", 1)[-1].replace("%2F", "/"),
            "fullDisplayName": _display_name(name),
            "fullName": name,
            "name": name.rsplit("/", 1)[-1],
            "url": self.job_url(name),
        }

    def _reference(self, build: Build | None) -> Document | None:
        if build is None:
            return None
        url = f"{self.job_url(build.job)}{build.number}/"
        return {"_class": RUN_CLASS, "number": build.number, "url": url}

    def _permalinks(self, newest: list[Build]) -> Document:
        """The builds Jenkins knows by name (hudson.model.PermalinkProjectAction)."""
        return {name: partial(self._permalink, name, newest) for name in PERMALINKS}

    def _permalink(self, name: str, newest: list[Build]) -> Document | None:
        build = permalink(name, newest)
        return self.build(build) if build else None

    def _color(self, job: Job, newest: list[Build]) -> str:
        if job.disabled:
            return "disabled"
        last = permalink("lastCompletedBuild", newest)
        color = _COLORS[last.result or "NOT_BUILT"] if last else "notbuilt"
        return f"{color}_anime" if newest and newest[0].building else color

    def _is_stuck(self, item: Item) -> bool:
        """Queue.BuildableItem.isStuck: ten times the usual duration, 10 minutes at least."""
        job = self._core.jobs.get(item.job)
        if item.state != "buildable" or item.buildable_since is None or job is None:
            return False
        return self._core.now - item.buildable_since > max(job.duration_s, 60.0) * 10


_COLORS = {
    "SUCCESS": "blue",
    "UNSTABLE": "yellow",
    "FAILURE": "red",
    "NOT_BUILT": "notbuilt",
    "ABORTED": "aborted",
}

PERMALINKS: dict[str, Callable[[Build], bool]] = {
    "lastBuild": lambda _: True,
    "lastCompletedBuild": lambda build: not build.building,
    "lastFailedBuild": lambda build: build.result == "FAILURE",
    "lastStableBuild": lambda build: build.result == "SUCCESS",
    "lastSuccessfulBuild": lambda build: build.result in {"SUCCESS", "UNSTABLE"},
    "lastUnstableBuild": lambda build: build.result == "UNSTABLE",
    "lastUnsuccessfulBuild": lambda build: build.result not in {None, "SUCCESS"},
    "firstBuild": lambda build: build.number == 1,
}


def permalink(name: str, newest: list[Build]) -> Build | None:
    return next((build for build in newest if PERMALINKS[name](build)), None)


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def why(core: Core, item: Item) -> str | None:
    """The reason Jenkins gives for an item that is not building."""
    if item.state in {"left", "pending"}:
        return None
    if core.settings.quieting_down:
        return "Jenkins is about to shut down"
    if item.state == "waiting":
        return f"In the quiet period. Expires in {_time_span(max(0.0, item.due_at - core.now))}"
    if item.state == "blocked":
        return "A build is already in progress"
    return "Waiting for next available executor"


def _time_span(seconds: float) -> str:
    """As hudson.Util.getTimeSpanString: "4.9 sec", "50 ms"."""
    if seconds >= 1:
        return f"{seconds:.1f} sec" if seconds < 10 else f"{seconds:.0f} sec"
    return f"{seconds * 1000:.0f} ms"


def console(build: Build) -> str:
    """The log a pipeline of one step would write."""
    lines = ["Started by user admin", "[Pipeline] Start of Pipeline", "[Pipeline] node"]
    lines += [
        "Running on Jenkins",
        *(f"+ export {name}={value}" for name, value in build.parameters),
    ]
    if build.result == "ABORTED":
        lines.append("Aborted by admin")
    if not build.building:
        lines += ["[Pipeline] End of Pipeline", f"Finished: {build.result}"]
    return "".join(f"{line}\n" for line in lines)


def _display_name(name: str) -> str:
    return " » ".join(part.replace("%2F", "/") for part in name.split("/"))


def _actions(parameters: Parameters) -> list[Document]:
    cause: Document = {
        "_class": "hudson.model.Cause$UserIdCause",
        "shortDescription": "Started by user admin",
        "userId": "admin",
        "userName": "admin",
    }
    actions: list[Document] = [{"_class": "hudson.model.CauseAction", "causes": [cause]}]
    if parameters:
        values = [
            {"_class": "hudson.model.StringParameterValue", "name": name, "value": value}
            for name, value in parameters
        ]
        actions.append({"_class": "hudson.model.ParametersAction", "parameters": values})
    return actions


def _properties(job: Job) -> list[Document]:
    if job.parameters is None:
        return []
    definitions = [
        {
            "_class": "hudson.model.StringParameterDefinition",
            "defaultParameterValue": {
                "_class": "hudson.model.StringParameterValue",
                "name": name,
                "value": default,
            },
            "description": "",
            "name": name,
            "type": "StringParameterDefinition",
        }
        for name, default in job.parameters
    ]
    return [
        {
            "_class": "hudson.model.ParametersDefinitionProperty",
            "parameterDefinitions": definitions,
        }
    ]
