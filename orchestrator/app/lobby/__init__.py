"""The app of several users, as a Space of the Hub runs it: `python -m orchestrator.app.lobby`.

Everybody signs in with their account at the Hub and gets the app in a process of its own, with a
folder of its own and the token of that login. The lobby in front holds the logins and passes on
each request to the app of whoever sent it; it reads nothing of what it passes on.
"""
