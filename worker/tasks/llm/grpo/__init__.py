"""Learning from rewards: a model answers prompts, and what scores well is made likelier.

`sources` says what a reward is named by, `signature` what a file of the user's defines, `prompts`
what of a row the model is given; `report` and `cost` tell before what comes of it. Light: no torch.
"""
