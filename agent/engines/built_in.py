"""The engines that come with backchat, one line each. Loads none of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["stt", "llm", "tts", "vad", "wake", "endpointing", "speakers", "turns", "vision"]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """One engine. place: `module:class`; about: what it is, in few words; licence: of its code.

    extra: what backchat has to be installed with for it; one of `MODULES`.
    """

    place: str
    about: str
    licence: str
    extra: str = ""


BUILT_IN: dict[Kind, dict[str, BuiltIn]] = {
    "stt": {
        "whisper": BuiltIn(
            "audio.stt.whisper:Whisper", "Whisper on CTranslate2, decoded on a short window", "MIT"
        ),
        "moonshine": BuiltIn(
            "audio.stt.moonshine:Moonshine",
            "Moonshine on onnxruntime: English, at half the cost of Whisper",
            "MIT",
        ),
        "whisper-torch": BuiltIn(
            "audio.stt.transformers:WhisperTorch",
            "Whisper in transformers' format, on torch, likewise",
            "Apache-2.0",
            "torch",
        ),
        "ray": BuiltIn(
            "agent.cluster.engine:transcriber",
            "the cluster's transcriber: `backchat serve --cluster`",
            "Apache-2.0",
            "cluster",
        ),
    },
    "llm": {
        "llamacpp": BuiltIn(
            "agent.llm.llamacpp:LlamaCpp", "a GGUF model in this process, by llama.cpp", "MIT"
        ),
        "openai": BuiltIn(
            "agent.llm.openai_api:OpenAI",
            "any OpenAI-compatible server: vLLM, Ollama, llama.cpp, a cloud",
            "the server's",
        ),
        "transformers": BuiltIn(
            "agent.llm.transformers:Transformers",
            "a model of the hub, or a GGUF file, on torch",
            "Apache-2.0",
            "torch",
        ),
        "llamavision": BuiltIn(
            "agent.llm.llamavision:LlamaVision",
            "a GGUF model that sees, with its projector, by llama.cpp",
            "MIT",
        ),
        "vlm": BuiltIn(
            "agent.llm.vlm:VisionLanguage", "a model of the hub that sees, on torch", "Apache-2.0", "torch"
        ),
        "ray": BuiltIn(
            "agent.cluster.engine:language_model",
            "the cluster's language model: `backchat serve --cluster`",
            "Apache-2.0",
            "cluster",
        ),
    },
    "tts": {
        "hibari": BuiltIn("audio.tts.hibari:Hibari", "a quick English voice, 24 kHz", "Apache-2.0"),
        "piper": BuiltIn(
            "audio.tts.piper:Piper", "any Piper voice, streamed inside the sentence", "GPL-3.0", "piper"
        ),
        "coqui": BuiltIn(
            "audio.tts.coqui:Coqui",
            "VITS voices of Coqui TTS, streamed inside the sentence",
            "MPL-2.0",
            "coqui",
        ),
        "xtts": BuiltIn(
            "audio.tts.xtts:XTTS",
            "XTTS v2: 17 languages, speaks with a voice that it was given",
            "MPL-2.0",
            "coqui",
        ),
        "mms": BuiltIn(
            "audio.tts.mms:MMS",
            "VITS voices of transformers: MMS, over 1,000 languages",
            "Apache-2.0",
            "torch",
        ),
        "kokoro": BuiltIn(
            "audio.tts.kokoro:Kokoro", "the Kokoro voices, in 8 languages, 24 kHz", "MIT", "kokoro"
        ),
        "ray": BuiltIn(
            "agent.cluster.engine:synthesizer",
            "the cluster's voice: `backchat serve --cluster`",
            "Apache-2.0",
            "cluster",
        ),
    },
    "vad": {
        "webrtc-silero": BuiltIn(
            "audio.vad:VoiceDetector", "webrtcvad for the onset, Silero to be sure", "MIT"
        )
    },
    "wake": {
        "microwakeword": BuiltIn(
            "audio.wake:MicroWakeWord",
            "hears a wake word, at 0.2 % of a core",
            "Apache-2.0",
            "wake",
        )
    },
    "endpointing": {
        "smart-turn": BuiltIn(
            "audio.smart_turn:SmartTurn", "Smart Turn: hears whether a turn is over", "BSD-2-Clause"
        ),
        "ray": BuiltIn(
            "agent.cluster.engine:end_of_turn",
            "the cluster's end-of-turn model: `backchat serve --cluster`",
            "Apache-2.0",
            "cluster",
        ),
    },
    "speakers": {
        "campplus": BuiltIn(
            "audio.campplus:CAMPlusPlus",
            "CAM++: tells voices apart, also beside a television: the default",
            "Apache-2.0",
            "speakers",
        ),
        "dvector": BuiltIn(
            "audio.speaker:DVector",
            "tells voices apart by a d-vector, alone and at half the cost",
            "Apache-2.0",
        ),
    },
    "turns": {
        "semantic": BuiltIn(
            "agent.turns.policy:SemanticPolicy",
            "answers by meaning, yields by degrees: the default",
            "Apache-2.0",
        ),
        "vad": BuiltIn(
            "agent.turns.policy:VADPolicy", "the plain timer; any speech ends a reply", "Apache-2.0"
        ),
    },
    "vision": {
        "ocr": BuiltIn(
            "agent.vision.ocr:OCR",
            "reads the text in pictures, for any language model",
            "Apache-2.0",
            "vision",
        ),
        "passthrough": BuiltIn(
            "agent.vision.passthrough:Passthrough",
            "gives pictures to a language model that sees",
            "Apache-2.0",
            "vision",
        ),
    },
}

MODULES = {
    "torch": ("torch", "transformers"),
    "coqui": ("torch", "TTS"),
    "piper": ("piper", "onnx"),
    "kokoro": ("kokoro_onnx", "onnx"),
    "vision": ("rapidocr", "PIL"),
    "wake": ("pymicro_wakeword",),
    "speakers": ("onnx",),
    "cluster": ("ray",),
}
"""For each extra the modules that show whether it is installed."""
