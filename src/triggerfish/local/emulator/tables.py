"""AWS::DynamoDB::Table with its time to live, its backups and its protection.

MiniStack's table of a template has neither expiry nor point-in-time recovery nor encryption
settings, and is deleted though it is protected.
"""

# ruff: noqa: SLF001  what MiniStack calls private is what is mended here

from __future__ import annotations

from typing import Any

from . import guard

Properties = dict[str, Any]


def mend() -> None:
    from ministack.services import dynamodb  # noqa: PLC0415
    from ministack.services.cloudformation import provisioners  # noqa: PLC0415

    gap = "a table made by a template must be as the template says"
    for name in ("_update_ttl", "_update_continuous_backups"):
        guard.attribute(dynamodb, name, gap)
    create = guard.replace(
        provisioners,
        "_ddb_create",
        ("logical_id", "props", "stack_name"),
        lambda *_: None,
        gap=gap,
    )
    update = guard.attribute(provisioners, "_ddb_update", gap)
    delete = guard.replace(
        provisioners, "_ddb_delete", ("physical_id", "props"), lambda *_: None, gap=gap
    )

    def create_table(logical_id: str, props: Properties, stack_name: str) -> Any:
        made = create(logical_id, props, stack_name)
        _complete(dynamodb, made[0], props)
        return made

    def update_table(
        physical_id: str, old: Properties, new: Properties, stack_name: str, *rest: Any
    ) -> Any:
        made = update(physical_id, old, new, stack_name, *rest)
        _complete(dynamodb, made[0], new)
        return made

    def delete_table(physical_id: str, props: Properties) -> None:
        table = dynamodb._tables.get(physical_id) or {}
        if str(table.get("DeletionProtectionEnabled", "")).lower() == "true":
            raise ValueError(
                "Resource cannot be deleted as it is currently protected against deletion. Disable "
                "deletion protection first. (Service: DynamoDb, Status Code: 400)"
            )
        delete(physical_id, props)

    provisioners._ddb_create = create_table
    provisioners._ddb_delete = delete_table
    handlers = guard.attribute(provisioners, "_RESOURCE_HANDLERS", gap)
    handlers["AWS::DynamoDB::Table"].update(
        create=create_table, update=update_table, delete=delete_table
    )


def _complete(dynamodb: Any, name: str, props: Properties) -> None:
    expiry = props.get("TimeToLiveSpecification")
    if expiry and _true(expiry.get("Enabled")):
        setting = {"Enabled": True, "AttributeName": expiry.get("AttributeName", "")}
        _settled(
            dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": setting}), name
        )
    else:
        dynamodb._ttl_settings.pop(name, None)
    recovery = (props.get("PointInTimeRecoverySpecification") or {}).get(
        "PointInTimeRecoveryEnabled"
    )
    if recovery is not None:
        setting = {"PointInTimeRecoveryEnabled": _true(recovery)}
        request = {"TableName": name, "PointInTimeRecoverySpecification": setting}
        _settled(dynamodb._update_continuous_backups(request), name)
    encryption = props.get("SSESpecification") or {}
    dynamodb._tables[name]["SSEDescription"] = (
        {"Status": "ENABLED", "SSEType": encryption.get("SSEType", "KMS")}
        if _true(encryption.get("SSEEnabled"))
        else None
    )


def _true(value: object) -> bool:
    return str(value).lower() == "true"


def _settled(answer: tuple[int, Any, bytes], name: str) -> None:
    if answer[0] >= 400:
        raise ValueError(f"AWS::DynamoDB::Table {name}: {answer[2].decode()}")
