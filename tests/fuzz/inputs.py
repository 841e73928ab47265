"""What the fuzzer tries: good files with damage, and files of the right format with the wrong content."""

import io
import zipfile

import torch
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, saved

NUMBERS = (b"\0", b"\xff", b"\x7f\xff", b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\0\0\0\0\xff\xff\xff\xff")
KEYS = ("method", "options", "model", "state_dict", "optimizer", "state", "lr", "random", "epoch", "step", "steps",
        "sums", "history", "dim", "heads", "depth", "module.encoder.embed.weight", "encoder.blocks.0.sfca.temperature",
        "encoder.embed.weight", "average", "trained", "python", "torch", "numpy")  # fmt: skip
NAMES = ("vi", "VIS", "visible", "ir", "infrared", "MRI", "PET", "CT", "under", "over", "near", "a.png", "1.png",
         "1.tif", "2.jpg", ".hidden", "é.png", "A", "labels", "x.png.png", "\u202e.png", " ", "..png")  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """A good file in which bytes were changed, cut out, doubled or replaced by extreme numbers."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, min(len(data), 160)) | st.integers(0, len(data)))
        length = draw(st.integers(1, 40))
        part = data[start : start + length]
        kind = draw(st.sampled_from(("bit", "number", "random", "cut", "double", "end")))
        if kind == "bit" and part:
            data[start] ^= 1 << draw(st.integers(0, 7))
        elif kind == "number":
            number = draw(st.sampled_from(NUMBERS))
            data[start : start + len(number)] = number
        elif kind == "random":
            data[start : start + length] = draw(st.binary(min_size=1, max_size=length))
        elif kind == "cut":
            del data[start : start + length]
        elif kind == "double":
            data[start:start] = part * draw(st.integers(1, 5))
        elif kind == "end":
            del data[start:]
    return bytes(data)


@st.composite
def repacked(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """A zipped torch file whose pickle was damaged, with checksums that are right again."""
    before = zipfile.ZipFile(io.BytesIO(draw(st.sampled_from([data for data in originals if data[:2] == b"PK"]))))
    after = io.BytesIO()
    with zipfile.ZipFile(after, "w") as file:
        for name in before.namelist():
            content = before.read(name)
            file.writestr(name, draw(damaged([content])) if name.endswith("data.pkl") else content)
    return after.getvalue()


def contents() -> st.SearchStrategy[object]:
    """Nested containers such as a checkpoint, with anything in place of anything."""
    tensors = st.builds(
        lambda shape, kind: torch.ones(1, dtype=kind).expand(shape),
        st.lists(st.sampled_from((0, 1, 2, 8, 10**6)), max_size=4),
        st.sampled_from((torch.float32, torch.uint8, torch.complex64, torch.bfloat16, torch.bool)),
    )
    numbers = st.sampled_from((-1, 0, 1, 8, 10**9, 10**30, 0.5, float("nan")))
    leaves = st.none() | numbers | st.sampled_from(("cmmdl", "mlfuse", "", "\udc80")) | tensors
    keys = st.sampled_from(KEYS) | leaves.filter(lambda value: not isinstance(value, torch.Tensor))
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner), max_leaves=12
    )


def trees() -> st.SearchStrategy[bytes]:
    """Lists of files, folders and links, as `tests.fuzz.targets.read_tree` builds them."""
    names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map("/".join)
    links = st.tuples(names, st.sampled_from((".", "..", "vi", "ir", "no"))).map(" -> ".join)
    lines = names | names.map("{}/".format) | links
    return st.lists(lines, max_size=12).map(lambda found: "\n".join(found).encode())


def inputs(name: str) -> st.SearchStrategy[bytes]:
    """What to try on one of `TARGETS`."""
    originals = TARGETS[name].originals()
    if name == "trees":
        return trees() | st.sampled_from(originals)
    if name in ("weights", "checkpoints"):
        return damaged(originals) | repacked(originals) | contents().map(saved)
    return damaged(originals)
