"""The command `doctor`: what is installed, missing or slow, and what to type. Holds no conversation."""

from __future__ import annotations

import platform
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from agent.cli.commands import configured, settings

if TYPE_CHECKING:
    from pathlib import Path

    from agent.cli.parts.installation import Extra
    from agent.cli.parts.paces import Paces
    from agent.engines.status import Entry
    from agent.settings import Config


@click.command()
@settings
def doctor(**options: Any) -> None:
    """Say what is installed, missing or slow, and what to type."""
    from agent.cli.parts import installation
    from agent.config import cautions
    from agent.engines.status import listing
    from agent.errors import DeviceError
    from agent.weights import catalogue as store
    from audio.devices.portaudio import list_devices

    chosen = configured(**options)
    good = [_line(True, "python", f"{platform.python_version()} on {platform.machine()}")]
    kinds = ["stt", "llm", "tts", "vad", "wake", "speakers", *["endpointing"] * chosen.turns.by_sound]
    loadable = [_engine(entry) for entry in listing(chosen) if entry.chosen and entry.kind in kinds]
    good += loadable
    free = shutil.disk_usage(next(p for p in (store.cache_dir(), *store.cache_dir().parents) if p.exists()))
    good.append(_line(free.free > 2e9, "disk", f"{free.free / 1e9:.0f} GB free for {store.cache_dir()}"))
    try:
        cards = list_devices()
    except DeviceError as error:
        good.append(_line(False, "sound", str(error)))
    else:
        for way, has in (("microphone", "inputs"), ("speaker", "outputs")):
            names = [device.name for device in cards if getattr(device, has)]
            good.append(_line(bool(names), way, names[0] if names else f"none: connect a {way}"))
    good += [_line(False, "packages", why) for why in installation.shadows()]
    for extra in installation.extras():
        _optional(extra)
    good.append(_server(chosen))
    for caution in cautions(chosen):
        click.echo(f"-    {'language':22} {caution}")
    _threads(chosen)
    if all(loadable):
        good.append(_speed(chosen))
    sys.exit(0 if all(good) else 1)


def _engine(entry: Entry) -> bool:
    """Whether this engine can be loaded. Fetches nothing; a server elsewhere is not asked."""
    what = f"{entry.kind} {entry.name}"
    if entry.state == "elsewhere":
        click.echo(f"-    {what:22} {entry.state}: {entry.cure}")
        return True
    return _line(entry.state == "ready", what, f"{entry.state}: {entry.cure}" if entry.cure else entry.about)


def _line(good: bool, what: str, text: str) -> bool:
    click.echo(
        f"{click.style('ok  ', fg='green') if good else click.style('bad ', fg='red')} {what:22} {text}"
    )
    return good


def _optional(extra: Extra) -> None:
    from audio.extras import how_to_install

    there = ", ".join(f"{name} {version}" for name, version in extra.packages.items())
    text = f"lacks {', '.join(extra.lacking)} (optional): {how_to_install(extra.name)}"
    click.echo(
        f"{'-   ' if extra.lacking else 'ok  '} {'extra ' + extra.name:22} {text if extra.lacking else there}"
    )


def _server(chosen: Config) -> bool:
    """Whether `serve` would begin with these settings; says so where others could overhear it."""
    from agent.errors import ConfigError
    from agent.server.admission.exposure import checked_tls, checked_token, clear_text

    server = chosen.server
    try:
        chain, _ = checked_tls(server)
        token = checked_token(chosen)
    except ConfigError as error:
        return _line(False, "server", str(error))
    if why := clear_text(server, chain is not None):
        click.echo(f"-    {'server':22} {why}")
        return True
    ways = f"{server.host}, {'TLS' if chain else 'no TLS'}, {'a token' if token else 'no token'}"
    return _line(True, "server", ways)


def _file(model: str) -> Path | None:
    """The weights of this name or path, where they are one file and here. Fetches nothing."""
    from agent.errors import ModelError
    from agent.weights import catalogue as store

    try:
        here = store.locate(model) if model in store.catalogue() else store.resolve(model)
    except ModelError:
        return None
    return here if here is not None and here.is_file() else None


def _threads(chosen: Config) -> None:
    from agent.cli.parts import threads
    from audio.cores import usable_cores

    here = _file(chosen.llm.model)
    taken = ", ".join(f"{title} {count}" for title, count in threads.threads(chosen, here).items())
    if here is not None and not chosen.llm.threads:
        taken += f" (as many as pay for {here.stat().st_size / 1e9:.1f} GB of weights)"
    load, cores = threads.busy(), usable_cores()
    cure = threads.crowded(chosen, load)
    click.echo(
        f"{'-   ' if cure else 'ok  '} {'threads':22} {taken}; {cores} cores, of which {load:.1f} were busy",
        nl=False,
    )
    click.echo(f"; {cure}" if cure else "")


def _speed(chosen: Any) -> bool:
    """Load the engines and time one short reply. A user speaks about 4.5 tokens a second."""
    import time

    from agent.cli.parts import paces
    from agent.engines import registry as engines
    from agent.errors import BackchatError
    from agent.runner import run_real

    began = time.perf_counter()
    try:
        loaded = engines.load(chosen)
    except BackchatError as error:
        return _line(False, "engines", str(error))
    load = time.perf_counter() - began
    try:
        found = run_real(paces.measured, loaded, chosen.limits)
    except BackchatError as error:
        return _line(False, "speed", str(error))
    rate, wait = 1 / found.token, found.voice_to_voice(chosen.turns)
    text = f"loads in {load:.1f} s; {rate:.0f} tokens/s; voice {1 / found.voice:.0f}x real time"
    smallest = chosen.llm.model == "smollm2" or chosen.llm.engine != "llamacpp"
    cure = "close other programs, or take a smaller model" if smallest else "try --llm smollm2"
    slow = "" if rate > 6 else f"; slower than speech: {cure}"
    good = _line(rate > 6 and found.voice < 1, "speed", f"{text}; answers after about {wait:.1f} s{slow}")
    _others(chosen, found)
    return good


def _others(chosen: Config, found: Paces) -> None:
    """What other language models of the list would be like here."""
    from agent.cli.parts import paces
    from agent.weights import catalogue as store

    here = _file(chosen.llm.model)
    if chosen.llm.engine != "llamacpp" or here is None:
        return
    models = {name: model for name, model in store.catalogue().items() if model.kind == "llm"}
    sizes = [(name, model.size) for name, model in models.items() if name != chosen.llm.model]
    for each in paces.prospects(found, chosen.turns, here.stat().st_size, sizes, paces.memory()):
        told = f"about {each.rate:.0f} tokens/s, answers after about {each.wait:.1f} s"
        verdict = f"in time: --llm {each.name}" if each.in_time else "too late here"
        click.echo(f"-    {'llm ' + each.name:22} {told}: {verdict if each.fits else 'too large here'}")
