"""Pipecat's services: its Realtime language model, speech, transcription, and its plain language model."""

from __future__ import annotations

import asyncio
from typing import Any

from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    InputAudioRawFrame,
    LLMContextFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService
from trial import BASE, KEY, REALTIME, tone, trial


class Ear(FrameProcessor):
    """Notes what comes out, and ends the pipeline at the first frame of the kind that is wanted."""

    def __init__(self, wanted: type) -> None:
        super().__init__()
        self.wanted, self.found, self.wrong = wanted, asyncio.Event(), ""

    async def process_frame(self, frame: Any, direction: FrameDirection) -> None:
        """One frame."""
        await super().process_frame(frame, direction)
        if isinstance(frame, ErrorFrame):
            self.wrong = frame.error
            self.found.set()
        if isinstance(frame, self.wanted):
            self.found.set()
        await self.push_frame(frame, direction)


async def through(service: Any, wanted: type, *frames: Any) -> bool:
    """Put frames through a service until it gives one of that kind."""
    ear = Ear(wanted)
    task = PipelineTask(
        Pipeline([service, ear]),
        params=PipelineParams(audio_in_sample_rate=24_000, audio_out_sample_rate=24_000),
    )

    @task.event_handler("on_pipeline_error")
    async def failed(_: Any, frame: Any) -> None:
        ear.wrong = str(frame.error)
        ear.found.set()

    async def feed() -> None:
        await asyncio.sleep(0.5)
        for frame in frames:
            await task.queue_frame(frame)
            if isinstance(frame, InputAudioRawFrame):
                await asyncio.sleep(0.02)
        await ear.found.wait()
        await task.queue_frame(EndFrame())

    feeding = asyncio.create_task(feed())
    running = asyncio.create_task(PipelineRunner(handle_sigint=False).run(task))
    try:
        await asyncio.wait_for(ear.found.wait(), 20)
    except TimeoutError:
        ear.wrong = f"no {wanted.__name__} came"
    feeding.cancel()
    await task.cancel()
    await asyncio.wait([running], timeout=5)
    if ear.wrong:
        raise RuntimeError(ear.wrong)
    return True


def said(data: bytes) -> InputAudioRawFrame:
    """20 ms from the microphone."""
    return InputAudioRawFrame(audio=data, sample_rate=24_000, num_channels=1)


SPEECH, SILENCE = [said(tone(0.02))] * 50, [said(tone(0.02, level=0.0))] * 100
ASKED: Any = [{"role": "user", "content": "Hi"}]


async def realtime() -> bool:
    """A spoken question, answered by voice."""
    service = OpenAIRealtimeLLMService(api_key=KEY, base_url=REALTIME)
    return await through(service, TTSAudioRawFrame, LLMContextFrame(LLMContext(ASKED)), *SPEECH, *SILENCE)


async def speech() -> bool:
    """A sentence as sound."""
    service = OpenAITTSService(api_key=KEY, base_url=BASE, voice="nova")
    return await through(service, TTSAudioRawFrame, TTSSpeakFrame("Hi there."))


async def words() -> bool:
    """A stretch of speech as words."""
    begun, over = (
        [VADUserStartedSpeakingFrame(), UserStartedSpeakingFrame()],
        [VADUserStoppedSpeakingFrame(), UserStoppedSpeakingFrame()],
    )
    service = OpenAISTTService(api_key=KEY, base_url=BASE)
    return await through(service, TranscriptionFrame, *begun, *SPEECH, *SILENCE[:10], *over)


async def model() -> bool:
    """A chat."""
    service = OpenAILLMService(api_key=KEY, base_url=BASE, model="gpt-4o")
    return await through(service, LLMTextFrame, LLMContextFrame(LLMContext(ASKED)))


trial("pipecat", "OpenAIRealtimeLLMService", realtime)
trial("pipecat", "OpenAITTSService", speech)
trial("pipecat", "OpenAISTTService", words)
trial("pipecat", "OpenAILLMService", model)
