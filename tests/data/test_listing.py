"""Names in their order; what else lies in a folder is tested with pairs, labels and fused images."""

from pathlib import Path

from data.listing import natural_key


def test_names_that_differ_only_in_case_or_zeros_have_a_fixed_order():
    names = [Path(name) for name in ("a1.png", "A1.png", "a01.png", "١.png")]
    assert sorted(names, key=natural_key) == sorted(sorted(names), key=natural_key)
    assert len({str(natural_key(name)) for name in names}) == len(names)
