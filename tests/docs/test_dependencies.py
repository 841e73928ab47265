"""What docs/DEPENDENCIES.md says of a package is so."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("benchmarks", "data", "docs", "downstream", "net", "utils")


def test_matplotlib_is_imported_where_the_page_says_and_nowhere_else():
    page = (ROOT / "docs" / "DEPENDENCIES.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith("| matplotlib |"))
    files = [*ROOT.glob("*.py"), *(file for part in PARTS for file in (ROOT / part).rglob("*.py"))]
    imports = re.compile(r"^\s*(import|from) matplotlib", re.MULTILINE)
    users = {file.relative_to(ROOT).as_posix() for file in files if imports.search(file.read_text(encoding="utf-8"))}
    assert set(re.findall(r"`(.+?\.py)`", row)) == users
