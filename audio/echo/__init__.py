"""The speaker in the microphone: taken out, noticed, simulated."""
