"""What the local Hub keeps: SQLite, git objects, large files, and what repos and buckets hold.

Knows neither requests nor people nor what runs.
"""
