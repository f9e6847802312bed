"""Addresses that are no pages, such as an API: every module here has a `mount`, found by name.

`mount(web, app)` adds them to the FastAPI application `web`. The gate stands before them as before
all else: programs pass it with `Authorization: Bearer KEY`.
"""
