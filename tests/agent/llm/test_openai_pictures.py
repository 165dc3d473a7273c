"""The OpenAI-compatible engine sends pictures as the protocol asks, and says what the server says."""

from __future__ import annotations

import pytest

import pictures
from agent.errors import EngineFault
from agent.images import open_image
from agent.llm.openai_api import OpenAI
from agent.messages import Message
from helpers_server import answer, error, scripted

pytestmark = pytest.mark.net

SIGN = open_image(pictures.encoded(pictures.sign("STOP")))
ASKED = [Message("system", "Be brief."), Message("user", "What is it?", (SIGN, SIGN))]


def test_a_picture_is_a_part_before_the_words():
    with scripted(answer("A ", "sign.")) as server:
        engine = OpenAI(base_url=server.url, model="m")
        assert "".join(engine.stream(ASKED)) == "A sign."
    system, user = server.seen[0][2]["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert [part["type"] for part in user["content"]] == ["image_url", "image_url", "text"]
    assert user["content"][2] == {"type": "text", "text": "What is it?"}
    sent = open_image(user["content"][0]["image_url"]["url"])
    assert (sent.width, sent.height, sent.kind) == (640, 480, "JPEG")


def test_a_server_whose_model_sees_nothing_is_quoted():
    refused = '{"error": {"message": "image input is not supported", "type": "invalid_request_error"}}'
    with scripted(error("400 Bad Request", refused)) as server:
        engine = OpenAI(base_url=server.url, model="m")
        with pytest.raises(EngineFault, match="image input is not supported"):
            "".join(engine.stream(ASKED))
