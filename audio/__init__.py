"""Samples: capture, detection, synthesis, playback. Knows nothing of turns or conversation.

Nothing here reports anything to anybody, nor do the libraries that are loaded: see `SILENCED`.
"""

import os

SILENCED = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
"""What tells libraries to count nobody. It must stand in the environment before they are loaded.

onnxruntime 1.32.0 for Linux (PyPI) otherwise keeps a device's number and its events in the user's cache, and
looks for its maker's host some seconds after the first session was made; `disable_telemetry_events()` right
after the import did not keep it from that (seen with strace).
"""

os.environ.update(SILENCED)
