"""A Hub on loopback that speaks the real protocol: repos, LFS, Spaces and Jobs that really run."""
