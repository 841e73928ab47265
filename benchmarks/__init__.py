"""Time, memory and numbers of the networks, against a literal implementation and each other."""

import utils.idle_threads  # noqa: F401 - before torch, as the scripts have it
