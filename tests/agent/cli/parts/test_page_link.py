"""The page's address: one that others can go to, its token in no log, and its code as a camera sees it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agent.cli.parts import page_link

TOKEN = "0123456789abcdef0123"


@pytest.mark.parametrize(
    ("address", "name", "token", "page"),
    [
        ("https://0.0.0.0:8400", "laptop.local", TOKEN, f"https://laptop.local:8400/#token={TOKEN}"),
        ("https://192.168.1.5:8400", "", TOKEN, f"https://192.168.1.5:8400/#token={TOKEN}"),
        ("http://[::1]:8400", "", None, "http://[::1]:8400/"),
        (
            "https://0.0.0.0:1",
            "fe80::1",
            "a+b/c=&#%" * 2,
            f"https://[fe80::1]:1/#token={'a%2Bb%2Fc%3D%26%23%25' * 2}",
        ),
    ],
)
def test_the_link_has_the_token_where_browsers_send_it_to_nobody(
    address: str, name: str, token: str | None, page: str
) -> None:
    assert page_link.link(address, name, token) == page


def test_a_wildcard_is_no_address_to_go_to() -> None:
    page = page_link.link("http://0.0.0.0:8400", "", None)
    assert page == f"http://{page_link.own_address()}:8400/"
    assert "0.0.0.0" not in page


def test_a_camera_reads_the_code_that_is_drawn() -> None:
    page = f"https://laptop.local:8400/#token={TOKEN * 2}"
    halves = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}
    lines = [line for line in page_link.code(page).splitlines() if line]
    rows = [[halves[mark][half] for mark in line] for line in lines for half in (0, 1)]
    bright = np.kron(np.array(rows, np.uint8) * 255, np.ones((8, 8), np.uint8))
    assert cv2.QRCodeDetector().detectAndDecode(bright)[0] == page
