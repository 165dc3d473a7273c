"""How the chat templates of well-known models behave, described in our own words: no line is theirs.

Each writes the marks that its model was trained on, refuses what the model's own refuses, and takes or leaves
system messages, tools and thoughts as that does.
"""

from __future__ import annotations

from dataclasses import dataclass

_MESSAGE = (
    "<|im_start|>{{ message.role }}\n{{ message.content }}{% for call in message.tool_calls or [] %}"
    "<tool_call>\n{{ call.function | tojson }}\n</tool_call>{% endfor %}<|im_end|>\n"
)


@dataclass(frozen=True)
class Template:
    """One of them. marks: its control tokens. ends: the one that ends an answer. tools: it has a form "
    "for them."""

    text: str
    marks: tuple[str, ...]
    ends: str
    tools: bool


QWEN3 = Template(
    "{% if tools %}<|im_start|>system\n{% if messages[0].role == 'system' %}{{ messages[0].content }}\n\n"
    "{% endif %}<tools>{% for tool in tools %}\n{{ tool | tojson }}{% endfor %}\n</tools><|im_end|>\n"
    "{% endif %}{% for message in messages %}{% if message.role == 'tool' %}<|im_start|>user\n"
    "<tool_response>\n{{ message.content }}\n</tool_response><|im_end|>\n"
    "{% elif not (tools and loop.first and message.role == 'system') %}"
    + _MESSAGE
    + "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if enable_thinking is defined and "
    "not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}",
    ("<|im_start|>",),
    "<|im_end|>",
    tools=True,
)
GEMMA3 = Template(
    "<bos>{% set given = namespace(before='', rest=messages) %}{% if messages[0].role == 'system' %}"
    "{% set given.before = messages[0].content + '\n\n' %}{% set given.rest = messages[1:] %}{% endif %}"
    "{% for message in given.rest %}{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "<start_of_turn>{{ 'model' if message.role == 'assistant' else message.role }}\n"
    "{% if loop.first %}{{ given.before }}{% endif %}{{ message.content | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}",
    ("<bos>", "<start_of_turn>", "<end_of_turn>"),
    "<end_of_turn>",
    tools=False,
)
LLAMA32 = Template(
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nToday Date: 26 Jul 2024\n\n"
    "{% set given = namespace(rest=messages, told=false) %}{% if messages[0].role == 'system' %}"
    "{{ messages[0].content | trim }}{% set given.rest = messages[1:] %}{% endif %}<|eot_id|>"
    "{% for message in given.rest %}{% if message.tool_calls %}{% if message.tool_calls | length > 1 %}"
    "{{ raise_exception('This model only supports single tool-calls at once!') }}{% endif %}"
    '<|start_header_id|>assistant<|end_header_id|>\n\n{"name": "{{ message.tool_calls[0].function.name }}", '
    '"parameters": {{ message.tool_calls[0].function.arguments | tojson }}}<|eot_id|>'
    "{% elif message.role == 'tool' %}<|start_header_id|>ipython<|end_header_id|>\n\n"
    "{{ message.content | tojson }}<|eot_id|>{% else %}<|start_header_id|>{{ message.role "
    "}}<|end_header_id|>\n\n"
    "{% if tools and message.role == 'user' and not given.told %}{% set given.told = true %}"
    "{% for tool in tools %}{{ tool | tojson }}\n\n{% endfor %}{% endif %}{{ message.content | trim "
    "}}<|eot_id|>"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n"
    "{% endif %}",
    ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "<|eot_id|>",
    tools=True,
)
LFM2 = Template(
    "<|startoftext|>{% set given = namespace(system='', rest=messages) %}"
    "{% if messages[0].role == 'system' %}"
    "{% set given.system = messages[0].content %}{% set given.rest = messages[1:] %}{% endif %}"
    "{% if tools %}{% set given.system = given.system + '\nList of tools: <|tool_list_start|>' + "
    "(tools | tojson) + '<|tool_list_end|>' %}{% endif %}{% if given.system %}<|im_start|>system\n"
    "{{ given.system }}<|im_end|>\n{% endif %}{% for message in given.rest %}{% if message.role == 'tool' %}"
    "<|im_start|>tool\n<|tool_response_start|>{{ message.content }}<|tool_response_end|><|im_end|>\n"
    "{% else %}" + _MESSAGE + "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    ("<|startoftext|>", "<|im_start|>"),
    "<|im_end|>",
    tools=True,
)
SMOLLM3 = Template(
    "<|im_start|>system\n## Metadata\n\nReasoning Mode: {{ '/think' if enable_thinking else '/no_think' "
    "}}\n\n"
    "{% set given = namespace(rest=messages) %}{% if messages[0].role == 'system' %}## Custom "
    "Instructions\n\n"
    "{{ messages[0].content }}{% set given.rest = messages[1:] %}{% endif %}<|im_end|>\n"
    "{% for message in given.rest %}<|im_start|>{{ message.role }}\n{% if message.role == 'assistant' "
    "and not "
    "enable_thinking %}<think>\n\n</think>\n{% endif %}{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if not enable_thinking %}<think>\n\n</think>\n"
    "{% endif %}{% endif %}",
    ("<|im_start|>",),
    "<|im_end|>",
    tools=False,  # it takes them by other names, `xml_tools` and `python_tools`
)
PHI4 = Template(
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% else %}<|endoftext|>{% endif %}",
    ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
    "<|end|>",
    tools=False,  # it takes them as a field of the system's message
)
MISTRAL = Template(
    "<s>{% set given = namespace(rest=messages, turn=0) %}{% if messages[0].role == 'system' %}"
    "[SYSTEM_PROMPT]{{ messages[0].content }}[/SYSTEM_PROMPT]{% set given.rest = messages[1:] %}{% endif %}"
    "{% for message in given.rest %}{% if message.role == 'user' or (message.role == 'assistant' and not "
    "message.tool_calls) %}{% if (message.role == 'user') != (given.turn % 2 == 0) %}{{ "
    "raise_exception('After the "
    "optional system message, conversation roles must alternate user/assistant/user/assistant/...') "
    "}}{% endif %}"
    "{% set given.turn = given.turn + 1 %}{% endif %}{% if message.role == 'user' %}{% if tools and "
    "loop.last %}"
    "[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}[INST]{{ message.content }}[/INST]"
    "{% elif message.tool_calls %}[TOOL_CALLS][{% for call in message.tool_calls %}{% if call.id | "
    "length != 9 %}"
    "{{ raise_exception('Tool call IDs should be alphanumeric strings with length 9!') }}{% endif %}"
    "{{ call.function | tojson }}{% endfor %}]</s>{% elif message.role == 'assistant' %}{{ "
    "message.content }}</s>"
    "{% elif message.role == 'tool' %}[TOOL_RESULTS]{{ message.content | tojson }}[/TOOL_RESULTS]{% else %}"
    "{{ raise_exception('Only user, assistant and tool roles are supported.') }}{% endif %}{% endfor %}",
    ("<s>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CALLS]", "</s>"),
    "</s>",
    tools=True,
)

TEMPLATES = {
    "Qwen3": QWEN3,
    "Gemma 3": GEMMA3,
    "Llama 3.2": LLAMA32,
    "LFM2": LFM2,
    "SmolLM3": SMOLLM3,
    "Phi-4 mini": PHI4,
    "Mistral Small": MISTRAL,
}
