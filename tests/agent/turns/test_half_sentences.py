"""A clause that cannot stand alone is half a sentence; an adverb or a preposition that begins one is not."""

from __future__ import annotations

import pytest

from agent.turns.endpointing import judge
from agent.turns.phrases import language

HALVES = {
    "en": ["If the weather is nice.", "And when I come home."],
    "es": ["Después de que llegue mi hermano.", "Si hace buen tiempo.", "Y una vez que termine el trabajo."],
    "fr": ["Après que mon frère est parti.", "Bien que je sois fatigué.", "Et une fois que tu as fini."],
    "it": ["Dopo che mio fratello è partito.", "Anche se sono stanco.", "Quando arrivo a casa."],
    "pt": ["Depois que meu irmão chegar.", "Assim que eu terminar o trabalho.", "E logo que ele chegar."],
    "de": [
        "Seit ich in Köln wohne.",
        "Bis er nach Hause kommt.",
        "Da sie heute krank ist.",
        "Immer wenn es regnet.",
    ],
}
WHOLE = {
    "en": ["If the weather is nice, we go out.", "It rains today in Rome."],
    "es": [
        "Después del tono grabe su mensaje.",
        "Hasta mañana por la mañana.",
        "Antes vivía en Madrid.",
        "Desde aquí se ve el mar.",
    ],
    "fr": [
        "Après on verra bien ensemble.",
        "Depuis hier il pleut.",
        "Tant pis pour lui.",
        "Avant j'habitais à Lyon.",
    ],
    "it": ["Dopo vado a casa.", "Anche io vorrei un caffè.", "Prima abitavo a Roma."],
    "pt": ["Depois eu vou para casa.", "Antes eu morava em Lisboa.", "Assim está muito bom."],
    "de": [
        "Seit gestern regnet es stark.",
        "Bis morgen früh, Anna.",
        "Da kommt der Bus.",
        "Seit Montag bin ich krank.",
    ],
}


@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in HALVES.items() for text in texts])
def test_half_a_sentence_is_waited_with(code: str, text: str) -> None:
    assert judge(text, language(code))[:2] == ("incomplete", "half")


@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in WHOLE.items() for text in texts])
def test_a_whole_one_is_none(code: str, text: str) -> None:
    assert judge(text, language(code))[1] == "sentence"
