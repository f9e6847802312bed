"""Where the tests run each backend: one file a backend, found by its name."""
