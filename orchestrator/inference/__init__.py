"""A trained model asked: in a process on this machine, or on a server. Prints nothing."""
