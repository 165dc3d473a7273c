"""What VITS voices share, in ONNX and on torch: phonemes, chunks of the decoder, conversion."""
