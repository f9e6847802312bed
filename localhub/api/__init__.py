"""The rooms of the Hub that every client needs: accounts, repos, files. One file each."""
