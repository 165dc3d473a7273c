"""Samples: capture, detection, synthesis, playback. Knows nothing of turns or conversation.

Nothing here reports anything to anybody, nor do the libraries that are loaded: see `SILENCED`.
"""

import os

SILENCED = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
"""What tells libraries to count nobody. It must stand in the environment before they are loaded.

onnxruntime 1.32.0 for Linux (PyPI) otherwise keeps a device's number and its events in the user's cache as
soon as it is imported, and goes to send them; `disable_telemetry_events()` can only be called too late for
that (findings/onnxruntime_reports_from_its_import.sh).
"""

os.environ.update(SILENCED)
