"""Home Assistant itself: it finds our services by its own flow, and runs its own pipelines over them."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import homeassistant.components
from trial import tone, trial

HOST, _, PORT = os.environ["WYOMING"].removeprefix("tcp://").rpartition(":")
COMPONENTS = Path(homeassistant.components.__file__).parent
NAMED = f"Home Assistant {version('homeassistant')}"


def needed(name: str, seen: set[str]) -> set[str]:
    """What a component of it, and all that it depends on, wants to have installed."""
    if name in seen:
        return set()
    seen.add(name)
    manifest = json.loads((COMPONENTS / name / "manifest.json").read_text())
    found = set(manifest.get("requirements", []))
    for other in [*manifest.get("dependencies", []), *manifest.get("after_dependencies", [])]:
        if other in manifest.get("dependencies", []):
            found |= needed(other, seen)
    return found


def install() -> None:
    """What it would install itself when it starts."""
    wanted = set[str]()
    for name in ("wyoming", "zeroconf", "assist_pipeline", "stt", "tts", "conversation", "media_source"):
        wanted |= needed(name, set())
    lacking = []
    for each in sorted(wanted):
        try:
            version(each.partition("==")[0].partition("[")[0])
        except PackageNotFoundError:
            lacking.append(each)
    if lacking:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *lacking], check=True)


async def house(folder: str) -> Any:
    """A Home Assistant that runs, with what a pipeline needs."""
    from homeassistant import auth, bootstrap, loader
    from homeassistant.config_entries import ConfigEntries
    from homeassistant.core import HomeAssistant
    from homeassistant.setup import async_setup_component

    hass = HomeAssistant(folder)
    hass.config.skip_pip = True
    hass.config.internal_url = "http://127.0.0.1:8123"
    loader.async_setup(hass)
    hass.config_entries = ConfigEntries(hass, {})
    await bootstrap.async_load_base_functionality(hass)
    hass.auth = await auth.auth_manager_from_config(hass, [{"type": "homeassistant"}], [])
    for name in ("homeassistant", "http", "media_source", "assist_pipeline"):
        assert await async_setup_component(hass, name, {}), name
    await hass.async_start()
    return hass


async def found(hass: Any) -> dict[str, str]:
    """Our services, as its own flow finds them: the entity of each platform."""
    flow = hass.config_entries.flow
    made = await flow.async_init(
        "wyoming", context={"source": "user"}, data={"host": HOST, "port": int(PORT)}
    )
    assert made["type"] == "create_entry", made
    await hass.async_block_till_done()
    entities = [each for each in hass.states.async_entity_ids() if "backchat" in each]
    return {each.partition(".")[0]: each for each in entities}


async def piped(hass: Any, entities: dict[str, str]) -> tuple[str, str, int]:
    """What one spoken question comes to in its pipeline: the words, the answer, and bytes of its sound."""
    from homeassistant.components import assist_pipeline, stt, tts
    from homeassistant.core import Context

    pipelines = hass.data["assist_pipeline"].pipeline_store
    pipeline = await pipelines.async_create_item(
        {
            "name": "backchat",
            "language": "en",
            "conversation_engine": entities.get("conversation", "homeassistant"),
            "conversation_language": "en",
            "stt_engine": entities["stt"],
            "stt_language": "en",
            "tts_engine": entities["tts"],
            "tts_language": "en",
            "tts_voice": None,
            "wake_word_entity": None,
            "wake_word_id": None,
        }
    )
    events: list[Any] = []

    async def microphone() -> AsyncIterator[bytes]:
        sound = bytes(16_000) + tone(1.0, 16_000) + bytes(64_000)
        for at in range(0, len(sound), 640):
            yield sound[at : at + 640]

    await assist_pipeline.async_pipeline_from_audio_stream(
        hass,
        context=Context(),
        event_callback=events.append,
        stt_metadata=stt.SpeechMetadata(
            language="en",
            format=stt.AudioFormats.WAV,
            codec=stt.AudioCodecs.PCM,
            bit_rate=stt.AudioBitRates.BITRATE_16,
            sample_rate=stt.AudioSampleRates.SAMPLERATE_16000,
            channel=stt.AudioChannels.CHANNEL_MONO,
        ),
        stt_stream=microphone(),
        pipeline_id=pipeline.id,
        audio_settings=assist_pipeline.pipeline.AudioSettings(is_vad_enabled=False),
    )
    said = {str(event.type): event.data for event in events}
    if "error" in said:
        raise AssertionError(said["error"])
    words = said["stt-end"]["stt_output"]["text"]
    answer = said["intent-end"]["intent_output"]["response"]["speech"]["plain"]["speech"]
    media = said["tts-end"]["tts_output"]["media_id"]
    _, sound = await tts.async_get_media_source_audio(hass, media)
    return words, answer, len(sound)


async def main() -> dict[str, Any]:
    """What it says of us."""
    with tempfile.TemporaryDirectory() as folder:
        hass = await house(folder)
        try:
            entities = await found(hass)
            words, answer, size = await piped(hass, entities)
        finally:
            await hass.async_stop(force=True)
    print(
        json.dumps({"entities": entities, "words": words, "answer": answer, "bytes": size}), file=sys.stderr
    )
    assert set(entities) >= {"stt", "tts"}, entities
    assert words == "What is the time?", words
    assert size > 1_000, size
    return entities


logging.basicConfig(level=logging.ERROR)
install()
trial(NAMED, "finds asr and tts by its own flow, and runs a pipeline over them", main)
