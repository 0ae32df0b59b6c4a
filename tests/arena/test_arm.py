"""Guards how the curricula of a comparison are written."""

import pytest

from rlkit.arena.arm import parse_arm, split_arms


@pytest.mark.parametrize(
    ("text", "arms"),
    [
        ("uniform,rlkit", ("uniform", "rlkit")),
        ("uniform, rlkit:headroom=0 , pcl", ("uniform", "rlkit:headroom=0", "pcl")),
        (
            "rlkit:value_features=text,answer:headroom=0,pcl",
            ("rlkit:value_features=text,answer:headroom=0", "pcl"),
        ),
        (
            "rlkit:headroom=0:value_features=text,answer,columns,pcl",
            ("rlkit:headroom=0:value_features=text,answer,columns", "pcl"),
        ),
        ("uniform,unifrom", ("uniform", "unifrom")),
    ],
)
def test_arms(text, arms):
    assert split_arms(text) == arms


def test_a_value_with_commas():
    assert parse_arm("rlkit:value_features=text,answer") == ("rlkit", {"value_features": "text,answer"})
    assert parse_arm("rlkit:value_features=row") == ("rlkit", {"value_features": "row"})
