"""The help of all programs reads as if one person had written it."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = "benchmarks", "data", "docs", "downstream", "net", "utils"
FILES = [*ROOT.glob("*.py"), *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))]
NAMES = sorted(file.relative_to(ROOT) for file in FILES if '__name__ == "__main__"' in file.read_text(encoding="utf-8"))
MODULES = [".".join(name.with_suffix("").parts) for name in NAMES]
PROGRAMS = {f"python -m {module}" if "." in module else f"{module}.py": module for module in MODULES}


@pytest.mark.parametrize(("command", "module"), PROGRAMS.items())
def test_every_option_is_explained_and_defaults_have_one_form(monkeypatch, capsys, command, module):
    monkeypatch.setenv("COLUMNS", "1000")  # each option in one line
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(module).main(["--help"])
    help_text = re.sub(r"\n {10,}", "  ", capsys.readouterr().out)  # of long options the text is on the next line
    usage, about, *lines = [line for line in help_text.splitlines() if line]
    assert stopped.value.code == 0 and usage.startswith(f"usage: {command} [-h]") and about[-1] in ".?"
    for line in lines:
        assert re.fullmatch(r"[a-z]+ ?[a-z]*:|  \S.*?  +[^ ].*", line), f"not explained: {line}"
        assert line.count("default:") == line.count("(default: "), line
    assert not re.search(r"None|False|\[\]", "".join(lines))
