"""How long torch's threads spin while they wait; imported before torch, which reads it when it loads.

After each operation the threads of GNU's OpenMP wait for the next one without sleeping, for some milliseconds. Where
other programs, or other threads of this one, want the cores too, they take the time from those that they wait for. A
tenth of a millisecond bridges what lies between two operations as well. Elsewhere than with that library this does
nothing, and what the user has set stays.
"""

import os

if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
    os.environ["GOMP_SPINCOUNT"] = "10000"  # turns, for 300,000
