"""The rooms of the Hub: what it answers, at which paths. One file each, or a folder."""
