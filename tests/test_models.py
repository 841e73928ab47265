"""The weights that ship are those that `models/SHA256SUMS` lists, and a file that is not is refused."""

import shutil
from pathlib import Path

import pytest
import torch

import CMMDL_test
import CMMDL_train
import net
from data.files import check_digest, sha256
from docs import curves
from utils import export, shipped

MODELS = Path(CMMDL_test.__file__).parent / "models"


def test_every_weights_file_that_ships_is_listed_with_its_digest():
    lines = [line.split("  ") for line in (MODELS / "SHA256SUMS").read_text().splitlines()]
    assert lines == [[sha256(path), path.name] for path in sorted(MODELS.glob("*.pth"))]


def test_the_model_card_has_the_digest():
    card = (MODELS / "README.md").read_text()
    assert all(sha256(path) in card for path in MODELS.glob("*.pth"))


@pytest.mark.parametrize(
    ("name", "told"),
    [("CMMDL", ["(dim {dim}, {weights:,} parameters)", "{VIF:.3f} and {Qabf:.3f} after the twelfth"]),
     ("CMMDL-lite", ["{dim} channels, {weights:,} parameters", "{epoch:.0f} epochs, {steps:,.0f} steps",
                     "{VIF:.3f} and {Qabf:.3f} at the end"])],
)  # fmt: skip
def test_the_model_cards_tell_the_size_of_their_networks_and_how_their_histories_end(name, told):
    model, history = net.load(MODELS / f"{name}.pth"), curves.read(MODELS / f"{name}.history.csv")
    facts = {column: values[-1] for column, values in history.items()} | {"dim": model.options["dim"]}
    assert model.options == net.build(name.lower()).options, "which a training of the method has by default"
    facts["weights"] = sum(parameter.numel() for parameter in model.parameters())
    card = (MODELS / "README.md").read_text().replace("\n", " ")
    assert [words for words in told if words.format(**facts) not in card] == []


@pytest.mark.parametrize("options", [[], ["--weights", "models/CMMDL.pth"]])
def test_a_shipped_file_that_was_changed_is_refused(tmp_path, monkeypatch, capsys, options):
    shutil.copytree(MODELS, tmp_path / "models")
    with (tmp_path / "models" / "CMMDL.pth").open("r+b") as file:
        file.seek(5000)
        file.write(b"x")
    monkeypatch.setattr(shipped, "MODELS", tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    data = str(MODELS.parent / "test_img" / "Road")
    assert CMMDL_test.main(["--data", data, "--out", "out", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "CMMDL.pth: damaged or another file, its SHA-256 is" in line


def test_a_training_and_an_export_refuse_it_too(tmp_path, monkeypatch, capsys):
    shutil.copytree(MODELS, tmp_path / "models")
    file = tmp_path / "models" / "CMMDL-lite.pth"
    torch.save(torch.load(file) | {"of": "another training"}, file)
    monkeypatch.setattr(shipped, "MODELS", tmp_path / "models")
    assert export.main(["--weights", str(file), "--safetensors", str(tmp_path / "lite.safetensors")]) != 0
    options = f"--demo --method cmmdl-lite --recipe alone --size 32 --init {file} --out {tmp_path / 'runs'}"
    assert CMMDL_train.main(options.split()) != 0
    assert capsys.readouterr().err.count("CMMDL-lite.pth: damaged or another file, its SHA-256 is") == 2


def test_files_that_are_not_listed_are_nobodys_business(tmp_path):
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  other.pth\n")
    (tmp_path / "mine.pth").write_bytes(b"")
    check_digest(tmp_path / "mine.pth")
    with pytest.raises(FileNotFoundError):
        check_digest(tmp_path / "other.pth")
