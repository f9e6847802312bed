"""What the pages show: values in, HTML out. No gradio here, and no server."""
