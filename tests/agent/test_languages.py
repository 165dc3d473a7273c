"""The languages that come as folders of data: whole, spoken as they must be, and of other packages too."""

from __future__ import annotations

import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from agent import config, languages
from agent.cli import backchat
from agent.errors import ConfigError
from agent.text import normalization
from agent.text.chunker import Chunker
from agent.text.normalization import file as text_file
from agent.text.normalization import normalized
from agent.text.sentences import sentences
from agent.text.spoken_form import TextNormalizer
from agent.turns import phrases
from agent.turns.endpointing import judge
from helpers_wer import cer

DATA = Path(__file__).parents[1] / "data" / "spoken"
FOLDERS = sorted(languages.folders())
TABLED = [code for code in FOLDERS if languages.data(code, text_file.FILE)]


def cases(code: str) -> list[tuple[str, str]]:
    lines = (DATA / f"{code}.tsv").read_text(encoding="utf-8").splitlines()
    return [(before, after) for before, after in (line.split("\t") for line in lines)]


@pytest.mark.parametrize("code", FOLDERS)
def test_a_language_is_whole(code: str) -> None:
    assert phrases.language(code).code == code
    chosen = config.load(None, (), code)
    assert chosen.stt.language == code
    assert normalization.language(code) is not None


@pytest.mark.parametrize("code", TABLED)
def test_numbers_dates_money_and_units_are_said_as_they_must_be(code: str) -> None:
    wanted = cases(code)
    assert len(wanted) >= 60
    wrong = [
        (t, said, got) for t, said in wanted if (got := TextNormalizer(code).say(t).text.strip()) != said
    ]
    assert not wrong


@given(code=st.sampled_from(TABLED), text=st.text("0123456789.,:/-–+ º€$%°xkmhKCI\u00a0", max_size=24))
def test_no_digit_is_left_for_the_voice(code: str, text: str) -> None:
    assert not re.search(r"\d", normalized(text, code))


@given(code=st.sampled_from(TABLED), number=st.integers(0, 10**15 - 1))
def test_two_numbers_never_sound_the_same(code: str, number: int) -> None:
    said = normalized(str(number), code)
    for other in (number + 1, number * 10, number // 10, number + 1000):
        assert other == number or other >= 10**15 or normalized(str(other), code) != said


KINDS = {
    "es": {
        "stop": ["¡Para!", "Espera un momento, por favor.", "No, espera.", "Cállate ya.", "Deja de hablar."],
        "repeat": ["¿Cómo?", "¿Puedes repetirlo, por favor?", "¿Qué has dicho?", "No te he oído."],
        "go_on": ["Sigue.", "Continúa, por favor.", "¿Y luego?"],
        "backchannel": ["Ajá.", "Sí, claro.", "Mmm, ya veo.", "Jajaja.", "¡Qué bien!", "De acuerdo."],
        "words": ["¿Qué hora es?", "Para mañana.", "¿Cómo funciona?", "Hola.", "Quiero que pares en Madrid."],
        "nothing": ["", "[Música]"],
    },
    "fr": {
        "stop": [
            "Arrête !",
            "Attends un instant, s'il te plaît.",
            "Tais-toi.",
            "Laisse tomber.",
            "Non, stop.",
        ],
        "repeat": ["Quoi ?", "Tu peux répéter, s'il te plaît ?", "Qu'est-ce que tu as dit ?", "Pardon ?"],
        "go_on": ["Continue.", "Vas-y, continue.", "Et ensuite ?"],
        "backchannel": [
            "Oui, oui.",
            "Ah bon !",
            "D'accord.",
            "C'est ça, exactement.",
            "Ha ha ha.",
            "Mm-hmm.",
        ],
        "words": ["Quelle heure est-il ?", "Comment ça marche ?", "Bonjour.", "Arrête-toi à Lyon."],
        "nothing": ["", "(musique)"],
    },
    "it": {
        "stop": ["Basta!", "Aspetta un attimo, per favore.", "Stai zitto.", "Lascia stare.", "No, aspetta."],
        "repeat": ["Come?", "Puoi ripetere, per favore?", "Cosa hai detto?", "Scusa?"],
        "go_on": ["Continua.", "Vai avanti, per favore.", "E poi?"],
        "backchannel": ["Sì, certo.", "Ah, ho capito.", "Mm-hmm.", "Va bene.", "Esatto, infatti.", "Hahaha."],
        "words": ["Che ore sono?", "Come funziona?", "Ciao.", "Ferma la musica."],
        "nothing": ["", "[Musica]"],
    },
    "de": {
        "stop": ["Stopp!", "Warte mal bitte.", "Sei still.", "Vergiss es.", "Nein, hör auf.", "Moment mal."],
        "repeat": [
            "Wie bitte?",
            "Kannst du das wiederholen, bitte?",
            "Was hast du gesagt?",
            "Noch mal, bitte.",
        ],
        "go_on": ["Weiter.", "Erzähl weiter, bitte.", "Und dann?", "Was dann?"],
        "backchannel": [
            "Ja, klar.",
            "Ach so!",
            "Mm-hmm.",
            "Genau, stimmt.",
            "Hahaha.",
            "Na so was!",
            "Ähm, ja.",
        ],
        "words": [
            "Wie spät ist es?",
            "Wie funktioniert das?",
            "Hallo.",
            "Halt in Köln an.",
            "Warte auf mich in Rom.",
        ],
        "nothing": ["", "[Musik]"],
    },
    "zh": {
        "stop": ["停！", "等一下。", "请等一下。", "别说了。", "不，停下来。", "算了吧。", "闭嘴"],
        "repeat": ["什么？", "你说什么？", "请再说一遍。", "对不起，没听清。", "再说一遍，好吗？"],
        "go_on": ["继续。", "请继续。", "然后呢？", "接着说吧。", "别停。"],
        "backchannel": [
            "嗯。",
            "嗯嗯，好的。",
            "对对对。",
            "哈哈哈。",
            "原来如此。",
            "是的，没错。",
            "真的吗？",
        ],
        "words": [
            "现在几点？",
            "你好。",
            "你叫什么名字？",
            "等我到家再说。",
            "停车场在哪里？",
            "我想知道为什么。",
        ],
        "nothing": ["", "[音乐]"],
    },
    "ja": {
        "stop": ["止めて！", "ちょっと待ってください。", "待って。", "静かにして。", "やっぱりいいです。"],
        "repeat": [
            "え？",
            "もう一度言ってください。",
            "すみません、もう一度お願いします。",
            "聞こえませんでした。",
        ],
        "go_on": ["続けて。", "続けてください。", "それで？", "それからどうなったの？"],
        "backchannel": [
            "うん。",
            "うんうん。",
            "なるほど。",
            "そうですね。",
            "へえ、すごい。",
            "はい、わかりました。",
            "本当ですか？",
        ],
        "words": ["今何時ですか？", "こんにちは。", "お名前は何ですか？", "駅はどこですか？"],
        "nothing": ["", "[音楽]"],
    },
    "hi": {
        "stop": ["रुको!", "एक मिनट रुकिए।", "चुप रहो।", "बस करो।", "रहने दो।", "ज़रा रुको।"],
        "repeat": ["क्या?", "फिर से कहिए।", "आपने क्या कहा?", "माफ़ कीजिए, समझ नहीं आया।"],
        "go_on": ["जारी रखो।", "और फिर?", "आगे बताइए।", "रुको मत।"],
        "backchannel": ["हाँ।", "जी हाँ।", "अच्छा अच्छा।", "ठीक है।", "वाह, बढ़िया।", "समझ गया।"],
        "words": ["समय क्या हुआ है?", "नमस्ते।", "आपका नाम क्या है?", "दिल्ली में रुको।"],
        "nothing": ["", "[संगीत]"],
    },
    "pt": {
        "stop": ["Pare!", "Espera um momento, por favor.", "Cala a boca.", "Deixa pra lá.", "Não, espera."],
        "repeat": ["Como?", "Você pode repetir, por favor?", "O que você disse?", "Não entendi, desculpe."],
        "go_on": ["Continua.", "Vai em frente, por favor.", "E depois?"],
        "backchannel": ["Sim, claro.", "Ah, entendi.", "Aham.", "Tá bom.", "Exato, isso mesmo.", "Hahaha."],
        "words": ["Que horas são?", "Como funciona?", "Olá.", "Para amanhã.", "Pare em Lisboa."],
        "nothing": ["", "[Música]"],
    },
}


@pytest.mark.parametrize("code", KINDS)
def test_a_few_words_mean_what_they_do_in_their_language(code: str) -> None:
    language = phrases.language(code)
    wrong = [(t, kind, language.kind(t)) for kind, said in KINDS[code].items() for t in said]
    assert not [each for each in wrong if each[1] != each[2]]


ENDS = {
    "es": {
        "complete": ["¿Cuál es la capital de Francia?", "Pon la radio, por favor."],
        "incomplete": ["La capital de", "Estaba pensando que", "Si hace buen tiempo.", "A ver", "Quiero"],
    },
    "fr": {
        "complete": ["Quelle est la capitale de la France ?", "Mets la radio, s'il te plaît."],
        "incomplete": ["La capitale de", "Je pensais que", "Si le temps est beau.", "Euh", "Je voudrais"],
    },
    "it": {
        "complete": ["Qual è la capitale della Francia?", "Metti la radio, per favore."],
        "incomplete": ["La capitale della", "Pensavo che", "Se il tempo è bello.", "Vediamo", "Vorrei"],
    },
    "de": {
        "complete": ["Was ist die Hauptstadt von Frankreich?", "Mach das Radio an, bitte."],
        "incomplete": [
            "Die Hauptstadt der",
            "Ich dachte, dass",
            "Wenn das Wetter schön ist.",
            "Ähm",
            "Ich möchte",
        ],
    },
    "zh": {
        "complete": ["法国的首都是哪里？", "请你打开收音机，谢谢。", "你知道现在几点了吗？"],
        "incomplete": ["我想问一下因为", "如果天气好。", "让我想想", "我觉得", "然后"],
    },
    "ja": {
        "complete": ["フランスの首都はどこですか？", "ラジオをつけてください。"],
        "incomplete": ["フランスの首都は", "もし天気がよければ。", "えーと", "それから"],
    },
    "hi": {
        "complete": ["फ्रांस की राजधानी क्या है?", "रेडियो चला दीजिए।"],
        "incomplete": ["फ्रांस की", "मैं सोच रहा था कि", "अगर मौसम अच्छा है।", "मतलब"],
    },
    "pt": {
        "complete": ["Qual é a capital da França?", "Liga o rádio, por favor."],
        "incomplete": ["A capital da", "Eu estava pensando que", "Se o tempo estiver bom.", "Deixa eu ver"],
    },
}


@pytest.mark.parametrize("code", ENDS)
def test_an_unfinished_sentence_is_known_by_its_words(code: str) -> None:
    found = {(t, judge(t, phrases.language(code))[0]) for said in ENDS[code].values() for t in said}
    assert found == {(t, wording) for wording, said in ENDS[code].items() for t in said}


SENTENCES = [
    "La Sra. López vive aquí.",
    "El Sr. García no.",
    "Viene el Dr. Ruiz.",
    "Nació en el 300 a. C. en Roma.",
    "¿Y tú?",
    "¡Vaya!",
    "Ud. tiene razón.",
    "Lo dijo p. ej. Ana.",
    "En EE. UU. vive Ana.",
    "Es grande.",
    "Véase pág. 7.",
    "Voy yo.",
    "Hoy no.",
    "Cuesta 1.234,56 €.",
]


@given(said=st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=6))
def test_sentences_end_where_they_do_in_spanish(said: list[str]) -> None:
    assert [each.text for each in sentences(" ".join(said), "es")] == said
    assert [each.text for each in sentences(" ".join(said), "es-mx")] == said


GERMAN = [
    "Am 3. Oktober war Feiertag.",
    "Im 19. Jahrhundert lebte Friedrich II. in Potsdam.",
    "Es waren 12.",
    "Danach ging er.",
    "Das gilt z. B. für Äpfel.",
    "Er kam um 7 Uhr.",
    "Siehe S. 5.",
    "Hr. Dr. Braun kommt.",
    "Wer?",
]
CHINESE = [
    "你好。",
    "现在几点？",
    "价格是3.5元。",
    "太好了！",
    "我在A.B.公司上班。",
    "真的吗?",
    "对。",
]
JAPANESE = [
    "こんにちは。",
    "今何時ですか？",
    "3.5キロです。",
    "彼は「はい。」と言った。",
    "すごい！",
    "A.B.社です。",
]
HINDI = ["नमस्ते।", "समय क्या है?", "डॉ. शर्मा आए।", "यह 3.5 किलो है।", "वाह!"]


@pytest.mark.parametrize(
    ("code", "known", "joint"),
    [("de", GERMAN, " "), ("zh", CHINESE, ""), ("ja", JAPANESE, ""), ("hi", HINDI, " ")],
)
@given(data=st.data())
def test_sentences_end_where_they_do(code: str, known: list[str], joint: str, data: st.DataObject) -> None:
    said = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=6))
    assert [each.text for each in sentences(joint.join(said), code)] == said


def test_a_script_without_blanks_is_spoken_from_its_first_clause_and_no_full_stop_waits_for_a_blank() -> None:
    chunker = Chunker(language="zh")
    cut = [
        chunk.text for letter in "从前有一个老人，他住在海边。他很孤独。" for chunk in chunker.feed(letter)
    ]
    assert cut == ["从前有一个老人，", "他住在海边。", "他很孤独。"]
    assert not chunker.flush()


def test_a_reply_in_spanish_is_first_cut_before_a_spanish_clause() -> None:
    chunker = Chunker(language="es")
    cut = [
        chunk.text
        for word in ["Era", "un", "viejo", "farero", "que", "vivía", "solo"]
        for chunk in chunker.feed(f"{word} ")
    ]
    assert cut == ["Era un viejo farero"]


def test_settings_stand_over_those_of_the_language(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[session]\nsystem = "Sé breve."\n[tts]\nvoice = "em_alex"\n')
    chosen = config.load(file, ["stt.model=whisper-tiny"], "es")
    assert chosen.session.system == "Sé breve."
    assert (chosen.tts.engine, chosen.tts.language, chosen.tts.voice) == ("kokoro", "es", "em_alex")
    assert (chosen.stt.language, chosen.stt.model) == ("es", "whisper-tiny")
    assert config.load(None, (), "en") == config.load()


def test_a_language_that_there_is_not_is_said_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"--language xx: no such language; known: .*en, es"):
        config.load(None, (), "xx")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("numbers.below_hundred", ["cero"]),
        ("numbers.hundred", "x"),
        ("dates.months", "enero"),
        ("units.km", ["kilómetro"]),
        ("money", None),
        ("times.marks", "(:"),
        ("times.full", "{hours"),
        ("dates.numeric", "{days} de {month}"),
    ],
)
def test_a_wrong_key_of_a_text_file_is_named(path: str, value: object) -> None:
    import tomllib

    data = tomllib.loads((languages.data("es", text_file.FILE) or b"").decode())
    *above, key = path.split(".")
    table = data
    for name in above:
        table = table[name]
    if value is None:
        del table[key]
    else:
        table[key] = value
    with pytest.raises(ConfigError, match=rf"^languages/xx/text\.toml: {re.escape(path)}") as caught:
        text_file.read("xx", _toml(data).encode())
    assert "\n" not in str(caught.value)


def _toml(data: dict[str, object], path: str = "") -> str:
    """Tables as TOML, whose inline form is nearly that of JSON."""
    import json

    plain = [f"{json.dumps(k)} = {_inline(v)}" for k, v in data.items() if not isinstance(v, dict)]
    tables = []
    for key, value in data.items():
        if isinstance(value, dict):
            name = f"{path}{json.dumps(key)}"
            tables.append(f"[{name}]\n{_toml(value, f'{name}.')}")
    return "\n".join([*plain, *tables])


def _inline(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def test_a_package_that_is_broken_is_told_where_it_is_asked_for_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    point = EntryPoint("la", "no_such_package_of_latin", "backchat.languages")
    monkeypatch.setattr(languages, "entry_points", lambda group: [point] if group == point.group else [])
    languages.folders.cache_clear()
    try:
        assert config.load(None, (), "es").stt.language == "es"
        with pytest.raises(ConfigError, match="the language 'la' of the package no_such_package_of_latin"):
            config.load(None, (), "la")
        with pytest.raises(ConfigError, match="xx: no such language"):
            config.load(None, (), "xx")
    finally:
        monkeypatch.undo()
        languages.folders.cache_clear()


def test_another_package_adds_a_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "backchat_latin"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for file in (phrases.FILE, text_file.FILE, config.FILE):
        content = (languages.data("es", file) or b"").decode()
        (folder / file).write_text(
            content.replace('name = "Spanish"', 'name = "Latin"').replace('"es"', '"la"')
        )
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("la", "backchat_latin", "backchat.languages")
    monkeypatch.setattr(languages, "entry_points", lambda group: [point] if group == point.group else [])
    for known in (languages.folders, phrases.language, normalization.language, text_file.tables):
        known.cache_clear()
    try:
        assert phrases.language("la").name == "Latin"
        assert normalized("21 días", "la") == "veintiún días"
        assert config.load(None, (), "la").stt.language == "la"
        assert languages.data("en", phrases.FILE)
    finally:
        sys.modules.pop("backchat_latin", None)
        monkeypatch.undo()
        for known in (languages.folders, phrases.language, normalization.language, text_file.tables):
            known.cache_clear()


def test_a_package_without_one_of_its_files_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "backchat_empty").mkdir()
    (tmp_path / "backchat_empty" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("la", "backchat_empty", "backchat.languages")
    monkeypatch.setattr(languages, "entry_points", lambda group: [point] if group == point.group else [])
    languages.folders.cache_clear()
    try:
        with pytest.raises(ConfigError, match=r"the language 'la' has no turns\.toml"):
            phrases.language("la")
    finally:
        sys.modules.pop("backchat_empty", None)
        monkeypatch.undo()
        languages.folders.cache_clear()


def test_letters_are_counted_where_there_are_no_words() -> None:
    assert cer("现在是14:30。", "现在是十四点三十分", "zh") == 0.0
    assert cer("法国的首都", "发国的首都", "zh") == 0.2


@pytest.mark.parametrize("code", FOLDERS)
def test_every_language_of_ours_passes_the_check_that_others_are_told_of(code: str) -> None:
    done = CliRunner().invoke(backchat, ["languages", "check", code])
    assert done.exit_code == 0, done.output


def test_a_folder_is_checked_before_anything_is_installed(tmp_path: Path) -> None:
    for file in (phrases.FILE, config.FILE, text_file.FILE):
        (tmp_path / file).write_bytes(languages.data("es", file) or b"")
    spoken = tmp_path / "spoken.tsv"
    spoken.write_text("21 casas\tveintiuna casas\n", encoding="utf-8")
    arguments = ["languages", "check", str(tmp_path), "--spoken", str(spoken)]
    done = CliRunner().invoke(backchat, arguments)
    assert done.exit_code == 0
    assert "14:30  catorce treinta" in done.output
    for file, old, new, told in (
        (
            phrases.FILE,
            '"sigue", "siga"',
            '"para", "siga"',
            "'para' is in the list of 'go_on', and is",
        ),
        (text_file.FILE, '"dos", "tres"', '"dos", "dos"', "2 and 3 are both 'dos'"),
        (text_file.FILE, '"cero"', "0", "numbers.below_hundred.0"),
        (config.FILE, "[settings.stt]", "[settings.ears]", "ears"),
        ("spoken.tsv", "veintiuna", "veintiún", "is said as 'veintiuna casas', not as 'veintiún casas'"),
    ):
        whole = (tmp_path / file).read_text(encoding="utf-8")
        assert old in whole
        (tmp_path / file).write_text(whole.replace(old, new), encoding="utf-8")
        done = CliRunner().invoke(backchat, arguments)
        assert done.exit_code == 1
        assert told in done.output
        (tmp_path / file).write_text(whole, encoding="utf-8")
    (tmp_path / config.FILE).unlink()
    assert "agent.toml: there is no such file" in CliRunner().invoke(backchat, arguments).output
