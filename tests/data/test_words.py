"""One thing is told in the singular."""

from data.words import counted


def test_one_thing_is_in_the_singular_and_none_or_several_are_not():
    assert [counted(number, "pair") for number in (0, 1, 2)] == ["0 pairs", "1 pair", "2 pairs"]
    assert [counted(number, "patch", "patches") for number in (0, 1, 3)] == ["0 patches", "1 patch", "3 patches"]
