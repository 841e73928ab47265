"""What tests of processes share."""

import pytest
import torch.distributed as dist


@pytest.fixture
def torchrun(monkeypatch: pytest.MonkeyPatch) -> dist.TCPStore:
    """The store and the environment that torchrun gives to the only process it starts."""
    store = dist.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    names = {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "localhost", "MASTER_PORT": store.port}
    for name, value in (names | {"TORCHELASTIC_RUN_ID": "x", "TORCHELASTIC_RESTART_COUNT": 0}).items():
        monkeypatch.setenv(name, str(value))
    return store
