from __future__ import annotations

from typing import Any

import pytest

from triggerfish.deploy.validate import references, render, validate


def problems(resources: dict[str, Any], **sections: Any) -> list[str]:
    with pytest.raises(ValueError, match=r"\S") as refused:
        validate({"Resources": resources, **sections})
    return str(refused.value).splitlines()


def resource(**properties: object) -> dict[str, object]:
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


def test_a_template_that_holds_together_passes() -> None:
    validate(
        {
            "Parameters": {"Zone": {"Type": "String"}},
            "Resources": {
                "A": resource(x={"Ref": "Zone"}, y={"Fn::Sub": "${AWS::Region}-${Zone}"}),
                "B": resource(x=[{"Fn::GetAtt": ["A", "Arn"]}]) | {"DependsOn": ["A"]},
            },
            "Outputs": {"C": {"Value": {"Ref": "B"}}},
        }
    )


@pytest.mark.parametrize(
    "value",
    [
        {"Ref": "Tabel"},
        {"Fn::GetAtt": ["Tabel", "Arn"]},
        {"Fn::Sub": "x-${Tabel.Arn}"},
        [{"deep": [{"Ref": "Tabel"}]}],
    ],
)
def test_a_name_that_is_nowhere_defined_is_told_with_the_nearest(value: object) -> None:
    assert problems({"A": resource(x=value), "Table": resource()}) == [
        (
            "Resources.A refers to 'Tabel', which is neither a resource nor a parameter "
            "(did you mean 'Table'?)"
        )
    ]


def test_an_output_and_a_dependency_are_looked_at_too() -> None:
    found = problems(
        {"A": resource() | {"DependsOn": ["Nowhere"]}}, Outputs={"Out": {"Value": {"Ref": "Gone"}}}
    )

    assert found == [
        "Resources.A refers to 'Nowhere', which is neither a resource nor a parameter",
        "Outputs.Out refers to 'Gone', which is neither a resource nor a parameter",
    ]


def test_resources_that_wait_for_each_other_are_told() -> None:
    found = problems({"A": resource(x={"Ref": "B"}), "B": resource(x={"Ref": "A"})})

    assert len(found) == 1
    assert found[0] in {
        "resources wait for each other: A -> B -> A",
        "resources wait for each other: B -> A -> B",
    }


def test_a_logical_id_has_letters_and_digits_only() -> None:
    assert problems({"a-b": resource()}) == ["'a-b' is no logical id: letters and digits only"]


def test_too_many_resources_are_told() -> None:
    many = {f"A{number}": resource() for number in range(501)}

    assert problems(many) == [
        (
            "template: resources is 501, wanted 1 to 500 (docs.aws.amazon.com/AWSCloudFormation/"
            "latest/UserGuide/cloudformation-limits.html, 2026-11)"
        )
    ]


def test_a_key_named_ref_that_holds_no_name_is_data() -> None:
    assert list(references({"Ref": 1, "x": "Ref"})) == []


def test_a_template_is_rendered_compactly() -> None:
    assert render({"Resources": {"A": [1]}}) == '{"Resources":{"A":[1]}}'
