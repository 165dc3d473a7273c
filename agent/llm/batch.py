"""Several conversations on one torch model: what each has read, and their next tokens computed together.

A token costs a pass over all weights, for one conversation or for sixteen: those whose token is wanted while
another pass runs share the next one (iteration-level scheduling: Yu et al., "Orca", 2022). Callers come from
threads of their own; the first computes for all that wait, until it has its own, and passes that duty on
(flat combining: Hendler et al., 2010).
On a CUDA card such a pass is a recorded graph of kernels, which Python need not start one by one.

Knows no text, no sampling and no sessions.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from agent.errors import first_line
from agent.llm.decoding.kvcache import Pace, shared

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

CHUNK = 512
"""Tokens read in one go: longer prompts would need room for all their activations at once, and keep others
waiting."""
_SMALLEST = 512
"""Tokens that room is taken for at first, and that the smallest graph may attend to."""
_ALIKE = 0.05
"""Most that two ways to compute the same scores may differ, as a share of their range: bfloat16 rounds."""
_REFUSALS = (RuntimeError, TypeError, ValueError, LookupError, AttributeError, NotImplementedError)
"""What a model raises that takes no mask or positions from outside, or cannot be recorded."""


class Row:
    """What one conversation has read: its tokens, and the model's cache of them.

    Layers with attention keep every token, so that any number of the last ones can be taken back. A model
    that also keeps a running state (linear attention, convolutions) cannot go back, and forgets everything.
    """

    def __init__(self, make_cache: Callable[[Row], Any], *, goes_back: bool) -> None:
        self._make_cache, self._goes_back = make_cache, goes_back
        self.forget()

    def forget(self) -> None:
        """Start over, with nothing read."""
        self.tokens: list[int] = []
        self.cache = self._make_cache(self)

    def keep(self, tokens: Sequence[int]) -> int:
        """Roll back to what is remembered of the beginning of `tokens`, and say how many that are."""
        common = shared(self.tokens, tokens)
        if len(self.tokens) > common:
            if not self._goes_back:
                self.forget()
                return 0
            del self.tokens[common:]
        return common


class _Wanted:
    """Tokens that a row is to read, what became of the last one, and whether it is over.

    woken: is let go once it is over, or where its thread is to compute for all.
    """

    def __init__(self, row: Row, tokens: Sequence[int]) -> None:
        self.row, self.tokens = row, list(tokens)
        self.scores: Any = None
        self.error: BaseException | None = None
        self.over = False
        self.woken = Lock()
        self.woken.acquire()


Pass = Callable[[Sequence[_Wanted]], "torch.Tensor"]
"""One token more for each of several rows: scores, shape (rows, vocabulary)."""


class Batch:
    """A model and its rows. rows: how many. size: tokens that each has room for.

    Rows are computed one after the other until `prepare` has shown that together they say the same.
    """

    def __init__(self, model: Any, device: torch.device, rows: int, size: int) -> None:
        self._model, self._device, self._size = model, device, size
        self._layers = _attention_layers(model.config)
        stores = [_Store(rows, size) for _ in self._layers or ()]
        self.rows = [Row(self._cache_maker(stores, number), goes_back=bool(stores)) for number in range(rows)]
        self._place = _Place()
        self._common = _common_cache(self._layers, stores, self._place) if stores else None
        self._pass: Pass | None = None
        self._wanted: deque[_Wanted] = deque()
        self._lock, self._led = Lock(), False
        self.pace = Pace()

    def scores(self, row: Row, tokens: Sequence[int]) -> torch.Tensor:
        """The scores for what follows `tokens`, shape (vocabulary,), evaluating only what `row` has not read.

        Any thread may call it, for a row of its own. Raises what the model raises; the row has read nothing
        then, since some layers may have read a part and others not.
        """
        known = row.keep(tokens[:-1])
        wanted = _Wanted(row, tokens[known:])
        with self._lock:
            self._wanted.append(wanted)
            leads, self._led = not self._led, True
        if not leads:
            wanted.woken.acquire()
        if not wanted.over:
            self._lead(wanted)
        if wanted.error is not None:
            raise wanted.error
        return wanted.scores

    def prepare(self, tokens: Sequence[int]) -> None:
        """Find the fastest way to compute rows together that says what each says alone.

        tokens: at least three, of any text. A model that refuses, or that says something else, is left to
        compute its rows one after the other.
        """
        ways: list[Callable[[], Pass]] = []
        if self._common is not None and self._device.type == "cuda":
            ways.append(lambda: _Graphs(self._together, self.rows, self._size, self._device))
        if self._common is not None and len(self.rows) > 1:
            ways.append(lambda: self._span)
        tried = self.rows[:2]
        for way in ways:
            try:
                alone = [self.scores(row, tokens[: len(tokens) - n]) for n, row in enumerate(tried)]
                made = way()
                wanted = [_Wanted(row, [row.tokens.pop()]) for row in tried]
                self._computed(wanted, made)
            except _REFUSALS as error:
                _log.info("not every way to compute this model is open: %s", first_line(error))
                continue
            same = (_alike(one, each.scores) for one, each in zip(alone, wanted, strict=True))
            if not any(each.error for each in wanted) and all(same):
                self._pass = made
                break
            _log.info("this model says something else in company: %s", [each.error for each in wanted])
        for row in tried:
            row.forget()

    def _lead(self, own: _Wanted) -> None:
        """Compute for all until `own` is over; then the one that has waited longest does."""
        try:
            while not own.over:
                self._round()
        finally:
            with self._lock:
                self._led = bool(self._wanted)
                if self._led:
                    self._wanted[0].woken.release()

    def _round(self) -> None:
        """All tokens that are wanted now, and a part of the prompt that has waited longest."""
        waiting = [self._wanted.popleft() for _ in range(len(self._wanted))]
        together = self._pass
        ones = [
            each for each in waiting if together is not None and len(each.tokens) == 1 and each.row.tokens
        ]
        longer = [each for each in waiting if each not in ones]
        try:
            if together is not None and ones:
                self._computed(ones, together)
            if longer:
                self._computed(longer[:1], self._part)
        finally:
            self._wanted.extendleft(each for each in reversed(waiting) if not each.over)

    def _computed(self, wanted: Sequence[_Wanted], work: Pass) -> None:
        import torch

        try:
            with torch.inference_mode():
                scores = work(wanted)
        except BaseException as error:
            for each in wanted:
                each.row.forget()
                each.error = error
                self._end(each)
            if not isinstance(error, RuntimeError):
                raise
            return
        for each, found in zip(wanted, scores, strict=True):
            read = each.tokens[:CHUNK]
            each.row.tokens += read
            del each.tokens[: len(read)]
            each.scores = found
            if not each.tokens:
                self._end(each)

    @staticmethod
    def _end(wanted: _Wanted) -> None:
        wanted.over = True
        wanted.woken.release()

    def _part(self, wanted: Sequence[_Wanted]) -> torch.Tensor:
        """The next tokens of one row alone, as many as are read in one go: scores, shape (1, vocabulary)."""
        import torch

        [one] = wanted
        part = one.tokens[:CHUNK]
        with self.pace.reading(len(part)):
            return self._model(
                input_ids=torch.tensor([part], device=self._device),
                past_key_values=one.row.cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]

    def _span(self, wanted: Sequence[_Wanted]) -> torch.Tensor:
        """The same for several rows and one token each; rows between them are computed for nothing."""
        import torch

        if len(wanted) == 1:
            return self._part(wanted)
        numbers = [self.rows.index(each.row) for each in wanted]
        low, high = min(numbers), max(numbers) + 1
        ids = torch.zeros((high - low, 1), dtype=torch.long)
        for each, number in zip(wanted, numbers, strict=True):
            ids[number - low] = each.tokens[0]
        places = torch.tensor([len(row.tokens) for row in self.rows[low:high]])
        end = min(self._size, int(places.max()) + 1)
        scores = self._together(ids.to(self._device), places.to(self._device), slice(low, high), end)
        return scores[[number - low for number in numbers]]

    def _together(self, ids: torch.Tensor, places: torch.Tensor, rows: slice, end: int) -> torch.Tensor:
        """One token for each of `rows`, put at its place: ids (rows, 1), places (rows,). end: tokens that are
        looked at. Scores, shape (rows, vocabulary).
        """
        import torch

        self._place.rows, self._place.at, self._place.end = rows, places, end
        hidden = torch.arange(end, device=self._device)[None, :] > places[:, None]
        number = self._model.dtype
        # A sum, not a choice: attention that is computed step by step adds its mask.
        mask = torch.zeros(hidden.shape, dtype=number, device=self._device)
        mask = mask.masked_fill(hidden, torch.finfo(number).min)[:, None, None, :]
        return self._model(
            input_ids=ids,
            position_ids=places[:, None],
            attention_mask=mask,
            past_key_values=self._common,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]

    def _cache_maker(self, stores: Sequence[_Store], number: int) -> Callable[[Row], Any]:
        if self._layers is None:
            return lambda _: _library_cache(self._model.config)
        layers = self._layers
        return lambda row: _row_cache(layers, stores, row, number)


class _Graphs:
    """One token for each row, recorded as CUDA graphs: for each of some lengths of context what is launched.

    All rows are computed, whoever wants: those without a wish write where their next token will overwrite it.
    """

    def __init__(
        self,
        together: Callable[[torch.Tensor, torch.Tensor, slice, int], torch.Tensor],
        rows: Sequence[Row],
        size: int,
        device: torch.device,
    ) -> None:
        import torch

        self._rows, self._device = rows, device
        self._ids = torch.zeros((len(rows), 1), dtype=torch.long, device=device)
        self._places = torch.zeros(len(rows), dtype=torch.long, device=device)
        self._recorded: list[tuple[int, Any, torch.Tensor]] = []
        self._write([0] * len(rows))
        whole, ends = slice(0, len(rows)), [size]
        while ends[-1] > _SMALLEST:
            ends.append(-(-ends[-1] // 2))
        pool = None
        for end in ends:  # the longest first: room is taken then, and stays where it is
            with torch.inference_mode():
                beside: Any = torch.cuda.Stream(device)
                beside.wait_stream(torch.cuda.current_stream(device))
                with torch.cuda.stream(beside):  # libraries prepare themselves at the first use
                    together(self._ids, self._places, whole, end)
                torch.cuda.current_stream(device).wait_stream(beside)
                graph: Any = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
                    scores = together(self._ids, self._places, whole, end).float()
            pool = graph.pool()
            self._recorded.insert(0, (end, graph, scores))

    def __call__(self, wanted: Sequence[_Wanted]) -> torch.Tensor:
        """As `Batch._span`."""
        ids = [0] * len(self._rows)
        numbers = [self._rows.index(each.row) for each in wanted]
        for each, number in zip(wanted, numbers, strict=True):
            ids[number] = each.tokens[0]
        self._write(ids)
        longest = max(len(each.row.tokens) for each in wanted)
        graph, scores = next((graph, scores) for end, graph, scores in self._recorded if end > longest)
        graph.replay()
        return scores[numbers]  # a copy: the next replay overwrites these

    def _write(self, ids: Sequence[int]) -> None:
        import torch

        self._ids.copy_(torch.tensor(ids)[:, None])
        self._places.copy_(torch.tensor([len(row.tokens) for row in self._rows]))


@dataclass(slots=True)
class _Place:
    """Which rows the layers of the common cache write, where each, and how many tokens they give back."""

    rows: slice = field(default_factory=lambda: slice(0, 0))
    at: Any = None
    end: int = 0


class _Store:
    """Keys and values of one layer, (rows, heads, tokens, width) each. size: the most tokens.

    Room is taken as it is needed, twice as much each time. What nothing was written to holds zeros: a mask
    hides no NaN.
    """

    def __init__(self, rows: int, size: int) -> None:
        self._rows, self._size = rows, size
        self._held: tuple[torch.Tensor, torch.Tensor] | None = None

    def room(
        self, keys: torch.Tensor, values: torch.Tensor, tokens: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both, with room for so many tokens, for states like these."""
        if self._held is None or self._held[0].shape[2] < tokens:
            held = self._held or (keys[:, :, :0], values[:, :, :0])
            size = min(self._size, max(tokens, 2 * held[0].shape[2], _SMALLEST))
            self._held = self._grown(held[0], size), self._grown(held[1], size)
        return self._held

    def _grown(self, held: torch.Tensor, size: int) -> torch.Tensor:
        _, heads, tokens, width = held.shape
        grown = held.new_zeros((self._rows, heads, size, width))
        if tokens:
            grown[:, :, :tokens] = held
        return grown


def _attention_layers(config: Any) -> list[Any] | None:
    """The classes of the cache's layers, as the library chooses; None where one keeps a running state."""
    from transformers import cache_utils

    library: Any = cache_utils
    kinds: list[Any] = [type(layer) for layer in _library_cache(config).layers]
    attention = (library.DynamicLayer, library.DynamicSlidingWindowLayer, _dummy(library))
    return kinds if kinds and all(kind in attention for kind in kinds) else None


def _dummy(library: Any) -> Any:
    """The class of what stands for a layer that remembers nothing; None where the library has none yet."""
    return getattr(library, "DummyLayer", None)


def _library_cache(config: Any) -> Any:
    from transformers import cache_utils

    library: Any = cache_utils
    return library.DynamicCache(config=config)


def _row_cache(kinds: Sequence[Any], stores: Sequence[_Store], row: Row, number: int) -> Any:
    """The library's cache for one row alone, whose layers hold what `row.tokens` says.

    A sliding window forgets what a rollback needs: such layers keep everything here. The attention mask keeps
    to the window all the same.
    """
    from transformers import cache_utils

    library: Any = cache_utils

    class Alone(library.DynamicLayer):
        def __init__(self, store: _Store) -> None:
            library.DynamicLayer.__init__(self)
            self._store = store

        def get_seq_length(self, *_: Any) -> int:
            return len(row.tokens)

        def update(
            self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
        ) -> tuple[torch.Tensor, torch.Tensor]:
            begin = len(row.tokens)
            end = begin + key_states.shape[-2]
            self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True
            keys, values = self._store.room(key_states, value_states, end)
            keys, values = keys[number : number + 1], values[number : number + 1]
            keys[:, :, begin:end], values[:, :, begin:end] = key_states, value_states
            self.keys, self.values = keys[:, :, :end], values[:, :, :end]
            return self.keys, self.values

    return _filled(library, kinds, stores, Alone)


def _common_cache(kinds: Sequence[Any] | None, stores: Sequence[_Store], place: _Place) -> Any:
    """One for several rows, each of which gets one token; None where a layer has a sliding window."""
    from transformers import cache_utils

    library: Any = cache_utils
    if kinds is None or library.DynamicSlidingWindowLayer in kinds:
        return None

    class Together(library.DynamicLayer):
        def __init__(self, store: _Store) -> None:
            library.DynamicLayer.__init__(self)
            self._store = store

        def get_seq_length(self, *_: Any) -> int:
            return place.end - 1

        def update(
            self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
        ) -> tuple[torch.Tensor, torch.Tensor]:
            import torch

            keys, values = self._store.room(key_states, value_states, place.end)
            keys, values = keys[place.rows], values[place.rows]
            each = torch.arange(len(place.at), device=key_states.device)
            keys[each, :, place.at], values[each, :, place.at] = key_states[:, :, 0], value_states[:, :, 0]
            return keys[:, :, : place.end], values[:, :, : place.end]

    return _filled(library, kinds, stores, Together)


def _filled(
    library: Any, kinds: Sequence[Any], stores: Sequence[_Store], layer: Callable[[_Store], Any]
) -> Any:
    cache = library.DynamicCache()
    cache.layers = [
        kind() if kind is _dummy(library) else layer(store) for kind, store in zip(kinds, stores, strict=True)
    ]
    return cache


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    spread = float(one.max() - one.min())
    return bool((one.float() - other.float()).abs().max() <= _ALIKE * spread)
