"""What runs on the local Hub: Spaces, Jobs, the machines under them, and their bills.

It knows no requests: `site.Site` says all that it asks of the Hub it runs on.
"""
