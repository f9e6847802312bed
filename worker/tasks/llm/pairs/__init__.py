"""Preference data: to each prompt an answer that was chosen and one that was rejected.

`rows` says what a row of a table says, `data` what is learned of it, `report` what the check tells.
What trainers make of pairs is their own business. Light: no torch.
"""
