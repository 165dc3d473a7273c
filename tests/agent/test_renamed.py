"""A setting that has another name now is refused with the new one, and every new one exists."""

import pytest

from agent.config import RENAMED, load
from agent.engines import registry
from agent.errors import ConfigError


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_renamed_setting_is_refused_with_its_new_name(old: str, new: str):
    with pytest.raises(ConfigError, match=f"{old} is called {new} now"):
        load(None, [f"{old}=1"])
    section, _, key = new.partition(".")
    assert hasattr(getattr(load(), section), key)


@pytest.mark.parametrize(("kind", "old", "new"), [(*old, new) for old, new in registry.RENAMED.items()])
def test_a_renamed_engine_is_refused_with_its_new_name(kind: registry.Kind, old: str, new: str):
    with pytest.raises(ConfigError, match=f"{old!r} is called {new!r} now"):
        registry.find(kind, old)
    assert registry.find(kind, new)
