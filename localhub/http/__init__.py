"""How the local Hub is spoken to: a call and its answer, streams, limits, addresses of Spaces.

Each path is a module of `localhub.api`.
"""
