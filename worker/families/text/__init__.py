"""What tasks share that learn from texts: columns, lengths in tokens, cost, models with new heads.

`training` has what imports torch. Which tasks there are, nothing here knows.
"""
