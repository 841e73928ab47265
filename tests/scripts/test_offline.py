"""Nothing here needs or touches a network."""

import subprocess
import sys
from pathlib import Path

from tests.pictures import save_pair

ROOT = Path(__file__).resolve().parents[2]
BLOCKED = """
import sys

def refuse(event, _):
    if event.startswith("socket.") and event != "socket.__new__":  # which libraries try, to see whether there is IPv6
        raise RuntimeError(f"network access: {event}")

sys.addaudithook(refuse)
import CMMDL_test, CMMDL_train, data.patches, hubconf, net
hubconf.cmmdl()
status = CMMDL_test.main(sys.argv[1:])
import socket
try:
    socket.create_connection(("localhost", 9))
except RuntimeError:
    sys.exit(status)
sys.exit("sockets were not blocked")
"""


def test_importing_and_fusing_open_no_connection(tmp_path):
    save_pair(tmp_path / "set")
    arguments = ["--data", str(tmp_path / "set"), "--out", str(tmp_path / "out"), "--method", "average"]
    done = subprocess.run([sys.executable, "-c", BLOCKED, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "index.html").exists()
