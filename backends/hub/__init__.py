"""What Spaces and Jobs of the Hub have in common: machines, logs, files of a repo, refusals.

Nothing here is a backend, and nothing knows which of them asks.
"""
