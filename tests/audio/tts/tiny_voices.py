"""Small voices with random weights, built from the real classes and saved as their real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LETTERS = "abcdefghijklmnopqrstuvwxyz' "


def xtts(folder: Path, *, codes: int = 60) -> Path:
    """An XTTS v2 of a few hundred thousand GPT weights; its decoder has the published one's shape."""
    import tokenizers
    import torch
    from TTS.tts.configs.xtts_config import XttsConfig
    from TTS.tts.models.xtts import Xtts, XttsArgs

    folder.mkdir(parents=True, exist_ok=True)
    marks = ["[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]", "[de]"]
    vocabulary = {token: n for n, token in enumerate([*marks, *LETTERS.strip(), *".,!?"])}
    words = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [], unk_token="[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.add_special_tokens(marks)
    words.save(str(folder / "vocab.json"))
    args = XttsArgs(
        gpt_layers=2,
        gpt_n_model_channels=64,
        gpt_n_heads=4,
        gpt_max_audio_tokens=codes,
        gpt_num_audio_tokens=66,
        gpt_start_audio_token=64,
        gpt_stop_audio_token=65,
        gpt_number_text_tokens=len(vocabulary),
        gpt_start_text_token=vocabulary["[START]"],
        gpt_stop_text_token=vocabulary["[STOP]"],
        gpt_use_perceiver_resampler=True,
        decoder_input_dim=64,
    )
    config: Any = XttsConfig(model_args=args)
    config.languages = ["en", "de"]
    torch.manual_seed(0)
    model = Xtts(config)
    for parameter in model.hifigan_decoder.waveform_decoder.parameters():
        parameter.data *= 1.6  # or the random decoder would whisper below what counts as audible
    model.gpt.mel_head.bias.data[args.gpt_stop_audio_token] = -9.0  # it never ends of its own accord
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    config.save_json(str(folder / "config.json"))
    return folder


def coqui(folder: Path, *, phonemes: bool = False, speakers: int = 0) -> Path:
    """A VITS of Coqui's that reads letters (or phonemes)."""
    import torch
    from TTS.tts.configs.shared_configs import CharactersConfig
    from TTS.tts.configs.vits_config import VitsConfig
    from TTS.tts.models.vits import Vits, VitsArgs

    folder.mkdir(parents=True, exist_ok=True)
    args = VitsArgs(
        hidden_channels=32,
        hidden_channels_ffn_text_encoder=64,
        num_layers_text_encoder=2,
        num_layers_posterior_encoder=2,
        upsample_initial_channel_decoder=64,
        init_discriminator=False,
        speaker_embedding_channels=16,
    )
    config: Any = VitsConfig(model_args=args, use_phonemes=False, text_cleaner="basic_cleaners")
    config.characters = CharactersConfig(
        characters_class="TTS.tts.models.vits.VitsCharacters",
        characters=LETTERS.strip(),
        phonemes="əɚɛɪʊʌθð" if phonemes else "",
        punctuations="!'(),-.:;? ",
        pad="_",
        eos="",
        bos="",
        blank="",
    )
    if speakers:
        names = {f"speaker {n}": n for n in range(speakers)}
        torch.save(names, folder / "speakers.pth")
        (folder / "speaker_ids.json").write_text(json.dumps(names))
        config.use_speaker_embedding = args.use_speaker_embedding = True
        config.num_speakers = args.num_speakers = speakers
        config.speakers_file = args.speakers_file = str(folder / "speaker_ids.json")
    torch.manual_seed(0)
    model = Vits(config)
    for flow in model.flow.flows:
        flow.post.weight.data.normal_(std=0.1)  # made as zeros: the flow would do nothing
    for parameter in model.waveform_decoder.parameters():
        parameter.data *= 2.0
    torch.save({"model": model.state_dict()}, folder / "model_file.pth")
    config.use_phonemes = phonemes
    config.phonemizer, config.phoneme_language = ("espeak", "en-us") if phonemes else ("", "")
    config.save_json(str(folder / "config.json"))
    return folder


def mms(folder: Path, *, speakers: int = 1) -> Path:
    """A VITS of transformers that reads letters, as MMS's do."""
    import torch
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {letter: n for n, letter in enumerate(["_", *LETTERS])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    config = transformers.VitsConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        ffn_dim=64,
        flow_size=32,
        spectrogram_bins=65,
        upsample_initial_channel=64,
        duration_predictor_filter_channels=32,
        posterior_encoder_num_wavenet_layers=2,
        num_speakers=speakers,
        speaker_embedding_size=16 if speakers > 1 else 0,
    )
    torch.manual_seed(0)
    model = transformers.VitsModel(config)
    for flow in model.flow.flows:
        flow.conv_post.weight.data.normal_(std=0.1)
    for parameter in model.decoder.parameters():
        parameter.data *= 6.0
    model.save_pretrained(folder)
    transformers.VitsTokenizer(
        str(folder / "vocab.json"), pad_token="_", unk_token="_", phonemize=False
    ).save_pretrained(folder)
    return folder


def _decoder(helper: Any) -> list[Any]:
    """Nodes called as those round the published decoder: from "wave" and "level" to "audio"."""

    def node(kind: str, inputs: str, output: str, name: str = "", **how: object) -> Any:
        return helper.make_node(kind, inputs.split(), [output], name=name, **how)

    pooled = {"kernel_shape": [2], "strides": [2]}
    return [
        node("Atanh", "wave", "straight"),
        node("Reshape", "straight column", "signal"),
        node("Tanh", "signal", "tone"),
        node("Reshape", "tone halves", "by_half"),
        node("ReduceMax", "by_half", "pitch_curve", axes=[2], keepdims=0),
        node("Abs", "pitch_curve", "loudness_curve"),
        node("Unsqueeze", "pitch_curve second", "said_twice"),
        node("MaxPool", "said_twice", "said", **pooled),
        node("Unsqueeze", "pitch_curve second", "pitch_1", "decoder/Unsqueeze"),
        node("Unsqueeze", "loudness_curve second", "loudness_1", "decoder/Unsqueeze_1"),
        node("MaxPool", "pitch_1", "pitch_2", **pooled),
        node("MaxPool", "loudness_1", "loudness_2", **pooled),
        node("Concat", "said pitch_2 loudness_2", "features", "decoder/Concat", axis=1),
        helper.make_node("STFT", ["tone", "step", "", "window"], ["spectrum"], name="decoder/generator/STFT"),
        node("ReduceMean", "spectrum", "of_spectrum", keepdims=0),
        node("ReduceMean", "features", "of_features", keepdims=0),
        node("Add", "of_spectrum of_features", "both"),
        node("Mul", "both naught", "nothing_else"),
        node("Reshape", "tone line", "samples"),
        node("Mul", "samples level", "loud"),
        node("Add", "loud nothing_else", "audio"),
    ]


def kokoro(folder: Path, *, durations: bool | str = True, cut: bool = False) -> Path:
    """A graph with Kokoro's inputs and outputs: a tone of 50 ms for each token, two frames of 25 ms.

    durations: whether they are an output; "inside": only rounded and clipped on the way. cut: whether its
    decoder has the names of the published one, so that it can be cut there.
    """
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(parents=True, exist_ok=True)

    def constant(name: str, value: object, kind: object) -> object:
        return numpy_helper.from_array(np.array(value, kind), name)

    nodes = [
        helper.make_node("Size", ["tokens"], ["count"]),
        helper.make_node("Cast", ["count"], ["tokens_f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["tokens_f", "each"], ["length_f"]),
        helper.make_node("Squeeze", ["speed"], ["speed_1"]),
        helper.make_node("Div", ["length_f", "speed_1"], ["length"]),
        helper.make_node("Range", ["zero", "length", "one"], ["steps"]),
        helper.make_node("Mul", ["steps", "pitch"], ["phase"]),
        helper.make_node("ReduceMax", ["style"], ["level"], keepdims=0),
        helper.make_node("Sin", ["phase"], ["wave"]),
        *(_decoder(helper) if cut else [helper.make_node("Mul", ["wave", "level"], ["audio"])]),
        helper.make_node("Squeeze", ["tokens"], ["flat"]),
        helper.make_node("Mul", ["flat", "none"], ["nothing"]),
        helper.make_node("Add", ["nothing", "two"], ["duration"]),
    ]
    fixed = [
        constant("each", 1_200.0, np.float32),
        constant("zero", 0.0, np.float32),
        constant("one", 1.0, np.float32),
        constant("pitch", 0.1, np.float32),
        constant("naught", 0.0, np.float32),
        constant("none", 0, np.int64),
        constant("two", 2, np.int64),
        *(
            constant(name, value, np.int64)
            for name, value in {
                "column": [1, -1, 1],
                "halves": [1, -1, 300],
                "line": [-1],
                "second": [1],
                "step": 300,
                "window": 20,
            }.items()
        ),
    ]
    inputs = [
        helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, "n"]),
        helper.make_tensor_value_info("style", TensorProto.FLOAT, [1, 4]),
        helper.make_tensor_value_info("speed", TensorProto.FLOAT, [1]),
    ]
    outputs = [helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["m"])]
    if durations == "inside":
        nodes += [
            helper.make_node("Cast", ["duration"], ["duration_f"], to=TensorProto.FLOAT),
            helper.make_node("Round", ["duration_f"], ["rounded"]),
            helper.make_node("Clip", ["rounded", "one"], ["clipped"]),
        ]
    elif durations:
        outputs.append(helper.make_tensor_value_info("duration", TensorProto.INT64, ["n"]))
    graph = helper.make_graph(nodes, "kokoro", inputs, outputs, fixed)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "kokoro.onnx"))
    loud = np.full((510, 1, 4), 0.5, np.float32)
    with (folder / "voices.bin").open("wb") as file:
        np.savez(file, af_heart=loud, bf_emma=loud / 2)
    return folder
