"""What the HTTP interface takes and gives, as an OpenAPI description. Knows no engine and answers nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.json_schema import models_json_schema

from agent import __version__
from agent.server.http.model_responses import Ask, NewConversation
from agent.server.http.responses import EVENTS, JSON, LINES, SDP, TEXT
from agent.server.http.speech import Speak
from agent.server.http.text import Chat, Generate
from agent.server.realtime.client_secrets import ClientSecret
from audio.encode import MEDIA

Fields = dict[str, Any]

REFUSALS = {
    "400": "The request is not as it should be.",
    "401": "The token is missing or wrong.",
    "403": "This origin or host is not let in.",
    "408": "The request did not come to its end.",
    "413": "The request is too large.",
    "429": "Too many requests in a minute.",
    "500": "An engine failed.",
    "503": "All session slots are taken, or the server stops; `Retry-After` says when to come again.",
}
NOT_FOUND = {"404": "No such model or voice."}
CALLS = {
    "404": "No such model.",
    "415": "It is neither an offer nor a form with one.",
    "501": "WebRTC's library is not installed.",
}
UNINTELLIGIBLE = {"422": "Nothing intelligible is said in the sound."}
BINARY = {"type": "string", "format": "binary"}
STRING = {"type": "string"}
NAME = {"name": "name", "in": "path", "required": True, "schema": STRING}
CALL = {**NAME, "description": "The last part of the call's `Location`."}
OFFER = {
    "type": "object",
    "required": ["sdp"],
    "properties": {"sdp": STRING, "session": {"type": "string", "contentMediaType": JSON}},
}
EVENT = {"type": "object", "required": ["data"]}
"""One server-sent event."""
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code"],
            "properties": {"message": STRING, "type": STRING, "code": {"type": ["string", "null"]}},
        }
    },
}
TEXTS = {"type": "array", "items": STRING}
FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": BINARY,
        "model": STRING,
        "language": STRING,
        "response_format": {"type": "string", "enum": ["json", "text", "verbose_json", "srt", "vtt"]},
        "stream": {"type": "boolean"},
        "prompt": STRING,
        "keywords[]": TEXTS,
        "languages[]": TEXTS,
        "include[]": {"type": "array", "items": {"type": "string", "enum": ["logprobs"]}},
        "timestamp_granularities[]": {
            "type": "array",
            "items": {"type": "string", "enum": ["segment", "word"]},
        },
    },
}


def description() -> Fields:
    """The OpenAPI 3.1 document; bodies are described by the models that read them."""
    _, models = models_json_schema(
        [(model, "validation") for model in (Generate, Chat, Ask, NewConversation, Speak, ClientSecret)],
        ref_template="#/components/schemas/{model}",
    )
    media: Fields = {EVENTS: EVENT, LINES: STRING, TEXT: STRING}
    audio = {**dict.fromkeys(MEDIA.values(), BINARY), EVENTS: EVENT}
    chat = {JSON: {"type": "object", "required": ["choices"]}, EVENTS: EVENT}
    words = {JSON: {"type": "object", "required": ["text"]}, TEXT: STRING, "text/vtt": STRING, EVENTS: EVENT}
    response = {JSON: {"type": "object", "required": ["output"]}, EVENTS: EVENT}
    secret = {JSON: {"type": "object", "required": ["value", "expires_at", "session"]}}
    posts = {
        "/generate": _post("Text while it is written", _body("Generate"), media),
        "/converse": _converse(),
        "/v1/chat/completions": _post("A chat, as OpenAI has it", _body("Chat"), chat, NOT_FOUND),
        "/v1/responses": _post("An answer, as OpenAI's newer API has it", _body("Ask"), response, NOT_FOUND),
        "/v1/audio/speech": _post("A text as speech", _body("Speak"), audio, NOT_FOUND),
        "/v1/audio/transcriptions": _post(
            "The words in a sound", {"multipart/form-data": FORM}, words, NOT_FOUND
        ),
        "/v1/realtime/client_secrets": _post(
            "A secret that opens Realtime sessions", _body("ClientSecret"), secret, NOT_FOUND
        ),
        "/v1/realtime/calls": _post(
            "A Realtime session over WebRTC: an SDP offer in, the answer out",
            {SDP: STRING, "multipart/form-data": OFFER},
            {SDP: STRING},
            CALLS,
            status="201",
        ),
        "/v1/realtime/calls/{name}/hangup": _hangup(),
    }
    gets = {
        "/v1/models": _get("The models that are loaded", {JSON: {"type": "object"}}),
        "/v1/models/{name}": _get(
            "One of them", {JSON: {"type": "object"}}, parameters=[NAME], more=NOT_FOUND
        ),
        "/v1/audio/voices": _get("The voices, by each of their names", {JSON: {"type": "object"}}),
        "/v1/realtime/ice_servers": _get(
            "The servers that help packets of a call through NAT, for one call",
            {JSON: {"type": "object", "required": ["ice_servers"]}},
        ),
        "/metrics": _get("Figures for Prometheus", {TEXT: STRING}),
        "/healthz": _get("Whether the process lives", {JSON: {"type": "object"}}, open_to_all=True),
        "/readyz": _get("Whether it admits sessions", {JSON: {"type": "object"}}, open_to_all=True),
        "/openapi.json": _get("This description", {JSON: {"type": "object"}}),
        "/": _get("The page to talk to", {"text/html": STRING}, open_to_all=True),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "backchat", "version": __version__},
        "paths": {**{path: {"post": it} for path, it in posts.items()}, **gets, **_kept()},
        "components": {
            "schemas": {**models["$defs"], "Error": ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _kept() -> Fields:
    """What may be gone on with, by its id."""
    found: dict[str, Fields] = {JSON: {"type": "object", "required": ["id"]}}
    about = "A conversation that responses may be part of"
    paths = {"/v1/conversations": {"post": _post(about, _body("NewConversation"), found, NOT_FOUND)}}
    for kind in ("response", "conversation"):
        got, gone = (
            _get(f"{what} {kind} that is kept", found, parameters=[NAME], more=NOT_FOUND)["get"]
            for what in ("The", "The end of a")
        )
        paths[f"/v1/{kind}s/{{name}}"] = {"get": got, "delete": gone}
    return paths


def _body(name: str) -> Fields:
    return {JSON: {"$ref": f"#/components/schemas/{name}"}}


def _converse() -> Fields:
    return _post(
        "A question as sound, its answer",
        {"application/octet-stream": BINARY},
        {"multipart/mixed": BINARY, "audio/wav": BINARY},
        {**UNINTELLIGIBLE, **NOT_FOUND},
        [_query("voice"), _query("language")],
    )


def _hangup() -> Fields:
    said = _errors({**REFUSALS, "404": "No such call goes on."})
    return {
        "summary": "The end of such a call, at once",
        "parameters": [CALL],
        "responses": {"200": {"description": "It has ended."}, **said},
    }


def _query(name: str) -> Fields:
    return {"name": name, "in": "query", "required": False, "schema": STRING}


def _post(
    about: str,
    takes: Fields,
    gives: Fields,
    more: dict[str, str] | None = None,
    parameters: Sequence[Fields] = (),
    status: str = "200",
) -> Fields:
    return {
        "summary": about,
        "parameters": [*parameters],
        "requestBody": {"required": True, "content": _content(takes)},
        "responses": {
            status: {"description": about, "content": _content(gives)},
            **_errors({**REFUSALS, **(more or {})}),
        },
    }


def _get(
    about: str,
    gives: Fields,
    open_to_all: bool = False,
    parameters: Sequence[Fields] = (),
    more: Mapping[str, str] | None = None,
) -> Fields:
    kinds = {"403", "503"} if open_to_all else {"401", "403", "429"}
    refusals = {status: text for status, text in REFUSALS.items() if status in kinds}
    return {
        "get": {
            "summary": about,
            "parameters": [*parameters],
            "responses": {
                "200": {"description": about, "content": _content(gives)},
                **_errors({**refusals, **(more or {})}),
            },
        }
    }


def _content(kinds: Fields) -> Fields:
    return {kind: {"schema": schema} for kind, schema in kinds.items()}


def _errors(kinds: dict[str, str]) -> Fields:
    content = _content({JSON: {"$ref": "#/components/schemas/Error"}})
    return {status: {"description": text, "content": content} for status, text in kinds.items()}
