"""The session as a call: over WebRTC, and on the telephone."""
