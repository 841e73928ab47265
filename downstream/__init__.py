"""What a segmenter, a detector or an eye gains from fused images: the same judge learns from each method's images."""

import utils.idle_threads  # noqa: F401 - before torch
