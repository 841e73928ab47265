"""How long torch's threads spin while they wait; imported before torch, which reads it when it loads.

After each operation the threads of GNU's OpenMP spin for some milliseconds, waiting for the next one. Where other
programs, or other threads of this one, need the cores too, that takes time from the very work they wait for. A tenth of
a millisecond is long enough to bridge the gap between two operations. With other libraries this does nothing, and what
the user has set stays.
"""

import os

if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
    os.environ["GOMP_SPINCOUNT"] = "10000"  # turns; the default is 300,000
