"""Sessions of pipecat on our server's models. Run by `scripts/bench peer`, in an environment of its own.

    python peer_pipecat.py ADDRESS SESSIONS ASKED INSTRUCTIONS QUESTION.npy...

Each question is 16-bit samples at 16 kHz. Prints JSON: seconds from the last audible sample of each question
to the first audible one of its answer, questions without an answer, and processor seconds of this process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from typing import Any

import numpy as np
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import InputAudioRawFrame, OutputAudioRawFrame, StartFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

RATE, OUT, BLOCK = 16_000, 24_000, 0.02
USER_AUDIBLE, AGENT_AUDIBLE = 328, 104
"""Of 32,768: -40 and -50 dBFS, as in `benchmarks.measure`."""
PATIENCE, BETWEEN = 30.0, 1.0
"""As in `benchmarks.serve`."""


class Talk:
    """One user's questions, and the waits for the answers."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.unanswered = 0
        self.loud = float("inf")
        self.heard = 0.0
        """When the last audible sample of an answer was over."""


class Speaker(BaseOutputTransport):
    """Plays in real time, and notes when it is heard."""

    def __init__(self, params: TransportParams, talk: Talk) -> None:
        super().__init__(params)
        self._talk, self._free = talk, 0.0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        samples = np.frombuffer(frame.audio, np.int16)
        begins = max(time.perf_counter(), self._free)
        self._free = begins + len(samples) / frame.sample_rate
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > AGENT_AUDIBLE)
        if len(loud):
            first = begins + loud[0] / frame.sample_rate
            if first > self._talk.loud and self._talk.heard < self._talk.loud:
                self._talk.waits.append(first - self._talk.loud)
            self._talk.heard = self._free
        await asyncio.sleep(max(0.0, self._free - time.perf_counter() - 0.02))
        return True


class Microphone(BaseInputTransport):
    """Never stops."""

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def say(self, talk: Talk, samples: np.ndarray) -> None:
        """Ask a question and be quiet until its answer is over."""
        began, size, sent = time.perf_counter(), round(BLOCK * RATE), 0
        talk.loud = began + float(np.flatnonzero(np.abs(samples.astype(np.int32)) > USER_AUDIBLE)[-1]) / RATE
        while True:
            now = time.perf_counter()
            if talk.heard > talk.loud and now > talk.heard + BETWEEN:
                return
            if now > talk.loud + PATIENCE:
                talk.unanswered += talk.heard < talk.loud
                return
            block = np.zeros(size, np.int16)
            piece = samples[sent : sent + size]
            block[: len(piece)] = piece
            await self.push_audio_frame(InputAudioRawFrame(block.tobytes(), RATE, 1))
            sent += size
            await asyncio.sleep(max(0.0, began + sent / RATE - time.perf_counter()))


async def session(address: str, system: str, number: int, asked: int, questions: list[np.ndarray]) -> Talk:
    """One of them: the usual parts, by HTTP, as its own examples join them."""
    talk = Talk()
    params = TransportParams(
        audio_in_enabled=True, audio_out_enabled=True, audio_in_sample_rate=RATE, audio_out_sample_rate=OUT
    )
    microphone, speaker = Microphone(params), Speaker(params, talk)
    given: dict[str, Any] = {"api_key": "none", "base_url": f"{address}/v1"}
    context = LLMContext()
    user, assistant = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer(params=VADParams(stop_secs=0.2))),
    )
    pipeline = Pipeline(
        [
            microphone,
            OpenAISTTService(**given, settings=OpenAISTTService.Settings(model="whisper-1")),
            user,
            OpenAILLMService(
                **given,
                settings=OpenAILLMService.Settings(
                    model="gpt-4o-mini", max_tokens=40, system_instruction=system
                ),
            ),
            OpenAITTSService(**given, settings=OpenAITTSService.Settings(model="tts-1", voice="alloy")),
            speaker,
            assistant,
        ]
    )
    rates = PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=OUT)
    worker = PipelineWorker(pipeline, params=rates)

    async def ask() -> None:
        await asyncio.sleep(1.0 + 0.37 * number)  # people do not begin at once
        for turn in range(asked):
            await microphone.say(talk, questions[(number + turn * 5) % len(questions)])
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    asking = asyncio.create_task(ask())
    await runner.run()
    await asking
    return talk


async def main() -> None:
    address, sessions, asked, system, *files = sys.argv[1:]
    questions = [np.load(file) for file in files]
    began, cpu = time.perf_counter(), time.process_time()
    talks = await asyncio.gather(
        *(session(address, system, n, int(asked), questions) for n in range(int(sessions)))
    )
    found = {
        "waits": [wait for talk in talks for wait in talk.waits],
        "unanswered": sum(talk.unanswered for talk in talks),
        "cpu": time.process_time() - cpu,
        "seconds": time.perf_counter() - began,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main())
