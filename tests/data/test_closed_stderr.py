"""A program whose stderr is closed: it reads images as ever, and what decoders say gets into no other file."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

READ = """
import os, sys
import numpy as np
from data.decoder_messages import caught_messages
from data.images import ImageError, read_image
def read(path):
    try:
        return "read" if read_image(path).any() else "black"
    except ImageError as error:
        return "refused"
"""
FREE = """
try:
    os.fstat(2)
except OSError:  # as it should be
    pass
else:
    print("taken")
    sys.exit()
"""
TWICE = "for _ in range(2): print(read('whole.jpg'), read('holed.jpg'))"
TAKEN = """
file = open("other", "w+b", buffering=0)
assert file.fileno() == 2
file.write(b"mine")
with caught_messages() as messages:
    file.write(b", too")
assert messages == []
print(read("whole.jpg"))
file.seek(0)
assert file.read() == b"mine, too"
"""
HELD = """
from tqdm import tqdm
from data.streams import steady_streams
with steady_streams():
    file = open("other", "w+b", buffering=0)
    assert file.fileno() != 2
    print(read("whole.jpg"), read("holed.jpg"))
    os.write(2, b"lost")
    print("lost", file=sys.stderr)
    list(tqdm("lost"))
assert os.stat("other").st_size == 0
"""
LATER = """
os.close(2)
print(read("whole.jpg"))
with caught_messages() as messages:
    try:
        os.fstat(2)
    except OSError:
        print("closed")  # no file of ours has taken the number
"""


@pytest.mark.parametrize(("code", "said", "closed"), [
    (TWICE, "read refused\nread refused\n", True),
    (TAKEN, "read\n", True),
    (HELD, "read refused\n", True),
    (LATER, "read\nclosed\n", False),
], ids=["twice", "number taken", "held", "closed later"])  # fmt: skip
def test_images_are_read_where_stderr_is_closed(tmp_path, code, said, closed):
    data = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8))[1].tobytes()
    (tmp_path / "whole.jpg").write_bytes(data)
    (tmp_path / "holed.jpg").write_bytes(data[: len(data) // 2] + data[len(data) // 2 + 3000 :])
    command = [sys.executable, "-c", READ + (FREE if closed else "") + code]
    if closed:
        command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.stdout == "taken\n":
        pytest.skip("a library of the system, such as libffi, takes the number of a closed stderr")
    assert (done.returncode, done.stdout) == (0, said)
