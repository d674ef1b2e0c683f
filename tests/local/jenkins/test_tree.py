from __future__ import annotations

import pytest

from triggerfish.local.jenkins.tree import MalformedTreeError, Rendered, parse, prune

JOB = {
    "_class": "Job",
    "name": "provision",
    "lazy": lambda: {"_class": "Run", "number": 3, "url": "x"},
    "builds": [{"_class": "Run", "number": n, "url": f"u{n}"} for n in (3, 2, 1, 0)],
}


@pytest.mark.parametrize(
    ("tree", "kept"),
    [
        ("name", {"_class": "Job", "name": "provision"}),
        ("name,absent", {"_class": "Job", "name": "provision"}),
        ("lazy[number]", {"_class": "Job", "lazy": {"_class": "Run", "number": 3}}),
        ("lazy", {"_class": "Job", "lazy": {"_class": "Run"}}),
        (
            "builds[number]{0,2}",
            {"_class": "Job", "builds": [{"_class": "Run", "number": n} for n in (3, 2)]},
        ),
        ("builds[number]{3,}", {"_class": "Job", "builds": [{"_class": "Run", "number": 0}]}),
        ("builds[number]{,1}", {"_class": "Job", "builds": [{"_class": "Run", "number": 3}]}),
        ("builds[number]{2}", {"_class": "Job", "builds": [{"_class": "Run", "number": 1}]}),
        ("builds[number]{9,10} , name", {"_class": "Job", "builds": [], "name": "provision"}),
    ],
)
def test_a_tree_keeps_what_it_names(tree: str, kept: object) -> None:
    assert prune(JOB, parse(tree)) == kept


@pytest.mark.parametrize(
    "tree", ["a[", "a[b", "a]", "[a]", "a{1", "a{x}", "a{,}", "a,,b", "a{1}{2}", "a" + "[a" * 30]
)
def test_a_malformed_tree_is_refused(tree: str) -> None:
    with pytest.raises(MalformedTreeError):
        parse(tree)


def test_only_the_elements_in_the_range_are_made() -> None:
    made = []

    def render(number: int) -> object:
        made.append(number)
        return {"number": number}

    document = {"builds": Rendered(range(1000), render)}
    assert prune(document, parse("builds[number]{0,2}")) == {
        "builds": [{"number": 0}, {"number": 1}]
    }
    assert made == [0, 1]
