import pytest

from triggerfish.deploy.references import expand, names_in


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("${StateTable}", {"Ref": "StateTable"}),
        ("${StateTable.Arn}", {"Fn::GetAtt": ["StateTable", "Arn"]}),
        ("${AWS::Region}", {"Ref": "AWS::Region"}),
        ("arn:x:${AWS::Region}:y", {"Fn::Sub": "arn:x:${AWS::Region}:y"}),
        ("${A}${B}", {"Fn::Sub": "${A}${B}"}),
        ("${!Literal}", {"Fn::Sub": "${!Literal}"}),
        ("$ {no}", "$ {no}"),
    ],
)
def test_a_reference_becomes_the_least_intrinsic_function(text: str, expanded: object) -> None:
    assert expand(text) == expanded


def test_the_names_of_a_text_are_without_attributes_and_literals() -> None:
    assert list(names_in("${A.Arn}/${AWS::Region}/${!B}/{C}")) == ["A", "AWS::Region"]
