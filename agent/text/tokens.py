"""What is known of a text's tokens without its tokenizer. Pure."""

LONGEST_TOKEN = 256
"""Most characters that one token stands for: the longest of GPT's, Llama's, Qwen's and Gemma's have 128."""


def least_tokens(text: str) -> int:
    """Tokens that `text` has at the least, by any tokenizer: known at once, also of what takes one seconds.

    White space counts nothing: templates cut it off, and some tokenizers make one token of any run.
    """
    if len(text) < LONGEST_TOKEN:
        return 0
    return (len(text) - sum(map(text.count, " \n\t\r"))) // LONGEST_TOKEN
