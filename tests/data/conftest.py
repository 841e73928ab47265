"""What tests of files share: folders that may not be read."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def lock(monkeypatch) -> Callable[[Path], None]:
    """Make folders unreadable, and what lies in them unknown; root may read every folder."""
    locked, listed, looked = [], Path.iterdir, os.stat

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    def is_inside(path):
        return any(folder in Path(os.path.realpath(path)).parents for folder in locked)

    def iterdir(path):
        return refuse(path) if path in locked or is_inside(path) else listed(path)

    def stat(path, *args, **kwargs):
        return refuse(path) if isinstance(path, Path) and is_inside(path) else looked(path, *args, **kwargs)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    monkeypatch.setattr(os, "stat", stat)
    return locked.append
