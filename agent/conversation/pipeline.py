"""THE data path of one reply: tokens -> chunks -> speech -> playback. Knows no turn-taking.

Four tasks of one reply, joined by two channels of one item: little is made that is cut off, for nobody.
"""

from __future__ import annotations

from functools import partial

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream as From
from anyio.streams.memory import MemoryObjectSendStream as To

from agent.conversation.reply import Reply
from agent.conversation.voices import Voices
from agent.events import AudioStarted, Chunk, GenerationEnded, Synthesized, Thought, Token, Watcher, WordHeard
from agent.llm.deltas import Deltas, unspeakable
from agent.runner import Runner
from agent.settings import Config
from agent.text.chunker import Chunker, TextChunk
from agent.text.spoken_form import TextNormalizer
from audio.playback import Playback, Track
from audio.tts import Speech, Synthesizer

TICK = 0.02
"""Seconds between two looks at what was heard."""


class Pipeline:
    """Turns a conversation into a reply that is heard while it is written."""

    def __init__(
        self, tts: Synthesizer, runner: Runner, playback: Playback, config: Config, emit: Watcher
    ) -> None:
        self.voices, self._runner, self._playback = Voices(tts), runner, playback
        self._config, self._limit, self._emit = config, config.limits.speech, emit

    async def run(self, reply: Reply, stream: Deltas) -> bool:
        """Say `stream`. True: say the rest anew. Raises what fails, as a group."""
        voice = self.voices.of(reply.answers_in, reply.manner.voice, reply.manner.speed)
        reply.language = voice.language
        to_voice, chunks = anyio.create_memory_object_stream[TextChunk](1)
        to_speaker, speech = anyio.create_memory_object_stream[Speech](1)
        async with to_voice, chunks, to_speaker, speech, anyio.create_task_group() as tasks:
            tasks.start_soon(self._voice, reply, voice, chunks, to_speaker)
            tasks.start_soon(self._play, reply, speech, tasks)
            async with to_voice:
                if await self._think(reply, stream, to_voice):
                    tasks.cancel_scope.cancel()
        return tasks.cancel_scope.cancel_called

    async def _think(self, reply: Reply, stream: Deltas, chunks: To[TextChunk]) -> bool:
        """Language model to chunker, no further ahead of the ear than configured. Whether to begin anew."""
        lengths = self._config.reply
        chunker = Chunker(lengths.first_chunk, lengths.longest_chunk, reply.language)
        async for delta in stream:
            reply.tokens, now = reply.tokens + delta.tokens, self._runner.now()
            if delta.thought:
                self._emit(Thought(now, reply.number, delta.thought))
            if delta.anew:
                return True
            ready = chunker.flush(delta.aside) if delta.call or delta.aside else []
            if delta.text:  # else an engine that waits, is inside a character, thinks, or calls
                reply.text += delta.text
                self._emit(Token(now, reply.number, delta.text))
                ready = chunker.feed(delta.text, reply.lead(now))
            for chunk in ready:
                reply.sent = chunk.end
                await chunks.send(chunk)
            while reply.lead(self._runner.now()) > self._config.reply.ahead:
                await anyio.sleep(TICK)
        self._emit(GenerationEnded(self._runner.now(), reply.number, reply.tokens, reply.end))
        for chunk in chunker.flush():
            await chunks.send(chunk)
        return False

    async def _voice(self, reply: Reply, voice: Synthesizer, chunks: From[TextChunk], to: To[Speech]) -> None:
        """Chunks to speech. NoAnswer where all gave none."""
        normalizer, limit, clock, mute = TextNormalizer(voice.language), self._limit, self._runner.now, True
        async with to:
            async for chunk in chunks:
                spoken = normalizer.say(chunk.text)
                self._emit(Chunk(clock(), reply.number, chunk.start, chunk.end, chunk.text, spoken.text))
                began, speak = clock(), partial(voice.stream, spoken.text)
                due = partial(reply.speech_due, clock)
                async with self._runner.stream("tts", speak, limit, limit, due) as parts:
                    async for part in parts:
                        now, mute = clock(), False
                        start, end = chunk.place(*spoken.source_range(part.start, part.end))
                        words = [spoken.source_range(word.start, word.end) for word in part.words]
                        reply.say(part, chunk, words, now - began)
                        self._emit(Synthesized(now, reply.number, start, end, part.duration, now - began))
                        reply.ready()
                        await to.send(part)
                        began = clock()
                reply.voiced = chunk.end
            await anyio.sleep(0)  # where the writing failed, that is the news: this is cancelled
            if mute and not reply.acts.handed_over:
                raise unspeakable(reply.text)

    async def _play(self, reply: Reply, speech: From[Speech], tasks: TaskGroup) -> None:
        """Speech to the speaker, once the turn is authorized."""
        await reply.authorized.wait()
        tasks.start_soon(self._follow, reply, track := reply.begin())
        async for part in speech:
            self._playback.play(track, part.samples, part.rate)
        self._playback.finish(track)

    async def _follow(self, reply: Reply, track: Track) -> None:
        """Report when the reply begins to sound, and each word when it was heard."""
        started = False
        while not (track.finished is not None and track.finished <= self._runner.now() - TICK):
            now = self._runner.now()
            if not started and track.started is not None and track.started <= now:
                started = True
                self._emit(AudioStarted(track.started, reply.number))
            for start, end in reply.newly_heard(now):
                self._emit(WordHeard(now, reply.number, start, end))
            await anyio.sleep(TICK)
