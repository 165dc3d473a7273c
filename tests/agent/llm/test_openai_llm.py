"""The OpenAI-compatible engine against servers that behave, stall, drop, refuse, and die in mid-reply."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import hypothesis.strategies as some
import pytest
from hypothesis import given

import scripted as actors
from agent import events as ev
from agent.config import load
from agent.engines.registry import load_one
from agent.errors import BackchatError, ConfigError, ContextExceeded, EngineFault, EngineStalled, ModelError
from agent.llm.context import ContextWindow
from agent.llm.deltas import deltas
from agent.llm.openai_answer import Passing, Refused, refusal
from agent.llm.openai_api import OpenAI
from agent.llm.wire import LONGEST, Events
from agent.messages import Message
from agent.protocols import Finish
from agent.simulation.virtual import Line, converse
from agent.weights import catalogue as models
from helpers_server import (
    DONE,
    LlamaServer,
    Step,
    answer,
    chunked,
    error,
    event,
    head,
    llama_server,
    scripted,
    until,
)

HELLO = [Message("system", "Be brief."), Message("user", "Hello?")]
KEY = "sk-secret-0123456789"


def model(url: str, **settings) -> OpenAI:
    return OpenAI(base_url=url, model="some-model", **settings)


def said(engine: OpenAI) -> str:
    return "".join(engine.stream(HELLO))


# --- server-sent events -----------------------------------------------------------------------------


@given(
    texts=some.lists(some.text(some.sampled_from("ab é日😀:\\"), min_size=1), max_size=5),
    end=some.sampled_from(["\n", "\r\n", "\r"]),
    cuts=some.lists(some.integers(1, 7), max_size=200),
)
def test_events_come_whole_out_of_any_pieces(texts: list[str], end: str, cuts: list[int]) -> None:
    stream = f": a comment{end}" + "".join(f"event: x{end}data: {text}{end}{end}" for text in texts)
    data, events, found = stream.encode(), Events(), []
    for cut in [*cuts, len(data)]:
        found += events.feed(data[:cut])
        data = data[cut:]
    assert found + events.end() == texts


def test_lines_of_one_event_are_joined_and_a_last_one_without_its_blank_line_counts() -> None:
    events = Events()
    assert events.feed(b"\xef\xbb\xbfdata: a\ndata:b\n\ndata: [DONE]\ndata: ha") == ["a\nb"]
    assert events.end() == ["[DONE]"]


def test_an_event_without_end_is_refused() -> None:
    events = Events()
    for _ in range(LONGEST // 1000):
        events.feed(b"data: " + b"x" * 993 + b"\n")
    with pytest.raises(ValueError, match="more than"):
        events.feed(b"x" * 100_000)


# --- what it asks -----------------------------------------------------------------------------------


@pytest.mark.net
def test_the_request_says_what_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    with scripted(answer("Hi", " there.")) as server:
        chosen = [
            "llm.engine=openai",
            f"llm.base_url={server.url}/",
            "llm.model=big",
            "llm.api_key_env=MY_KEY",
        ]
        engine = load_one("llm", load(None, [*chosen, "llm.max_tokens=7", 'llm.stop=["x"]', "llm.seed=3"]))
        assert said(engine) == "Hi there."
    path, headers, body = server.seen[0]
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body == {
        "model": "big",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 7,
        "temperature": 0.6,
        "top_p": 0.9,
        "stop": ["x"],
        "seed": 3,
        "chat_template_kwargs": {"enable_thinking": False, "thinking": False},
        "reasoning_effort": "none",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}],
    }


@pytest.mark.net
def test_one_connection_serves_one_answer_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with scripted(answer("Yes.")) as server:
        engine = model(server.url)
        engine.warm()
        engine.prefill(HELLO)
        assert [said(engine) for _ in range(3)] == ["Yes."] * 3
        assert server.connections == 1
        assert "authorization" not in server.seen[0][1]


@pytest.mark.net
def test_a_connection_that_the_server_closed_in_between_is_replaced() -> None:
    with scripted([*answer("Yes."), "close"]) as server:
        engine = model(server.url, retries=0)
        for _ in range(3):
            assert said(engine) == "Yes."
            assert until(lambda: not any(wire.fresh for wire in engine._idle))
    assert server.connections == 3


@pytest.mark.net
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_pieces_of_any_size_give_the_same_text(size: int) -> None:
    stream = event("Café ") + b": ping\n\n" + event("日本") + event(None, usage=1) + event(" 😀.") + DONE
    parts = [chunked(stream[i : i + size]) for i in range(0, len(stream), size)]
    with scripted([head(), *parts, b"0\r\n\r\n"]) as server:
        assert said(model(server.url)) == "Café 日本 😀."


@pytest.mark.net
def test_a_server_that_does_not_stream_is_understood() -> None:
    whole = json.dumps({"choices": [{"message": {"content": "All at once."}}]})
    with scripted(error("200 OK", whole)) as server:
        assert said(model(server.url)) == "All at once."


# --- giving up --------------------------------------------------------------------------------------


@pytest.mark.net
@pytest.mark.parametrize("before", [[], [head()], [head(), chunked(event("One"))]])
def test_closing_lets_go_of_the_request_though_the_server_says_nothing(before: list[bytes]) -> None:
    with scripted([*before, "stall"]) as server:
        stream = model(server.url).stream(HELLO)
        for _ in range(3):  # each pull comes back, with a word or without
            next(stream)
        assert not server.gone.is_set()
        stream.close()
        assert server.gone.wait(10)


@pytest.mark.net
def test_silence_is_ended_before_the_first_word_and_between_two() -> None:
    with scripted([head(), "stall"]) as server, pytest.raises(EngineStalled, match="silent"):
        said(model(server.url, first_wait=0.3))
    assert len(server.seen) == 1, "who waited in vain once does not wait again"
    got: list[str] = []
    with scripted([head(), chunked(event("One")), "stall"]) as server, pytest.raises(EngineStalled):
        got += model(server.url, wait=0.3).stream(HELLO)
    assert len(server.seen) == 1


# --- tries ------------------------------------------------------------------------------------------

BUSY = error("503 Service Unavailable", "")


@pytest.mark.net
@pytest.mark.parametrize("trouble", [BUSY, ["close"], ["reset"], [head(), "close"], [head()[:9], "close"]])
def test_trouble_before_the_first_word_is_tried_again(trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.llm.openai_api.BACKOFF", 0.01)
    with scripted(trouble, trouble, answer("At last.")) as server:
        assert said(model(server.url)) == "At last."
        assert len(server.seen) == 3
    with scripted(trouble) as server, pytest.raises(EngineFault):
        said(model(server.url))
    assert len(server.seen) == 3


@pytest.mark.net
@pytest.mark.parametrize("trouble", ["close", "reset"])
def test_no_word_is_asked_for_twice(trouble: str) -> None:
    got: list[str] = []
    with scripted([head(), chunked(event("One")), 0.05, trouble], answer("Two")) as server:
        stream = model(server.url).stream(HELLO)
        with pytest.raises(EngineFault, match=r"broke off|ended its answer"):
            got.extend(stream)
        assert len(server.seen) == 1


@pytest.mark.net
def test_the_server_says_when_to_come_back() -> None:
    busy = error("429 Too Many Requests", '{"error": {"message": "slow down"}}', **{"Retry-After": "0.4"})
    with scripted(busy, answer("Now.")) as server:
        began = time.monotonic()
        assert said(model(server.url)) == "Now."
        assert time.monotonic() - began >= 0.4
    later = error("429 Too Many Requests", '{"error": {"message": "slow down"}}', **{"Retry-After": "3600"})
    with scripted(later) as server, pytest.raises(EngineFault, match=r"cannot answer now \(429: slow down\)"):
        said(model(server.url))
    assert len(server.seen) == 1, "an hour is longer than anybody waits"


@pytest.mark.net
def test_a_field_that_the_server_does_not_take_is_left_out() -> None:
    def refused(field: str) -> list[bytes]:
        body = {
            "error": {"message": f"Unsupported: {field}", "param": field, "code": "unsupported_parameter"}
        }
        return error("400 Bad Request", json.dumps(body))

    unnamed = error("400 Bad Request", '{"error": {"message": "Unrecognized: chat_template_kwargs"}}')
    with scripted(refused("max_tokens"), refused("temperature"), unnamed, answer("Fine.")) as server:
        engine = model(server.url, retries=0)
        assert [said(engine), said(engine)] == ["Fine.", "Fine."]
        assert len(server.seen) == 5
        kept = {"model", "stream", "stream_options", "top_p", "seed", "messages", "max_completion_tokens"}
        assert server.seen[-1][2].keys() == kept | {"reasoning_effort"}
        assert said(engine.with_sampling(max_tokens=9, stop=(), seed=None)) == "Fine."
        assert len(server.seen) == 6, "what it does not take is known for every answer"
        assert server.seen[-1][2]["max_completion_tokens"] == 9
    with scripted(refused("messages")) as server, pytest.raises(EngineFault, match="does not take"):
        said(model(server.url))


@pytest.mark.net
@pytest.mark.parametrize("taken", ["none", "minimal", "low", None])
def test_a_model_is_asked_for_the_least_effort_that_its_server_takes(taken: str | None) -> None:
    body = {"error": {"message": "reasoning_effort: input should be another"}}
    refused = error("400 Bad Request", json.dumps(body))
    tries = ["none", "minimal", "low", None].index(taken)
    with scripted(*[refused] * tries, answer("Fine.")) as server:
        engine = model(server.url, retries=0)
        assert [said(engine), said(engine)] == ["Fine.", "Fine."]
        assert [body.get("reasoning_effort") for *_, body in server.seen[tries:]] == [taken] * 2
        assert "reasoning_effort" not in said_with(server, model(server.url, thinking=True))


def said_with(server, engine: OpenAI) -> dict[str, object]:
    said(engine)
    return server.seen[-1][2]


def thinks(**fields: str) -> bytes:
    return chunked(b'data: {"choices": [{"delta": %s}]}\n\n' % json.dumps(fields).encode())


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_what_a_server_knows_to_be_a_thought_is_apart(name: str) -> None:
    script = [
        head(),
        thinks(**{name: "They greet me."}),
        thinks(content="\n\nHello."),
        chunked(DONE),
        b"0\r\n\r\n",
    ]
    with scripted(script) as server:
        parts = list(deltas(model(server.url).stream([Message("user", "Hi.")])))
    assert "".join(part.text for part in parts) == "Hello."
    assert "".join(part.thought for part in parts) == "They greet me."
    assert sum(part.tokens for part in parts) == 2


def test_half_a_character_in_each_of_two_events_is_one() -> None:
    script = [
        head(),
        thinks(content="Hi \ud83d"),
        thinks(content="\ude00 and \ud83d"),
        chunked(DONE),
        b"0\r\n\r\n",
    ]
    with scripted(script) as server:
        parts = list(deltas(model(server.url).stream([Message("user", "Hi.")])))
    assert "".join(part.text for part in parts) == "Hi \U0001f600 and \ufffd"


@pytest.mark.net
def test_a_stream_that_begins_in_a_thought_is_told_apart_from_the_second_on() -> None:
    script = [head(), *(thinks(content=text) for text in ("They gre", "et me.</thi", "nk>", "\n\nHello."))]
    with scripted([*script, chunked(DONE), b"0\r\n\r\n"]) as server:
        engine = model(server.url)
        for again in (False, True):
            parts = list(
                deltas(engine.with_sampling(max_tokens=50, stop=(), seed=1).stream([Message("user", "Hi.")]))
            )
            since = next((at for at, part in enumerate(parts) if part.anew), 0)
            assert ("".join(part.text for part in parts[since:]), any(p.anew for p in parts)) == (
                "Hello.",
                not again,
            )


def test_a_whole_answer_that_begins_in_a_thought() -> None:
    body = {"choices": [{"message": {"content": "They greet me.</think>\n\nHello."}}]}
    with scripted(
        [head(kind="application/json"), chunked(json.dumps(body).encode()), b"0\r\n\r\n"]
    ) as server:
        parts = list(deltas(model(server.url).stream([Message("user", "Hi.")])))
    assert "".join(part.text for part in parts) == "Hello."


# --- errors -----------------------------------------------------------------------------------------

HTML = "<!DOCTYPE html><html><body>Welcome to nginx!</body></html>"


TOO_LONG = '{"error": {"message": "m", "type": "exceed_context_size_error"}}'
BAD_ENDS: dict[str, tuple[Sequence[Step], type[BackchatError], str]] = {
    "the key is wrong": (
        error("401 Unauthorized", f'{{"error": {{"message": "no key {KEY}"}}}}'),
        EngineFault,
        r"refuses the key.*llm\.api_key_env",
    ),
    "no such model": (
        error("404 Not Found", '{"error": "model not found"}'),
        ModelError,
        r"no model 'some-model'.*model not found.*llm\.model or llm\.base_url",
    ),
    "a proxy's page": (
        error("500 Error", HTML, "text/html"),
        EngineFault,
        "500: a web page.*try again later",
    ),
    "a web site": (error("200 OK", HTML, "text/html"), EngineFault, r"a web page.*check llm\.base_url"),
    "elsewhere": (error("301 Moved", "", Location="/x"), EngineFault, r"301: nothing.*llm\.base_url"),
    "no JSON": ([head(), chunked(b"data: {nonsense\n\n")], EngineFault, "nonsense.*OpenAI-compatible"),
    "JSON without an answer": (error("200 OK", '{"ok": 1}'), EngineFault, "JSON without an answer"),
    "endless noise": ([head(), *[chunked(b"\0\xff" * 400_000)] * 2], EngineFault, "more than"),
    "no HTTP": ([b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "close"], EngineFault, "no whole HTTP answer"),
    "a long conversation": (error("400 Bad Request", TOO_LONG), ModelError, "too long"),
    "no memory": (
        [head(), chunked(b'data: {"error": {"message": "out of memory"}}\n\n')],
        EngineFault,
        "out of memory",
    ),
}


@pytest.mark.net
@pytest.mark.parametrize("name", BAD_ENDS)
def test_what_is_wrong_is_said_in_one_line_without_the_key(name: str, monkeypatch) -> None:
    script, kind, match = BAD_ENDS[name]
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with scripted(script) as server, pytest.raises(kind, match=match) as caught:
        said(model(server.url, retries=0))
    assert server.url in str(caught.value)
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)


FULL = {
    "OpenAI": (
        400,
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
        {"code": "context_length_exceeded", "param": "messages"},
    ),
    "llama.cpp": (
        400,
        "the request exceeds the available context size, try increasing it",
        {"type": "exceed_context_size_error", "n_prompt_tokens": 5000, "n_ctx": 4096},
    ),
    "vLLM": (
        400,
        "'max_tokens' or 'max_completion_tokens' is too large: 400. This model's maximum context length is "
        "4096 tokens and your request has 3900 input tokens (400 > 4096 - 3900).",
        {"param": "max_tokens", "type": "BadRequestError", "code": 400},
    ),
    "SGLang": (400, "The input (5000 tokens) is longer than the model's context length (4096 tokens).", {}),
    "TGI": (
        422,
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096",
        {},
    ),
    "Anthropic": (400, "prompt is too long: 210000 tokens > 200000 maximum", {}),
    "Gemini": (400, "The input token count (1200000) exceeds the maximum number of tokens allowed", {}),
    "Groq": (
        413,
        "Please reduce the length of the messages or completion.",
        {"type": "invalid_request_error"},
    ),
    "LM Studio": (
        400,
        "Trying to keep the first 5000 tokens when context overflows",
        {},
    ),
}


@pytest.mark.parametrize("server", FULL)
def test_whatever_a_server_calls_it_a_full_context_is_one_kind_of_error(server: str) -> None:
    status, said_so, more = FULL[server]
    body = json.dumps({"error": {"message": said_so, **more}})
    refused = refusal("http://u/v1", status, {}, body, "m", ("max_tokens", "seed"))
    assert isinstance(refused, ContextExceeded)
    assert said_so[:60] in str(refused)
    assert "\n" not in str(refused)
    assert (refused.tokens, refused.context) == ((5000, 4096) if server == "llama.cpp" else (None, None))


@pytest.mark.parametrize(
    ("status", "message", "param", "kind"),
    [
        (429, "Rate limit reached: Limit 6000 tokens per min, Requested 7000", None, Passing),
        (413, "Request too large for model m on tokens per minute (TPM): Limit 6000", None, EngineFault),
        (400, "max_tokens is too large: 5000. This model supports at most 4096", "max_tokens", Refused),
        (400, "Unsupported parameter: 'seed'", "seed", Refused),
        (500, "out of memory", None, Passing),
    ],
)
def test_what_is_no_full_context_is_not_taken_for_one(status: int, message: str, param, kind) -> None:
    body = json.dumps({"error": {"message": message, "param": param}})
    assert type(refusal("u", status, {}, body, "m", ("max_tokens", "seed"))) is kind


@pytest.mark.net
def test_a_full_context_may_be_told_in_the_stream_and_is_asked_again_with_less() -> None:
    told = (
        b'data: {"error": {"message": "Trying to keep the first 5000 tokens when context the overflows"}}\n\n'
    )
    full = [head(), chunked(told), chunked(b"")]
    past = [Message(role, f"{role} {n}") for n in range(20) for role in ("user", "assistant")]
    with scripted(full, full, answer("I am here.")) as server:
        engine = model(server.url)
        with pytest.raises(ContextExceeded, match="5000 tokens"):
            said(engine)
        prompt = ContextWindow(engine, 4096, 100).prompt("Be brief.", [*past, Message("user", "Hello?")])
        assert "".join(prompt.stream()) == "I am here."
        sent = [len(body["messages"]) for _, _, body in server.seen]
    assert sent[1] == 42
    assert 2 <= sent[2] < 42
    assert server.seen[2][2]["messages"][-1] == {"role": "user", "content": "Hello?"}


def test_spent_money_is_not_waited_for() -> None:
    body = '{"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}'
    assert type(refusal("u", 429, {}, body, "m", ())) is EngineFault


def test_the_mistral_way_to_name_a_field_and_a_date_to_come_back() -> None:
    body = '{"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "no"}]}'
    assert refusal("u", 422, {}, body, "m", ("seed",)).args == ("seed",)
    fault = refusal("u", 503, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, "", "m", ())
    assert getattr(fault, "after", None) == 0.0


def test_nobody_there() -> None:
    with scripted(answer("x")) as server:
        url = server.url
    with pytest.raises(EngineFault, match=r"no server at .*start it, or set llm\.base_url"):
        said(model(url, retries=0))
    with pytest.raises(EngineFault, match="no server"):
        model(url).warm()
    model(url).prefill(HELLO)  # no fault yet


@pytest.mark.parametrize(
    "url", ["", "a:8080", "ftp://x/v1", "http://u:p@x/v1", "http://x/v1?k=1", "http://x:99999", "http://a b/"]
)
def test_a_wrong_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"llm\.base_url"):
        model(url)


# --- a real server ----------------------------------------------------------------------------------


@pytest.fixture
def llama():
    with llama_server(models.resolve("smollm2")) as server:
        yield server


@pytest.mark.model
@pytest.mark.net
def test_llama_cpp_answers_and_stops_when_it_is_let_go(llama: LlamaServer) -> None:
    engine = model(llama.url, max_tokens=40, temperature=0.0)
    first = said(engine)
    assert first.strip()
    assert said(engine) == first
    stream = model(llama.url, max_tokens=800).stream([Message("user", "Tell me a very long story.")])
    assert any(next(stream) for _ in range(100))
    stream.close()
    # Its only slot is free again at once: it does not write the story to its end first.
    assert said(engine) == first
    long = [Message("user", "word " * 3000)]
    with pytest.raises(ModelError, match="too long"):
        list(engine.stream(long))


@pytest.mark.model
@pytest.mark.net
def test_a_server_that_dies_in_mid_reply_ends_that_turn_and_no_more(
    llama: LlamaServer, tmp_path: Path
) -> None:
    settings = load(None, ["costs.mode=declared", "costs.token=0.2", "stt.interim=0", "turns.meaning=off"])
    engine = model(llama.url, max_tokens=200)
    engines = actors.with_loudness(
        actors.ScriptedSTT(["Tell me a story.", "Hello?"]), engine, actors.ScriptedTTS()
    )
    events: list[ev.Event] = []
    written = ""

    def watch(event: ev.Event) -> None:
        nonlocal written
        events.append(event)
        if isinstance(event, ev.Token) and event.turn == 1:
            written += event.text
            if llama.process is not None and len(written) > 150:
                llama.kill()
        if isinstance(event, ev.TurnEnded) and llama.process is None:
            llama.start()

    lines = [Line(actors.loud(1.0)), Line(actors.loud(1.0))]
    converse(engines, settings, lines, tmp_path / "out.wav", watchers=[watch])
    (fault,) = [e for e in events if isinstance(e, ev.Error)]
    assert "broke off" in fault.message
    assert fault.turn == 1
    first, second = [e for e in events if isinstance(e, ev.TurnEnded)]
    assert first.reason == "error"
    assert first.heard
    assert written.startswith(first.heard)
    assert len(first.heard) < len(written)
    assert second.reason == "finished"
    assert second.heard


@pytest.mark.net
@pytest.mark.parametrize(
    ("script", "match"),
    [
        ([head(), chunked(event("This much was said, and then")), "stall"], "silent"),
        (
            [head(), chunked(event("This much was said, and then")), chunked(b"data: {\n\n")],
            "OpenAI-compatible",
        ),
        (BUSY, "cannot answer now"),
    ],
)
def test_a_turn_that_fails_is_followed_by_one_that_works(script, match, tmp_path) -> None:
    settings = load(None, ["stt.interim=0", "turns.meaning=off"])
    with scripted(script, answer("All", " is", " well.")) as server:
        engine = model(server.url, wait=0.5, retries=0)
        engines = actors.with_loudness(actors.ScriptedSTT(["Hello?"]), engine, actors.ScriptedTTS())
        events: list[ev.Event] = []
        lines = [Line(actors.loud(1.0)), Line(actors.loud(1.0))]
        converse(engines, settings, lines, tmp_path / "out.wav", watchers=[events.append])
    assert [match in e.message for e in events if isinstance(e, ev.Error)] == [True]
    last = [e for e in events if isinstance(e, ev.TurnEnded)][-1]
    assert (last.reason, last.heard) == ("finished", "All is well.")


def usage(prompt: int, tokens: int) -> bytes:
    """The event in which a server counts, after its answer has ended."""
    counts = {"prompt_tokens": prompt, "completion_tokens": tokens}
    return b"data: " + json.dumps({"choices": [], "usage": counts}).encode() + b"\n\n"


@pytest.mark.net
@pytest.mark.parametrize(
    ("reason", "end"), [("stop", "stop"), ("length", "length"), ("content_filter", "stop")]
)
def test_how_the_answer_ended_and_what_it_took_is_passed_on(reason: str, end: str) -> None:
    done = event(finish_reason=reason) + usage(12, 34) + b"data: [DONE]\n\n"
    with scripted([head(), chunked(event("Hi.")), chunked(done), b"0\r\n\r\n"]) as server:
        *_, last = model(server.url).stream([Message("user", "Hello?")])
    assert isinstance(last, Finish)
    assert (last, last.end, last.prompt_tokens, last.tokens) == ("", end, 12, 34)


@pytest.mark.net
def test_it_is_sampled_anew_for_one_answer() -> None:
    with scripted(answer("Hi.")) as server:
        engine = model(server.url, max_tokens=50, seed=None, stop=["a"])
        for one in (engine.with_sampling(max_tokens=5, stop=["b"], seed=7, temperature=0.1), engine):
            said(one)
    bodies = [body for _, _, body in server.seen]
    names = ("max_tokens", "stop", "seed", "temperature")
    assert [bodies[0].get(name) for name in names] == [5, ["a", "b"], 7, 0.1]
    assert [bodies[1].get(name) for name in names] == [50, ["a"], None, 0.6]
