"""The help of all programs reads as if one person had written it."""

import importlib
import re

import pytest

PROGRAMS = {
    "CMMDL_test.py": "CMMDL_test", "CMMDL_train.py": "CMMDL_train", "CMMDL_app.py": "CMMDL_app",
    **{f"python -m {name}": name for name in (
        "data.patches", "data.scenes", "utils.export", "docs.curves", "docs.figure", "downstream.contrast",
        "downstream.segment", "downstream.detect", "downstream.shrink", "benchmarks.choices", "benchmarks.folder",
        "benchmarks.losses", "benchmarks.methods", "benchmarks.metrics", "benchmarks.registration",
        "benchmarks.runtimes", "benchmarks.scaling", "benchmarks.speed", "benchmarks.tradeoff",
    )},
}  # fmt: skip


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
