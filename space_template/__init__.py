"""Files of a Space as they are pushed: real ones, that `docker build` accepts."""
