"""CloudFormation refuses what AWS refuses, before it makes anything or instead of dropping it.

MiniStack takes unknown properties and references to nothing, finds a cycle only after answering,
asks for no capability, and deletes a bucket with all it holds.
"""

# ruff: noqa: SLF001  what MiniStack calls private is what is mended here

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import guard

if TYPE_CHECKING:
    from collections.abc import Iterable

Template = dict[str, Any]

PROPERTIES: dict[str, frozenset[str]] = {
    type_: frozenset(names)
    for type_, names in json.loads(
        Path(__file__).with_name("properties.json").read_text(encoding="utf-8")
    ).items()
}
"""The properties of the resource types we use, from AWS's resource schemas."""

ATTRIBUTES_OF_EVERY_RESOURCE = ("Properties", "DependsOn", "Condition", "Metadata")


def mend() -> None:
    from ministack.services import s3  # noqa: PLC0415
    from ministack.services.cloudformation import (  # noqa: PLC0415
        changesets,
        engine,
        handlers,
        provisioners,
        stacks,
    )

    _mend_validation(engine, (engine, handlers, changesets))
    _mend_properties(provisioners, stacks)
    guard.replace(
        handlers,
        "_capabilities_enforced",
        (),
        lambda: True,
        gap="a template with IAM resources needs CAPABILITY_IAM or CAPABILITY_NAMED_IAM",
    )
    _mend_bucket(provisioners, s3)


def _mend_validation(engine: Any, users: Iterable[Any]) -> None:
    gap = "references to nothing and cycles are refused when the template is sent"
    check = guard.replace(
        engine,
        "validate_template_support",
        ("template", "conditions", "params"),
        lambda *_: None,
        gap=gap,
    )
    guard.attribute(engine, "_intrinsic_references", gap)
    sort = guard.replace(
        engine, "_topological_sort", ("resources", "conditions"), lambda *_: None, gap=gap
    )
    engine._topological_sort = sort

    def validate(
        template: Template, conditions: dict[str, bool], params: dict[str, Any] | None = None
    ) -> None:
        check(template, conditions, params)
        refuse_unresolved(template, engine._intrinsic_references)
        try:
            sort(template.get("Resources") or {}, {})
        except ValueError as error:
            named = str(error).rpartition(": ")[2]
            raise ValueError(f"Circular dependency between resources: [{named}]") from error

    for module in users:
        module.validate_template_support = validate


def refuse_unresolved(template: Template, references: Any) -> None:
    """AWS's two sentences for a Ref, Fn::GetAtt, Fn::Sub or DependsOn that names nothing."""
    resources = template.get("Resources") or {}
    known = {*resources, *(template.get("Parameters") or {})}
    for section, named in (("Resources", resources), ("Outputs", template.get("Outputs") or {})):
        missing = set()
        for definition in named.values():
            if not isinstance(definition, dict):
                continue
            for name, attribute in references(definition):
                if name in known or name.startswith("AWS::"):
                    continue
                if attribute is not None:
                    raise ValueError(
                        "Template error: instance of Fn::GetAtt references undefined resource "
                        f"{name}"
                    )
                missing.add(name)
            depends = definition.get("DependsOn", [])
            depends = [depends] if isinstance(depends, str) else depends
            missing |= {name for name in depends if name not in resources}
        if missing:
            raise ValueError(
                f"Template format error: Unresolved resource dependencies "
                f"[{', '.join(sorted(missing))}] in the {section} block of the template"
            )


def _mend_properties(provisioners: Any, stacks: Any) -> None:
    gap = "a property that the resource type doesn't have fails the stack"
    create = guard.replace(
        provisioners,
        "_provision_resource",
        ("resource_type", "logical_id", "props", "stack_name"),
        lambda *_: None,
        gap=gap,
    )
    update = guard.replace(
        provisioners,
        "_update_resource",
        (
            "resource_type",
            "physical_id",
            "old_props",
            "new_props",
            "stack_name",
            "logical_id",
            "old_attrs",
        ),
        lambda *_: None,
        gap=gap,
    )

    def provision_resource(
        resource_type: str, logical_id: str, props: Template, stack_name: str
    ) -> Any:
        refuse_unknown(resource_type, logical_id, props)
        return create(resource_type, logical_id, props, stack_name)

    def update_resource(resource_type: str, physical_id: str, *args: Any, **named: Any) -> Any:
        new_props, logical_id = args[1], args[3] if len(args) > 3 else physical_id
        refuse_unknown(resource_type, logical_id, new_props)
        return update(resource_type, physical_id, *args, **named)

    for module in (provisioners, stacks):
        module._provision_resource = provision_resource
        module._update_resource = update_resource


def refuse_unknown(resource_type: str, logical_id: str, props: Template) -> None:
    known = PROPERTIES.get(resource_type)
    unknown = sorted(props.keys() - known) if known is not None else []
    if unknown:
        told = ", ".join(f"#: extraneous key [{name}] is not permitted" for name in unknown)
        raise ValueError(
            f"Properties validation failed for resource {logical_id} with message:\n[{told}]"
        )


def _mend_bucket(provisioners: Any, s3: Any) -> None:
    gap = "a stack whose bucket holds objects can't be deleted"
    delete = guard.replace(
        provisioners, "_s3_delete", ("physical_id", "props"), lambda *_: None, gap=gap
    )
    handlers = guard.attribute(provisioners, "_RESOURCE_HANDLERS", gap)
    guard.attribute(s3, "_bucket_has_versions", gap)

    def delete_bucket(physical_id: str, props: Template) -> None:
        bucket = s3._buckets.get(physical_id)
        if bucket and (bucket["objects"] or s3._bucket_has_versions(physical_id)):
            raise ValueError(
                "The bucket you tried to delete is not empty (Service: S3, Status Code: 409)"
            )
        delete(physical_id, props)

    provisioners._s3_delete = delete_bucket
    handlers["AWS::S3::Bucket"]["delete"] = delete_bucket
