"""One file a command; each ends with its click command as `COMMAND`."""
