"""What `make demo` installs is what requirements.txt asks for, file by file known by its digest."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENTRY = re.compile(r"^([\w.-]+)==([\w.]+)(?: ; [^\\\n]+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M)


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_has_each_requirement_in_its_version_and_every_entry_has_digests():
    lock = (ROOT / "requirements.lock").read_text()
    entries = {(name, version) for name, version, _ in ENTRY.findall(lock)}
    assert ENTRY.sub("", lock).count("==") == 0, "an entry without digests"
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        name, version = line.partition(";")[0].split("==")  # of those for one Python or another, each
        assert ((normal(name), version) in entries) == (name != "torch"), f"{line}: run `make lock`"


def test_the_lock_names_no_index():
    assert not re.search(r"https?:|file:|^-", (ROOT / "requirements.lock").read_text(), re.M)
