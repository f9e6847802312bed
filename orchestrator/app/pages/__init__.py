"""The pages, one file each, found by name: every module here has a `PAGE`.

They are laid out in gradio, so only what serves the app imports them.
"""
