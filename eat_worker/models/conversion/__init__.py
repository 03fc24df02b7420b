"""Weights in another form: GGUF to a safetensors folder, an adapter merged into its base, an adapter as GGUF.

Knows file formats and the layout of Qwen2. Fetches nothing and answers nothing; torch is loaded only inside.
"""
