"""How hypothesis runs: without deadlines, and on CI with the same examples every time.

And Ctrl-C, which tests send to processes of their own: they would not hear it if this one, as a
background job of a shell, had been told to ignore it.
"""

import os
import signal

from hypothesis import settings

# A machine that is busy must not fail a test, nor a run on CI for examples that nobody changed.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

signal.signal(signal.SIGINT, signal.default_int_handler)
