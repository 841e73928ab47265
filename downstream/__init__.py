"""What a segmenter, a detector or an eye gains from fused images: judges trained on each method's images alike."""

import utils.idle_threads  # noqa: F401 - before torch
