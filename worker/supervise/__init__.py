"""The parent of the trainer: starts it, reads its events, watches it, keeps what it made, and
stops what costs in every ending.

It never imports torch and outlives its child whatever happens to it. `supervise` is the order of
things; each neighbour knows one of them.
"""
