"""Where the conditions of a campaign lie; written anew in each copy."""

FILE = ""
